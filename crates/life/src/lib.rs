//! Whole lives of the product in the greenhouse, for tests only.
//!
//! A [`Life`] is one world and one product in it, under virtual time: [`Life::apply`], [`Life::plan`], [`Life::destroy`] are what
//! the binary's verbs do, without a terminal. [`alone`] runs a life on a paused clock of its own.
//!
//! This crate refuses to ship.

#![allow(clippy::expect_used, reason = "a life that cannot begin is a failed test")]

mod differences;
mod file;

pub use differences::differences;
pub use file::{MISSION, ROSE, TRIO, TULIP, nodes};

use engine::{Event, Listener, Outcome, Reach, Subject};
use greenhouse::{Cut, Greenhouse, Options};
use jiff::Timestamp;
use plan::{Observed, Plan, Report, Spare};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use talos::Bundle;
use wire::{Rng, Time};

/// When every life begins: 2026-12-01T08:00:00Z.
const BEGINNING_S: i64 = 1_796_112_000;

/// One world and one product in it.
pub struct Life {
    /// The world.
    pub world: Greenhouse,
    /// What the product can reach.
    pub reach: Reach,
    /// The cluster it is about.
    pub subject: Subject,
    events: Arc<Mutex<Vec<Event>>>,
    listener: Listener,
}

/// Runs a life to its end on a paused clock of its own.
pub fn alone<T>(life: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O").block_on(life)
}

impl Life {
    /// A world of this seed and a product with this cluster file. Must run on a paused clock.
    pub fn new(seed: u64, file: &str) -> Self {
        Self::with(&Options { seed, ..Options::default() }, file)
    }

    /// The same with other options.
    pub fn with(options: &Options, file: &str) -> Self {
        let origin = Timestamp::from_second(BEGINNING_S).expect("a date");
        let programs = options.programs.clone().or(pods::programs());
        let options = &Options { programs, ..options.clone() };
        let world = Greenhouse::new(options, Time::starting_at(origin, Rng::seeded(options.seed))).expect("a world");
        Self::within(world, options.seed, file)
    }

    /// A second product in a world that is there already: as after a restart, it knows nothing but file and bundle.
    pub fn again(&self, file: &str) -> Self {
        let mut next = Self::within(self.world.clone(), 0, file);
        next.subject.bundle.clone_from(&self.subject.bundle);
        next
    }

