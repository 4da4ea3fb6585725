//! What is asked, in this order. Every act only notes; what the notes must say is written beside.

use super::bench::{Bench, is_whole, refusal};
use std::time::Duration;
use talos::{ApplyMode, Change, Changed, Client, Refusal, ResetScope, Role};
use wire::Secret;

const MACHINE_STATUS: &str = "MachineStatuses.runtime.talos.dev";
const SOON: Duration = Duration::from_secs(90);
/// Joining waits its turn behind learners. Each asks for its promotion at every address that discovery knows, for up to 30 s
/// each where nobody answers: three nodes take about two minutes.
const JOINED: Duration = Duration::from_mins(4);
/// Services that every node has, in a container or not.
const SERVICES: &[&str] = &["apid", "containerd", "cri", "etcd", "kubelet", "machined", "trustd"];

async fn service(client: &Client, id: &str) -> Option<(String, Option<bool>)> {
    let all = client.services().await.ok()?;
    all.into_iter().find(|service| service.id == id).map(|service| (service.state, service.healthy))
}

async fn until_service(bench: &Bench, node: &str, id: &str, state: &str, healthy: Option<bool>) {
    let client = bench.admin(node);
    let what = format!("{id} of {node} {state} {healthy:?}");
    bench.until(&what, SOON, async || (service(&client, id).await? == (state.to_owned(), healthy)).then_some(())).await;
}

async fn services(bench: &mut Bench, case: &str, node: &str) {
    let all = bench.admin(node).services().await.unwrap();
    for service in all.iter().filter(|service| SERVICES.contains(&service.id.as_str())) {
        bench.note(&format!("{case}, service {}", service.id), format!("{} {:?}", service.state, service.healthy));
    }
}

/// A node that was told to be a control plane, before etcd is anywhere.
pub async fn waits_for_bootstrap(bench: &mut Bench) {
    let rose = bench.admin("rose");
    bench.until("rose answers", SOON, async || rose.version().await.ok()).await;
    until_service(bench, "rose", "etcd", "Preparing", None).await;
    until_service(bench, "rose", "kubelet", "Running", Some(true)).await;
    let version = rose.version().await.unwrap();
    bench.note("version", version.tag);
    services(bench, "before bootstrap", "rose").await;
    // Talos dials its etcd until the caller gives up.
    let hasty = rose.clone().with_timeout(Duration::from_secs(4));
    bench.answer("before bootstrap, members", hasty.etcd_members(false).await);
    bench.answer("before bootstrap, local members", hasty.etcd_members(true).await);
    bench.answer("before bootstrap, status", hasty.etcd_status().await);
    bench.answer("a stranger", bench.stranger("rose").version().await);
    for (case, id) in [("log of apid", "apid"), ("log of nothing", "nothing")] {
        let log = async { rose.logs(id, 5, false).await?.collect(1 << 16).await };
        bench.answer(case, log.await.map(drop));
    }
}

/// What the product reads of a node's resources.
pub async fn reads(bench: &mut Bench) {
    let rose = bench.admin("rose");
    let status = rose.resource("runtime", MACHINE_STATUS, "machine").await;
    bench.note("machine status", status.map_or_else(|error| refusal(&error), |found| stage(&found.yaml)));
    let members = rose.resources("cluster", "Members.cluster.talos.dev").await.unwrap();
    let mut members: Vec<&str> = members.iter().map(|member| member.id.as_str()).collect();
    members.sort_unstable();
    bench.note("members by discovery", members.join(" "));
    bench.answer("no such id", rose.resource("runtime", MACHINE_STATUS, "nothing").await);
    bench.answer("no such type", rose.resource("runtime", "Nothings.talos.dev", "nothing").await);
    bench.answer("no such namespace", rose.resources("nowhere", MACHINE_STATUS).await);
    for (case, id) in [("watch of one", "machine"), ("watch of nothing", "nothing")] {
        let mut watch = rose.watch("runtime", MACHINE_STATUS, Some(id)).await.unwrap();
        let first = bench.time.within(SOON, watch.next()).await.unwrap().unwrap();
        bench.note(case, told(first.as_ref()));
    }
    let mut watch = rose.watch("runtime", MACHINE_STATUS, None).await.unwrap();
    for case in ["watch of all", "watch of all, then"] {
        let next = bench.time.within(SOON, watch.next()).await.unwrap().unwrap();
        bench.note(case, told(next.as_ref()));
    }
    let config = rose.machine_config().await.unwrap();
    bench.note("saved configuration is what was given", config.expose().contains("hostname: rose"));
    let kubeconfig = rose.kubeconfig().await.map(|text| text.expose().contains("client-key-data"));
    bench.note("kubeconfig", kubeconfig.map_or_else(|error| refusal(&error), |whole| whole.to_string()));
}

