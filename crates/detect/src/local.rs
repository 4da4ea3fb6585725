//! One vantage's opinion of one target, from its own probes alone.

use crate::probe::{Cause, Outcome};
use crate::{Millis, Policy, Report, Target, Vantage};
use serde::{Deserialize, Serialize};

/// What a vantage sees of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    /// Too few probes yet.
    Unknown,
    /// It serves.
    Up,
    /// Failures in a row.
    Down,
    /// Failures again and again, with too few passes between them.
    Unstable,
}

/// What a vantage keeps of one target.
#[derive(Clone, Debug)]
pub struct Local {
    view: View,
    since_ms: Millis,
    probed_ms: Millis,
    cause: Option<Cause>,
    fails: u32,
    passes: u32,
    /// Failures since the last steady stretch, or since it was last down, as gdnsd counts them.
    unsteady: u32,
}

impl Local {
    /// Nothing is known yet.
    pub fn new(now_ms: Millis) -> Self {
        Local {
            view: View::Unknown,
            since_ms: now_ms,
            probed_ms: now_ms,
            cause: None,
            fails: 0,
            passes: 0,
            unsteady: 0,
        }
    }

    /// Takes in a probe that ended at `now_ms`.
    pub fn observe(&mut self, policy: &Policy, now_ms: Millis, outcome: Outcome) {
        self.probed_ms = now_ms;
        let view = match outcome {
            Outcome::Pass => self.pass(policy),
            Outcome::Fail(cause) => self.fail(policy, cause),
        };
        if view != self.view {
            self.view = view;
            self.since_ms = now_ms;
        }
    }

    fn pass(&mut self, policy: &Policy) -> View {
        self.fails = 0;
        self.passes = self.passes.saturating_add(1);
        if self.passes >= policy.steady_after {
            self.unsteady = 0;
        }
        match self.view {
            View::Unknown => View::Up,
            // The failures that made it down have been told. Did they count on, one lost probe would be an opinion, before anybody
            // could look whether the others fail as well.
            View::Down if self.passes >= policy.up_after => {
                self.unsteady = 0;
                View::Up
            }
            View::Up if self.unsteady >= policy.unstable_after => View::Unstable,
            // What could not hold still must first do so for longer.
            View::Unstable if self.passes >= policy.up_after.max(policy.steady_after) => View::Up,
            view => view,
        }
    }

    fn fail(&mut self, policy: &Policy, cause: Cause) -> View {
        self.passes = 0;
        self.cause = Some(cause);
        self.fails = self.fails.saturating_add(1);
        self.unsteady = self.unsteady.saturating_add(1);
        match self.view {
            View::Unknown | View::Up | View::Unstable if self.fails >= policy.down_after => View::Down,
            view => view,
        }
    }

    /// What it sees.
    pub fn view(&self) -> View {
        self.view
    }

    /// Failures in a row.
    pub fn fails(&self) -> u32 {
        self.fails
    }

    /// What the others are told.
    pub fn report(&self, vantage: &Vantage, target: &Target, trusted: bool) -> Report {
        Report {
            vantage: vantage.clone(),
            target: target.clone(),
            view: self.view,
            cause: self.cause.filter(|_| matches!(self.view, View::Down | View::Unstable)),
            failing: self.fails > 0,
            since_ms: self.since_ms,
            probed_ms: self.probed_ms,
            trusted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FAIL: Outcome = Outcome::Fail(Cause::Silent);

    fn after(outcomes: &[Outcome]) -> View {
        let mut local = Local::new(0);
        for (at, outcome) in (0..).zip(outcomes) {
            local.observe(&Policy::default(), at, *outcome);
        }
        local.view()
    }

    #[test]
    fn two_lost_probes_are_not_down_and_three_are() {
        assert_eq!(after(&[Outcome::Pass, FAIL, FAIL]), View::Up);
        assert_eq!(after(&[Outcome::Pass, FAIL, FAIL, FAIL]), View::Down);
        assert_eq!(after(&[FAIL, FAIL]), View::Unknown);
    }

    #[test]
    fn five_passes_after_a_failure_are_not_up_and_six_are() {
        let down = [FAIL; 3];
        assert_eq!(after(&[&down[..], &[Outcome::Pass; 5]].concat()), View::Down);
        assert_eq!(after(&[&down[..], &[Outcome::Pass; 6]].concat()), View::Up);
    }

    #[test]
    fn every_second_probe_lost_is_unstable_and_stays_so_until_it_is_steady() {
        let flapping = [Outcome::Pass, FAIL].repeat(10);
        assert_eq!(after(&[&flapping[..], &[Outcome::Pass; 1]].concat()), View::Unstable);
        assert_eq!(after(&[&flapping[..], &[Outcome::Pass; 9]].concat()), View::Unstable);
        assert_eq!(after(&[&flapping[..], &[Outcome::Pass; 10]].concat()), View::Up);
    }

    #[test]
    fn one_failure_is_no_opinion_however_many_there_were_before() {
        let outage = [&[Outcome::Pass][..], &[FAIL; 20], &[Outcome::Pass; 6]].concat();
        assert_eq!(after(&[&outage[..], &[FAIL; 2]].concat()), View::Up);
        assert_eq!(after(&[&outage[..], &[FAIL; 3]].concat()), View::Down);
        let flapping = [Outcome::Pass, FAIL].repeat(9);
        assert_eq!(after(&[&flapping[..], &[Outcome::Pass], &[FAIL; 2]].concat()), View::Up);
    }

    proptest! {
        #[test]
        fn nothing_is_up_without_a_pass_nor_down_without_its_failures(passes in prop::collection::vec(any::<bool>(), 0..200)) {
            let mut local = Local::new(0);
            let policy = Policy::default();
            let mut tail = 0;
            for (at, pass) in (0..).zip(&passes) {
                local.observe(&policy, at, if *pass { Outcome::Pass } else { FAIL });
                tail = if *pass { 0 } else { tail + 1 };
                match local.view() {
                    View::Up => prop_assert!(passes.contains(&true) && tail < policy.down_after),
                    View::Down => prop_assert!(passes.iter().filter(|pass| !**pass).count() >= 3),
                    View::Unstable => prop_assert!(passes.iter().filter(|pass| !**pass).count() >= 10),
                    View::Unknown => prop_assert!(!passes[..=usize::try_from(at).unwrap()].contains(&true)),
                }
                if tail >= policy.down_after {
                    prop_assert_eq!(local.view(), View::Down);
                }
            }
        }
    }
}
