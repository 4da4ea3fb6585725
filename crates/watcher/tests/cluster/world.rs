//! A world around real watchers: nodes that serve or do not, paths between them, an API, a zone; all in virtual time.

use async_trait::async_trait;
use detect::Millis;
use futures::future::BoxFuture;
use spec::{Canary, Watching};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use watcher::face::Health;
use watcher::mind::Me;
use watcher::peer::{Ears, Told};
use watcher::permit::{Ask, Release, Reply, Roll};
use watcher::process::{Mouth, Process};
use watcher::scene::{Scene, Sight, VantagePod};
use watcher::start::Start;
use watcher::zone::{Change, Data, Entry, Keeper, Provider, Trouble};
use wire::{Body, Error, Line, Rng, Roots, Stream, Target, Time, Wire};

pub const POOL: &str = "lb.example.com";
pub const HOST: &str = "web.example.com";

/// What a node's ingress does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    Serves,
    Silent,
    Refuses,
    NoRoutes,
    Behind,
    WrongCertificate,
}

/// All that a test can change.
pub struct State {
    pub ingress: Vec<Ingress>,
    /// Power.
    pub up: Vec<bool>,
    /// Directed paths between public addresses, and between peers, that lose everything.
    pub cut: BTreeSet<(usize, usize)>,
    /// Nodes that reach nothing but themselves.
    pub lonely: BTreeSet<usize>,
    pub api_up: bool,
    pub provider_up: bool,
    /// Between these a call to the provider takes, in milliseconds.
    pub call_ms: (u64, u64),
    pub entries: Vec<Entry>,
    pub scene: Scene,
    lease: Option<(String, u64, Roll)>,
    next_id: u64,
    writing: BTreeSet<usize>,
    /// What broke a rule.
    pub broken: Vec<String>,
    /// When which node's address went, and came.
    pub gone: Vec<(Duration, usize)>,
    pub come: Vec<(Duration, usize)>,
    pub writes: usize,
}

struct Vantage {
    process: Arc<Process>,
    run: JoinHandle<()>,
}

pub struct World {
    pub time: Time,
    state: Mutex<State>,
    vantages: Mutex<Vec<Option<Vantage>>>,
    config: Watching,
    sight: watch::Sender<Sight>,
    lives: Mutex<u64>,
}

pub fn name(node: usize) -> String {
    format!("n{node}")
}

pub fn address(node: usize) -> IpAddr {
    format!("198.51.100.{}", node + 1).parse().unwrap()
}

fn pod(node: usize) -> String {
    format!("w{node}")
}

