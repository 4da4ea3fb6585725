//! Ten addresses for very many hosts: from nothing to all of it, and one address that is dead everywhere.

use crate::field::{Field, LIMIT, address};
use crate::figure::Figure;
use crate::zone::{Calls, ZONE};
use contracts::Pod;
use futures::StreamExt;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const NODES: usize = 10;
const VICTIM: usize = 9;
/// Requests to the API server at once, while the scene is set.
const HANDS: usize = 32;
/// Changes that one call of Cloudflare's takes: as external-dns has it by default, and on a paid plan.
const BATCH: [usize; 2] = [3_500, 200];

/// What one of the two needed.
struct Seen {
    converged_s: f64,
    peak_mib: f64,
    converging: Calls,
    withdrawn_s: f64,
    withdrawing: Calls,
}

pub async fn run(hosts: usize, only: Option<&str>) {
    let Some(mut field) = Field::new(NODES).await else { return };
    println!("{hosts} Ingresses are made");
    each(&field, hosts, async |field, number| {
        field.stage.hand.call("POST", PATH, &ingress(number)).await.unwrap();
        tell(field, number, NODES).await;
    })
    .await;
    let theirs = if only == Some("ours") { None } else { Some(peer(&field, hosts).await) };
    field.zone.clear();
    if only == Some("theirs") {
        return;
    }
    let ours = watcher(&mut field, hosts).await;
    figures(hosts, &ours, theirs.as_ref());
}

const PATH: &str = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses";

fn ingress(number: usize) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": format!("shop-{number}"), "namespace": "shop"},
        "spec": {"ingressClassName": "traefik", "rules": [{"host": format!("shop-{number}.{ZONE}")}],
            "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}})
}

/// Says in an Ingress's status that the first so many nodes serve it, as its controller would.
async fn tell(field: &Field, number: usize, nodes: usize) {
    let addresses: Vec<Value> = (0..nodes).map(|number| json!({"ip": address(number)})).collect();
    field.stage.hand.tell(&ingress(number), &json!({"loadBalancer": {"ingress": addresses}})).await;
}

async fn each(field: &Field, hosts: usize, act: impl AsyncFn(&Field, usize)) {
    let act = &act;
    futures::stream::iter(0..hosts).for_each_concurrent(HANDS, async |number| act(field, number).await).await;
}

fn addresses(field: &Field) -> usize {
    (0..NODES).map(|number| field.zone.holding("A", &address(number))).sum()
}

fn peak_mib(pods: &[Pod]) -> f64 {
    let kib = pods.iter().map(|pod| pod.memory_kib("VmHWM").expect("it runs")).max().unwrap_or_default();
    f64::from(u32::try_from(kib).unwrap()) / 1024.0
}

#[allow(clippy::disallowed_methods, reason = "a figure")]
async fn peer(field: &Field, hosts: usize) -> Seen {
    field.zone.calls();
    let began = Instant::now();
    let flags =
        ["--source=ingress", "--events", "--batch-change-interval=0s", "--cloudflare-dns-records-per-page=5000"];
    let pod = [field.start_peer("best", &flags)];
    let whole = async || addresses(field) == hosts * NODES;
    field.stage.until("external-dns has published everything", LIMIT, whole).await;
    let converged_s = began.elapsed().as_secs_f64();
    // It writes on for a moment.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let converging = field.zone.calls();
    println!("external-dns: {converged_s:.1} s, {converging:?}, {:.0} MiB", peak_mib(&pod));
    each(field, hosts, async |field, number| tell(field, number, NODES - 1).await).await;
    let died = Instant::now();
    let gone = async || field.zone.holding("A", &address(VICTIM)) == 0;
    field.stage.until("external-dns has withdrawn one address", LIMIT, gone).await;
    let (withdrawn_s, peak_mib) = (died.elapsed().as_secs_f64(), peak_mib(&pod));
    let withdrawing = field.zone.calls();
    println!("external-dns: one address gone after {withdrawn_s:.1} s, {withdrawing:?}, {peak_mib:.0} MiB");
    Seen { converged_s, peak_mib, converging, withdrawn_s, withdrawing }
}

#[allow(clippy::disallowed_methods, reason = "a figure")]
async fn watcher(field: &mut Field, hosts: usize) -> Seen {
    field.zone.calls();
    let began = Instant::now();
    let pods = field.start_watchers("default").await;
    let aliases = || field.zone.holding("CNAME", &format!("lb.{ZONE}"));
    let whole = async || aliases() == hosts && addresses(field) == NODES;
    field.stage.until("the watcher has published everything", LIMIT, whole).await;
    let converged_s = began.elapsed().as_secs_f64();
    let converging = field.zone.calls();
    println!("watcher: {converged_s:.1} s, {converging:?}, {:.1} MiB", peak_mib(&pods));
    if std::env::var_os("RUST_LOG").is_some() {
        pods.iter().for_each(|pod| println!("{}", pod.said()));
    }
    field.until_serving(NODES).await;
    field.zone.calls();
    field.doors[VICTIM].fall_silent().await;
    let died = Instant::now();
    let gone = async || field.zone.holding("A", &address(VICTIM)) == 0;
    field.stage.until("the watcher has withdrawn one address", LIMIT, gone).await;
    let (withdrawn_s, peak_mib) = (died.elapsed().as_secs_f64(), peak_mib(&pods));
    let withdrawing = field.zone.calls();
    println!("watcher: one address gone after {withdrawn_s:.1} s, {withdrawing:?}, {peak_mib:.1} MiB");
    Seen { converged_s, peak_mib, converging, withdrawn_s, withdrawing }
}

fn figures(hosts: usize, ours: &Seen, theirs: Option<&Seen>) {
    #[allow(clippy::cast_precision_loss, reason = "thousands")]
    let count = |calls: usize| calls as f64;
    let figure = |name: &str, of: &dyn Fn(&Seen) -> f64| {
        let name = format!("{name}_{hosts}_hosts");
        Figure {
            name: &name,
            ours: of(ours),
            peer: "external-dns 0.23.0, at its best",
            theirs: theirs.map(of),
            runs: 1,
        }
        .tell();
    };
    figure("convergence_s", &|seen| seen.converged_s);
    figure("convergence_peak_mib", &|seen| seen.peak_mib);
    figure("convergence_calls", &|seen| count(seen.converging.reads + seen.converging.writes));
    figure("convergence_writes", &|seen| count(seen.converging.writes));
    figure("dead_address_s", &|seen| seen.withdrawn_s);
    figure("dead_address_writes", &|seen| count(seen.withdrawing.writes));
    for (who, seen, batch) in [("watcher", Some(ours), BATCH[0]), ("external-dns", theirs, BATCH[1])] {
        let Some(seen) = seen else { continue };
        let least = seen.converging.changes.div_ceil(batch);
        println!(
            "{who}: {} writes for {} changes; {least} at {batch} a call",
            seen.converging.writes, seen.converging.changes
        );
    }
}
