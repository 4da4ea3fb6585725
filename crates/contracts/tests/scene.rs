//! What the watcher's informers see, on the emulator and on etcd with kube-apiserver: one story for both.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

#[path = "scene/gate.rs"]
mod gate;
#[path = "scene/stage.rs"]
mod stage;

use contracts::{Authority, ControlPlane, HOST, Side, lone};
use detect::Hint;
use gate::State;
use greenhouse::{Greenhouse, Options};
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{Place, Stage};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Builder;
use watcher::scene::{Scene, Source, Watched};
use wire::{Rng, Sockets, Time};

const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses";
const TRAEFIK: &str = "/apis/traefik.io/v1alpha1/namespaces/shop";
const GATEWAY: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/shop";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
/// A drain, a cordon or a terminating pod is to show within two seconds in all; most of that is the writer's.
const AT_ONCE: Duration = Duration::from_millis(500);

fn rule(group: &str, resources: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]})
}

/// What the watcher may see; the routes of the Gateway API only later.
fn rules(with_gateways: bool) -> Value {
    let mut rules = vec![
        rule("", &["nodes", "pods"]),
        rule("networking.k8s.io", &["ingresses"]),
        rule("traefik.io", &["ingressroutes", "ingressroutetcps"]),
    ];
    if with_gateways {
        rules.push(rule("gateway.networking.k8s.io", &["httproutes", "gateways"]));
    }
    rules.into()
}

fn ingress(name: &str, host: &str) -> Value {
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let paths = json!([{"path": "/", "pathType": "Prefix", "backend": backend}]);
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name},
        "spec": {"ingressClassName": "traefik", "rules": [{"host": host, "http": {"paths": paths}}]},
    })
}

fn pod(name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": app}},
        "spec": {"nodeName": "lily", "containers": [{"name": "it", "image": "it"}]},
    })
}

fn definition(group: &str, version: &str, kind: &str) -> Value {
    let plural = format!("{}s", kind.to_lowercase());
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api/pull/2166"},
        },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

fn traefik(kind: &str, name: &str, rule: &str) -> Value {
    let routes = json!([{"match": rule, "kind": "Rule", "services": []}]);
    json!({"apiVersion": "traefik.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": {"routes": routes}})
}

fn has(host: &'static str) -> impl Fn(&Scene) -> bool {
    move |scene| scene.hosts.contains_key(host)
}

fn lacks(host: &'static str) -> impl Fn(&Scene) -> bool {
    move |scene| !scene.hosts.contains_key(host)
}

/// How many claims were made and held.
async fn story(mut stage: Stage<'_>) -> u64 {
    prepare(&stage).await;
    stage.start();
    stage.shows("the first scene", |scene| scene.nodes.contains_key("lily")).await;
    assert!(stage.sight().troubles.is_empty() && stage.sight().stale_since_ms.is_none());
    nodes_and_pods(&mut stage).await;
    ingresses(&mut stage).await;
    kinds_that_come_later(&mut stage).await;
    a_kind_that_is_forbidden(&mut stage).await;
    the_api_goes_and_comes(&mut stage).await;
    kinds_that_go(&mut stage).await;
    stage.claims()
}

async fn prepare(stage: &Stage<'_>) {
    for name in ["shop", "bouquet-watcher"] {
        stage.create("/api/v1/namespaces", json!({"metadata": {"name": name}})).await;
    }
    let role = json!({"metadata": {"name": "watcher"}, "rules": rules(false)});
    stage.create(ROLE, role).await;
    let binding = json!({
        "metadata": {"name": "watcher"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "watcher"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "watcher"}],
    });
    stage.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding).await;
    stage.create("/api/v1/nodes", json!({"metadata": {"name": "lily"}})).await;
    let addresses =
        json!([{"type": "ExternalIP", "address": "1.1.2.1"}, {"type": "InternalIP", "address": "10.0.0.1"}]);
    stage.merge("/api/v1/nodes/lily/status", json!({"status": {"addresses": addresses}})).await;
    stage.create("/api/v1/namespaces/shop/pods", pod("traefik-1", "traefik")).await;
}

