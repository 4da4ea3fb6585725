//! The Lease `bouquet-watcher`: whose turn it is, and the roll of vantages.
//!
//! ```text
//! Leases::read ──LeaseView──▶ Candidacy::saw ──▶ Candidacy::next ──Step──▶ Candidacy::draft ──▶ Leases::write
//! ```
//!
//! Deciding is client-go's: a Lease is another's for as long as its duration after *our own clock* last saw it change, so that
//! no two clocks are compared; the times written into it are for people. It is changed by compare-and-swap alone. Where
//! permits are in force the Lease only names the candidate and carries the roll; with fewer than three vantages it is all there is: see
//! [`crate::permit`].
//!
//! A Lease that somebody deleted, or whose roll is lost or older than is known, is mended by whoever knows the roll. Who
//! knows none founds one only after it has been missing for a whole duration, in which any holder would have mended it.

mod api;

pub use api::{LeaseApi, LeaseTrouble, Leases};

use crate::permit::Roll;
use detect::Millis;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;
use std::collections::BTreeSet;

/// Name of the Lease, in the watcher's namespace.
pub const LEASE: &str = "bouquet-watcher";
/// The annotation that holds the roll, as JSON.
pub const ROLL_ANNOTATION: &str = "bouquet.dev/roll";

/// Who has never seen a Lease looks so often before it makes one: whoever knows the roll has then made it anew, twice over.
const FOUNDING_RETRIES: Millis = 3;

/// How long what lasts, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// A taker waits this long without a change.
    pub duration_ms: Millis,
    /// A holder stops so long after it sent its last renewal that succeeded. Less than the duration by more than clocks part.
    pub renew_deadline_ms: Millis,
    /// Between two renewals, and between two looks.
    pub retry_ms: Millis,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        LeaseTimes { duration_ms: 15_000, renew_deadline_ms: 10_000, retry_ms: 2_000 }
    }
}

impl LeaseTimes {
    /// For those who would rather err than wait.
    pub fn fast() -> Self {
        LeaseTimes { duration_ms: 5_000, renew_deadline_ms: 3_000, retry_ms: 1_000 }
    }
}

/// The Lease as it was read or written.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseView {
    /// Who has it; `None` if it was released.
    pub holder: Option<String>,
    /// How long its holder said that it lasts.
    pub duration_ms: Millis,
    /// The roll, if there is one that can be read.
    pub roll: Option<Roll>,
    object: Lease,
}

impl LeaseView {
    /// What matters of the object.
    pub fn of(object: Lease) -> Self {
        let spec = object.spec.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
        let annotations = object.metadata.annotations.as_ref();
        let roll: Option<Roll> =
            annotations.and_then(|all| all.get(ROLL_ANNOTATION)).and_then(|text| serde_json::from_str(text).ok());
        LeaseView {
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            duration_ms: seconds.saturating_mul(1_000),
            roll: roll.filter(|roll| roll.generation > 0 && !roll.members.is_empty()),
            object,
        }
    }

    fn version(&self) -> Option<&str> {
        self.object.metadata.resource_version.as_deref()
    }
}

/// What to do about the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make it: there is none.
    Make,
    /// It is ours: say so again.
    Renew,
    /// It is nobody's, or its holder is taken for dead.
    Take,
    /// Look again then.
    Wait {
        /// At the latest.
        until_ms: Millis,
    },
}

/// One vantage's view of the Lease over time.
#[derive(Clone, Debug)]
pub struct Candidacy {
    own: String,
    times: LeaseTimes,
    /// The Lease as last read, and when it was first seen to be so.
    seen: Option<(LeaseView, Millis)>,
    /// Since when there is no Lease, or none with a roll.
    missing_ms: Option<Millis>,
    /// The highest roll ever seen.
    known: Option<Roll>,
    /// Who would be on the first roll.
    founders: BTreeSet<String>,
    /// When the last write that succeeded was sent.
    renewed_ms: Option<Millis>,
}

impl Candidacy {
    /// Of the pod of this name.
    pub fn new(own: &str, times: LeaseTimes) -> Self {
        let founders = BTreeSet::from([own.to_owned()]);
        Candidacy { own: own.to_owned(), times, seen: None, missing_ms: None, known: None, founders, renewed_ms: None }
    }

    /// Who is heard now: with this one they are the first roll, if there has never been one.
    pub fn hears(&mut self, others: BTreeSet<String>) {
        self.founders = others;
        self.founders.insert(self.own.clone());
    }

