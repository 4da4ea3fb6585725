//! One watcher, running: it moves what happens to the [`Mind`], and does what the mind decides.
//!
//! ```text
//! look ── probes, control probes ──▶ ┌──────┐ ──turn──▶ hand ── read, write ──▶ Provider
//! scene ── informers ──────────────▶ │ Mind │ ──────────▶ face: status, counters, news
//! ears ── what peers say and ask ──▶ └──────┘ ──▶ mouth ── reports, asks ──▶ peers
//! ```
//!
//! All loops share one mind behind a lock that is never held across a wait.

mod announce;
mod ears;
mod hand;
mod look;
mod stand;

pub use announce::Announcer;

use crate::face::{Counters, Health};
use crate::mind::Mind;
use crate::peer::Told;
use crate::permit::{Ask, Release, Reply};
use crate::probe::Canary;
use crate::scene::{Sight, VantagePod};
use crate::status::{Happening, Status};
use crate::zone::Provider;
use async_trait::async_trait;
use detect::{Millis, Policy};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use wire::{Line, SharedWire, Target, Time};

/// Between two looks whether the last call has ended.
const RETIRE_LOOK: Duration = Duration::from_millis(20);

/// How one vantage reaches the others. None of it takes longer than a second; `None` where nobody answers.
#[async_trait]
pub trait Mouth: Send + Sync {
    /// Tells a peer what this vantage sees, and hears what that one does.
    async fn tell(&self, peer: &VantagePod, told: &Told) -> Option<Told>;

    /// Asks a peer for a permit.
    async fn ask(&self, peer: &VantagePod, ask: &Ask) -> Option<Reply>;

    /// Gives a permit back.
    async fn release(&self, peer: &VantagePod, release: &Release) -> Option<()>;
}

/// What a process is made of.
pub struct Parts {
    /// Probes go through it.
    pub wire: SharedWire,
    /// The provider's calls go through it.
    pub line: Line,
    /// The numbers.
    pub policy: Policy,
    /// The provider's calls that write are given up after this.
    pub call_ms: Millis,
    /// Between two asks for a permit.
    pub ask_every_ms: Millis,
    /// What is asked of every node.
    pub canary: Canary,
    /// Control probes.
    pub anchors: Vec<Target>,
    /// Who keeps the zone.
    pub provider: Arc<dyn Provider>,
    /// How the others are reached.
    pub mouth: Arc<dyn Mouth>,
    /// The cluster.
    pub sight: watch::Receiver<Sight>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Whether it lives, and is ready.
    pub health: Health,
    /// `default` or `fast`, and `cloudflare` or `rfc2136`, as they are shown.
    pub shown: (&'static str, &'static str),
}

/// One watcher.
pub struct Process {
    parts: Parts,
    time: Time,
    mind: Mutex<Mind>,
    /// Something may have to be done.
    woken: watch::Sender<()>,
    /// Something has to be told to the others.
    moved: watch::Sender<()>,
    /// Nothing more is to be written.
    stopping: watch::Sender<bool>,
    status: watch::Sender<Arc<Status>>,
    news: mpsc::Sender<Happening>,
}

impl Process {
    /// One that has not begun. The receiver gets what happens; what it does not take is lost.
    pub fn new(parts: Parts, time: Time, mind: Mind) -> (Arc<Self>, mpsc::Receiver<Happening>) {
        let (profile, provider) = parts.shown;
        let now_ms = ms(&time);
        let status = Arc::new(mind.status(now_ms, time.now(), profile, provider, None));
        let (news, untold) = mpsc::channel(500);
        let process = Process {
            parts,
            time,
            mind: Mutex::new(mind),
            woken: watch::Sender::new(()),
            moved: watch::Sender::new(()),
            stopping: watch::Sender::new(false),
            status: watch::Sender::new(status),
            news,
        };
        (Arc::new(process), untold)
    }

    /// Runs until it is dropped.
    pub async fn run(self: &Arc<Self>) {
        tokio::join!(
            self.watch_scene(),
            self.look(),
            self.check_anchors(),
            self.hand(),
            self.tell(),
            self.ask_permits()
        );
    }

    /// What it knows, as it changes.
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.subscribe()
    }

    /// Milliseconds of this process's own clock.
    pub fn now_ms(&self) -> Millis {
        ms(&self.time)
    }

    /// Looks at or changes the mind; never across a wait.
    pub fn with<T>(&self, act: impl FnOnce(&mut Mind) -> T) -> T {
        act(&mut self.mind.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something has happened that may change what is to be done.
    pub fn wake(&self) {
        self.woken.send_replace(());
    }

    /// Something has happened that the others should know of at once, and that may change what is to be done.
    pub(crate) fn stir(&self) {
        self.moved.send_replace(());
        self.wake();
    }

    /// Writes nothing more once a call that is under way has ended, and gives the permit back.
    pub async fn retire(&self) {
        self.stopping.send_replace(true);
        let limit = Duration::from_millis(self.parts.call_ms);
        let idle = async {
            while self.with(|mind| mind.is_writing()) {
                self.time.sleep(RETIRE_LOOK).await;
            }
        };
        if self.time.within(limit, idle).await.is_err() {
            return;
        }
        let release = self.with(|mind| mind.holder.release());
        self.with(|mind| mind.granter.release(&release));
        let peers = self.peers();
        futures::future::join_all(peers.values().map(|peer| self.parts.mouth.release(peer, &release))).await;
    }

    async fn sleep_until(&self, until_ms: Millis) {
        let wait_ms = until_ms.saturating_sub(self.now_ms());
        self.time.sleep(Duration::from_millis(wait_ms)).await;
    }

    async fn watch_scene(&self) {
        let mut sight = self.parts.sight.clone();
        loop {
            let seen = sight.borrow_and_update().scene.clone();
            if let Some(seen) = seen {
                let now_ms = self.now_ms();
                let is_new = self.with(|mind| mind.scene.as_ref() != Some(&seen));
                if is_new {
                    self.with(|mind| mind.see(now_ms, seen));
                    self.parts.health.scene_known();
                    self.wake();
                }
            }
            if sight.changed().await.is_err() {
                // Nobody looks at the cluster any more: what was last seen holds.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Since when the Kubernetes API has not answered for some part of what is looked at.
    fn kubernetes_lost_ms(&self) -> Option<Millis> {
        self.parts.sight.borrow().stale_since_ms
    }

    /// Other vantages that are known.
    fn peers(&self) -> BTreeMap<String, VantagePod> {
        let (scene, own) = self.with(|mind| (mind.scene.clone(), mind.me.pod.clone()));
        let pods = scene.map(|scene| scene.vantages.clone()).unwrap_or_default();
        pods.into_iter().filter(|(pod, _)| *pod != own).collect()
    }
}

/// What the others tell and what was left behind is older than a process that has just started. Its milliseconds begin so high
/// that all of this has its own moment there: it would else be as young as the process, and be told on as such.
const BEGINNING: Duration = Duration::from_hours(24);

/// Milliseconds of the clock that only goes forward, as all of one process count them.
pub fn ms(time: &Time) -> Millis {
    u64::try_from((BEGINNING + time.elapsed()).as_millis()).unwrap_or(u64::MAX)
}