async fn nodes_and_pods(stage: &mut Stage<'_>) {
    let node = "/api/v1/nodes/lily";
    let hint =
        |wanted: Option<Hint>| move |scene: &Scene| scene.nodes.get("lily").is_some_and(|node| node.hint == wanted);
    stage.merge(node, json!({"spec": {"unschedulable": true}})).await;
    let waited = stage.shows("a cordon", hint(Some(Hint::Leaving))).await;
    println!("a cordon showed after {waited:?}");
    assert!(waited < AT_ONCE, "a cordon showed after {waited:?}");
    stage.merge(node, json!({"spec": {"unschedulable": null}})).await;
    stage.shows("its end", hint(None)).await;
    stage.merge(node, json!({"metadata": {"annotations": {"bouquet.dev/pin": "withdrawn"}}})).await;
    stage.shows("a pin", |scene| scene.nodes["lily"].pin.is_some()).await;
    stage.merge(node, json!({"metadata": {"annotations": {"bouquet.dev/pin": null}}})).await;
    stage.shows("its end", |scene| scene.nodes["lily"].pin.is_none()).await;

    // No kubelet runs: the pod stays for as long as it is being deleted.
    stage.delete("/api/v1/namespaces/shop/pods/traefik-1").await;
    let waited = stage.shows("a terminating pod", hint(Some(Hint::Terminating))).await;
    assert!(waited < AT_ONCE, "a terminating pod showed after {waited:?}");
    stage.create("/api/v1/namespaces/shop/pods", pod("traefik-2", "traefik")).await;
    stage.shows("another pod beside it", hint(None)).await;

    stage.create("/api/v1/namespaces/bouquet-watcher/pods", pod("w-1", "bouquet-watcher")).await;
    let status = json!({"status": {"phase": "Running", "podIP": "10.244.0.7", "podIPs": [{"ip": "10.244.0.7"}]}});
    stage.merge("/api/v1/namespaces/bouquet-watcher/pods/w-1/status", status).await;
    stage.shows("a vantage", |scene| scene.vantages.contains_key("w-1")).await;
}

async fn ingresses(stage: &mut Stage<'_>) {
    stage.create(INGRESSES, ingress("one", "one.example")).await;
    stage.shows("an Ingress", has("one.example")).await;
    let two = format!("{INGRESSES}/one");
    stage.merge(&two, json!({"metadata": {"annotations": {"external-dns.kubernetes.io/ttl": "120"}}})).await;
    stage.shows("its annotation", |scene| scene.hosts["one.example"].ttl_s == Some(120)).await;
    stage.merge(&two, json!({"metadata": {"annotations": {"external-dns.kubernetes.io/ttl": "soon"}}})).await;
    stage.shows("a bad one", |scene| scene.hosts.is_empty() && scene.complaints.len() == 1).await;
    stage.delete(&two).await;
    stage.shows("nothing to complain of", |scene| scene.complaints.is_empty()).await;
    stage.create(INGRESSES, ingress("stays", "stays.example")).await;
    stage.shows("another", has("stays.example")).await;
}

async fn kinds_that_come_later(stage: &mut Stage<'_>) {
    for kind in ["IngressRoute", "IngressRouteTCP"] {
        stage.create(DEFINITIONS, definition("traefik.io", "v1alpha1", kind)).await;
    }
    let (http, tcp) = (format!("{TRAEFIK}/ingressroutes"), format!("{TRAEFIK}/ingressroutetcps"));
    stage.create_soon(&http, &traefik("IngressRoute", "two", "Host(`two.example`)")).await;
    stage.create_soon(&tcp, &traefik("IngressRouteTCP", "three", "HostSNI(`three.example`)")).await;
    stage.shows("kinds of Traefik", |scene| has("two.example")(scene) && has("three.example")(scene)).await;
    let routes = json!({"spec": {"routes": [{"match": "Host(`changed.example`)", "kind": "Rule"}]}});
    stage.merge(&format!("{http}/two"), routes).await;
    stage.shows("a change", |scene| has("changed.example")(scene) && lacks("two.example")(scene)).await;
    stage.delete(&format!("{http}/two")).await;
    stage.shows("its end", lacks("changed.example")).await;
    assert!(stage.sight().scene.unwrap().unseen.is_empty(), "a kind that the API lacks has no names to miss");
}

