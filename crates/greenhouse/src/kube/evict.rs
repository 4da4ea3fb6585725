//! Evictions: deletions that ask the disruption budgets first.

use super::Cluster;
use super::deletion::Deletion;
use super::fields::Fields;
use super::objects::Writer;
use super::owners::{self, Claim, Manager};
use super::pods::set_condition;
use super::refusal::Refusal;
use super::resource::find;
use super::schema::Shape;
use super::select::Selector;
use super::store::{Key, Store, child, seconds};
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
    asks: bool,
) -> Result<(), Refusal> {
    if body["kind"] != "Eviction" {
        return Err(Refusal::bad_request("the object provided is no Eviction"));
    }
    let named = body["metadata"]["name"].as_str().unwrap_or_default();
    if !named.is_empty() && named != key.name {
        return Err(Refusal::bad_request("name in URL does not match name in Eviction object"));
    }
    let pod = cluster.store.get(key).cloned().ok_or_else(|| Refusal::not_found(key.resource, &key.name))?;
    if asks && needs_permission(&pod) {
        ask_budgets(cluster, key, &pod, now, dry_run)?;
    }
    let options = &body["deleteOptions"];
    let deletion = Deletion {
        grace_seconds: options["gracePeriodSeconds"].as_i64(),
        uid: options["preconditions"]["uid"].as_str().map(str::to_owned),
        resource_version: None,
        propagation: None,
    };
    let mut writer = Writer { dry_run, ..Writer::of_controller(&mut cluster.store, now) };
    writer.delete(key, &deletion)?;
    Ok(())
}

/// Pods that have ended, have not begun or are already going need no budget.
fn needs_permission(pod: &Value) -> bool {
    pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null()
}

fn ask_budgets(cluster: &mut Cluster, key: &Key, pod: &Value, now: Timestamp, dry_run: bool) -> Result<(), Refusal> {
    let store = &cluster.store;
    let Some(budgets) = find("policy", "v1", "poddisruptionbudgets") else { return Ok(()) };
    let covers = |budget: &Value| Selector::of_object(&budget["spec"]["selector"]).matches(pod);
    let listed = store.list(budgets, &key.namespace).filter(|(_, budget)| covers(budget));
    let covering: Vec<(Key, Value)> = listed.map(|(key, budget)| (key.clone(), (**budget).clone())).collect();
    let Some((budget_key, budget)) = covering.first() else { return Ok(()) };
    if covering.len() > 1 {
        let message =
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Err(Refusal::internal(message));
    }
    // Where the controller runs, its figures are of now.
    let standing = if cluster.controlled {
        Standing::of(store, &key.namespace, budget)
    } else {
        Standing::told(&budget["status"])
    };
    // A pod that does not serve anyway may go while the others are enough.
    if !is_ready(pod) && standing.healthy >= standing.desired {
        return Ok(());
    }
    if standing.allowed > 0 {
        let mut next = budget.clone();
        if !cluster.controlled && !dry_run {
            disrupt(&mut next, budget, &key.name, standing.allowed - 1, now);
            cluster.store.put(budget_key, next);
        }
        return Ok(());
    }
    let why = if standing.healthy <= standing.desired {
        format!("needs {} healthy pods and has {} currently", standing.desired, standing.healthy)
    } else {
        "does not allow evicting pods currently".to_owned()
    };
    Err(Refusal::disruption(&budget_key.name, &why))
}

/// Notes in a budget that a pod is about to go, as the server itself does.
fn disrupt(next: &mut Value, budget: &Value, pod: &str, left: i64, now: Timestamp) {
    let generation = budget["metadata"]["generation"].clone();
    let status = child(next, "status");
    status["disruptionsAllowed"] = left.into();
    child(status, "disruptedPods")[pod] = seconds(now).into();
    let (word, reason) = if left > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    set_condition(next, "DisruptionAllowed", word, reason, now);
    for condition in next["status"]["conditions"].as_array_mut().into_iter().flatten() {
        condition["observedGeneration"] = generation.clone();
        condition["message"] = "".into();
    }
    let manager = Manager {
        name: "kube-apiserver".into(),
        applies: false,
        api_version: "policy/v1".into(),
        subresource: "status".into(),
    };
    let shape = Shape::Named("PodDisruptionBudget".into());
    owners::updated(budget, next, &Claim { manager, shape: &shape, ignored: Fields::default(), now: Some(now) });
}

/// The figures of a budget's status.
pub(super) struct Standing {
    pub expected: i64,
    pub desired: i64,
    pub healthy: i64,
    /// How many more pods may go.
    pub allowed: i64,
}

impl Standing {
    /// The figures as the budget's controller has last told them.
    fn told(status: &Value) -> Self {
        let figure = |name: &str| status[name].as_i64().unwrap_or(0);
        Standing {
            expected: figure("expectedPods"),
            desired: figure("desiredHealthy"),
            healthy: figure("currentHealthy"),
            allowed: figure("disruptionsAllowed"),
        }
    }

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
        let desired = desired.max(0);
        Standing { expected, desired, healthy, allowed: (healthy - desired).max(0) }
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