impl World {
    /// So many nodes, each with an ingress and a vantage; all serve, and the zone is empty.
    pub fn new(nodes: usize, fast: bool, seed: u64) -> Arc<Self> {
        let time = Time::starting_at(jiff::Timestamp::UNIX_EPOCH, Rng::seeded(seed));
        let mut config = Watching::of("test", "example.com");
        config.canary = Canary { host: "canary.example.com".into(), ..config.canary };
        config.control_probes = vec!["192.0.2.1:443".into(), "192.0.2.2:443".into()];
        if fast {
            config.profile = spec::Profile::Fast;
        }
        let mut scene = Scene::default();
        for node in 0..nodes {
            let addresses = BTreeMap::from([(detect::Family::V4, address(node))]);
            scene.nodes.insert(name(node), detect::Node { addresses, ..Default::default() });
            scene.sites.insert(name(node), name(node));
            let vantage = VantagePod { node: name(node), address: address(node), terminating: false };
            scene.vantages.insert(pod(node), vantage);
        }
        scene.hosts.insert(HOST.into(), Default::default());
        let foreign = Entry {
            id: "human".into(),
            name: "mail.example.com".into(),
            data: Data::Address("203.0.113.9".parse().unwrap()),
            ttl_s: 300,
            proxied: false,
            mark: None,
        };
        let state = State {
            ingress: vec![Ingress::Serves; nodes],
            up: vec![true; nodes],
            cut: BTreeSet::new(),
            lonely: BTreeSet::new(),
            api_up: true,
            provider_up: true,
            call_ms: (200, 900),
            entries: vec![foreign],
            scene,
            lease: None,
            next_id: 0,
            writing: BTreeSet::new(),
            broken: Vec::new(),
            gone: Vec::new(),
            come: Vec::new(),
            writes: 0,
        };
        let world = Arc::new(World {
            time,
            state: Mutex::new(state),
            vantages: Mutex::new((0..nodes).map(|_| None).collect()),
            config,
            sight: watch::Sender::new(Sight::default()),
            lives: Mutex::new(seed << 16),
        });
        world.show();
        for node in 0..nodes {
            world.start(node);
        }
        world
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Has the informers see the scene as it now is, if the API answers.
    pub fn show(&self) {
        let state = self.state();
        if state.api_up {
            let scene = Some(Arc::new(state.scene.clone()));
            drop(state);
            self.sight.send_replace(Sight { scene, ..Sight::default() });
        }
    }

    /// Starts the vantage of a node, in a new life.
    pub fn start(self: &Arc<Self>, node: usize) {
        let life = {
            let mut lives = self.lives.lock().unwrap();
            *lives += 1;
            *lives
        };
        let at = At { world: self.clone(), node };
        let start = Start {
            config: self.config.clone(),
            me: Me { pod: pod(node), node: name(node), life },
            roots: Roots::Unverified,
            wire: Arc::new(at.clone()),
            time: self.time.clone(),
            provider: Arc::new(at.clone()),
            mouth: Arc::new(at.clone()),
            sight: self.sight.subscribe(),
            counters: Arc::default(),
            health: Health::new(self.time.clone()),
        };
        let (process, _) = start.process();
        let running = process.clone();
        let run = tokio::spawn(async move {
            tokio::select! {
                () = running.run() => {}
                () = at.keep_lease(running.clone()) => {}
            }
        });
        self.vantages.lock().unwrap()[node] = Some(Vantage { process, run });
    }

    /// The vantage's process is killed.
    pub fn crash(&self, node: usize) {
        if let Some(vantage) = self.vantages.lock().unwrap()[node].take() {
            vantage.run.abort();
        }
        self.state().writing.remove(&node);
    }

    /// The node loses its power, and its vantage with it.
    pub fn kill(&self, node: usize) {
        self.state().up[node] = false;
        self.crash(node);
    }

    pub fn process(&self, node: usize) -> Option<Arc<Process>> {
        self.vantages.lock().unwrap()[node].as_ref().map(|vantage| vantage.process.clone())
    }

    /// Who may write now.
    pub fn writer(&self) -> Option<usize> {
        let nodes = self.state().up.len();
        (0..nodes).find(|node| {
            self.process(*node).is_some_and(|process| process.status().borrow().writer.as_deref() == Some(&pod(*node)))
        })
    }

    /// Nodes whose address is in the pool.
    pub fn published(&self) -> BTreeSet<usize> {
        let state = self.state();
        let held = |node: &usize| {
            state.entries.iter().any(|entry| entry.name == POOL && entry.data == Data::Address(address(*node)))
        };
        (0..state.up.len()).filter(held).collect()
    }

    pub async fn sleep(&self, ms: u64) {
        self.time.sleep(Duration::from_millis(ms)).await;
    }

    /// Waits until it is so; panics after so many seconds.
    pub async fn until(&self, what: &str, seconds: u64, is_so: impl Fn(&Self) -> bool) -> Duration {
        let begun = self.time.elapsed();
        while !is_so(self) {
            let waited = self.time.elapsed() - begun;
            assert!(waited < Duration::from_secs(seconds), "after {waited:?} still not: {what}; {}", self.told());
            self.sleep(20).await;
        }
        self.time.elapsed() - begun
    }

    /// What every vantage thinks, for a failure's message.
    pub fn told(&self) -> String {
        let nodes = self.state().up.len();
        let mut told = format!("published {:?}, broken {:?}\n", self.published(), self.state().broken);
        for node in 0..nodes {
            let Some(process) = self.process(node) else { continue };
            let status = process.status().borrow().clone();
            let seen: Vec<String> = status
                .nodes
                .iter()
                .map(|at| format!("{} {:?} {:?} {}", at.name, at.verdict, at.held, at.reason))
                .collect();
            told.push_str(&format!(
                "{}: writer {:?} {:?}; {}; alerts {:?}; trouble {:?}\n",
                name(node),
                status.writer,
                status.no_writer,
                seen.join("; "),
                status.alerts,
                status.provider.trouble
            ));
        }
        told
    }
}

/// The world as one node's vantage meets it.
#[derive(Clone)]
struct At {
    world: Arc<World>,
    node: usize,
}

impl State {
    fn reaches(&self, from: usize, to: usize) -> bool {
        from == to
            || self.up[from]
                && self.up[to]
                && !self.cut.contains(&(from, to))
                && !self.lonely.contains(&from)
                && !self.lonely.contains(&to)
    }

