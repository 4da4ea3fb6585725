//! DaemonSets: one pod on every node that fits, replaced one at a time when the template changes.

use super::scheduler::{fits, tolerates};
use super::{delete, every_node, owned_by, pods, set_status, template_hash};
use crate::kube::evict::is_ready;
use crate::kube::resource::find;
use crate::kube::store::{Key, Store};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What the controller tolerates for every daemon.
const TOLERATED: &[&str] = &[
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
];

pub(super) fn settle(store: &mut Store, now: Timestamp) {
    let Some(daemons) = find("apps", "v1", "daemonsets") else { return };
    let all: Vec<(Key, Value)> = store.list(daemons, "").map(|(key, set)| (key.clone(), (**set).clone())).collect();
    for (key, set) in all {
        settle_one(store, &key, &set, now);
    }
}

fn settle_one(store: &mut Store, key: &Key, set: &Value, now: Timestamp) {
    let template = &set["spec"]["template"];
    let hash = template_hash(template);
    let fitting = every_node(store).filter(|(_, node)| fits(template, node) && tolerates(template, node, TOLERATED));
    let wanted: Vec<String> = fitting.map(|(node, _)| node.name.clone()).collect();
    let existing = owned_by(store, "pods", &key.namespace, pods::uid(set));
    for node in &wanted {
        if !existing.iter().any(|(_, pod)| pods::node_of(pod) == node) {
            let labels = [("controller-revision-hash", hash.as_str())];
            if let Some(made) = pods::from_template(store, key, set, &labels, now) {
                pods::bind(store, &made, node, now);
            }
        }
    }
    for (misplaced, _) in existing.iter().filter(|(_, pod)| !wanted.iter().any(|node| pods::node_of(pod) == node)) {
        delete(store, misplaced, now);
    }
    let is_current = |pod: &Value| pod["metadata"]["labels"]["controller-revision-hash"] == *hash;
    let existing = owned_by(store, "pods", &key.namespace, pods::uid(set));
    let ready = existing.iter().filter(|(_, pod)| is_ready(pod) && !pods::is_going(pod)).count();
    if ready >= wanted.len()
        && set["spec"]["updateStrategy"]["type"] != "OnDelete"
        && let Some((outdated, _)) = existing.iter().find(|(_, pod)| !is_current(pod))
    {
        delete(store, outdated, now);
    }
    let current = existing.iter().filter(|(_, pod)| is_current(pod)).count();
    let figures = json!({
        "desiredNumberScheduled": wanted.len(), "currentNumberScheduled": existing.len().min(wanted.len()),
        "numberMisscheduled": existing.len().saturating_sub(wanted.len()), "updatedNumberScheduled": current,
        "numberReady": ready, "numberAvailable": ready, "numberUnavailable": wanted.len().saturating_sub(ready),
    });
    set_status(store, key, figures);
}