/// The word behind `stage`, however the YAML is laid out.
fn stage(yaml: &str) -> String {
    let rest = yaml.split_once("stage").map_or("", |(_, rest)| rest).trim_start_matches(['"', ':', ' ']);
    rest.chars().take_while(|letter| letter.is_alphabetic()).collect()
}

fn told(changed: Option<&Changed>) -> String {
    match changed {
        Some(Changed::Resource(change, resource)) => {
            let change = match change {
                Change::Created => "created",
                Change::Updated => "updated",
                Change::Destroyed => "destroyed",
            };
            format!("{change} {}", resource.id)
        }
        Some(Changed::CaughtUp) => "caught up".into(),
        None => "over".into(),
    }
}

/// What each role may do, and in which words it is refused.
pub async fn roles(bench: &mut Bench) {
    let config = bench.configs["rose"].clone();
    for role in [Role::Admin, Role::Operator, Role::Reader, Role::EtcdBackup] {
        let rose = bench.client("rose", role);
        let case = |call: &str| format!("{role:?}, {call}");
        bench.answer(&case("version"), rose.version().await);
        bench.answer(&case("services"), rose.services().await);
        bench.answer(&case("logs"), rose.logs("machined", 1, false).await);
        bench.answer(&case("machine status"), rose.resource("runtime", MACHINE_STATUS, "machine").await);
        bench.answer(&case("machine config"), rose.machine_config().await);
        bench.answer(&case("kubeconfig"), rose.kubeconfig().await);
        bench.answer(&case("dry run"), rose.apply_configuration(&config, ApplyMode::Auto, true).await);
        let snapshot = async { rose.etcd_snapshot().await?.collect(64 << 20).await };
        bench.answer(&case("snapshot"), snapshot.await.map(drop));
        if role == Role::Admin {
            continue;
        }
        bench.answer(&case("bootstrap"), rose.bootstrap().await);
        bench.answer(&case("leave"), rose.etcd_leave().await);
        bench.answer(&case("reset"), rose.reset(ResetScope::StateAndData, false, false).await);
        if role != Role::Operator {
            bench.answer(&case("reboot"), rose.reboot().await);
        }
    }
}

/// A configuration in each mode; what stands on the disk and what is in force afterwards.
pub async fn applies(bench: &mut Bench) {
    const LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers: \"\"";
    let rose = bench.admin("rose");
    let given = bench.configs["rose"].expose().to_owned();
    let labelled =
        |value: &str| Secret::new(given.replace(LABEL, &format!("{LABEL}\n        bouquet.dev/try: {value}")));
    assert_ne!(labelled("a").expose(), given, "the configuration has no place for a label");
    let rigid = Secret::new(given.replace("diskQuotaSupport: true", "diskQuotaSupport: false"));
    assert_ne!(rigid.expose(), given);
    let modes = [
        ("auto", ApplyMode::Auto),
        ("no-reboot", ApplyMode::NoReboot),
        ("staged", ApplyMode::Staged),
        ("try", ApplyMode::Try(Duration::from_secs(30))),
    ];
    for (what, config) in
        [("nothing new", Secret::new(given.clone())), ("a label", labelled("a")), ("what needs a reboot", rigid)]
    {
        for (name, mode) in modes {
            let applied = rose.apply_configuration(&config, mode, true).await;
            let details = applied.map_or_else(|error| refusal(&error), |applied| applied.details);
            let details = summary(&details);
            bench.note(&format!("dry run of {what}, {name}"), details);
        }
    }
    for (what, text) in [
        ("no YAML", "a: ["),
        ("nothing", ""),
        ("a list", "- 1"),
        ("no v1alpha1", "apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: rose\n"),
        ("an unknown field", "version: v1alpha1\nmachine:\n  nonsense: 1\n"),
        ("an unknown kind", "apiVersion: v1alpha1\nkind: NonsenseConfig\n"),
    ] {
        let answer = rose.apply_configuration(&Secret::new(text), ApplyMode::Auto, true).await;
        let code = answer.map_or_else(|error| refusal(&error), |_| "ok".into());
        // How the parser says it is the parser's own affair.
        bench.note(&format!("apply {what}"), code.split(':').next().unwrap_or_default());
    }
    for (name, mode) in [
        ("no-reboot", ApplyMode::NoReboot),
        ("try", ApplyMode::Try(Duration::from_secs(8))),
        ("staged", ApplyMode::Staged),
    ] {
        let applied = rose.apply_configuration(&labelled(name), mode, false).await;
        let details = applied.map_or_else(|error| refusal(&error), |applied| applied.details);
        bench.note(&format!("apply {name}"), details.replace('\n', " | "));
        let (saved, active) = labels(&rose).await;
        bench.note(&format!("apply {name}, saved and active"), format!("{saved} {active}"));
        if name == "try" {
            let back = async || (labels(&rose).await.1 == "no-reboot").then_some(());
            bench.until("the trial is over", SOON, back).await;
        }
    }
    rose.apply_configuration(&Secret::new(given), ApplyMode::NoReboot, false).await.unwrap();
    bench.note("apply what was given, saved and active", format!("{:?}", labels(&rose).await));
}

