//! What one vantage sees: its probes of every ingress node's address, when they are due, and what they add up to.
//!
//! Synchronous: whoever runs it asks when something is due, begins what it is told to, and says how it ended.

use detect::{Local, Millis, Outcome, Policy, Report, Schedule, Target, Trust, Vantage, View};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Targets that have just come into sight are first probed within this, spread out.
const FIRST_WITHIN_MS: Millis = 500;

/// All targets of one vantage.
pub struct Eyes {
    policy: Policy,
    trust: Trust,
    targets: BTreeMap<Target, Eye>,
    out: BTreeMap<u64, Out>,
    next: u64,
    lag_ms: Millis,
}

struct Eye {
    address: IpAddr,
    schedule: Schedule,
    local: Local,
}

impl Eye {
    /// What nobody has seen serve yet is in no hurry to be withdrawn: a cluster that is only just coming up has its first
    /// answer at the next probe, and not three failures behind it.
    fn suspect(&mut self, policy: &Policy, began_ms: Millis) {
        if self.local.view() != View::Unknown {
            self.schedule.suspect(policy, began_ms);
        }
    }
}

/// A probe that is under way.
struct Out {
    target: Target,
    address: IpAddr,
    began_ms: Millis,
    suspect: bool,
}

/// A probe that shall begin now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// By which its end is told.
    pub probe: u64,
    /// Where to.
    pub address: IpAddr,
}

impl Eyes {
    /// Sees nothing yet. `anchors`: how many control probes there are.
    pub fn new(policy: Policy, anchors: usize) -> Self {
        Eyes { policy, trust: Trust::new(anchors), targets: BTreeMap::new(), out: BTreeMap::new(), next: 0, lag_ms: 0 }
    }

    /// What there is to be seen. An address that is new is looked at as if it were a new node's.
    pub fn look_at(&mut self, now_ms: Millis, addresses: &BTreeMap<Target, IpAddr>) {
        self.targets.retain(|target, eye| addresses.get(target) == Some(&eye.address));
        let step_ms = FIRST_WITHIN_MS / (addresses.len() as u64).max(1);
        for (at, (target, address)) in addresses.iter().enumerate() {
            let first_ms = now_ms + step_ms * at as u64;
            self.targets.entry(target.clone()).or_insert_with(|| Eye {
                address: *address,
                schedule: Schedule::new(first_ms),
                local: Local::new(now_ms),
            });
        }
    }

    /// When something is due: a probe, or a probe's becoming suspect.
    pub fn due_ms(&self) -> Option<Millis> {
        let probes = self.targets.values().map(|eye| eye.schedule.due_ms());
        let waiting = self.out.values().filter(|out| !out.suspect);
        probes.chain(waiting.map(|out| out.began_ms + self.policy.suspect_after_ms)).min()
    }

    /// Everything that is due. `draw` gives numbers from 0.0 to 1.0.
    pub fn begin(&mut self, now_ms: Millis, mut draw: impl FnMut() -> f64) -> Vec<Begin> {
        let before = self.suspects();
        for out in self.out.values_mut() {
            if !out.suspect && out.began_ms + self.policy.suspect_after_ms <= now_ms {
                out.suspect = true;
                if let Some(eye) = self.targets.get_mut(&out.target).filter(|eye| eye.address == out.address) {
                    eye.suspect(&self.policy, out.began_ms);
                }
            }
        }
        self.look_around(now_ms, &before);
        let mut begun = Vec::new();
        for (target, eye) in &mut self.targets {
            if eye.schedule.due_ms() > now_ms {
                continue;
            }
            eye.schedule.started(&self.policy, now_ms, draw());
            self.next += 1;
            let out = Out { target: target.clone(), address: eye.address, began_ms: now_ms, suspect: false };
            self.out.insert(self.next, out);
            begun.push(Begin { probe: self.next, address: eye.address });
        }
        begun
    }

