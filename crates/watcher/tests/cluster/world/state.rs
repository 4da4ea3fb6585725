//! What is so in the world.

use super::zone::Zone;
use super::{address, api, name};
use detect::{Hint, Millis};
use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;
use watcher::scene::Scene;

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
    /// Directed paths between nodes that lose everything.
    pub cut: BTreeSet<(usize, usize)>,
    /// Nodes that reach nothing but themselves.
    pub lonely: BTreeSet<usize>,
    /// How long a message between vantages is on its way, in milliseconds.
    pub peer_ms: (u64, u64),
    /// Nodes that do not reach the API, and those whose informers show no node at all.
    pub api_cut: BTreeSet<usize>,
    pub blank: BTreeSet<usize>,
    pub api_up: bool,
    /// Vantages that are kept from running.
    pub stalled: BTreeSet<usize>,
    pub(super) wakers: Vec<Waker>,
    pub scene: Scene,
    pub(super) lease: api::Kept,
    pub zone: Zone,
    /// What broke a rule.
    pub broken: Vec<String>,
    /// Nodes that nobody saw anything wrong with, and that have ceased to serve with all others at one moment, and when; until
    /// one serves again.
    pub(super) fell: (Millis, BTreeSet<usize>),
    /// When the cluster last said of a node that it leaves.
    pub(super) hinted: BTreeMap<usize, Millis>,
    /// Since when fewer than half of the nodes serve.
    pub(super) sick_since_ms: Option<Millis>,
    /// When a watcher's process last ended.
    pub crashed_ms: Millis,
}

impl State {
    /// All serve, and the zone holds nothing of ours.
    pub(super) fn new(nodes: usize, scene: Scene) -> Self {
        State {
            ingress: vec![Ingress::Serves; nodes],
            up: vec![true; nodes],
            cut: BTreeSet::new(),
            lonely: BTreeSet::new(),
            peer_ms: (5, 40),
            api_cut: BTreeSet::new(),
            blank: BTreeSet::new(),
            api_up: true,
            stalled: BTreeSet::new(),
            wakers: Vec::new(),
            scene,
            lease: api::Kept::default(),
            zone: Zone::default(),
            broken: Vec::new(),
            fell: (0, BTreeSet::new()),
            hinted: BTreeMap::new(),
            sick_since_ms: None,
            crashed_ms: 0,
        }
    }

    /// Changes something, and remembers what the rules will have to know of it.
    pub(super) fn change<T>(
        &mut self,
        now_ms: Millis,
        seen_well: &BTreeSet<usize>,
        act: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = self.serving();
        let leaving: Vec<usize> = (0..self.up.len()).filter(|node| self.leaves(*node)).collect();
        self.hinted.extend(leaving.into_iter().map(|node| (node, now_ms)));
        let done = act(self);
        match (before.is_empty(), self.serving().is_empty()) {
            (false, true) => self.fell = (now_ms, &before & seen_well),
            (_, false) => self.fell.1.clear(),
            _ => {}
        }
        let is_sick = self.serving().len() * 2 < self.up.len();
        self.sick_since_ms = is_sick.then(|| self.sick_since_ms.unwrap_or(now_ms));
        done
    }

    pub(super) fn delivers(&self, from: usize, to: usize) -> bool {
        let cut = self.cut.contains(&(from, to)) || self.lonely.contains(&from) || self.lonely.contains(&to);
        from == to || self.up[from] && self.up[to] && !cut
    }

    /// Whether a connection comes about.
    pub(super) fn reaches(&self, from: usize, to: usize) -> bool {
        self.delivers(from, to) && self.delivers(to, from)
    }

    pub(super) fn is_online(&self, node: usize) -> bool {
        self.up[node] && !self.lonely.contains(&node)
    }

    pub(super) fn reaches_api(&self, node: usize) -> bool {
        self.api_up && self.is_online(node) && !self.api_cut.contains(&node)
    }

    /// Whether the cluster says of a node that it leaves.
    pub(super) fn leaves(&self, node: usize) -> bool {
        leaves(&self.scene, node)
    }

    /// Nodes that clients are served by.
    pub fn serving(&self) -> BTreeSet<usize> {
        (0..self.up.len()).filter(|node| self.is_online(*node) && self.ingress[*node] == Ingress::Serves).collect()
    }

    /// Nodes whose address is in the pool.
    pub fn published(&self) -> BTreeSet<usize> {
        (0..self.up.len()).filter(|node| self.zone.holds(address(*node))).collect()
    }
}

pub(super) fn leaves(scene: &Scene, node: usize) -> bool {
    let hint = scene.nodes.get(&name(node)).and_then(|node| node.hint);
    matches!(hint, Some(Hint::Leaving | Hint::Terminating))
}