/// The first lines: what follows is a diff in Talos's own rendering.
fn summary(details: &str) -> String {
    let lines: Vec<&str> =
        details.lines().take_while(|line| !line.starts_with("Config diff") && *line != "diff:").collect();
    lines.join(" | ")
}

/// The label of the saved and of the active configuration.
async fn labels(client: &Client) -> (String, String) {
    let label = |text: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix("bouquet.dev/try: "));
        line.unwrap_or("none").to_owned()
    };
    let active = client.resource("config", "MachineConfigs.config.talos.dev", "v1alpha1").await.unwrap();
    // A YAML string of YAML: line ends are escaped, or it is a block; the label's line is the same.
    let active = active.yaml.replace("\\n", "\n");
    (label(client.machine_config().await.unwrap().expose()), label(&active))
}

async fn names(client: &Client) -> Option<Vec<String>> {
    let mut members = client.etcd_members(false).await.ok()?;
    members.sort_by(|one, other| one.hostname.cmp(&other.hostname));
    Some(
        members
            .into_iter()
            .map(|member| format!("{}{}", member.hostname, if member.is_learner { "?" } else { "" }))
            .collect(),
    )
}

async fn until_members(bench: &Bench, node: &str, wanted: &[&str]) {
    let client = bench.admin(node);
    let look = async || (names(&client).await? == wanted).then_some(());
    bench.until(&format!("members {wanted:?}"), JOINED, look).await;
}

/// Bootstrap, once and again, and a cluster of three.
pub async fn bootstraps(bench: &mut Bench) {
    let rose = bench.admin("rose");
    bench.answer("bootstrap", rose.bootstrap().await);
    until_service(bench, "rose", "etcd", "Running", Some(true)).await;
    bench.answer("bootstrap again", rose.bootstrap().await);
    bench.answer("recovery into a living cluster", rose.bootstrap_recovered().await);
    until_members(bench, "rose", &["lily", "rose", "tulip"]).await;
    let mut members = rose.etcd_members(true).await.unwrap();
    members.sort_by(|one, other| one.hostname.cmp(&other.hostname));
    for member in &members {
        bench.note(&format!("member {}", member.hostname), member.peer_urls.join(" "));
    }
    for node in ["lily", "tulip"] {
        until_service(bench, node, "etcd", "Running", Some(true)).await;
        bench.answer(&format!("bootstrap of {node}, which has joined"), bench.admin(node).bootstrap().await);
    }
    let mut leaders = Vec::new();
    for node in ["rose", "lily", "tulip"] {
        let status = bench.admin(node).etcd_status().await.unwrap();
        let own = members.iter().find(|member| member.id == status.member_id).map(|member| member.hostname.as_str());
        let applied = status.raft_applied_index <= status.raft_index && status.raft_index > 0;
        bench.note(
            &format!("status of {node}"),
            format!("{own:?} {} {:?} {applied} {}", status.is_learner, status.errors, status.db_size_bytes > 0),
        );
        leaders.push(status.leader);
    }
    leaders.dedup();
    bench.note("leaders", leaders.len());
    let name_of = |id: u64| members.iter().find(|member| member.id == id).map(|member| member.hostname.clone());
    let leader = name_of(leaders[0]).unwrap();
    let follower = ["rose", "lily", "tulip"].into_iter().find(|name| *name != leader).unwrap();
    let given = bench.admin(follower).etcd_forfeit_leadership().await;
    bench.note("a follower forfeits", given.map_or_else(|error| refusal(&error), |to| format!("{to:?}")));
    let given = bench.admin(&leader).etcd_forfeit_leadership().await;
    let to_another = given.map_or_else(|error| refusal(&error), |to| to.is_some_and(|to| to != leader).to_string());
    bench.note("the leader forfeits to another", to_another);
}