    fn is_online(&self, node: usize) -> bool {
        self.up[node] && !self.lonely.contains(&node)
    }
}

impl At {
    async fn nap(&self, low_ms: u64, high_ms: u64, what: &str) {
        let at = self.world.time.elapsed().as_millis();
        let wait = self.world.time.rng(&format!("{what} {} {at}", self.node)).between(low_ms, high_ms);
        self.world.sleep(wait).await;
    }

    /// The Lease, kept as the real one is, by compare-and-swap.
    async fn keep_lease(&self, process: Arc<Process>) {
        let me = pod(self.node);
        let mut seen: Option<(u64, Millis)> = None;
        loop {
            let now_ms = process.now_ms();
            let answered = {
                let state = self.world.state();
                state.api_up && state.is_online(self.node)
            };
            if answered {
                let lease = self.world.state().lease.clone();
                if let Some((holder, version, roll)) = &lease {
                    process.with(|mind| {
                        mind.granter.read(now_ms, Some(holder), roll);
                        mind.holder.learn(now_ms, roll);
                    });
                    if seen.is_none_or(|(known, _)| known != *version) {
                        seen = Some((*version, now_ms));
                    }
                }
                let expired = lease.is_none() || seen.is_some_and(|(_, at_ms)| now_ms - at_ms > 15_000);
                let mine = lease.as_ref().is_some_and(|(holder, ..)| *holder == me);
                if mine || expired {
                    let (version, roll) =
                        lease.map_or((0, Roll::founded_by([me.clone()].into())), |(_, version, roll)| (version, roll));
                    let change = if mine { self.roll_change(&process, now_ms, &roll) } else { None };
                    let roll = change.unwrap_or(roll);
                    self.world.state().lease = Some((me.clone(), version + 1, roll.clone()));
                    seen = Some((version + 1, now_ms));
                    process.with(|mind| {
                        mind.granter.read(now_ms, Some(&me), &roll);
                        mind.holder.renewed(now_ms, now_ms + 10_000, &roll);
                    });
                }
            }
            self.world.sleep(2_000).await;
        }
    }

