//! The world's kernel: one state, one clock, one seed; and the handle that the outside has on it.

use crate::fault::{FaultError, Faults};
use crate::journal::{Entry, Journal};
use crate::machine::{Machine, MachineId};
use crate::net::{Cut, From, Net, Outside};
use crate::program::Programs;
use crate::{
    checkip, cloudflare, dns, factory, hetzner, inventory, kube, lie, machine, oci, resolvers, s3, tailscale, talos,
    traefik,
};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wire::{Rng, SharedWire, Time};

/// How a world starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Gives ids, delays and keys. The same seed gives the same world.
    pub seed: u64,
    /// Divides emulated delays; 1.0 is life. Dates, TTLs and expiries are never divided.
    pub speed: f64,
    /// Fault rules, in the words of `docs/faults.md`, first match wins.
    pub faults: Vec<String>,
    /// Names of deliberate untruths, for those who judge the judges; see [`lies`](crate::lies).
    pub lies: Vec<String>,
    /// The domain of the zone that the Cloudflare account holds.
    pub zone: String,
    /// Endpoints, where they are not the vendors' own host names (a served world).
    pub operator: String,
    /// What containers do, by image, besides those that are built in (Traefik), which these replace.
    pub programs: Programs,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 1,
            speed: 1.0,
            faults: Vec::new(),
            lies: Vec::new(),
            zone: "example.com".into(),
            operator: "operator".into(),
            programs: Programs::default(),
        }
    }
}

/// Why the greenhouse cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GreenhouseError {
    /// A fault rule is not written as `docs/faults.md` says.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// There is no machine of that name.
    #[error("there is no machine called {0:?}")]
    NoMachine(String),
    /// Foreign things of that kind cannot be made.
    #[error("{0:?} is no kind of foreign thing: server, firewall, image, vcn, device, record")]
    NoKind(String),
    /// No container of such a pod runs on that node.
    #[error("no pod whose name begins with {pod:?} runs on {node:?}")]
    NoPod {
        /// As asked.
        node: String,
        /// As asked.
        pod: String,
    },
    /// There is no such lie.
    #[error("there is no lie called {0:?}")]
    NoLie(String),
}

/// A stretch of world time that something took, as the world itself saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Node, image or resource it happened to.
    pub subject: String,
    /// What it was: `server-create`, `boot`, `etcd`, …
    pub name: &'static str,
    /// Milliseconds since the world began.
    pub from_ms: u64,
    /// Milliseconds since the world began.
    pub to_ms: u64,
}

/// The whole world. Cheap to clone; clones are the same world.
#[derive(Clone)]
pub(crate) struct World(Arc<Core>);

struct Core {
    time: Time,
    began: Timestamp,
    speed: f64,
    state: Mutex<State>,
}

/// Everything that is. Never locked across an await.
pub(crate) struct State {
    pub hetzner: hetzner::State,
    pub oci: oci::State,
    pub tailscale: tailscale::State,
    pub cloudflare: cloudflare::State,
    pub factory: factory::State,
    pub s3: s3::State,
    pub kube: kube::State,
    pub talos: talos::State,
    pub dns: dns::State,
    pub net: Net,
    pub machines: BTreeMap<MachineId, Machine>,
    pub faults: Faults,
    pub lies: BTreeSet<&'static str>,
    pub journal: Journal,
    pub stages: Vec<Stage>,
    log: Vec<String>,
    next_id: u64,
    rng: Rng,
    began: Timestamp,
    now: Timestamp,
}

impl State {
    /// A new id, unique in this world over all kinds.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The present, as of when the state was locked.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Draws that belong to nobody in particular. Prefer [`World::rng`] with a label.
    pub(crate) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Writes a line of the event log: what happened, in the world's own words, without ids that clients chose.
    pub(crate) fn note(&mut self, what: impl std::fmt::Display) {
        let at_ms = millis(self.now, self.began);
        self.log.push(format!("{at_ms:>9} {what}"));
    }
}

