//! What the watcher may do in Kubernetes is what it does: three of it as their own service account, on etcd and kube-apiserver with an
//! audit log, BIND beside them. Whatever they ask for is granted, and whatever is granted they ask for.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a program of tests, helpers included")]

#[path = "../../clouds/tests/name_server/mod.rs"]
mod name_server;

use addons::{Credential, Given};
use contracts::{Authority, ControlPlane, Door, Pod, Stage, own};
use name_server::{Kind, NameServer, ZONE};
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::runtime::Builder;
use wire::Secret;

const WHAT: &str = "the watcher's rights, on the real API server";
const NODES: [&str; 3] = ["rose", "lily", "tulip"];
/// A busy machine; as a rule it is a tenth of it.
const LIMIT: Duration = Duration::from_secs(90);
const ACCOUNT: &str = "system:serviceaccount:bouquet-system:bouquet-watcher";
/// Where the nodes' doors are, behind 127.0.1.x.
const DOOR_PORT: u16 = 18_080;

/// One thing that can be asked for: verb, API group, resource, and its name where only that one may be asked for.
type Right = (String, String, String, Option<String>);

#[test]
fn every_right_is_used_and_no_other_is_asked_for() {
    let authority = Authority::new();
    let Some(server) = NameServer::new(Kind::Bind, "rights") else { return };
    let Some(plane) = ControlPlane::start_audited(&authority, WHAT) else { return };
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let stage = Stage::new(authority, plane).await;
        furnish(&stage).await;
        let mut doors = (1..).zip(NODES).map(|(at, _)| Door::open(([127, 0, 1, at], DOOR_PORT).into()));
        let mut doors: Vec<Door> = doors.by_ref().collect();
        let watchers = start(&stage, &server).await;
        live(&stage, &mut doors).await;
        let granted = granted(&stage).await;
        stage.until("every right is used", LIMIT, async || granted.is_subset(&asked(&stage, &granted))).await;
        let refused: Vec<Value> = audited(&stage).into_iter().filter(|event| code(event) == 403).collect();
        assert_eq!(refused, Vec::<Value>::new(), "{}", watchers[0].said());
        assert_eq!(asked(&stage, &granted), granted);
    });
}

/// The watcher's own objects as bouquet installs them, and a cluster to look at.
async fn furnish(stage: &Stage) {
    let file = format!(
        "cluster: garden\ndomain: {ZONE}\ndns: {{ provider: rfc2136, server: 127.0.0.1, key: tsig.key }}\n\
         ingress: {{ kind: traefik, nodes: [rose, lily, tulip] }}\nnodes:\n  \
         rose: {{ role: control-plane, on: hetzner/hel1/cax11 }}\n  lily: {{ role: worker, on: hetzner/fsn1/cax21 }}\n  \
         tulip: {{ role: worker, on: hetzner/nbg1/cax21 }}\n"
    );
    let (cluster, text) = (spec::read(&file).cluster.unwrap(), Secret::new(name_server::key_file()));
    let key = Credential::Tsig { name: "bouquet".into(), algorithm: "hmac-sha256".into(), file: text };
    let addons = addons::all(&cluster, Given { zone: Some(ZONE), credential: Some(&key) });
    let watcher = addons.iter().find(|addon| addon.name == addons::WATCHER).unwrap();
    for object in &watcher.objects {
        stage.hand.apply_at(&object.id().path(), object.to_json().expose().to_owned()).await;
    }
    for (group, version, kind) in [
        ("traefik.io", "v1alpha1", "IngressRoute"),
        ("traefik.io", "v1alpha1", "IngressRouteTCP"),
        ("gateway.networking.k8s.io", "v1", "Gateway"),
        ("gateway.networking.k8s.io", "v1", "HTTPRoute"),
    ] {
        stage.hand.apply(&kind_of_others(group, version, kind)).await;
    }
    let served = "/apis/bouquet.dev/v1alpha1/ingressnodes";
    stage.until("the API serves ingressnodes", LIMIT, async || stage.hand.get(served).await.is_ok()).await;
    stage.hand.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})).await;
    for (number, name) in (1..).zip(NODES) {
        stage.hand.apply(&node(number, name)).await;
    }
    stage.hand.apply(&ingress("60")).await;
}

/// Enough of somebody else's kind for there to be one.
fn kind_of_others(group: &str, version: &str, kind: &str) -> Value {
    let plural = format!("{}s", kind.to_ascii_lowercase());
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        // Such names belong to Kubernetes, which wants to know who approved of them.
        "metadata": {"name": format!("{plural}.{group}"), "annotations": {"api-approved.kubernetes.io": "unapproved"}},
        "spec": {
            "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": version, "served": true, "storage": true, "schema": schema}],
        },
    })
}

fn node(number: u8, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {
        "name": name, "labels": {"bouquet.dev/ingress": "true"},
        "annotations": {"bouquet.dev/public-address": format!("127.0.1.{number}")},
    }})
}

fn ingress(ttl: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "front", "namespace": "shop", "annotations": {"external-dns.kubernetes.io/ttl": ttl}},
        "spec": {"ingressClassName": "traefik", "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
            "rules": [{"host": format!("shop.{ZONE}")}]}})
}

