//! Whether a vantage may believe itself: most false alarms come from a sick observer (Lifeguard, arXiv 1707.00788).

use crate::{Millis, Policy};

/// What a vantage knows of its own health.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// When each control probe last passed; the anchors have nothing to do with the cluster or with each other.
    control_ms: Vec<Option<Millis>>,
    lagged_ms: Option<Millis>,
}

impl Trust {
    /// So many anchors are probed.
    pub fn new(anchors: usize) -> Self {
        Trust { control_ms: vec![None; anchors], lagged_ms: None }
    }

    /// The control probe of that anchor passed.
    pub fn control_passed(&mut self, anchor: usize, now_ms: Millis) {
        if let Some(last_ms) = self.control_ms.get_mut(anchor) {
            *last_ms = Some(now_ms);
        }
    }

    /// A task that was due ran `lag_ms` late.
    pub fn lag(&mut self, policy: &Policy, now_ms: Millis, lag_ms: Millis) {
        if lag_ms > policy.lag_most_ms {
            self.lagged_ms = Some(now_ms);
        }
    }

    /// Rule 4: every anchor has answered lately, and nothing kept this process from running while its probes were out. Where no
    /// anchors are set, the lag alone decides.
    pub fn trusts_itself(&self, policy: &Policy, now_ms: Millis) -> bool {
        let fresh =
            |last_ms: &Option<Millis>| last_ms.is_some_and(|last| now_ms.saturating_sub(last) <= policy.control_ms);
        let steady = self.lagged_ms.is_none_or(|lagged| now_ms.saturating_sub(lagged) > policy.timeout_ms);
        steady && self.control_ms.iter().all(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_reach_an_anchor_distrusts_itself() {
        let policy = Policy::default();
        let mut trust = Trust::new(2);
        assert!(!trust.trusts_itself(&policy, 0));
        trust.control_passed(0, 1_000);
        assert!(!trust.trusts_itself(&policy, 1_000));
        trust.control_passed(1, 1_000);
        assert!(trust.trusts_itself(&policy, 16_000));
        assert!(!trust.trusts_itself(&policy, 16_001));
    }

    #[test]
    fn who_was_kept_from_running_distrusts_what_it_measured_meanwhile() {
        let policy = Policy::default();
        let mut trust = Trust::new(0);
        trust.lag(&policy, 10_000, 500);
        assert!(trust.trusts_itself(&policy, 10_000));
        trust.lag(&policy, 10_000, 501);
        assert!(!trust.trusts_itself(&policy, 14_000));
        assert!(trust.trusts_itself(&policy, 14_001));
    }
}