    /// What fails on all nodes shall be seen on all of them before one is withdrawn: where one begins to look wrong, all the
    /// others are looked at.
    fn look_around(&mut self, now_ms: Millis, before: &BTreeSet<Target>) {
        let suspects = self.suspects();
        if suspects.is_subset(before) {
            return;
        }
        for (_, eye) in self.targets.iter_mut().filter(|(target, _)| !suspects.contains(target)) {
            eye.schedule.hasten(&self.policy, now_ms);
        }
    }

    /// A probe has ended. Returns its target, and whether the vantage has something else to say of it now.
    pub fn ended(&mut self, now_ms: Millis, probe: u64, outcome: Outcome) -> Option<(Target, bool)> {
        let suspects = self.suspects();
        let out = self.out.remove(&probe)?;
        let eye = self.targets.get_mut(&out.target).filter(|eye| eye.address == out.address)?;
        let said = |local: &Local| (local.view(), local.fails() > 0);
        let before = said(&eye.local);
        eye.local.observe(&self.policy, now_ms, outcome);
        match outcome {
            Outcome::Pass => eye.schedule.passed(),
            Outcome::Fail(_) => eye.suspect(&self.policy, out.began_ms),
        }
        let turned = said(&eye.local) != before;
        self.look_around(now_ms, &suspects);
        Some((out.target, turned))
    }

    /// The control probe of an anchor passed.
    pub fn control_passed(&mut self, anchor: usize, now_ms: Millis) {
        self.trust.control_passed(anchor, now_ms);
    }

    /// What was due ran so late.
    pub fn lag(&mut self, now_ms: Millis, lag_ms: Millis) {
        self.trust.lag(&self.policy, now_ms, lag_ms);
        self.lag_ms = lag_ms;
    }

    /// By how much what was due last ran late, in milliseconds.
    pub fn lag_ms(&self) -> Millis {
        self.lag_ms
    }

    /// Whether it may believe itself.
    pub fn trusts_itself(&self, now_ms: Millis) -> bool {
        self.trust.trusts_itself(&self.policy, now_ms)
    }

    /// Targets that look wrong, and are not yet sure to be.
    pub fn suspects(&self) -> BTreeSet<Target> {
        let failing = self.targets.iter().filter(|(_, eye)| eye.local.fails() > 0).map(|(target, _)| target);
        failing.chain(self.out.values().filter(|out| out.suspect).map(|out| &out.target)).cloned().collect()
    }

    /// Whether every target has been probed at least once.
    pub fn has_looked(&self) -> bool {
        self.targets.values().all(|eye| eye.local.view() != View::Unknown || eye.local.fails() > 0)
    }

