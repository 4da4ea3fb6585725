//! What is remembered from one decision to the next, by whoever decides.

use crate::{Millis, Policy, Target, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// All of it. A new holder of the pen takes it over; without it, nothing worse happens than a hold that ends early.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// By target.
    pub flaps: BTreeMap<Target, Flaps>,
    /// Which nodes were withdrawn, and when, because of what probes said: rule 3 counts these.
    pub withdrawn: Vec<(Millis, String)>,
    /// The last verdicts, and since when.
    pub verdicts: BTreeMap<Target, (Verdict, Millis)>,
}

/// Two that tell of one withdrawal may be so far apart.
const SAME_MS: Millis = 5_000;

/// How often a target was withdrawn and restored lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaps {
    /// So many withdrawals, each within the flap memory of the one before.
    pub count: u32,
    /// The last of them.
    pub last_ms: Millis,
}

impl Memory {
    /// Notes that a target is withdrawn because of what probes said.
    pub fn withdraw(&mut self, policy: &Policy, target: &Target, now_ms: Millis) {
        let flaps = self.flaps.get(target).copied().filter(|flaps| !flaps.forgotten(policy, now_ms));
        let count = flaps.map_or(1, |flaps| flaps.count.saturating_add(1));
        self.flaps.insert(target.clone(), Flaps { count, last_ms: now_ms });
        self.withdrawn.push((now_ms, target.node.clone()));
    }

    /// Takes in what somebody else remembers of withdrawals, told by another clock: what is known already stays as it is.
    pub fn learn(&mut self, other: &Memory) {
        for (at_ms, node) in &other.withdrawn {
            let is_known = |(known_ms, known): &(Millis, String)| known == node && known_ms.abs_diff(*at_ms) < SAME_MS;
            if !self.withdrawn.iter().any(is_known) {
                self.withdrawn.push((*at_ms, node.clone()));
            }
        }
        for (target, flaps) in &other.flaps {
            let own = self.flaps.entry(target.clone()).or_insert(*flaps);
            if own.last_ms.abs_diff(flaps.last_ms) < SAME_MS {
                own.count = own.count.max(flaps.count);
            } else if own.last_ms < flaps.last_ms {
                *own = *flaps;
            }
        }
    }

    /// When the target may come back.
    pub fn held_until_ms(&self, policy: &Policy, target: &Target) -> Option<Millis> {
        self.flaps.get(target).map(|flaps| flaps.last_ms + flaps.hold_ms(policy))
    }

    /// Nodes withdrawn for probes' sake within the window of rule 3.
    pub fn withdrawn_lately(&self, policy: &Policy, now_ms: Millis) -> BTreeSet<&str> {
        let lately = self.withdrawn.iter().filter(|(at_ms, _)| now_ms.saturating_sub(*at_ms) < policy.rate_window_ms);
        lately.map(|(_, node)| node.as_str()).collect()
    }

    /// Drops what no longer matters.
    pub fn forget(&mut self, policy: &Policy, now_ms: Millis) {
        self.withdrawn.retain(|(at_ms, _)| now_ms.saturating_sub(*at_ms) < policy.rate_window_ms);
        self.flaps.retain(|_, flaps| !flaps.forgotten(policy, now_ms));
    }
}

impl Flaps {
    fn hold_ms(self, policy: &Policy) -> Millis {
        let doublings = self.count.saturating_sub(1).min(16);
        policy.hold_ms.saturating_mul(1 << doublings).min(policy.hold_most_ms)
    }

    fn forgotten(self, policy: &Policy, now_ms: Millis) -> bool {
        now_ms.saturating_sub(self.last_ms) >= policy.flap_memory_ms.max(policy.hold_most_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Family;

    #[test]
    fn what_is_told_again_and_again_is_remembered_once_and_what_is_new_is_added() {
        let policy = Policy::default();
        let target = |node: &str| Target { node: node.into(), family: Family::V4 };
        let (mut here, mut there) = (Memory::default(), Memory::default());
        here.withdraw(&policy, &target("lily"), 10_000);
        for heard_ms in [10_000, 10_900, 11_800, 9_000] {
            let mut echo = Memory::default();
            echo.withdraw(&policy, &target("lily"), heard_ms);
            there.learn(&echo);
            here.learn(&echo);
        }
        assert_eq!((here.withdrawn.len(), there.withdrawn.len()), (1, 1));
        assert_eq!(here.flaps[&target("lily")], Flaps { count: 1, last_ms: 10_000 });
        there.withdraw(&policy, &target("rose"), 20_000);
        there.withdraw(&policy, &target("lily"), 80_000);
        here.learn(&there);
        assert_eq!(here.withdrawn_lately(&policy, 80_000).len(), 2);
        assert_eq!(here.flaps[&target("lily")], Flaps { count: 2, last_ms: 80_000 });
    }

    #[test]
    fn holds_double_up_to_a_quarter_of_an_hour_and_are_forgotten_after_an_hour() {
        let policy = Policy::default();
        let target = Target { node: "lily".into(), family: Family::V4 };
        let mut memory = Memory::default();
        let mut now_ms = 0;
        let mut holds = Vec::new();
        for _ in 0..6 {
            memory.withdraw(&policy, &target, now_ms);
            let until_ms = memory.held_until_ms(&policy, &target).unwrap();
            holds.push((until_ms - now_ms) / 60_000);
            now_ms = until_ms;
        }
        assert_eq!(holds, [1, 2, 4, 8, 15, 15]);
        now_ms += policy.flap_memory_ms;
        memory.withdraw(&policy, &target, now_ms);
        assert_eq!(memory.held_until_ms(&policy, &target), Some(now_ms + 60_000));
    }
}
