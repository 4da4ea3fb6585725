//! When to probe: at intervals, and twice more as soon as something looks wrong.

use crate::{Millis, Policy};

/// One target's probes at one vantage.
///
/// Jitter only shortens an interval, so that the worst time to notice is what the policy says. A probe that fails, or is
/// not answered soon, starts two more; they overlap with it and with each other, so that three failures of a silent node take
/// one timeout and two gaps, not three timeouts.
#[derive(Clone, Debug)]
pub struct Schedule {
    next_ms: Millis,
    /// When the last one began.
    began_ms: Option<Millis>,
    extra_ms: Vec<Millis>,
    /// Suspicion goes on: no third and fourth extra probe for the same trouble.
    suspected: bool,
}

impl Schedule {
    /// The first probe is due at `first_ms`; spread those of many targets over an interval.
    pub fn new(first_ms: Millis) -> Self {
        Schedule { next_ms: first_ms, began_ms: None, extra_ms: Vec::new(), suspected: false }
    }

    /// When the next probe is due.
    pub fn due_ms(&self) -> Millis {
        self.extra_ms.first().copied().unwrap_or(Millis::MAX).min(self.next_ms)
    }

    /// A probe starts now; `draw` is from 0.0 to 1.0.
    pub fn started(&mut self, policy: &Policy, now_ms: Millis, draw: f64) {
        if self.extra_ms.first().is_some_and(|&extra_ms| extra_ms <= now_ms) {
            self.extra_ms.remove(0);
        }
        self.began_ms = Some(now_ms);
        if self.next_ms <= now_ms {
            self.next_ms = now_ms + shortened(policy, draw);
        }
    }

    /// The probe that began at `began_ms` failed, or is unanswered for [`Policy::suspect_after_ms`].
    pub fn suspect(&mut self, policy: &Policy, began_ms: Millis) {
        if !self.suspected {
            self.suspected = true;
            self.extra_ms = vec![began_ms + policy.suspect_gap_ms, began_ms + 2 * policy.suspect_gap_ms];
        }
    }

    /// Something is wrong elsewhere: unless it is suspected itself, it is looked at now, or a gap after its last probe, lest
    /// several that begin together be counted as failures in a row.
    pub fn hasten(&mut self, policy: &Policy, now_ms: Millis) {
        if !self.suspected {
            let gap_ms = self.began_ms.map_or(0, |began_ms| began_ms + policy.suspect_gap_ms);
            self.next_ms = self.next_ms.min(now_ms.max(gap_ms));
        }
    }

    /// A probe passed.
    pub fn passed(&mut self) {
        self.suspected = false;
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "intervals are seconds"
)]
fn shortened(policy: &Policy, draw: f64) -> Millis {
    let share = (policy.jitter * draw).clamp(0.0, 0.9);
    (policy.interval_ms as f64 * (1.0 - share)) as Millis
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// From a target's silence at `at_ms` to its third failure.
    fn noticed_ms(policy: &Policy, at_ms: Millis, refused: bool, draw: f64) -> Millis {
        let mut schedule = Schedule::new(0);
        let mut failed = Vec::new();
        while failed.len() < 3 {
            let now_ms = schedule.due_ms();
            schedule.started(policy, now_ms, draw);
            if now_ms >= at_ms {
                schedule.suspect(policy, now_ms);
                failed.push(now_ms + if refused { 0 } else { policy.connect_timeout_ms });
            }
        }
        failed[2] - at_ms
    }

    proptest! {
        #[test]
        fn silence_is_noticed_within_an_interval_two_gaps_and_a_timeout(at_ms in 1..60_000_u64, draw in 0.0..1.0) {
            let policy = Policy::default();
            prop_assert!(noticed_ms(&policy, at_ms, false, draw) <= 10_000);
            prop_assert!(noticed_ms(&policy, at_ms, true, draw) <= 7_000);
            let fast = Policy::fast();
            prop_assert!(noticed_ms(&fast, at_ms, false, draw) <= 2_400);
            prop_assert!(noticed_ms(&fast, at_ms, true, draw) <= 1_600);
        }

        #[test]
        fn jitter_only_shortens(draw in 0.0..1.0) {
            let mut schedule = Schedule::new(0);
            schedule.started(&Policy::default(), 0, draw);
            prop_assert!((4_000..=5_000).contains(&schedule.due_ms()));
        }
    }

    #[test]
    fn what_is_hastened_again_and_again_is_looked_at_once_a_gap() {
        let policy = Policy::default();
        let mut schedule = Schedule::new(0);
        schedule.started(&policy, 0, 0.0);
        for now_ms in 0..1_000 {
            schedule.hasten(&policy, now_ms);
            assert_eq!(schedule.due_ms(), 1_000);
        }
        schedule.started(&policy, 1_000, 0.0);
        assert_eq!(schedule.due_ms(), 6_000);
        schedule.hasten(&policy, 3_000);
        assert_eq!(schedule.due_ms(), 3_000);
        schedule.started(&policy, 3_000, 0.0);
        schedule.suspect(&policy, 3_000);
        schedule.hasten(&policy, 3_500);
        assert_eq!(schedule.due_ms(), 4_000, "what is suspected has a pace of its own");
    }

    #[test]
    fn one_trouble_starts_two_more_probes_and_no_more() {
        let policy = Policy::default();
        let mut schedule = Schedule::new(0);
        schedule.started(&policy, 0, 0.0);
        schedule.suspect(&policy, 0);
        for expected_ms in [1_000, 2_000, 5_000, 10_000] {
            let now_ms = schedule.due_ms();
            assert_eq!(now_ms, expected_ms);
            schedule.started(&policy, now_ms, 0.0);
            schedule.suspect(&policy, now_ms);
        }
        schedule.passed();
        schedule.suspect(&policy, 10_000);
        assert_eq!(schedule.due_ms(), 11_000);
    }
}
