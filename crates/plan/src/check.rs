use crate::observed::{Formation, Observed};
use crate::steps::{Plan, Step, Verb};
use std::collections::BTreeSet;

/// An invariant that a plan would break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A step changes or removes something without our mark.
    #[error("{0} would touch what does not bear the cluster's mark")]
    Unmarked(String),
    /// etcd would be bootstrapped a second time.
    #[error("{0} would bootstrap a cluster that has been bootstrapped")]
    SecondBootstrap(String),
    /// More than one bootstrap in one plan.
    #[error("{0} is not the only bootstrap in the plan")]
    TwoBootstraps(String),
    /// Two steps make something of the same name, or a name that is taken.
    #[error("{0} would make a second one of the same name")]
    Duplicate(String),
    /// A step waits for one that is not before it.
    #[error("{0} waits for {1}, which is not before it")]
    Disorder(String, String),
    /// A machine is made on something that is neither there nor made before.
    #[error("{0} stands on {1}, which is neither there nor made before it")]
    NoGround(String, String),
    /// More than half of etcd's voters would be taken away.
    #[error("{0} would lose etcd's quorum")]
    Quorum(String),
}

/// Holds a plan against every invariant. A plan of [`crate::make`] or [`crate::destroy`] breaks none; this is for plans
/// from files, for tests, and against our own mistakes.
pub fn check(plan: &Plan, observed: &Observed) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut made = BTreeSet::new();
    let mut bootstraps = 0;
    let voters = observed.nodes.values().filter(|node| node.etcd == Some(true)).count();
    let mut lost = 0;
    for planned in &plan.steps {
        let id = planned.id.clone();
        for need in planned.after.iter().filter(|need| !done.contains(need.as_str())) {
            broken.push(Broken::Disorder(id.clone(), need.clone()));
        }
        done.insert(&planned.id);
        match &planned.step {
            Step::CreateResource { wanted } | Step::LaunchMachine { wanted, .. } => {
                let there = observed.found().any(|found| found.key == wanted.key && found.ours);
                if there || !made.insert(wanted.key.clone()) {
                    broken.push(Broken::Duplicate(id.clone()));
                }
                // Images are made by steps of their own, and found again by their marks.
                for need in wanted.needs.iter().filter(|need| need.kind != "image") {
                    if !made.contains(need) && !observed.found().any(|found| found.key == *need && found.ours) {
                        broken.push(Broken::NoGround(id.clone(), need.to_string()));
                    }
                }
            }
            Step::UpdateResource { found, .. } | Step::PowerOn { found, .. } if !found.ours => {
                broken.push(Broken::Unmarked(id));
            }
            Step::DeleteResource { found } if !(found.ours || found.left_behind && plan.verb == Verb::Destroy) => {
                broken.push(Broken::Unmarked(id));
            }
            Step::DeleteDevice { id: device, .. }
                if observed.devices.iter().any(|seen| seen.id == *device && !seen.ours) =>
            {
                broken.push(Broken::Unmarked(id));
            }
            Step::DeleteRecord { id: record, .. } => {
                let records = observed.zone.iter().flat_map(|zone| &zone.records);
                if records.clone().any(|seen| seen.id == *record && !seen.ours) {
                    broken.push(Broken::Unmarked(id));
                }
            }
            Step::Bootstrap { .. } => {
                bootstraps += 1;
                if bootstraps > 1 {
                    broken.push(Broken::TwoBootstraps(id.clone()));
                }
                if matches!(observed.formation(), Formation::Formed(_)) {
                    broken.push(Broken::SecondBootstrap(id));
                }
            }
            Step::Reset { node }
                if plan.verb == Verb::Apply && observed.nodes.get(node).is_some_and(|seen| seen.etcd == Some(true)) =>
            {
                lost += 1;
                if voters <= lost {
                    broken.push(Broken::Quorum(id));
                }
            }
            _ => {}
        }
    }
    broken
}
