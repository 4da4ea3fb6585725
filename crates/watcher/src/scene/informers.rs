//! Informers: followers of the API, and the scene that they make together.
//!
//! ```text
//! follower: list in pages, then watch ──kept objects──▶ Shared ──50 ms──▶ compose ──if it differs──▶ Sight
//! ```
//!
//! Each follower owns one shelf of [`Objects`]. A relist replaces a shelf at its end, never while it runs; a failure leaves
//! it as it was and is told in [`Sight::troubles`]. Followers are not kube-runtime's `watcher`: that one hides when
//! a broken watch stands again, on which [`Sight::stale_since_ms`] hangs, and wants whole metadata in memory.

mod follower;

use super::compose::{Now, compose};
use super::objects::{Kept, Objects, Shelf};
use super::{PodSelector, Scene, Settings, Source};
use crate::process::ms;
use detect::Millis;
use follower::Follower;
use futures::future::{BoxFuture, join_all};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use wire::Time;

/// Changes that come in one breath make one scene; short beside the two seconds in which a drain must show.
const BREATH: Duration = Duration::from_millis(50);
/// The world's clock was set when the two clocks differ by more than they drift.
const CLOCK_SET_MS: i64 = 1000;

/// What is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watched {
    /// Nodes.
    Nodes,
    /// Pods of the ingress controller.
    IngressPods,
    /// The watcher's own pods.
    OwnPods,
    /// A kind that names come from.
    Routes(Source),
    /// Gateways, through which HTTPRoutes get their names.
    Gateways,
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Watched::Nodes => "nodes",
            Watched::IngressPods => "ingress pods",
            Watched::OwnPods => "own pods",
            Watched::Routes(Source::Ingress) => "ingresses",
            Watched::Routes(Source::IngressRoute) => "ingressroutes",
            Watched::Routes(Source::IngressRouteTcp) => "ingressroutetcps",
            Watched::Routes(Source::HttpRoute) => "httproutes",
            Watched::Gateways => "gateways",
        })
    }
}

impl Watched {
    /// The source that it is a part of. The others are the cluster itself, without which there is no scene.
    fn source(self) -> Option<Source> {
        match self {
            Watched::Nodes | Watched::IngressPods | Watched::OwnPods => None,
            Watched::Routes(source) => Some(source),
            Watched::Gateways => Some(Source::HttpRoute),
        }
    }
}

/// What is wrong with following something, for as long as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when, on the clock that only goes forward.
    pub since_ms: Millis,
    /// Whether the API refuses it to this account: then its role lacks a rule.
    pub is_forbidden: bool,
    /// What the API, or the way to it, said last.
    pub message: String,
}

/// What the informers see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The last whole scene; none until there was one. It outlives any trouble.
    pub scene: Option<Arc<Scene>>,
    /// Since when it may be behind, because the API does not answer for some part of it. A source that this account
    /// may not see does not count: it is only in `troubles`, and in [`Scene::unseen`] if it never was seen.
    pub stale_since_ms: Option<Millis>,
    /// What cannot be followed now.
    pub troubles: BTreeMap<Watched, Trouble>,
}

/// Followers of one cluster.
pub struct Informers {
    shared: Arc<Shared>,
    settings: Settings,
    sight: watch::Sender<Sight>,
}

/// What followers write and the scene is made from.
struct Shared {
    client: kube::Client,
    time: Time,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    objects: Objects,
    standings: BTreeMap<Watched, Standing>,
}

/// How far one follower has come.
#[derive(Default)]
struct Standing {
    /// Whether it had a whole list once, or was told that the API has no such kind.
    is_whole: bool,
    trouble: Option<Trouble>,
}

impl Shared {
    fn now_ms(&self) -> Millis {
        ms(&self.time)
    }

    /// Looks at the state or changes it; whoever changes what is seen says so by `true`.
    fn with(&self, change: impl FnOnce(&mut State) -> bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if change(&mut state) {
            self.changed.notify_one();
        }
    }
}

impl Informers {
    /// Nothing is asked before [`Informers::run`]. The client's answers must have heads that come in time: see
    /// [`wire::Channel`]; bodies may stream for ever.
    pub fn new(client: kube::Client, settings: Settings, time: Time) -> (Self, watch::Receiver<Sight>) {
        let (sight, seen) = watch::channel(Sight::default());
        let shared = Shared { client, time, state: Mutex::default(), changed: Notify::new() };
        (Informers { shared: Arc::new(shared), settings, sight }, seen)
    }

