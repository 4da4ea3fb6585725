//! Add-ons in a living cluster: installed, kept, changed, removed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use greenhouse::Cut;
use kube::Client;
use life::{Life, alone};
use plan::{Plan, Report, Step};
use serde_json::{Value, json};

/// A control plane that serves, with a name: the smallest cluster with a watcher.
const NAMED: &str = "cluster: bouquet
domain: bouquet.example.com
dns: cloudflare
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
";

fn bare() -> String {
    format!("{NAMED}ingress: none\n")
}

fn garden(file: &str) -> Life {
    let life = Life::new(1, file);
    life.snapshot("arm64");
    life
}

async fn settle(life: &Life) {
    let outcome = life.apply().await;
    assert!(outcome.is_ok(), "{:#?}\n{:#?}\n{}", outcome.failed, outcome.blocked, life.world.log());
    let (plan, report) = life.plan().await;
    assert!(plan.is_empty(), "{:#?} {report:?}", plan.steps);
}

async fn client(life: &Life) -> Client {
    life.reach.kubernetes(&life.subject).await.unwrap()
}

async fn send(client: &Client, method: &str, path: &str, content: &str, body: Value) -> Value {
    let request = http::Request::builder().method(method).uri(path).header("content-type", content);
    client.request(request.body(body.to_string().into_bytes()).unwrap()).await.unwrap()
}

async fn get(client: &Client, path: &str) -> Option<Value> {
    match client.request(http::Request::get(path).body(Vec::new()).unwrap()).await {
        Ok(found) => Some(found),
        Err(kube::Error::Api(status)) if status.code == 404 => None,
        Err(error) => panic!("{path}: {error}"),
    }
}

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/bouquet-system/deployments/bouquet-watcher";

fn ids(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|planned| planned.id.as_str()).collect()
}

fn blocked(report: &Report) -> Vec<&str> {
    report.blocked.iter().map(|blocked| blocked.code.as_str()).collect()
}

#[test]
fn both_run_and_the_node_is_told_where_it_serves() {
    alone(async {
        let life = garden(NAMED);
        settle(&life).await;
        let status = engine::status(&life.reach, &life.subject).await.unwrap();
        let ready: Vec<(&str, bool)> = status.addons.iter().map(|addon| (addon.name.as_str(), addon.ready)).collect();
        assert_eq!(ready, [("traefik", true), ("watcher", true)], "{:?}", status.addons);
        let client = client(&life).await;
        let node = get(&client, "/api/v1/nodes/rose").await.unwrap();
        let public = status.nodes[0].addresses.public[0].to_string();
        assert_eq!(node["metadata"]["annotations"]["bouquet.dev/public-address"], public);
        assert_eq!(node["metadata"]["labels"]["bouquet.dev/ingress"], "true");
        let daemons = get(&client, "/apis/apps/v1/namespaces/traefik/daemonsets/traefik").await.unwrap();
        assert_eq!(daemons["status"]["numberReady"], 1);
    });
}

#[test]
fn the_watcher_has_a_token_of_its_own_and_never_the_operators() {
    alone(async {
        let life = garden(NAMED);
        settle(&life).await;
        let path = "/api/v1/namespaces/bouquet-system/secrets/bouquet-watcher-dns";
        let secret = get(&client(&life).await, path).await.unwrap();
        let kept = secret["data"]["CLOUDFLARE_API_TOKEN"].as_str().unwrap();
        let encoded = |name: &str| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(&life.world.credentials()[name])
        };
        assert_eq!(kept, encoded("BOUQUET_WATCHER_DNS_TOKEN"));
        assert_ne!(kept, encoded("CLOUDFLARE_API_TOKEN"));
    });
}

#[test]
fn without_a_token_of_its_own_the_watcher_is_left_out_and_said_so() {
    alone(async {
        let mut life = garden(NAMED);
        life.reach.watcher = None;
        let (plan, report) = life.plan().await;
        assert_eq!(blocked(&report), ["BQ0421"]);
        assert!(!ids(&plan).contains(&"install/watcher"), "{:?}", ids(&plan));
        assert!(report.blocked[0].help.contains("Zone:Read") && report.blocked[0].help.contains("DNS:Edit"));
    });
}

