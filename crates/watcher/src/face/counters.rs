//! What has happened since this process began, counted for Prometheus.

use crate::status::{Happening, What};
use detect::{Cause, Outcome, Rule};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the probes' histogram, in milliseconds: from a neighbour's answer to the slowest timeout.
pub(super) const BOUNDS_MS: [u64; 10] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_000, 4_000];

/// Counts by what happened. Shared by all tasks of the process; it only grows.
#[derive(Debug, Default)]
pub struct Counters {
    provider_calls: AtomicU64,
    events_lost: AtomicU64,
    labelled: Mutex<Labelled>,
}

/// Counts that are kept apart by a label.
#[derive(Clone, Debug, Default)]
pub(super) struct Labelled {
    pub nodes: BTreeMap<String, NodeCounts>,
    pub held: BTreeMap<Rule, u64>,
    /// By the webhook's kind, and whether it was told.
    pub webhooks: BTreeMap<(&'static str, bool), u64>,
}

/// What happened to one node.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeCounts {
    /// `None`: it passed.
    pub outcomes: BTreeMap<Option<Cause>, u64>,
    /// Probes by how long they took: one count a bound, and one for the slower.
    pub took: [u64; BOUNDS_MS.len() + 1],
    pub took_sum: Duration,
    pub withdrawals: u64,
    pub restores: u64,
}

impl Counters {
    /// A probe of a node ended.
    pub fn probed(&self, node: &str, outcome: Outcome, took: Duration) {
        let cause = match outcome {
            Outcome::Pass => None,
            Outcome::Fail(cause) => Some(cause),
        };
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let slot = BOUNDS_MS.iter().position(|bound_ms| took_ms <= *bound_ms).unwrap_or(BOUNDS_MS.len());
        self.node(node, |counts| {
            *counts.outcomes.entry(cause).or_default() += 1;
            counts.took_sum += took;
            if let Some(count) = counts.took.get_mut(slot) {
                *count += 1;
            }
        });
    }

    /// The DNS provider was called so many times.
    pub fn provider_called(&self, calls: u64) {
        self.provider_calls.fetch_add(calls, Ordering::Relaxed);
    }

    /// A node's records were deleted or made, or a rule forbids it.
    pub fn happened(&self, happening: &Happening) {
        match happening.what {
            What::Withdrawn => self.node(&happening.subject, |counts| counts.withdrawals += 1),
            What::Restored => self.node(&happening.subject, |counts| counts.restores += 1),
            What::Held => {
                let Some(rule) = happening.rule else { return };
                self.labelled(|labelled| *labelled.held.entry(rule).or_default() += 1);
            }
            What::Names | What::Alert | What::Relief => {}
        }
    }

    /// A webhook of this kind was told, or could not be.
    pub fn told(&self, kind: &'static str, well: bool) {
        self.labelled(|labelled| *labelled.webhooks.entry((kind, well)).or_default() += 1);
    }

    /// Events that found no room, or that Kubernetes did not take.
    pub fn events_lost(&self, events: u64) {
        self.events_lost.fetch_add(events, Ordering::Relaxed);
    }

    /// Provider calls and lost Events so far.
    pub(super) fn plain(&self) -> (u64, u64) {
        (self.provider_calls.load(Ordering::Relaxed), self.events_lost.load(Ordering::Relaxed))
    }

    pub(super) fn by_label(&self) -> Labelled {
        self.labelled(|labelled| labelled.clone())
    }

    fn node(&self, node: &str, count: impl FnOnce(&mut NodeCounts)) {
        self.labelled(|labelled| match labelled.nodes.get_mut(node) {
            Some(counts) => count(counts),
            None => count(labelled.nodes.entry(node.to_owned()).or_default()),
        });
    }

    fn labelled<R>(&self, work: impl FnOnce(&mut Labelled) -> R) -> R {
        work(&mut self.labelled.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
