//! One watcher, running: it moves what happens to the [`Mind`], and does what the mind decides.
//!
//! ```text
//! look ── probes, control probes ──▶ ┌──────┐ ──turn──▶ hand ── read, write ──▶ Provider
//! scene ── informers ──────────────▶ │ Mind │ ──────────▶ face: status, counters, news
//! ears ── what peers say and ask ──▶ └──────┘ ──▶ mouth ── reports, asks ──▶ peers
//! ```
//!
//! All loops share one mind behind a lock that is never held across a wait.

mod ears;
mod hand;
mod look;

use crate::face::{Counters, Health};
use crate::mind::Mind;
use crate::permit::{Ask, Reply};
use crate::probe::Canary;
use crate::scene::{Sight, VantagePod};
use crate::status::{Happening, Status};
use crate::zone::Provider;
use async_trait::async_trait;
use detect::{Memory, Millis, Policy, Report, Vantage};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};
use wire::{Line, SharedWire, Target, Time};

/// How one vantage reaches the others.
#[async_trait]
pub trait Mouth: Send + Sync {
    /// Tells a peer what this vantage sees; whether it was heard. At most a second.
    async fn tell(&self, pod: &str, peer: &VantagePod, word: &Word) -> bool;

    /// Asks a peer for a permit; `None` if it does not answer within a second.
    async fn ask(&self, pod: &str, peer: &VantagePod, ask: &Ask) -> Option<Reply>;
}

/// What a vantage tells the others, in its own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The present in that clock.
    pub now_ms: Millis,
    /// Who it is.
    pub vantage: Vantage,
    /// Whether it trusts itself.
    pub trusted: bool,
    /// What it sees.
    pub reports: Vec<Report>,
    /// What the writer lets the others keep for it.
    pub memory: Option<Memory>,
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
    pub counters: Counters,
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
    woken: watch::Sender<()>,
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

    async fn sleep_until(&self, until_ms: Millis) {
        let wait_ms = until_ms.saturating_sub(self.now_ms());
        self.time.sleep(std::time::Duration::from_millis(wait_ms)).await;
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

/// Milliseconds since the clock was made.
pub fn ms(time: &Time) -> Millis {
    u64::try_from(time.elapsed().as_millis()).unwrap_or(u64::MAX)
}