    /// Takes note of a reading; `None`: there is no Lease.
    pub fn saw(&mut self, now_ms: Millis, view: Option<LeaseView>) {
        let roll = view.as_ref().and_then(|view| view.roll.clone());
        self.missing_ms = if roll.is_some() { None } else { self.missing_ms.or(Some(now_ms)) };
        if roll.as_ref().map_or(0, |roll| roll.generation) > self.known.as_ref().map_or(0, |roll| roll.generation) {
            self.known = roll;
        }
        let is_same = |before: &LeaseView, view: &LeaseView| before.version() == view.version();
        let before = self.seen.take();
        self.seen = view.map(|view| match before {
            Some((before, since_ms)) if is_same(&before, &view) => (view, since_ms),
            _ => (view, now_ms),
        });
    }

    /// What to do. `aside`: another has a permit that lasts, or is better placed; a Lease that is nobody's is then left to it.
    pub fn next(&self, now_ms: Millis, aside: bool) -> Step {
        let retry_ms = now_ms + self.times.retry_ms;
        let founding_ms =
            self.missing_ms.filter(|_| self.known.is_none()).map(|ms| ms + FOUNDING_RETRIES * self.times.retry_ms);
        if let Some(until_ms) = founding_ms.filter(|until_ms| now_ms < *until_ms) {
            return Step::Wait { until_ms: until_ms.min(retry_ms) };
        }
        let Some((view, since_ms)) = &self.seen else {
            return if aside || self.missing_ms.is_none() { Step::Wait { until_ms: retry_ms } } else { Step::Make };
        };
        let free_ms = since_ms + view.duration_ms;
        match &view.holder {
            Some(holder) if *holder == self.own => Step::Renew,
            Some(_) if now_ms < free_ms => Step::Wait { until_ms: free_ms.min(retry_ms) },
            _ if aside => Step::Wait { until_ms: retry_ms },
            _ => Step::Take,
        }
    }

    /// The roll to go by: the highest ever seen.
    pub fn roll(&self) -> Option<&Roll> {
        self.known.as_ref()
    }

    /// Who has the Lease as last seen.
    pub fn holder(&self) -> Option<&str> {
        self.seen.as_ref().and_then(|(view, _)| view.holder.as_deref())
    }

    /// The object to write for a step, over the one last read: with this roll, if it is to change, else with the one that is known.
    /// `wall` is what people will read. `None` where the step is to wait, or there is nothing to write over.
    pub fn draft(&self, step: &Step, change: Option<&Roll>, wall: Timestamp) -> Option<Lease> {
        let before = self.seen.as_ref().map(|(view, _)| view.object.clone());
        let mut object = match step {
            Step::Wait { .. } => return None,
            Step::Make => {
                Lease { metadata: ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() }, spec: None }
            }
            Step::Renew | Step::Take => before?,
        };
        let spec = object.spec.get_or_insert_default();
        if *step != Step::Renew {
            let transitions = spec.lease_transitions.map_or(0, |count| count.saturating_add(1));
            let acquire_time = Some(MicroTime(wall));
            *spec = LeaseSpec { acquire_time, lease_transitions: Some(transitions), ..spec.clone() };
        }
        spec.holder_identity = Some(self.own.clone());
        spec.lease_duration_seconds = i32::try_from(self.times.duration_ms / 1_000).ok();
        spec.renew_time = Some(MicroTime(wall));
        let founded = Roll::founded_by(self.founders.clone());
        let roll = change.or(self.known.as_ref()).unwrap_or(&founded);
        let json = serde_json::to_string(roll).ok()?;
        object.metadata.annotations.get_or_insert_default().insert(ROLL_ANNOTATION.to_owned(), json);
        Some(object)
    }

    /// The object that gives the Lease back, as client-go does it; `None` if it is not ours.
    pub fn draft_release(&self, wall: Timestamp) -> Option<Lease> {
        let (view, _) = self.seen.as_ref().filter(|(view, _)| view.holder.as_ref() == Some(&self.own))?;
        let mut object = view.object.clone();
        let spec = object.spec.get_or_insert_default();
        // The API server refuses an empty name; client-go leaves it out too.
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(wall));
        Some(object)
    }

    /// A write that was sent at `sent_ms` has succeeded.
    pub fn wrote(&mut self, sent_ms: Millis, now_ms: Millis, view: LeaseView) {
        self.renewed_ms = (view.holder.as_ref() == Some(&self.own)).then_some(sent_ms);
        self.saw(now_ms, Some(view));
    }

    /// Until when the Lease is ours for certain: what [`crate::permit::Holder::renewed`] is told.
    pub fn held_until(&self) -> Option<Millis> {
        let is_own = self.holder() == Some(self.own.as_str());
        self.renewed_ms.filter(|_| is_own).map(|sent_ms| sent_ms + self.times.renew_deadline_ms)
    }
}

#[cfg(test)]
mod tests;
