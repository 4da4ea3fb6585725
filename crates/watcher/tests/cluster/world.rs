//! A world around real watchers: nodes that serve or do not, paths between them, an API, a zone; all in virtual time, all
//! by one seed.

mod api;
mod lives;
mod paths;
mod provider;
mod state;
mod waits;
mod zone;

use detect::{Millis, View};
use spec::{Canary, Watching};
pub use state::{Ingress, State};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use watcher::process::Process;
use watcher::scene::{Scene, Sight};
use wire::{Rng, Time};
pub use zone::Keeping;

pub const POOL: &str = "lb.example.com";
pub const HOST: &str = "web.example.com";

struct Vantage {
    process: Arc<Process>,
    run: JoinHandle<()>,
}

/// One pod of a vantage, as long as it is not replaced.
#[derive(Clone)]
struct Pod {
    name: String,
    address: IpAddr,
}

/// See above.
pub struct World {
    pub time: Time,
    state: Mutex<State>,
    vantages: Mutex<Vec<Option<Vantage>>>,
    pods: Mutex<Vec<Pod>>,
    config: Watching,
    sights: Vec<watch::Sender<Sight>>,
    counter: Mutex<u64>,
}

pub fn name(node: usize) -> String {
    format!("n{node}")
}

pub fn address(node: usize) -> IpAddr {
    format!("198.51.100.{}", node + 1).parse().unwrap()
}

fn config(fast: bool) -> Watching {
    let mut config = Watching::of("test", "example.com");
    config.canary = Canary { host: "canary.example.com".into(), ..config.canary };
    config.control_probes = vec!["192.0.2.1:443".into(), "192.0.2.2:443".into()];
    if fast {
        config.profile = spec::Profile::Fast;
    }
    config
}

impl World {
    /// So many nodes, each with an ingress and a vantage; all serve, and the zone holds nothing of ours.
    pub fn new(nodes: usize, fast: bool, seed: u64) -> Arc<Self> {
        let mut scene = Scene::default();
        for node in 0..nodes {
            let addresses = BTreeMap::from([(detect::Family::V4, address(node))]);
            scene.nodes.insert(name(node), detect::Node { addresses, ..Default::default() });
            scene.sites.insert(name(node), name(node));
        }
        scene.hosts.insert(HOST.into(), watcher::scene::Host::default());
        let state = State::new(nodes, scene);
        let pod = |node| Pod { name: String::new(), address: address(node) };
        let world = Arc::new(World {
            time: Time::starting_at(jiff::Timestamp::UNIX_EPOCH, Rng::seeded(seed)),
            state: Mutex::new(state),
            vantages: Mutex::new((0..nodes).map(|_| None).collect()),
            pods: Mutex::new((0..nodes).map(pod).collect()),
            config: config(fast),
            sights: (0..nodes).map(|_| watch::Sender::new(Sight::default())).collect(),
            counter: Mutex::new(seed << 20),
        });
        for node in 0..nodes {
            world.replace(node);
        }
        world
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn nodes(&self) -> usize {
        self.sights.len()
    }

    pub fn now_ms(&self) -> Millis {
        u64::try_from(self.time.elapsed().as_millis()).unwrap()
    }

    /// Nodes that no vantage sees anything wrong with.
    fn seen_well(&self) -> BTreeSet<usize> {
        let reports = (0..self.nodes()).filter_map(|node| self.process(node)).flat_map(|process| {
            let now_ms = process.now_ms();
            process.with(|mind| mind.eyes.reports(now_ms, &mind.vantage()))
        });
        let doubted: BTreeSet<String> =
            reports.filter(|report| report.view != View::Up).map(|report| report.target.node).collect();
        (0..self.nodes()).filter(|node| !doubted.contains(&name(*node))).collect()
    }

    /// Changes something, and lets everything notice that can.
    pub fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let (now_ms, seen_well) = (self.now_ms(), self.seen_well());
        let (done, wakers) = {
            let mut state = self.state();
            let done = state.change(now_ms, &seen_well, act);
            (done, std::mem::take(&mut state.wakers))
        };
        wakers.into_iter().for_each(Waker::wake);
        for (node, sight) in self.sights.iter().enumerate() {
            let scene = {
                let state = self.state();
                let mut scene = state.scene.clone();
                if state.blank.contains(&node) {
                    scene.nodes.clear();
                }
                state.reaches_api(node).then(|| Arc::new(scene))
            };
            let is_new = scene.is_some() && sight.borrow().scene != scene;
            if is_new {
                sight.send_replace(Sight { scene, ..Sight::default() });
            }
        }
        done
    }

    /// Nodes of which a vantage was last told by the cluster that they leave.
    fn told_to_leave(&self, vantage: usize) -> BTreeSet<usize> {
        let scene = self.sights[vantage].borrow().scene.clone();
        (0..self.nodes()).filter(|node| scene.as_ref().is_some_and(|scene| state::leaves(scene, *node))).collect()
    }

    /// Who may write now.
    pub fn writer(&self) -> Option<usize> {
        (0..self.nodes()).find(|node| self.may_write(*node))
    }

    /// Whether a vantage holds a permit that lets it write.
    fn may_write(&self, node: usize) -> bool {
        let live = |process: Arc<Process>| {
            let now_ms = process.now_ms();
            process.with(|mind| matches!(mind.holder.standing(now_ms), watcher::permit::Standing::Live { .. }))
        };
        self.process(node).is_some_and(live)
    }

    /// Nodes whose address is in the pool.
    pub fn published(&self) -> BTreeSet<usize> {
        self.state().published()
    }

    pub async fn sleep(&self, ms: u64) {
        self.time.sleep(Duration::from_millis(ms)).await;
    }
}

/// The world as one node's vantage meets it.
#[derive(Clone)]
struct At {
    world: Arc<World>,
    node: usize,
    /// The process's own clock.
    time: Time,
}

impl At {
    /// A draw of its own for everything that happens.
    fn draw(&self, what: &str) -> Rng {
        let at = self.world.time.elapsed().as_millis();
        self.world.time.rng(&format!("{what} {} {at}", self.node))
    }

    async fn nap(&self, (low_ms, high_ms): (u64, u64), what: &str) {
        let wait_ms = self.draw(what).between(low_ms, high_ms);
        self.world.sleep(wait_ms).await;
    }
}
