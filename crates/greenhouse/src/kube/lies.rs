//! The lies of this emulator, each as small as a bug would be; see [`crate::lies`].

use std::collections::BTreeSet;

/// Every lie, and what is untrue under it.
pub(crate) const LIES: &[crate::Lie] = &[
    ("kube-skips-an-event", "a watch is not told of every third change"),
    ("kube-hides-conflicts", "an apply takes other managers' fields without being forced"),
    ("kube-forgets-appliers", "an apply leaves no managed fields behind"),
    ("kube-writes-status-with-the-rest", "a write of the object changes its status too"),
    ("kube-ignores-finalizers", "a deletion does not wait for finalizers"),
    ("kube-repeats-a-page", "a continue token leads to the page before"),
    ("kube-persists-dry-runs", "what was only to be tried is stored"),
    ("kube-leaves-defaults-out", "objects are stored as they were sent"),
    ("kube-generates-one-name", "generated names are all the same"),
    ("kube-lets-everybody-in", "nobody is refused for want of a role"),
    ("kube-takes-stale-updates", "an update of an older state replaces the newer"),
    ("kube-takes-any-shape", "custom objects are not held against their schema"),
    ("kube-evicts-in-spite-of-budgets", "disruption budgets are not asked"),
    ("kube-selects-by-the-first-label", "of several label requirements the first alone selects"),
];

/// The lies that one request is answered with.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(pub BTreeSet<&'static str>);

impl Told {
    pub(super) fn tells(&self, name: &'static str) -> bool {
        self.0.contains(name)
    }
}