    fn within(world: Greenhouse, seed: u64, file: &str) -> Self {
        let reading = spec::read(file);
        let cluster = reading.cluster.unwrap_or_else(|| panic_with(&reading.faults));
        let time = Time::starting_at(world.now(), Rng::seeded(seed).child("product"));
        let settings: clouds::Preset = world.credentials().into_iter().collect();
        let reach = Reach::open(&cluster, &settings, world.wire(), time.clone()).expect("credentials of the world");
        let schematic = talos::Schematic::new([talos::TAILSCALE]).id();
        let schematics = reach.clouds.iter().map(|cloud| (cloud.name().to_owned(), schematic.clone())).collect();
        let subject = Subject { cluster: Arc::new(cluster), bundle: Some(bundle(seed)), schematics, adopt: false };
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let heard = events.clone();
        let listener: Listener = Arc::new(move |event| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        });
        Life { world, reach, subject, events, listener }
    }

    /// A snapshot at Hetzner as an earlier run would have left it, so that none need be made. The marks are written out here
    /// as the vendor's API would show them.
    pub fn snapshot(&self, arch: &str) {
        self.snapshot_of(arch, arch, &[talos::TAILSCALE]);
    }

    /// A snapshot whose marks say `arch` and our schematic, whatever of that is true.
    pub fn snapshot_of(&self, marked: &str, arch: &str, extensions: &[&str]) {
        let cluster = &self.subject.cluster;
        let schematic = talos::Schematic::new([talos::TAILSCALE]).id();
        let (half, rest) = schematic.split_at(32);
        let talos = cluster.talos.to_string();
        let labels = [
            ("cluster", cluster.name.as_str()),
            ("role", "image"),
            ("arch", marked),
            ("talos", talos.as_str()),
            ("schematic", half),
            ("schematic-rest", rest),
        ];
        let labels = labels.map(|(name, value)| (format!("bouquet.dev/{name}"), value.to_owned())).into();
        self.world.snapshot(&labels, extensions, &talos, arch).expect("an image that the factory builds");
    }

    /// `bouquet apply --yes`.
    pub async fn apply(&self) -> Outcome {
        engine::apply(&self.reach, &self.subject, &self.listener).await.expect("apply could look")
    }

    /// `bouquet destroy --yes`.
    pub async fn destroy(&self) -> Outcome {
        let spare = Spare::default();
        engine::destroy(&self.reach, &self.subject, spare, &self.listener).await.expect("destroy could look")
    }

    /// What one sweep sees.
    pub async fn observe(&self) -> Observed {
        engine::observe(&self.reach, &self.subject, &BTreeSet::new()).await.expect("the world could be looked at")
    }

    /// `bouquet plan`.
    pub async fn plan(&self) -> (Plan, Report) {
        plan::make(&self.reach.wish(&self.subject), &self.observe().await)
    }

    /// An administrator's machine API client for a node that is on the tailnet, as `talosctl` would be one.
    pub async fn talos(&self, node: &str) -> talos::Client {
        let observed = self.observe().await;
        let address = observed.device(node).and_then(|device| device.address).expect("a node on the tailnet");
        let (time, bundle) = (self.reach.line.time(), self.subject.bundle.as_ref().expect("a bundle"));
        let (day, mut rng) = (Duration::from_hours(24), time.rng("administrator"));
        let issued = talos::talos_client(bundle, talos::Role::Admin, time.now(), day, &mut rng).expect("a certificate");
        let authority = bundle.os.der().expect("a certificate authority");
        let peer = talos::Peer::configured(address.to_string(), authority, issued.identity);
        talos::Client::new(self.reach.line.wire().clone(), time.clone(), &peer).expect("an address")
    }

    /// Hears what [`Life::events`] tells.
    pub fn listener(&self) -> Listener {
        self.listener.clone()
    }

    /// Everything that the product has said so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs `work` until it ends or the product is cut off, as `kill -9` would. Whether it was.
    pub async fn cut_off(&self, cut: Cut, work: impl Future) -> bool {
        self.world.cut(Some(cut));
        let was_cut = tokio::select! {
            biased;
            () = self.world.was_cut() => true,
            _ = work => false,
        };
        self.world.cut(None);
        was_cut
    }

    /// The world's inventory with ids and addresses taken out: equal for worlds that differ in nothing else.
    pub fn shape(&self) -> Value {
        shape(self.world.inventory())
    }
}

/// Replaces what the clouds draw by its kind, and sorts what was sorted by it.
fn shape(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let keep = |name: &str| {
                let drawn = [
                    "id",
                    "ip",
                    "address",
                    "key",
                    "fingerprint",
                    "value",
                    "content",
                    "dns_ptr",
                    "user_data",
                    "availabilitydomain",
                ];
                !drawn.iter().any(|word| name.to_lowercase().ends_with(word)) && !name.ends_with("Id")
            };
            // Labels whose values are ids of machines.
            let points = |name: &str| name.ends_with("/bootstrap") || name.ends_with("/formed");
            let fields = fields.into_iter().filter(|(name, _)| keep(name)).map(|(name, value)| {
                let value = if points(&name) { "machine".into() } else { shape(value) };
                (name, value)
            });
            let sorted: BTreeMap<String, Value> = fields.collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(shape).collect();
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        Value::Number(number) if number.as_u64().is_some_and(|number| number > 999) => "number".into(),
        Value::String(text) if text.parse::<std::net::IpAddr>().is_ok() => "address".into(),
        Value::String(text) if text.starts_with("ocid1.") => "ocid".into(),
        other => other,
    }
}

/// Bundles are costly to make (a few milliseconds), and every life may have the same.
fn bundle(_seed: u64) -> Arc<Bundle> {
    static ONE: std::sync::OnceLock<Arc<Bundle>> = std::sync::OnceLock::new();
    let make = || {
        let began = Timestamp::from_second(BEGINNING_S).expect("a date");
        Arc::new(Bundle::generate(&mut Rng::seeded(1), began).expect("a bundle"))
    };
    ONE.get_or_init(make).clone()
}

fn panic_with(faults: &[spec::Fault]) -> spec::Cluster {
    assert!(faults.is_empty(), "the test's cluster file is wrong: {faults:?}");
    unreachable!("a file without faults has a cluster")
}
