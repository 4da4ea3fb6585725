//! Evictions: deletions that ask the disruption budgets first.

use super::Cluster;
use super::objects::{Deletion, Writer};
use super::refusal::Refusal;
use super::resource::find;
use super::select::Selector;
use super::store::{Key, Store};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

/// Evicts a pod.
pub(super) fn evict(
    cluster: &mut Cluster,
    key: &Key,
    body: &Value,
    now: Timestamp,
    dry_run: bool,
) -> Result<(), Refusal> {
    if body["kind"] != "Eviction" {
        return Err(Refusal::bad_request("the object provided is no Eviction"));
    }
    let named = body["metadata"]["name"].as_str().unwrap_or_default();
    if !named.is_empty() && named != key.name {
        return Err(Refusal::bad_request("name in URL does not match name in Eviction object"));
    }
    let pod = cluster.store.get(key).cloned().ok_or_else(|| Refusal::not_found(key.resource, &key.name))?;
    if needs_permission(&pod) {
        ask_budgets(&cluster.store, key, &pod)?;
    }
    let options = &body["deleteOptions"];
    let deletion = Deletion {
        grace_seconds: options["gracePeriodSeconds"].as_i64(),
        uid: options["preconditions"]["uid"].as_str().map(str::to_owned),
        resource_version: None,
    };
    let mut writer = Writer { store: &mut cluster.store, now, dry_run };
    writer.delete(key, &deletion)?;
    Ok(())
}

/// Pods that have ended, have not begun or are already going need no budget.
fn needs_permission(pod: &Value) -> bool {
    pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null()
}

fn ask_budgets(store: &Store, key: &Key, pod: &Value) -> Result<(), Refusal> {
    let Some(budgets) = find("policy", "v1", "poddisruptionbudgets") else { return Ok(()) };
    let covers = |budget: &Value| Selector::of_object(&budget["spec"]["selector"]).matches(pod);
    let mut covering = store.list(budgets, &key.namespace).filter(|(_, budget)| covers(budget));
    let Some((budget_key, budget)) = covering.next() else { return Ok(()) };
    if covering.next().is_some() {
        let message =
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Err(Refusal::internal(message));
    }
    let standing = Standing::of(store, &key.namespace, budget);
    // A pod that does not serve anyway may go while the others are enough.
    let is_healthy = is_ready(pod);
    if standing.allowed() > 0 || !is_healthy && standing.healthy >= standing.desired {
        return Ok(());
    }
    let why = format!("needs {} healthy pods and has {} currently", standing.desired, standing.healthy);
    Err(Refusal::disruption(&budget_key.name, &why))
}

/// The figures of a budget's status.
pub(super) struct Standing {
    pub expected: i64,
    pub desired: i64,
    pub healthy: i64,
}

impl Standing {
    /// Counts the pods that a budget covers.
    pub(super) fn of(store: &Store, namespace: &str, budget: &Value) -> Self {
        let selector = Selector::of_object(&budget["spec"]["selector"]);
        let (mut expected, mut healthy) = (0, 0);
        let mut owners = BTreeSet::new();
        let pods = find("", "v1", "pods").into_iter().flat_map(|pods| store.list(pods, namespace));
        for (_, pod) in pods.filter(|(_, pod)| selector.matches(pod)) {
            let is_going = !pod["metadata"]["deletionTimestamp"].is_null();
            // A workload expects its replicas, also while one of them is between two nodes.
            let owner = &pod["metadata"]["ownerReferences"][0];
            match replicas(store, namespace, owner) {
                Some(replicas) if owners.insert(owner["uid"].to_string()) => expected += replicas,
                Some(_) => {}
                None => expected += i64::from(!is_going),
            }
            healthy += i64::from(!is_going && is_ready(pod));
        }
        let spec = &budget["spec"];
        let desired = if spec["minAvailable"].is_null() {
            expected - share(&spec["maxUnavailable"], expected)
        } else {
            share(&spec["minAvailable"], expected)
        };
        Standing { expected, desired: desired.max(0), healthy }
    }

    /// How many more pods may go.
    pub(super) fn allowed(&self) -> i64 {
        (self.healthy - self.desired).max(0)
    }
}

/// How many pods the owner of a pod wants.
fn replicas(store: &Store, namespace: &str, owner: &Value) -> Option<i64> {
    let plural = match owner["kind"].as_str()? {
        "ReplicaSet" => "replicasets",
        "StatefulSet" => "statefulsets",
        _ => return None,
    };
    let set = store.get(&Key::new(find("apps", "v1", plural)?, namespace, owner["name"].as_str()?))?;
    set["spec"]["replicas"].as_i64()
}

/// `2` or `50%` of `all`, rounded up.
fn share(value: &Value, all: i64) -> i64 {
    match value.as_str().and_then(|text| text.strip_suffix('%')) {
        Some(percent) => (percent.parse::<i64>().unwrap_or(0) * all + 99) / 100,
        None => value.as_i64().unwrap_or(0),
    }
}

/// Whether a pod's Ready condition is True.
pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|at| at["type"] == "Ready" && at["status"] == "True")
}