impl World {
    /// Looks at and changes the state. `work` must not block.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now = self.0.time.now();
        work(&mut state)
    }

    /// The world's clock.
    pub(crate) fn time(&self) -> &Time {
        &self.0.time
    }

    /// The present.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.time.now()
    }

    /// Randomness that depends on the seed and `label` alone.
    pub(crate) fn rng(&self, label: &str) -> Rng {
        self.0.time.rng(label)
    }

    /// An emulated delay: as long as in life, divided by the world's speed.
    pub(crate) async fn delay(&self, life: Duration) {
        self.0.time.sleep(life.div_f64(self.0.speed.max(0.001))).await;
    }

    /// An emulated delay drawn between two bounds in milliseconds by `label`.
    pub(crate) async fn delay_between(&self, label: &str, low_ms: u64, high_ms: u64) {
        let ms = self.rng(label).between(low_ms, high_ms);
        self.delay(Duration::from_millis(ms)).await;
    }

    /// Lets something happen by itself.
    #[allow(clippy::unused_self, reason = "what happens by itself happens in a world")]
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(task));
    }

    /// Runs `work` and records how long it took as a [`Stage`].
    pub(crate) async fn stage<R>(&self, subject: &str, name: &'static str, work: impl Future<Output = R>) -> R {
        let from_ms = millis(self.now(), self.0.began);
        let result = work.await;
        let to_ms = millis(self.now(), self.0.began);
        let subject = subject.to_owned();
        self.with(|state| state.stages.push(Stage { subject, name, from_ms, to_ms }));
        result
    }

    /// Whether a fault rule strikes here. `arg` of the rule is returned. See `docs/faults.md`.
    pub(crate) fn fault(&self, vendor: &str, effect: &str, subject: &str) -> Option<String> {
        self.with(|state| {
            let struck = state.faults.strike(vendor, effect, subject)?;
            state.note(format_args!("fault: {vendor} {effect} for {subject}"));
            Some(struck)
        })
    }
}

fn millis(now: Timestamp, began: Timestamp) -> u64 {
    u64::try_from(now.duration_since(began).as_millis()).unwrap_or(0)
}

/// The outside's handle on a world.
#[derive(Clone)]
pub struct Greenhouse {
    pub(crate) world: World,
    _end: Arc<End>,
}

/// Vendors' routers hold the world, which holds them: the last handle lets them go, or no world would ever be freed.
struct End(World);

impl Drop for End {
    fn drop(&mut self) {
        drop(self.0.with(|state| state.net.unmount()));
        self.0.with(kube::end);
    }
}

impl Greenhouse {
    /// Makes a world with nothing in it but its vendors and an operator's machine on the tailnet. Must be called
    /// inside a runtime; `time` gives its clock and seed.
    pub fn new(options: &Options, time: Time) -> Result<Self, GreenhouseError> {
        let began = time.now();
        let rng = time.rng("world");
        let state = State {
            hetzner: hetzner::State::new(&rng.child("hetzner")),
            oci: oci::State::new(&rng.child("oci")),
            tailscale: tailscale::State::new(&rng.child("tailscale"), &options.operator, began),
            cloudflare: cloudflare::State::new(&rng.child("cloudflare"), &options.zone),
            factory: factory::State::default(),
            s3: s3::State::new(&rng.child("s3")),
            kube: kube::State::new(options.programs.clone().or(traefik::programs())),
            talos: talos::State::default(),
            dns: dns::State::default(),
            net: Net::new(),
            machines: BTreeMap::new(),
            faults: Faults::read(&options.faults)?,
            lies: lie::chosen(&options.lies)?,
            journal: Journal::default(),
            stages: Vec::new(),
            log: Vec::new(),
            next_id: 1000,
            rng: rng.child("state"),
            began,
            now: began,
        };
        let world = World(Arc::new(Core { time, began, speed: options.speed, state: Mutex::new(state) }));
        hetzner::mount(&world);
        oci::mount(&world);
        tailscale::mount(&world);
        cloudflare::mount(&world);
        factory::mount(&world);
        s3::mount(&world);
        checkip::mount(&world);
        resolvers::mount(&world);
        Ok(Greenhouse { _end: Arc::new(End(world.clone())), world })
    }

    /// The world's clock.
    pub fn now(&self) -> Timestamp {
        self.world.now()
    }

    /// The product's way out, in process: what an operator's machine on the tailnet would reach.
    pub fn wire(&self) -> SharedWire {
        Arc::new(Outside::new(self.world.clone(), From::Operator))
    }

