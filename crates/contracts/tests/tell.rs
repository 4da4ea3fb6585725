//! What the watcher tells Kubernetes, on the emulator and on etcd with kube-apiserver: `ingressnodes` and Events.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a program of tests, helpers included")]

use contracts::{Authority, ControlPlane, Emulator, Side};
use detect::{Cause, Family, Flaps, Memory, Target, Verdict, View};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Builder;
use watcher::face::Counters;
use watcher::scene::{Complaint, ObjectRef, Scene};
use watcher::status::{Happening, NodeStatus, ProviderStatus, Status, VantageStatus, VoiceStatus, What};
use watcher::tell::{Anchor, Events, Keeper, Reporter, crd, recall};
use wire::{Rng, Time};

const WHAT: &str = "what the watcher tells, on the real API server";
const AT: Timestamp = Timestamp::constant(1_795_000_000, 0);
const ANCHOR: Anchor = Anchor { at: AT, ms: 1_000_000 };

/// Runs a case on the emulator, and on the real thing where there is one.
fn on_both(case: &impl AsyncFn(&Side, Time)) {
    let authority = Authority::new();
    let runtime = |paused| Builder::new_current_thread().enable_all().start_paused(paused).build().unwrap();
    runtime(true).block_on(async {
        let emulator = Emulator::new(&authority, &[]);
        case(&emulator.side, Time::starting_at(AT, Rng::seeded(2))).await;
    });
    let Some(plane) = ControlPlane::start(&authority, WHAT).map(Arc::new) else { return };
    runtime(false).block_on(async {
        let side = Side::real(&authority, &plane).await;
        case(&side, Time::system(Rng::seeded(2))).await;
    });
}

fn api(side: &Side, kind: (&str, &str, &str), namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(kind.0, kind.1, kind.2));
    let client = side.client("admin").clone();
    if namespace.is_empty() {
        Api::all_with(client, &resource)
    } else {
        Api::namespaced_with(client, namespace, &resource)
    }
}

fn inodes(side: &Side) -> Api<DynamicObject> {
    api(side, (crd::GROUP, crd::VERSION, crd::KIND), "")
}

/// Waits until `holds`, for as long as a busy machine may take.
async fn until(time: &Time, holds: impl AsyncFn() -> bool) {
    for _ in 0..300 {
        if holds().await {
            return;
        }
        time.sleep(Duration::from_millis(100)).await;
    }
    panic!("it never came");
}