    /// Follows the cluster for ever; dropped, it has stopped.
    pub async fn run(self) {
        let followers = self.followers();
        let mut composer = Composer::new(&self);
        tokio::select! {
            biased;
            () = composer.run() => {}
            _ = join_all(followers) => {}
        }
    }

    fn followers(&self) -> Vec<BoxFuture<'static, ()>> {
        let mut all = vec![
            self.follower(Watched::Nodes, None, |objects| &mut objects.nodes),
            self.follower(Watched::IngressPods, Some(&self.settings.ingress_pods), |objects| &mut objects.ingress_pods),
            self.follower(Watched::OwnPods, Some(&self.settings.own_pods), |objects| &mut objects.own_pods),
        ];
        for source in &self.settings.sources {
            let watched = Watched::Routes(*source);
            all.push(match source {
                Source::Ingress => self.follower(watched, None, |objects| &mut objects.ingresses),
                Source::IngressRoute => self.follower(watched, None, |objects| &mut objects.ingress_routes),
                Source::IngressRouteTcp => self.follower(watched, None, |objects| &mut objects.ingress_route_tcps),
                Source::HttpRoute => self.follower(watched, None, |objects| &mut objects.http_routes),
            });
        }
        if self.settings.sources.contains(&Source::HttpRoute) {
            all.push(self.follower(Watched::Gateways, None, |objects| &mut objects.gateways));
        }
        all
    }

    fn follower<K: Kept>(
        &self,
        watched: Watched,
        pods: Option<&PodSelector>,
        shelf: fn(&mut Objects) -> &mut Shelf<K>,
    ) -> BoxFuture<'static, ()> {
        self.shared.with(|state| {
            state.standings.insert(watched, Standing::default());
            false
        });
        Box::pin(Follower::new(self.shared.clone(), watched, pods, shelf).run())
    }
}

/// Makes a scene whenever something has changed.
struct Composer<'a> {
    informers: &'a Informers,
    clock: Now,
}

impl<'a> Composer<'a> {
    fn new(informers: &'a Informers) -> Self {
        let shared = &informers.shared;
        Composer { informers, clock: Now { at: shared.time.now(), ms: shared.now_ms() } }
    }

    async fn run(&mut self) {
        let shared = &self.informers.shared;
        loop {
            shared.changed.notified().await;
            shared.time.sleep(BREATH).await;
            let before = self.informers.sight.borrow().scene.clone();
            let sight = self.look(before);
            self.informers.sight.send_if_modified(|held| {
                let differs = *held != sight;
                *held = sight;
                differs
            });
        }
    }

    fn look(&mut self, before: Option<Arc<Scene>>) -> Sight {
        let now = self.now();
        let mut sight = Sight { scene: before, ..Sight::default() };
        self.informers.shared.with(|state| {
            let standings = &state.standings;
            sight.troubles = standings.iter().filter_map(|(at, held)| Some((*at, held.trouble.clone()?))).collect();
            let makes_stale = |(at, trouble): &(&Watched, &Trouble)| at.source().is_none() || !trouble.is_forbidden;
            sight.stale_since_ms = sight.troubles.iter().filter(makes_stale).map(|(_, trouble)| trouble.since_ms).min();
            // A source that was answered with an error shall not keep the rest waiting.
            let is_settled =
                |at: &Watched, held: &Standing| held.is_whole || at.source().is_some() && held.trouble.is_some();
            if standings.iter().all(|(at, held)| is_settled(at, held)) {
                let mut scene = compose(&state.objects, &self.informers.settings, now);
                let unseen = standings.iter().filter(|(_, held)| !held.is_whole);
                scene.unseen = unseen.filter_map(|(at, _)| at.source()).collect();
                if sight.scene.as_deref() != Some(&scene) {
                    sight.scene = Some(Arc::new(scene));
                }
            }
            false
        });
        sight
    }

    /// The present, by one pair of clock readings for as long as neither clock is set: a pin's end must not wander by a
    /// millisecond from scene to scene, or each would differ from the last.
    fn now(&mut self) -> Now {
        let (at, ms) = (self.informers.shared.time.now(), self.informers.shared.now_ms());
        let gone = Duration::from_millis(ms.saturating_sub(self.clock.ms));
        let expected = self.clock.at.saturating_add(gone).unwrap_or(at);
        let off_ms = at.as_millisecond().saturating_sub(expected.as_millisecond());
        if off_ms.abs() > CLOCK_SET_MS {
            self.clock = Now { at, ms };
            return self.clock;
        }
        Now { at: expected, ms }
    }
}