/// One on each node, as their Deployment would have them.
async fn start(stage: &Stage, server: &NameServer) -> Vec<Pod> {
    let kubeconfig = stage.kubeconfig_of("bouquet-watcher").await;
    let key = stage.write("tsig.key", &name_server::key_file());
    let config = format!(
        "cluster: garden\npool: lb.{ZONE}\nprofile: fast\nprovider: {{ rfc2136: {{ server: '{at}', keyFile: {key} }} }}\n\
         canary: {{ host: canary.{ZONE}, scheme: http, port: {DOOR_PORT} }}\ncontrolProbes: ['{at}']\n\
         allowAddresses: [127.0.0.0/8]\n",
        at = server.address(),
        key = key.display()
    );
    let config = stage.write("config.yaml", &config);
    let deployment = "/apis/apps/v1/namespaces/bouquet-system/deployments/bouquet-watcher";
    let template = stage.hand.get(deployment).await.unwrap()["spec"]["template"].clone();
    let mut pods = Vec::new();
    for (number, node) in (1..).zip(NODES) {
        let name = format!("bouquet-watcher-{number}");
        let mut spec = template["spec"].clone();
        spec["nodeName"] = node.into();
        let metadata = json!({"name": name, "namespace": "bouquet-system", "labels": template["metadata"]["labels"]});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
        stage.hand.apply(&pod).await;
        let address = format!("127.0.2.{number}");
        let status = json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]});
        stage.hand.tell(&pod, &status).await;
        let mut command = watcher(&config, &kubeconfig);
        command.args(["--listen", &address, "--pod", &name, "--namespace", "bouquet-system", "--node", node]);
        pods.push(stage.start(&name, &mut command));
    }
    pods
}

fn watcher(config: &Path, kubeconfig: &Path) -> Command {
    let mut command = Command::new(own("bouquet-watcher"));
    command.arg("--config").arg(config).arg("--kubeconfig").arg(kubeconfig);
    command
}

/// Everything that happens to a watcher, once.
async fn live(stage: &Stage, doors: &mut [Door]) {
    let served = async |count: usize| {
        let listed = stage.hand.get("/apis/bouquet.dev/v1alpha1/ingressnodes").await.unwrap();
        let serves = |at: &&Value| at["status"]["verdict"] == "Serving" && at["status"]["published"] == true;
        listed["items"].as_array().unwrap().iter().filter(serves).count() == count
    };
    stage.until("all nodes serve and are published", LIMIT, async || served(3).await).await;
    doors[1].fall_silent().await;
    stage.until("lily is withdrawn", LIMIT, async || served(2).await).await;
    stage.until("that is told", LIMIT, async || told(stage, "default", "Withdrawn").await.is_some()).await;
    // What is complained of twice is one Event with a count.
    let times = Cell::new(0);
    let counted = async || {
        times.set(times.get() + 1);
        stage.hand.apply(&ingress(if times.get() % 2 == 1 { "soon" } else { "60" })).await;
        told(stage, "shop", "BadAnnotation").await.is_some_and(|event| event["series"]["count"].is_number())
    };
    stage.until("the complaint is counted", LIMIT, counted).await;
    stage.hand.remove(&node(3, "tulip")).await;
    let forgotten = async || stage.hand.get("/apis/bouquet.dev/v1alpha1/ingressnodes/tulip").await.is_err();
    stage.until("tulip is forgotten", LIMIT, forgotten).await;
}

/// The watcher's Event of that reason, if there is one: the one with a count before others.
async fn told(stage: &Stage, namespace: &str, reason: &str) -> Option<Value> {
    let listed = stage.hand.get(&format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events")).await.unwrap();
    let mut events = listed["items"].as_array().unwrap().clone();
    events.retain(|event| event["reportingController"] == "bouquet.dev/watcher" && event["reason"] == reason);
    events.into_iter().max_by_key(|event| event["series"]["count"].as_i64())
}

/// What its roles grant.
async fn granted(stage: &Stage) -> BTreeSet<Right> {
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let everywhere = stage.hand.get(&format!("{rbac}/clusterroles/bouquet-watcher")).await.unwrap();
    let at_home = stage.hand.get(&format!("{rbac}/namespaces/bouquet-system/roles/bouquet-watcher")).await.unwrap();
    let texts = |of: &Value| -> Vec<String> {
        of.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in [everywhere, at_home].iter().flat_map(|role| role["rules"].as_array().unwrap()) {
        let names = texts(&rule["resourceNames"]);
        let names: Vec<Option<String>> =
            if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
        for (verb, group) in texts(&rule["verbs"])
            .iter()
            .flat_map(|verb| texts(&rule["apiGroups"]).into_iter().map(move |group| (verb.clone(), group)))
        {
            for resource in texts(&rule["resources"]) {
                rights.extend(names.iter().map(|name| (verb.clone(), group.clone(), resource.clone(), name.clone())));
            }
        }
    }
    assert!(rights.len() > 20 && rights.iter().all(|(verb, group, ..)| verb != "*" && group != "*"), "{rights:?}");
    rights
}

fn audited(stage: &Stage) -> Vec<Value> {
    stage.plane.audited(ACCOUNT)
}

fn code(event: &Value) -> u64 {
    event["responseStatus"]["code"].as_u64().unwrap_or_default()
}

/// What was asked for and not refused; with a name where only that one is granted.
fn asked(stage: &Stage, granted: &BTreeSet<Right>) -> BTreeSet<Right> {
    let text = |at: &Value| at.as_str().unwrap_or_default().to_owned();
    let right = |event: Value| {
        let object = &event["objectRef"];
        // What is no object, such as the list of API groups, is everybody's.
        let resource = object["resource"].as_str()?;
        let resource =
            object["subresource"].as_str().map_or_else(|| resource.to_owned(), |below| format!("{resource}/{below}"));
        let (verb, group, name) = (text(&event["verb"]), text(&object["apiGroup"]), text(&object["name"]));
        let named = (verb.clone(), group.clone(), resource.clone(), Some(name));
        Some(if granted.contains(&named) { named } else { (verb, group, resource, None) })
    };
    audited(stage).into_iter().filter(|event| code(event) != 403).filter_map(right).collect()
}