    /// What the others are told.
    pub fn reports(&self, now_ms: Millis, vantage: &Vantage) -> Vec<Report> {
        let trusted = self.trusts_itself(now_ms);
        let suspects = self.suspects();
        let report = |(target, eye): (&Target, &Eye)| {
            let failing = suspects.contains(target);
            Report { failing, ..eye.local.report(vantage, target, trusted) }
        };
        self.targets.iter().map(report).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detect::{Cause, Family};

    fn target(node: &str) -> Target {
        Target { node: node.into(), family: Family::V4 }
    }

    fn sight(nodes: &[(&str, &str)]) -> BTreeMap<Target, IpAddr> {
        nodes.iter().map(|(node, address)| (target(node), address.parse().unwrap())).collect()
    }

    fn view(eyes: &Eyes, node: &str) -> Option<View> {
        let vantage = Vantage { node: "rose".into(), site: "hel1".into() };
        let reports = eyes.reports(0, &vantage);
        reports.into_iter().find(|report| report.target == target(node)).map(|report| report.view)
    }

    #[test]
    fn a_silent_node_is_down_at_one_vantage_within_ten_seconds() {
        let mut eyes = Eyes::new(Policy::default(), 0);
        eyes.look_at(0, &sight(&[("lily", "198.51.100.1")]));
        let mut answers: Vec<(Millis, u64, Outcome)> = Vec::new();
        let (mut now_ms, died_ms) = (0, 20_001);
        while view(&eyes, "lily") != Some(View::Down) {
            assert!(now_ms <= died_ms + 10_000, "still {:?}", view(&eyes, "lily"));
            for begin in eyes.begin(now_ms, || 0.5) {
                let answer = if now_ms >= died_ms {
                    (now_ms + 3_000, begin.probe, Outcome::Fail(Cause::Silent))
                } else {
                    (now_ms + 20, begin.probe, Outcome::Pass)
                };
                answers.push(answer);
            }
            answers.sort_by_key(|answer| answer.0);
            let next_ms = eyes.due_ms().unwrap().min(answers.first().map_or(Millis::MAX, |answer| answer.0));
            now_ms = next_ms.max(now_ms);
            while answers.first().is_some_and(|answer| answer.0 <= now_ms) {
                let (_, probe, outcome) = answers.remove(0);
                eyes.ended(now_ms, probe, outcome);
            }
        }
    }

    #[test]
    fn what_fails_before_it_has_ever_served_is_asked_again_at_its_time_and_up_at_once() {
        let mut eyes = Eyes::new(Policy::default(), 0);
        eyes.look_at(0, &sight(&[("lily", "198.51.100.1")]));
        let first = eyes.begin(0, || 0.0);
        assert!(!eyes.has_looked());
        eyes.ended(20, first[0].probe, Outcome::Fail(Cause::NoRoute));
        assert!(eyes.has_looked());
        assert_eq!((eyes.due_ms(), view(&eyes, "lily")), (Some(5_000), Some(View::Unknown)));
        let second = eyes.begin(5_000, || 0.0);
        eyes.ended(5_020, second[0].probe, Outcome::Pass);
        assert_eq!(view(&eyes, "lily"), Some(View::Up));
    }

    #[test]
    fn a_probe_of_an_address_that_a_node_no_longer_has_says_nothing() {
        let mut eyes = Eyes::new(Policy::default(), 0);
        eyes.look_at(0, &sight(&[("lily", "198.51.100.1")]));
        let begun = eyes.begin(0, || 0.0);
        eyes.look_at(10, &sight(&[("lily", "198.51.100.2")]));
        assert_eq!(eyes.ended(20, begun[0].probe, Outcome::Pass), None);
        assert_eq!(view(&eyes, "lily"), Some(View::Unknown));
        eyes.look_at(30, &sight(&[]));
        assert_eq!(view(&eyes, "lily"), None);
    }

    #[test]
    fn where_one_node_begins_to_look_wrong_all_are_looked_at_once() {
        let mut eyes = Eyes::new(Policy::default(), 0);
        eyes.look_at(0, &sight(&[("a", "198.51.100.1"), ("b", "198.51.100.2")]));
        let begun = [eyes.begin(0, || 0.0), eyes.begin(250, || 0.0)].concat();
        eyes.ended(260, begun[1].probe, Outcome::Pass);
        assert_eq!(eyes.ended(1_300, begun[0].probe, Outcome::Fail(Cause::Refused)), Some((target("a"), true)));
        let vantage = Vantage { node: "rose".into(), site: "hel1".into() };
        let failing = eyes.reports(1_300, &vantage).into_iter().map(|report| report.failing);
        assert_eq!(failing.collect::<Vec<_>>(), [true, false]);
        let also: Vec<IpAddr> = eyes.begin(1_300, || 0.0).iter().map(|begin| begin.address).collect();
        assert!(also.contains(&"198.51.100.2".parse().unwrap()), "{also:?}");
        assert_eq!(eyes.begin(1_310, || 0.0), []);
    }

    #[test]
    fn first_probes_are_spread_out_and_begin_soon() {
        let mut eyes = Eyes::new(Policy::default(), 0);
        eyes.look_at(1_000, &sight(&[("a", "198.51.100.1"), ("b", "198.51.100.2"), ("c", "198.51.100.3")]));
        assert_eq!(eyes.begin(1_000, || 0.0).len(), 1);
        assert_eq!(eyes.begin(1_499, || 0.0).len(), 2);
        assert!(!eyes.has_looked());
    }
}