#[test]
fn what_has_gone_missing_is_put_back_and_what_others_have_set_is_not_taken_unasked() {
    alone(async {
        let mut life = garden(NAMED);
        settle(&life).await;
        let client = client(&life).await;
        let service = "/api/v1/namespaces/bouquet-system/services/bouquet-canary";
        send(&client, "DELETE", service, "application/json", Value::Null).await;
        let (plan, _) = life.plan().await;
        let step = plan.steps.iter().find(|planned| planned.id == "install/watcher").map(|planned| &planned.step);
        let Some(Step::InstallAddon { changes, .. }) = step else { panic!("{:?}", ids(&plan)) };
        assert_eq!(changes, &["Service bouquet-system/bouquet-canary: missing"]);
        settle(&life).await;
        assert!(get(&client, service).await.is_some());

        let by_hand = format!("{DEPLOYMENT}?fieldManager=hand");
        send(&client, "PATCH", &by_hand, "application/merge-patch+json", json!({"spec": {"replicas": 2}})).await;
        let (plan, report) = life.plan().await;
        assert!(plan.is_empty(), "{:?}", ids(&plan));
        assert_eq!(blocked(&report), ["BQ0422"]);
        assert!(report.blocked[0].by.ends_with("bouquet-watcher: hand manages .spec.replicas"), "{report:?}");
        life.subject.adopt = true;
        settle(&life).await;
        assert_eq!(get(&client, DEPLOYMENT).await.unwrap()["spec"]["replicas"], 1, "one node, one vantage");
    });
}

#[test]
fn another_profile_and_another_token_are_changes_of_the_watcher_alone() {
    alone(async {
        let life = garden(NAMED);
        settle(&life).await;
        let next = life.again(&format!("{NAMED}watcher: {{ profile: fast }}\n"));
        assert_eq!(ids(&next.plan().await.0), ["install/watcher", "await/watcher"]);
        settle(&next).await;
        let mut next = life.again(NAMED);
        settle(&next).await;
        next.reach.watcher = Some(addons::Credential::Token(wire::Secret::new("another")));
        let (plan, _) = next.plan().await;
        let Step::InstallAddon { changes, .. } = &plan.steps[0].step else { panic!("{:?}", ids(&plan)) };
        assert!(changes.iter().any(|change| change.ends_with(".data.CLOUDFLARE_API_TOKEN")), "{changes:?}");
    });
}

/// Every path that add-ons have something at.
fn paths() -> Vec<String> {
    let cluster = spec::read(NAMED).cluster.unwrap();
    let token = addons::Credential::Token(wire::Secret::new("token"));
    let all = addons::all(&cluster, addons::Given { zone: None, credential: Some(&token) });
    let kept = |kind: &str| kind == "Namespace" || kind == "CustomResourceDefinition";
    let objects = all.iter().flat_map(|addon| &addon.objects).filter(|object| !kept(&object.id().kind));
    objects.map(|object| object.id().path()).collect()
}

/// What of the add-ons is there.
async fn left(life: &Life) -> Vec<String> {
    let client = client(life).await;
    let mut left = Vec::new();
    for path in paths() {
        left.extend(get(&client, &path).await.map(|_| path));
    }
    left
}

#[test]
fn an_install_cut_off_anywhere_is_known_well_enough_to_be_removed() {
    let places = alone(async {
        let life = garden(&bare());
        settle(&life).await;
        let named = life.again(NAMED);
        named.world.cut(None);
        settle(&named).await;
        assert_eq!(left(&named).await.len(), paths().len());
        named.world.places_to_cut()
    });
    assert!(places.len() > 20, "only {} places to cut", places.len());
    // After one call is before the next.
    for number in places {
        alone(async {
            let life = garden(&bare());
            settle(&life).await;
            let named = life.again(NAMED);
            assert!(named.cut_off(Cut::After(number), named.apply()).await, "call {number} was not made");
            let bare = life.again(&bare());
            settle(&bare).await;
            assert_eq!(left(&bare).await, [""; 0], "cut off after call {number}");
        });
    }
}

#[test]
fn a_destroy_stops_the_watcher_before_it_removes_records_and_machines() {
    alone(async {
        let life = garden(NAMED);
        settle(&life).await;
        let observed = life.observe().await;
        let (plan, _) = plan::destroy(&life.reach.wish(&life.subject), &observed, plan::Spare::default());
        let place = |prefix: &str| ids(&plan).iter().position(|id| id.starts_with(prefix)).unwrap();
        assert!(place("stop-watcher") < place("delete/hetzner/server/"), "{:?}", ids(&plan));
        assert!(place("stop-watcher") < place("delete-record/"), "{:?}", ids(&plan));
        assert!(life.destroy().await.is_ok());
        let journal = life.world.journal();
        let at = |method: &str, path: &str| {
            journal.iter().rposition(|call| call.method == method && call.path.contains(path)).unwrap()
        };
        assert!(at("DELETE", "/deployments/bouquet-watcher") < at("DELETE", "/v1/servers/"));
        assert!(at("DELETE", "/deployments/bouquet-watcher") < at("DELETE", "/dns_records/"));
    });
}