    /// The variables of INTERFACES §3 that a product needs in this world, without endpoints; the OCI configuration and
    /// its key are the texts of two files, under `OCI_CONFIG` and `OCI_KEY`.
    pub fn credentials(&self) -> BTreeMap<&'static str, String> {
        self.world.with(|state| {
            let mut all = BTreeMap::new();
            all.extend(hetzner::credentials(state));
            all.extend(oci::credentials(state));
            all.extend(tailscale::credentials(state));
            all.extend(cloudflare::credentials(state));
            all.extend(s3::credentials(state));
            all
        })
    }

    /// What the vendors' APIs would list: kind → array sorted by id. No clocks, counters or journals.
    pub fn inventory(&self) -> Value {
        self.world.with(|state| inventory::take(state))
    }

    /// Cuts a machine's power, by server or node name.
    pub fn kill(&self, name: &str) -> Result<(), GreenhouseError> {
        let id = self.machine(name)?;
        machine::power_off(&self.world, id);
        Ok(())
    }

    /// Switches a machine on.
    pub fn start(&self, name: &str) -> Result<(), GreenhouseError> {
        let id = self.machine(name)?;
        machine::power_on(&self.world, id);
        Ok(())
    }

    /// Deletes a machine in its cloud, behind everybody's back.
    pub fn destroy(&self, name: &str) -> Result<(), GreenhouseError> {
        let id = self.machine(name)?;
        machine::destroy(&self.world, id);
        Ok(())
    }

    /// Kills the containers of pods on a node whose names begin so, as a crash would: the kubelet starts them again.
    pub fn crash(&self, node: &str, pod: &str) -> Result<(), GreenhouseError> {
        let id = self.machine(node)?;
        let found = self.world.with(|state| kube::crash(state, id, pod));
        found.then_some(()).ok_or_else(|| GreenhouseError::NoPod { node: node.to_owned(), pod: pod.to_owned() })
    }

    /// Adds a fault rule; returns its id.
    pub fn fault(&self, rule: &str) -> Result<u64, GreenhouseError> {
        Ok(self.world.with(|state| state.faults.add(rule))?)
    }

    /// Removes a fault rule; whether it was there.
    pub fn heal(&self, id: u64) -> bool {
        self.world.with(|state| state.faults.remove(id))
    }

    /// Makes something that is not the product's. Kinds: server, firewall, image, vcn, device, record.
    pub fn foreign(&self, kind: &str, name: &str) -> Result<(), GreenhouseError> {
        match kind {
            "server" | "firewall" | "image" => hetzner::foreign(&self.world, kind, name),
            "vcn" => oci::foreign(&self.world, name),
            "device" => tailscale::foreign(&self.world, name),
            "record" => cloudflare::foreign(&self.world, name),
            other => return Err(GreenhouseError::NoKind(other.to_owned())),
        }
        Ok(())
    }

    /// The calls that have reached the vendors and nodes, oldest first; no secrets.
    pub fn journal(&self) -> Vec<Entry> {
        self.world.with(|state| state.journal.entries().to_vec())
    }

    /// The event log so far: one line an event, byte-identical for the same seed and the same calls.
    pub fn log(&self) -> String {
        self.world.with(|state| state.log.join("\n"))
    }

    /// What took how long.
    pub fn stages(&self) -> Vec<Stage> {
        self.world.with(|state| state.stages.clone())
    }

    /// Arranges for the product to be cut off at one of its calls; see [`Cut`].
    pub fn cut(&self, cut: Option<Cut>) {
        self.world.with(|state| state.net.set_cut(cut));
    }

    /// Where a cut is worth trying, of the calls since [`Greenhouse::cut`]: the numbers of those that change something,
    /// and of the first of each kind of read.
    pub fn places_to_cut(&self) -> Vec<u64> {
        self.world.with(|state| state.net.places_to_cut())
    }

    /// Returns once the arranged cut has happened.
    pub async fn was_cut(&self) {
        let notice = self.world.with(|state| state.net.cut_notice());
        notice.notified().await;
    }

    fn machine(&self, name: &str) -> Result<MachineId, GreenhouseError> {
        self.world.with(|state| machine::named(state, name)).ok_or_else(|| GreenhouseError::NoMachine(name.to_owned()))
    }
}