    fn roll_change(&self, process: &Process, now_ms: Millis, roll: &Roll) -> Option<Roll> {
        use watcher::permit::Change::Add;
        let pods: Vec<String> = self.world.state().scene.vantages.keys().cloned().collect();
        let new = pods.into_iter().find(|pod| !roll.members.contains(pod))?;
        process.with(|mind| mind.holder.change(now_ms, &Add(new))).ok()
    }
}

impl Wire for At {
    fn call(&self, _: &Target, _: http::Request<Body>) -> BoxFuture<'static, Result<http::Response<Body>, Error>> {
        unreachable!("a watcher calls its provider through it, and that is not on the wire here")
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, Error>> {
        let (at, target) = (self.clone(), target.clone());
        Box::pin(async move {
            at.nap(5, 40, "open").await;
            if target.host.starts_with("192.0.2.") {
                if !at.world.state().is_online(at.node) {
                    std::future::pending::<()>().await;
                }
                return Ok(Box::new(tokio::io::duplex(64).0) as Box<dyn Stream>);
            }
            let node = (0..at.world.state().up.len()).find(|node| address(*node).to_string() == target.host).unwrap();
            let ingress = {
                let state = at.world.state();
                if state.up[node] && state.reaches(at.node, node) { state.ingress[node] } else { Ingress::Silent }
            };
            let is_canary = target.tls.as_ref().is_some_and(|tls| tls.server_name.starts_with("canary"));
            let status = match ingress {
                Ingress::Silent => return std::future::pending().await,
                Ingress::Refuses => return Err(Error::Refused(target.host)),
                Ingress::WrongCertificate => return Err(Error::Tls { host: target.host, reason: "expired".into() }),
                Ingress::Serves if is_canary => 200,
                Ingress::Behind if is_canary => 503,
                _ => 404,
            };
            let (ours, mut theirs) = tokio::io::duplex(2048);
            tokio::spawn(async move {
                let mut request = vec![0; 2048];
                let read = theirs.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let nonce =
                    request.split_whitespace().nth(1).unwrap_or_default().rsplit('/').next().unwrap_or_default();
                let body = format!("{nonce} test\n");
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                theirs.write_all(answer.as_bytes()).await.ok();
            });
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}

#[async_trait]
impl Mouth for At {
    async fn tell(&self, peer: &VantagePod, told: &Told) -> Option<Told> {
        let answer = self.peer(peer).await?.told(told.clone());
        self.nap(5, 40, "answer").await;
        Some(answer)
    }

    async fn ask(&self, peer: &VantagePod, ask: &Ask) -> Option<Reply> {
        let reply = self.peer(peer).await?.asked(ask);
        self.nap(5, 40, "reply").await;
        Some(reply)
    }

    async fn release(&self, peer: &VantagePod, release: &Release) -> Option<()> {
        self.peer(peer).await?.released(release);
        Some(())
    }
}

impl At {
    async fn peer(&self, peer: &VantagePod) -> Option<Arc<Process>> {
        let node = (0..self.world.state().up.len()).find(|node| address(*node) == peer.address)?;
        self.nap(5, 40, "peer").await;
        let reached = self.world.state().reaches(self.node, node);
        let process = self.world.process(node).filter(|_| reached);
        if process.is_none() {
            self.world.sleep(1_000).await;
        }
        process
    }
}

#[async_trait]
impl Provider for At {
    async fn read(&self, _: &Line, _: &[String]) -> Result<Vec<Entry>, Trouble> {
        self.call().await?;
        Ok(self.world.state().entries.clone())
    }

    async fn write(&self, _: &Line, change: &Change) -> Result<(), Trouble> {
        {
            let mut state = self.world.state();
            state.writing.insert(self.node);
            if state.writing.len() > 1 {
                let both = format!("{:?} write at once", state.writing);
                state.broken.push(both);
            }
        }
        let begun = Begun(self.clone());
        let called = self.call().await;
        drop(begun);
        called?;
        let at = self.world.time.elapsed();
        let mut state = self.world.state();
        state.writes += 1;
        if change.delete.iter().any(|gone| !state.entries.contains(gone)) {
            return Err(Trouble::Moved("a record is not as it was read".into()));
        }
        let node_of = |data: &Data| (0..state.up.len()).find(|node| *data == Data::Address(address(*node)));
        let gone: Vec<usize> = change.delete.iter().filter_map(|entry| node_of(&entry.data)).collect();
        let come: Vec<usize> = change.create.iter().filter_map(|draft| node_of(&draft.data)).collect();
        if let Some(foreign) = change.delete.iter().find(|entry| entry.mark.is_none()) {
            let text = format!("{} is not ours", foreign.name);
            state.broken.push(text);
        }
        state.gone.extend(gone.into_iter().map(|node| (at, node)));
        state.come.extend(come.into_iter().map(|node| (at, node)));
        let had = state.entries.iter().any(|entry| entry.name == POOL);
        state.entries.retain(|entry| !change.delete.contains(entry));
        for (old, new) in &change.replace {
            state.entries.retain(|entry| entry != old);
            let id = old.id.clone();
            state.entries.push(entry(id, new));
        }
        for draft in &change.create {
            state.next_id += 1;
            let id = state.next_id.to_string();
            state.entries.push(entry(id, draft));
        }
        if had && !state.entries.iter().any(|entry| entry.name == POOL) {
            state.broken.push("the pool lost its last record".into());
        }
        Ok(())
    }

    fn batch_most(&self) -> usize {
        200
    }

    fn keeper(&self) -> Keeper {
        Keeper { alias_at_apex: true, alias_beside: true, proxies: true, fenced: false, records_most: Some(200) }
    }

    fn apex(&self) -> Option<String> {
        Some("example.com".into())
    }
}

/// A call that is under way, until it ends or is given up.
struct Begun(At);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.world.state().writing.remove(&self.0.node);
    }
}

fn entry(id: String, draft: &watcher::zone::Draft) -> Entry {
    let watcher::zone::Draft { name, data, ttl_s, proxied, mark } = draft.clone();
    Entry { id, name, data, ttl_s, proxied, mark: Some(mark) }
}

impl At {
    async fn call(&self) -> Result<(), Trouble> {
        let (low, high) = self.world.state().call_ms;
        self.nap(low, high, "call").await;
        let state = self.world.state();
        if !state.provider_up || !state.is_online(self.node) {
            return Err(Trouble::Lost("no answer".into()));
        }
        Ok(())
    }
}
