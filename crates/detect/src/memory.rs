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
