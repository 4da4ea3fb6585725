//! What is told.

use detect::{Cause, Flaps, Memory, Millis, Report, Target, Vantage, Verdict, View};
use serde::{Deserialize, Serialize};

/// One vantage's newest state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Whose.
    pub vantage: Vantage,
    /// Name of its pod.
    pub pod: String,
    /// What it sees.
    pub sights: Vec<Sight>,
    /// For how long it was last kept from running, in milliseconds.
    pub lag_ms: Millis,
    /// What it remembers, if it writes the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Recollection>,
}

/// A [`Report`] with ages instead of instants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// Of what.
    pub target: Target,
    /// What it sees.
    pub view: View,
    /// Why it sees no good.
    pub cause: Option<Cause>,
    /// Whether its last probe failed, or is not answered in time.
    #[serde(default)]
    pub failing: bool,
    /// How long ago it changed its mind, in milliseconds.
    pub since_age_ms: Millis,
    /// How long ago its last probe ended, in milliseconds.
    pub probed_age_ms: Millis,
    /// Whether it trusts itself.
    pub trusted: bool,
}

/// A [`Memory`] with ages instead of instants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recollection {
    /// Target, flaps, and the last one's age in milliseconds.
    pub flaps: Vec<(Target, u32, Millis)>,
    /// Age in milliseconds, and node.
    pub withdrawn: Vec<(Millis, String)>,
    /// Target, verdict, and its age in milliseconds.
    pub verdicts: Vec<(Target, Verdict, Millis)>,
}

impl Told {
    /// What this vantage's own reports are now.
    pub fn sights(reports: &[Report], now_ms: Millis) -> Vec<Sight> {
        let sight = |report: &Report| Sight {
            target: report.target.clone(),
            view: report.view,
            cause: report.cause,
            failing: report.failing,
            since_age_ms: now_ms.saturating_sub(report.since_ms),
            probed_age_ms: now_ms.saturating_sub(report.probed_ms),
            trusted: report.trusted,
        };
        reports.iter().map(sight).collect()
    }

    /// The reports by the clock of who was told. The message's own way is not counted: at most a second, for what takes longer is
    /// given up.
    pub fn reports(&self, now_ms: Millis) -> Vec<Report> {
        let report = |sight: &Sight| Report {
            vantage: self.vantage.clone(),
            target: sight.target.clone(),
            view: sight.view,
            cause: sight.cause,
            failing: sight.failing,
            since_ms: now_ms.saturating_sub(sight.since_age_ms),
            probed_ms: now_ms.saturating_sub(sight.probed_age_ms),
            trusted: sight.trusted,
        };
        self.sights.iter().map(report).collect()
    }
}

impl Recollection {
    /// What is remembered now.
    pub fn of(memory: &Memory, now_ms: Millis) -> Self {
        let age = |at_ms: Millis| now_ms.saturating_sub(at_ms);
        let flaps = memory.flaps.iter().map(|(target, flaps)| (target.clone(), flaps.count, age(flaps.last_ms)));
        let withdrawn = memory.withdrawn.iter().map(|(at_ms, node)| (age(*at_ms), node.clone()));
        let verdicts =
            memory.verdicts.iter().map(|(target, (verdict, since_ms))| (target.clone(), *verdict, age(*since_ms)));
        Recollection { flaps: flaps.collect(), withdrawn: withdrawn.collect(), verdicts: verdicts.collect() }
    }

    /// The same by another clock.
    pub fn memory(&self, now_ms: Millis) -> Memory {
        let at = |age_ms: Millis| now_ms.saturating_sub(age_ms);
        let flaps = self
            .flaps
            .iter()
            .map(|(target, count, age_ms)| (target.clone(), Flaps { count: *count, last_ms: at(*age_ms) }));
        let withdrawn = self.withdrawn.iter().map(|(age_ms, node)| (at(*age_ms), node.clone()));
        let verdicts = self.verdicts.iter().map(|(target, verdict, age_ms)| (target.clone(), (*verdict, at(*age_ms))));
        Memory { flaps: flaps.collect(), withdrawn: withdrawn.collect(), verdicts: verdicts.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ms;
    use detect::Family;
    use wire::{Rng, Time};

    #[tokio::test(start_paused = true)]
    async fn what_was_before_a_process_started_is_told_on_with_its_own_age() {
        let target = Target { node: "lily".into(), family: Family::V4 };
        let told = Recollection {
            flaps: vec![(target.clone(), 3, 3_000_000)],
            withdrawn: vec![(290_000, "lily".into())],
            verdicts: vec![(target, Verdict::Down, 290_000)],
        };
        let now_ms = ms(&Time::starting_at(jiff::Timestamp::UNIX_EPOCH, Rng::seeded(1)));
        assert_eq!(Recollection::of(&told.memory(now_ms), now_ms), told);
    }
}
