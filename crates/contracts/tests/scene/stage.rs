//! A cluster that a test changes, and what the informers see of it.

use crate::gate::{Gate, State};
use contracts::Authority;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;
use watcher::scene::{Informers, Scene, Settings, Sight};
use wire::{Channel, Roots, Route, SharedWire, Target, Time, Tls};

/// A real API server on a busy machine; a kind that comes later is looked for every 15 s.
const PATIENCE: Duration = Duration::from_mins(1);
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Where an API is.
pub struct Place<'a> {
    pub authority: &'a Authority,
    pub wire: SharedWire,
    pub time: Time,
    pub host: &'a str,
    pub port: u16,
    pub compact: &'a dyn Fn(),
}

/// A cluster, somebody who may change all of it, and informers that run as `watcher`.
pub struct Stage<'a> {
    place: Place<'a>,
    admin: kube::Client,
    gate: Arc<Gate>,
    informers: Option<JoinHandle<()>>,
    seen: Receiver<Sight>,
    claims: u64,
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

fn client(place: &Place<'_>, wire: SharedWire, user: &str, group: &str) -> kube::Client {
    let tls = Tls {
        server_name: place.host.to_owned(),
        roots: Roots::Only(vec![place.authority.der.clone()]),
        identity: Some(place.authority.client(user, &[group]).identity()),
    };
    let target = Target { route: Route::Direct, host: place.host.to_owned(), port: place.port, tls: Some(tls) };
    kube::Client::new(Channel::new(wire, place.time.clone(), target, HEAD_TIMEOUT), "default")
}

impl<'a> Stage<'a> {
    pub fn new(place: Place<'a>) -> Self {
        let admin = client(&place, place.wire.clone(), "admin", "system:masters");
        let gate = Arc::new(Gate::new(place.wire.clone()));
        let (_, seen) = Informers::new(admin.clone(), Settings::default(), place.time.clone());
        Stage { place, admin, gate, informers: None, seen, claims: 0 }
    }

    pub fn start(&mut self) {
        self.stop();
        let client = client(&self.place, self.gate.clone(), "watcher", "watchers");
        let (informers, seen) = Informers::new(client, Settings::default(), self.place.time.clone());
        self.informers = Some(tokio::spawn(informers.run()));
        self.seen = seen;
    }

    fn stop(&mut self) {
        if let Some(running) = self.informers.take() {
            running.abort();
        }
    }

    pub fn gate(&self, state: State) {
        self.gate.set(state);
    }

    pub fn compact(&self) {
        (self.place.compact)();
    }

    pub async fn create(&self, path: &str, object: Value) {
        self.ask("POST", path, "application/json", &object).await;
    }

    pub async fn merge(&self, path: &str, patch: Value) {
        self.ask("PATCH", path, "application/merge-patch+json", &patch).await;
    }

    pub async fn delete(&self, path: &str) {
        self.ask("DELETE", path, "application/json", &json!({})).await;
    }

    async fn ask(&self, method: &str, path: &str, content: &str, body: &Value) -> Value {
        let request = http::Request::builder().method(method).uri(path).header("content-type", content);
        let request = request.body(serde_json::to_vec(body).unwrap()).unwrap();
        self.admin.request(request).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Creates as soon as the API takes the kind: it establishes new ones in its own time.
    pub async fn create_soon(&self, path: &str, object: &Value) {
        let patient = async {
            loop {
                let request = http::Request::post(path).header("content-type", "application/json");
                let request = request.body(serde_json::to_vec(object).unwrap()).unwrap();
                if self.admin.request::<Value>(request).await.is_ok() {
                    return;
                }
                self.place.time.sleep(Duration::from_millis(100)).await;
            }
        };
        assert!(self.place.time.within(PATIENCE, patient).await.is_ok(), "{path} takes nothing");
    }

    /// Waits until the informers see it so; how long that took.
    pub async fn sees(&mut self, what: &str, is_so: impl Fn(&Sight) -> bool) -> Duration {
        self.claims += 1;
        let began = self.place.time.elapsed();
        let waited = self.place.time.within(PATIENCE, self.seen.wait_for(|sight| is_so(sight))).await.is_ok();
        assert!(waited, "{what}: {:#?}", *self.seen.borrow());
        self.place.time.elapsed().saturating_sub(began)
    }

    /// The same of the scene.
    pub async fn shows(&mut self, what: &str, is_so: impl Fn(&Scene) -> bool) -> Duration {
        self.sees(what, |sight| sight.scene.as_deref().is_some_and(&is_so)).await
    }

    /// How often something was to be seen.
    pub fn claims(&self) -> u64 {
        self.claims
    }

    pub fn sight(&self) -> Sight {
        self.seen.borrow().clone()
    }

    pub async fn rest(&self, duration: Duration) {
        self.place.time.sleep(duration).await;
    }
}
