//! Objects become a scene.

use super::objects::Objects;
use super::{Scene, Settings, hosts, nodes, sites};
use detect::Millis;
use jiff::Timestamp;

/// One instant on both clocks: that of the world, in which people write, and the one that only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The world's.
    pub at: Timestamp,
    /// The other's.
    pub ms: Millis,
}

impl Now {
    /// A time to come on the clock that only goes forward; `None` if it is past.
    pub(super) fn ms_at(&self, at: Timestamp) -> Option<Millis> {
        let ahead_ms = u64::try_from(at.as_millisecond().saturating_sub(self.at.as_millisecond())).ok()?;
        (ahead_ms > 0).then(|| self.ms.saturating_add(ahead_ms))
    }
}

/// What all objects together say. [`Scene::unseen`] is left to those who know what was seen.
pub fn compose(objects: &Objects, settings: &Settings, now: Now) -> Scene {
    let mut complaints = Vec::new();
    let fleet = nodes::nodes(objects, settings, now, &mut complaints);
    let hosts = hosts::hosts(objects, settings, &mut complaints);
    let vantages = nodes::vantages(objects);
    complaints.sort_unstable();
    complaints.dedup();
    Scene {
        nodes: fleet.ingress,
        sites: sites::sites(&fleet.said, &fleet.behind, &vantages),
        hosts,
        vantages,
        complaints,
        ..Scene::default()
    }
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