/// Snapshot, members that go, and a cluster that comes back from the snapshot.
pub async fn loses_and_recovers(bench: &mut Bench) {
    let rose = bench.admin("rose");
    let backup = bench.client("rose", Role::EtcdBackup);
    let snapshot = backup.etcd_snapshot().await.unwrap().collect(256 << 20).await.unwrap();
    bench.note("the snapshot is whole", is_whole(&snapshot));
    bench.answer("removal of nobody", rose.etcd_remove_member(1).await);
    bench.answer("tulip leaves", bench.admin("tulip").etcd_leave().await);
    until_members(bench, "rose", &["lily", "rose"]).await;
    bench.answer("tulip leaves again", bench.admin("tulip").etcd_leave().await);
    let lily = rose.etcd_members(false).await.unwrap().into_iter().find(|member| member.hostname == "lily").unwrap();
    // Talos asks any member's etcd. Where that is lily's own, it may stop before it answers; who is left shows next.
    let removed = match rose.etcd_remove_member(lily.id).await {
        Err(error) if error.to_string().contains("server stopped") => Ok(()),
        other => other,
    };
    bench.answer("removal of lily", removed);
    until_members(bench, "rose", &["rose"]).await;
    bench.answer("removal of lily again", rose.etcd_remove_member(lily.id).await);
    bench.answer("the last leaves", rose.etcd_leave().await);
    bench.renew("rose").await;
    let rose = bench.admin("rose");
    bench.until("rose answers again", SOON, async || rose.version().await.ok()).await;
    until_service(bench, "rose", "etcd", "Preparing", None).await;
    let upload = async || match rose.etcd_recover(&snapshot).await {
        Err(error) if error.refusal() == Some(Refusal::NotReady) => None,
        other => Some(other),
    };
    let uploaded = bench.until("the snapshot is taken", SOON, upload).await;
    bench.answer("upload of the snapshot", uploaded);
    bench.answer("bootstrap from the snapshot", rose.bootstrap_recovered().await);
    until_service(bench, "rose", "etcd", "Running", Some(true)).await;
    until_members(bench, "rose", &["rose"]).await;
    bench.answer("bootstrap after recovery", rose.bootstrap().await);
}

/// A machine that is reset stops answering.
pub async fn resets(bench: &mut Bench) {
    let tulip = bench.admin("tulip");
    let actor = tulip.reset(ResetScope::SystemDisk, false, false).await;
    bench.note("reset", actor.map_or_else(|error| refusal(&error), |actor| (actor.len() == 36).to_string()));
    let gone = async || tulip.version().await.is_err().then_some(());
    bench.until("tulip is gone", SOON, gone).await;
}

/// A control plane and a worker.
pub async fn worker(bench: &mut Bench) {
    let (rose, lily) = (bench.admin("rose"), bench.admin("lily"));
    // It has its certificate from the control plane's trustd.
    bench.until("lily answers", SOON, async || lily.version().await.ok()).await;
    until_service(bench, "lily", "kubelet", "Running", Some(true)).await;
    services(bench, "worker", "lily").await;
    bench.answer("worker, bootstrap", lily.bootstrap().await);
    bench.answer("worker, members", lily.etcd_members(false).await);
    bench.answer("worker, status", lily.etcd_status().await);
    bench.answer("worker, leave", lily.etcd_leave().await);
    bench.answer("worker, forfeit", lily.etcd_forfeit_leadership().await);
    bench.answer("worker, remove", lily.etcd_remove_member(1).await);
    bench.answer("worker, recover", lily.etcd_recover(&[0; 1024]).await);
    let snapshot = async { lily.etcd_snapshot().await?.collect(1 << 20).await };
    bench.answer("worker, snapshot", snapshot.await.map(drop));
    bench.answer("worker, kubeconfig", lily.kubeconfig().await);
    let addresses = bench.addresses.clone();
    let address = |name: &str| addresses[name].clone();
    let to_lily = rose.clone().forwarded_to(&address("lily")).unwrap();
    let to_itself = lily.clone().forwarded_to(&address("lily")).unwrap();
    let to_rose = lily.clone().forwarded_to(&address("rose")).unwrap();
    let ids = to_lily.services().await.map(|all| all.iter().any(|service| service.id == "trustd"));
    bench.note("by way of rose, lily has trustd", ids.map_or_else(|error| refusal(&error), |has| has.to_string()));
    bench.answer("by way of rose, bootstrap of lily", to_lily.bootstrap().await);
    bench.answer("by way of lily, rose", to_rose.version().await);
    bench.answer("by way of lily, itself", to_itself.version().await);
    let reader = bench.client("rose", Role::Reader).forwarded_to(&address("lily")).unwrap();
    bench
        .answer("by way of rose, a reader's reset of lily", reader.reset(ResetScope::StateAndData, false, false).await);
    let with_port = rose.clone().forwarded_to(&format!("{}:50000", address("lily"))).unwrap();
    bench.answer("by way of rose, a target with a port", with_port.version().await);
}