async fn define(side: &Side, time: &Time) {
    let kind = serde_json::to_value(addons::ingress_nodes()).unwrap();
    let kind: DynamicObject = serde_json::from_value(kind).unwrap();
    let kinds = api(side, ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"), "");
    kinds.create(&PostParams::default(), &kind).await.unwrap();
    until(time, async || inodes(side).list(&ListParams::default()).await.is_ok()).await;
}

fn scene(names: &[&str]) -> Scene {
    let nodes = names.iter().map(|name| ((*name).to_owned(), detect::Node::default())).collect();
    Scene { nodes, ..Scene::default() }
}

fn vantage(node: &str) -> VantageStatus {
    VantageStatus {
        pod: format!("w-{node}"),
        node: node.into(),
        site: "home".into(),
        trusted: true,
        heard_ms_ago: Some(0),
    }
}

/// Three nodes as the vantage on `node` has them; lily is down.
fn status(own: &str, vantages: &[&str]) -> Status {
    let node = |name: &&str| {
        let down = *name == "lily";
        let voices = vantages.iter().map(|vantage| VoiceStatus {
            vantage: (*vantage).into(),
            site: "home".into(),
            view: if down { View::Down } else { View::Up },
            cause: down.then_some(Cause::Refused),
            mute: None,
            probed_ms_ago: 1_500,
        });
        NodeStatus {
            name: (*name).into(),
            site: "home".into(),
            family: Family::V4,
            address: "203.0.113.7".parse().unwrap(),
            verdict: if down { Verdict::Down } else { Verdict::Serving },
            since: Some(AT),
            published: Some(!down),
            held: down.then(|| "a hold".to_owned()),
            held_until: down.then_some(AT + SignedDuration::from_secs(60)),
            reason: if down { "connection refused".into() } else { "answers".into() },
            pin: None,
            hint: None,
            voices: voices.collect(),
        }
    };
    Status {
        cluster: "garden".into(),
        version: "0.1.0",
        at: AT,
        vantage: vantage(own),
        vantages: vantages.iter().map(|name| vantage(name)).collect(),
        profile: "default",
        dry_run: false,
        writer: None,
        no_writer: None,
        nodes: ["lily", "rose", "tulip"].iter().map(node).collect(),
        names: Vec::new(),
        alerts: Vec::new(),
        decisions: Vec::new(),
        provider: ProviderStatus::default(),
        kubernetes_lost: None,
    }
}

fn memory() -> Memory {
    let target = |node: &str| Target { node: node.into(), family: Family::V4 };
    let mut memory = Memory::default();
    memory.flaps.insert(target("lily"), Flaps { count: 2, last_ms: 940_500 });
    memory.withdrawn = vec![(700_000, "lily".into()), (940_500, "lily".into())];
    for (node, verdict) in [("lily", Verdict::Down), ("rose", Verdict::Serving), ("tulip", Verdict::Serving)] {
        memory.verdicts.insert(target(node), (verdict, 940_000));
    }
    memory
}

async fn object(side: &Side, name: &str) -> DynamicObject {
    inodes(side).get(name).await.unwrap()
}

fn vantages_in(object: &DynamicObject) -> Vec<&str> {
    let reports = object.data["status"]["reports"].as_array().unwrap();
    reports.iter().map(|report| report["vantage"].as_str().unwrap()).collect()
}

#[test]
fn writer_and_vantages_share_an_object_and_the_next_writer_remembers() {
    on_both(&async |side: &Side, time: Time| {
        define(side, &time).await;
        let client = side.client("admin");
        let (all, memory, both) = (scene(&["lily", "rose", "tulip"]), memory(), ["rose", "tulip"]);
        let mut reporter = Reporter::new(client.clone());
        reporter.report(&status("rose", &both)).await.unwrap();
        let mut keeper = Keeper::new(client.clone());
        keeper.keep(&all, &status("rose", &both), &memory, ANCHOR).await.unwrap();
        reporter.report(&status("rose", &both)).await.unwrap();
        Reporter::new(client.clone()).report(&status("tulip", &both)).await.unwrap();

        let lily = object(side, "lily").await;
        assert_eq!(vantages_in(&lily), both);
        let said = &lily.data["status"];
        assert_eq!(said["verdict"], "Down");
        assert_eq!(said["reason"], "connection refused; held: a hold");
        assert_eq!(said["addresses"][0]["address"], "203.0.113.7");
        assert_eq!(said["reports"][0]["cause"], "Refused");
        assert_eq!(said["reports"][0]["probed"], "2026-11-18T11:06:38.5Z");

        // Nothing changed: nothing is written.
        let version = lily.metadata.resource_version.clone();
        keeper.keep(&all, &status("rose", &both), &memory, ANCHOR).await.unwrap();
        reporter.report(&status("rose", &both)).await.unwrap();
        assert_eq!(object(side, "lily").await.metadata.resource_version, version);
        let mut later = status("rose", &both);
        later.at = AT + SignedDuration::from_secs(30);
        reporter.report(&later).await.unwrap();
        assert_ne!(object(side, "lily").await.metadata.resource_version, version);

        let next = Anchor { at: AT + SignedDuration::from_secs(10), ms: 5_000_000 };
        let recalled = recall(client, next).await.unwrap();
        // Four million milliseconds on, less ten seconds.
        let mut expected = memory.clone();
        expected.flaps.values_mut().for_each(|flaps| flaps.last_ms += 3_990_000);
        expected.withdrawn.iter_mut().for_each(|(at_ms, _)| *at_ms += 3_990_000);
        expected.verdicts.values_mut().for_each(|(_, since_ms)| *since_ms += 3_990_000);
        assert_eq!(recalled, expected);

        // A vantage went, and a node; then nobody knows anything.
        let two = scene(&["lily", "rose"]);
        keeper.keep(&two, &status("tulip", &["tulip"]), &memory, ANCHOR).await.unwrap();
        assert_eq!(vantages_in(&object(side, "lily").await), ["tulip"]);
        keeper.keep(&Scene::default(), &status("tulip", &["tulip"]), &Memory::default(), ANCHOR).await.unwrap();
        let listed = inodes(side).list(&ListParams::default()).await.unwrap();
        let names: Vec<&str> = listed.items.iter().filter_map(|object| object.metadata.name.as_deref()).collect();
        assert_eq!(names, ["lily", "rose"]);
    });
}

#[test]
fn kubectl_shows_verdicts_and_nobody_writes_one_that_is_none() {
    on_both(&async |side: &Side, time: Time| {
        define(side, &time).await;
        let client = side.client("admin");
        let mut keeper = Keeper::new(client.clone());
        let status = status("rose", &["rose", "tulip"]);
        keeper.keep(&scene(&["lily"]), &status, &memory(), ANCHOR).await.unwrap();
        let path = format!("/apis/{}/{}/{}", crd::GROUP, crd::VERSION, crd::PLURAL);
        let asked = http::Request::get(&path)
            .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .body(Vec::new())
            .unwrap();
        let table: Value = client.request(asked).await.unwrap();
        let columns: Vec<&str> =
            table["columnDefinitions"].as_array().unwrap().iter().map(|at| at["name"].as_str().unwrap()).collect();
        assert_eq!(columns, ["Name", "Verdict", "Since", "Published", "Held until", "Reason"]);
        let cells = &table["rows"][0]["cells"];
        assert_eq!((&cells[0], &cells[1], &cells[3]), (&json!("lily"), &json!("Down"), &json!(false)));
        assert!(cells[2].as_str().unwrap().ends_with(['s', 'm', 'h', 'd']), "{cells}");
        assert_eq!(cells[4], "2026-11-18T11:07:40Z");

        let scribble = kube::api::Patch::Merge(json!({"status": {"verdict": "Dead"}}));
        let refused = inodes(side).patch_status("lily", &kube::api::PatchParams::default(), &scribble).await;
        assert!(matches!(&refused, Err(kube::Error::Api(status)) if status.code == 422), "{refused:?}");
    });
}

#[test]
fn a_complaint_is_one_event_with_a_count_on_its_object() {
    on_both(&async |side: &Side, time: Time| {
        let spaces = api(side, ("", "v1", "Namespace"), "");
        for name in ["shop", "default"] {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
            // `default` may be there already.
            drop(spaces.create(&PostParams::default(), &DynamicObject::new(name, &resource)).await);
        }
        let events = Events::new("bouquet-watcher-0", time.clone(), Arc::new(Counters::default()));
        let object = ObjectRef {
            api_version: "networking.k8s.io/v1".into(),
            kind: "Ingress".into(),
            namespace: "shop".into(),
            name: "front".into(),
            uid: "3f2a".into(),
        };
        let message = format!("the TTL `soon` is no number of seconds; write 60 {}", "!".repeat(2_000));
        let complaint = Complaint { object, reason: "BadAnnotation", message };
        let withdrawn = Happening {
            at: AT,
            what: What::Withdrawn,
            subject: "lily".into(),
            text: "connection refused".into(),
            rule: None,
        };
        events.complain(&complaint);
        events.happened(&withdrawn);
        let told = |namespace| api(side, ("events.k8s.io", "v1", "Event"), namespace);
        // The API server may have something of its own to say.
        let listed = async |namespace| {
            let all = told(namespace).list(&ListParams::default()).await.unwrap().items;
            let ours = all.into_iter().filter(|event| event.data["reportingController"] == "bouquet.dev/watcher");
            ours.collect::<Vec<_>>()
        };
        let watching = async {
            until(&time, async || !listed("default").await.is_empty() && !listed("shop").await.is_empty()).await;
            for _ in 0..3 {
                events.complain(&complaint);
            }
            until(&time, async || !listed("shop").await[0].data["series"]["count"].is_null()).await;
        };
        tokio::select! {
            biased;
            () = watching => {}
            () = events.run(side.client("admin").clone()) => {}
        }
        let (shop, nodes) = (listed("shop").await, listed("default").await);
        assert_eq!((shop.len(), nodes.len()), (1, 1));
        let said = &shop[0].data;
        assert_eq!((&said["reason"], &said["type"]), (&json!("BadAnnotation"), &json!("Warning")));
        assert_eq!((&said["regarding"]["kind"], &said["regarding"]["name"]), (&json!("Ingress"), &json!("front")));
        assert_eq!(said["note"].as_str().unwrap().len(), 1024);
        assert!(said["series"]["count"].as_i64().unwrap() >= 2, "{said}");
        assert_eq!(nodes[0].data["regarding"]["name"], "lily");
        assert_eq!(nodes[0].data["reason"], "Withdrawn");

        // Whoever may not tell goes on; what is said then is lost, and what is said later is told.
        let events = Events::new("bouquet-watcher-1", time.clone(), Arc::new(Counters::default()));
        events.happened(&Happening { subject: "rose".into(), ..withdrawn });
        let refused = time.within(Duration::from_secs(2), events.run(side.client("nobody").clone())).await;
        assert!(refused.is_err());
        assert_eq!(listed("default").await.len(), 1);
    });
}