async fn a_kind_that_is_forbidden(stage: &mut Stage<'_>) {
    for kind in ["HTTPRoute", "Gateway"] {
        stage.create(DEFINITIONS, definition("gateway.networking.k8s.io", "v1", kind)).await;
    }
    let listeners = json!([{"name": "web", "port": 80, "protocol": "HTTP", "hostname": "*.four.example"}]);
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gate"},
        "spec": {"gatewayClassName": "traefik", "listeners": listeners},
    });
    stage.create_soon(&format!("{GATEWAY}/gateways"), &gateway).await;
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "route"},
        "spec": {"parentRefs": [{"name": "gate"}], "hostnames": ["a.four.example", "five.example"]},
    });
    stage.create_soon(&format!("{GATEWAY}/httproutes"), &route).await;
    // Those that begin now have never seen these kinds.
    stage.start();
    let refused = Watched::Routes(Source::HttpRoute);
    stage.sees("a refusal", |sight| sight.troubles.get(&refused).is_some_and(|trouble| trouble.is_forbidden)).await;
    stage.shows("the rest", |scene| has("stays.example")(scene) && scene.unseen == [Source::HttpRoute].into()).await;
    assert_eq!(stage.sight().stale_since_ms, None, "what may not be seen is not behind");
    stage.merge(&format!("{ROLE}/watcher"), json!({"rules": rules(true)})).await;
    stage.shows("what was forbidden", |scene| has("a.four.example")(scene) && scene.unseen.is_empty()).await;
    stage.sees("no trouble", |sight| sight.troubles.is_empty()).await;
    assert!(lacks("five.example")(&stage.sight().scene.unwrap()), "no listener takes it");
}

async fn the_api_goes_and_comes(stage: &mut Stage<'_>) {
    for (state, name, host) in
        [(State::Refusing, "away-1", "away-1.example"), (State::Page, "away-2", "away-2.example")]
    {
        let before = stage.sight().scene.unwrap();
        stage.gate(state);
        stage.sees("that nothing answers", |sight| sight.troubles.len() == 8).await;
        assert!(stage.sight().stale_since_ms.is_some());
        assert_eq!(stage.sight().scene.unwrap(), before, "{state:?} takes nothing away");
        stage.create(INGRESSES, ingress(name, host)).await;
        // Forgets where the informers were: they have to list anew.
        stage.compact();
        stage.rest(Duration::from_secs(2)).await;
        assert_eq!(stage.sight().scene.unwrap(), before, "{state:?} adds nothing");
        stage.gate(State::Open);
        stage.shows("what was missed", has(host)).await;
        stage.sees("no trouble", |sight| sight.troubles.is_empty() && sight.stale_since_ms.is_none()).await;
    }
}

async fn kinds_that_go(stage: &mut Stage<'_>) {
    stage.shows("a route of Traefik", has("three.example")).await;
    stage.delete(&format!("{DEFINITIONS}/ingressroutetcps.traefik.io")).await;
    stage.shows("its kind's end", lacks("three.example")).await;
    stage.sees("no trouble", |sight| sight.troubles.is_empty()).await;
    stage.shows("the rest", |scene| has("stays.example")(scene) && scene.unseen.is_empty()).await;
}

#[test]
fn informers_see_what_the_emulated_api_says() {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
        let authority = Authority::new();
        let time = Time::starting_at(Timestamp::constant(1_795_000_000, 0), Rng::seeded(1));
        let greenhouse = Greenhouse::new(&Options::default(), time.clone()).unwrap();
        let handle = lone(&greenhouse, &authority, &[]);
        let wire = greenhouse.wire();
        let compact = || handle.compact();
        let place = Place { authority: &authority, wire, time, host: HOST, port: 6443, compact: &compact };
        story(Stage::new(place)).await;
    });
}

#[test]
fn informers_see_what_the_real_api_says() {
    let authority = Authority::new();
    let Some(plane) = ControlPlane::start(&authority, "informers on the real API server") else { return };
    let plane = Arc::new(plane);
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        Side::real(&authority, &plane).await;
        let wire = Arc::new(Sockets::new(None).unwrap());
        let time = Time::system(Rng::seeded(1));
        let compact = || plane.compact();
        let place = Place { authority: &authority, wire, time, host: "127.0.0.1", port: plane.port, compact: &compact };
        let count = story(Stage::new(place)).await;
        assets::judged(&assets::Judgement {
            protocol: "Kubernetes API, as the watcher asks it",
            judge: "kube-apiserver 1.37.2 and etcd 3.7.0",
            covers: &[
                "nodes, pods, Ingress, IngressRoute, IngressRouteTCP, HTTPRoute, Gateway: made, changed, deleted",
                "kinds that are defined later, and that go; a role that lacks a rule, and gets it",
                "an API that is away or behind an error page, with compaction meanwhile",
            ],
            lacks: &["service account tokens", "several API servers", "Traefik's and the Gateway API's own schemas"],
            count,
            lies: &[],
        });
    });
}
