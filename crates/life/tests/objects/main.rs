//! The object engine on the emulated Kubernetes API and on a real one: etcd with kube-apiserver, no controllers.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use addons::{Addon, Credential, Given, Object};
use contracts::{Authority, ControlPlane, Emulator, Side};
use engine::objects::{Failure, install, look, uninstall};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Builder;
use wire::{Rng, Secret, Time};

const MISSION: &str = include_str!("../../../../examples/bouquet.yaml");
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/bouquet-system/deployments/bouquet-watcher";

fn wanted(file: &str) -> Vec<Addon> {
    let cluster = spec::read(file).cluster.unwrap();
    let token = Credential::Token(Secret::new("a-token-of-forty-letters-0123456789abcdef"));
    addons::all(&cluster, Given { zone: Some("example.com"), credential: Some(&token) })
}

struct Bench<'a> {
    client: &'a Client,
    time: &'a Time,
}

impl Bench<'_> {
    async fn get(&self, path: &str) -> Option<Value> {
        match self.client.request(http::Request::get(path).body(Vec::new()).unwrap()).await {
            Ok(found) => Some(found),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    async fn patch(&self, path: &str, change: Value) {
        let request = http::Request::patch(path).header("content-type", "application/merge-patch+json");
        let body = request.body(change.to_string().into_bytes()).unwrap();
        self.client.request::<Value>(body).await.unwrap();
    }

    async fn install(&self, addons: &[Addon], adopt: bool) -> Result<(), Failure> {
        for addon in addons {
            install(self.client, self.time, addon, adopt).await?;
        }
        Ok(())
    }

    /// What differs, and what others manage.
    async fn seen(&self, addons: &[Addon]) -> (Vec<String>, Vec<String>) {
        let seen = look(self.client, addons).await.unwrap();
        let differences = seen.values().flat_map(|seen| seen.differences.clone());
        (differences.collect(), seen.values().flat_map(|seen| seen.conflicts.clone()).collect())
    }

    async fn versions(&self, addons: &[Addon]) -> BTreeMap<String, Value> {
        let mut versions = BTreeMap::new();
        let inventories = addons.iter().map(|addon| inventory(addon.name));
        let objects = addons.iter().flat_map(|addon| &addon.objects).map(|object| object.id().path());
        for path in objects.chain(inventories) {
            let there = self.get(&path).await.unwrap_or_else(|| panic!("{path} is not there"));
            versions.insert(path, there["metadata"]["resourceVersion"].clone());
        }
        versions
    }
}

fn inventory(addon: &str) -> String {
    format!("/api/v1/namespaces/bouquet-system/configmaps/bouquet-inventory-{addon}")
}

/// A form of the add-on that has one object more.
fn older(addon: &Addon) -> (Addon, String) {
    let metadata = ObjectMeta {
        name: Some("no-longer-wanted".into()),
        namespace: Some("traefik".into()),
        ..ObjectMeta::default()
    };
    let data = Some([("what".to_owned(), "nothing of use".to_owned())].into());
    let extra = Object::of(&ConfigMap { metadata, data, ..ConfigMap::default() });
    let path = extra.id().path();
    let mut older = addon.clone();
    older.objects.push(extra);
    (older, path)
}

/// Everything that is claimed, one after the other on one API.
async fn suite(bench: &Bench<'_>) {
    let addons = wanted(MISSION);
    let none = (Vec::<String>::new(), Vec::<String>::new());
    assert!(look(bench.client, &addons).await.unwrap().is_empty(), "nothing is installed yet");

    bench.install(&addons, false).await.unwrap();
    assert_eq!(bench.seen(&addons).await, none, "what was applied does not differ from what is wanted");
    let seen = look(bench.client, &addons).await.unwrap();
    assert!(seen.len() == 2 && seen.values().all(|seen| seen.is_whole), "{seen:?}");

    let before = bench.versions(&addons).await;
    bench.install(&addons, false).await.unwrap();
    assert_eq!(bench.versions(&addons).await, before, "a second apply changes nothing");

    let watcher = "/apis/apps/v1/namespaces/bouquet-system/deployments/bouquet-watcher?fieldManager=hand";
    bench.patch(watcher, json!({"spec": {"replicas": 1}})).await;
    let words = "Deployment bouquet-system/bouquet-watcher: hand manages .spec.replicas".to_owned();
    assert_eq!(bench.seen(&addons).await, (Vec::new(), vec![words.clone()]));
    let refused = bench.install(&addons, false).await.unwrap_err();
    assert!(!refused.is_transient() && refused.to_string() == words, "{refused}");
    bench.install(&addons, true).await.unwrap();
    assert_eq!(bench.seen(&addons).await, none);
    assert_eq!(bench.get(DEPLOYMENT).await.unwrap()["spec"]["replicas"], 3);

    bench.patch(watcher, json!({"metadata": {"labels": {"mine": "yes"}}})).await;
    assert_eq!(bench.seen(&addons).await, none, "what others add is theirs");

    let fast = wanted(&format!("{MISSION}\nwatcher: {{ profile: fast }}\n"));
    let (differences, conflicts) = bench.seen(&fast).await;
    assert_eq!(conflicts, [""; 0]);
    assert!(
        differences[0].starts_with("ConfigMap bouquet-system/bouquet-watcher: .data[config.yaml]"),
        "{differences:?}"
    );

    let (older, extra) = older(&addons[0]);
    bench.install(std::slice::from_ref(&older), false).await.unwrap();
    assert!(bench.get(&extra).await.is_some());
    let (differences, _) = bench.seen(&addons).await;
    assert_eq!(differences, ["ConfigMap traefik/no-longer-wanted: no longer wanted"]);
    bench.install(&addons, false).await.unwrap();
    assert!(bench.get(&extra).await.is_none(), "it is pruned");

    for addon in &addons {
        uninstall(bench.client, addon.name).await.unwrap();
    }
    for object in addons.iter().flat_map(|addon| &addon.objects) {
        let stays = matches!(object.id().kind.as_str(), "Namespace" | "CustomResourceDefinition");
        assert_eq!(bench.get(&object.id().path()).await.is_some(), stays, "{}", object.id());
    }
    assert!(look(bench.client, &addons).await.unwrap().is_empty());
    bench.install(&addons, false).await.unwrap();
}

#[test]
fn the_emulated_api_takes_keeps_and_gives_back_every_add_on() {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let emulator = Emulator::new(&Authority::new(), &[]);
        let time = Time::starting_at(emulator.greenhouse.now(), Rng::seeded(2));
        suite(&Bench { client: emulator.side.client("admin"), time: &time }).await;
    });
}

#[test]
fn the_real_api_takes_keeps_and_gives_back_every_add_on() {
    let authority = Authority::new();
    let Some(plane) = ControlPlane::start(&authority, "the object engine on the real API server") else { return };
    let plane = Arc::new(plane);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let side = Side::real(&authority, &plane).await;
        suite(&Bench { client: side.client("admin"), time: &Time::system(Rng::seeded(2)) }).await;
    });
    assets::judged(&assets::Judgement {
        protocol: "Kubernetes objects of add-ons",
        judge: "kube-apiserver 1.37.2 and etcd 3.7.0",
        covers: &[
            "every object of Traefik and the watcher, fields checked strictly",
            "a second apply moves no version; drift and conflicts by dry run",
            "upgrade with a pruned object; removal",
        ],
        lacks: &["controllers: nothing rolls out", "admission by Pod Security of what controllers make"],
        count: wanted(MISSION).iter().map(|addon| addon.objects.len() as u64).sum(),
        lies: &[],
    });
}
