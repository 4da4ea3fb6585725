//! Deployments and their ReplicaSets: the wanted number of pods from the newest template.

use super::{delete, owned_by, pods, set_status, template_hash};
use crate::kube::birth;
use crate::kube::evict::is_ready;
use crate::kube::resource::find;
use crate::kube::store::{Key, Store, child, metadata};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) fn settle(store: &mut Store, now: Timestamp) {
    let (Some(deployments), Some(sets)) = (find("apps", "v1", "deployments"), find("apps", "v1", "replicasets")) else {
        return;
    };
    let all: Vec<(Key, Value)> = store.list(deployments, "").map(|(key, at)| (key.clone(), (**at).clone())).collect();
    for (key, deployment) in all {
        roll(store, &key, &deployment, now);
    }
    let all: Vec<(Key, Value)> = store.list(sets, "").map(|(key, at)| (key.clone(), (**at).clone())).collect();
    for (key, set) in all {
        replicate(store, &key, &set, now);
    }
}

/// One ReplicaSet for the present template; older ones go down once it serves.
fn roll(store: &mut Store, key: &Key, deployment: &Value, now: Timestamp) {
    let replicas = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let hash = template_hash(&deployment["spec"]["template"]);
    let name = format!("{}-{hash}", key.name);
    birth::put(
        store,
        find("apps", "v1", "replicasets"),
        &key.namespace,
        &name,
        replica_set(key, deployment, &hash),
        now,
    );
    let sets = owned_by(store, "replicasets", &key.namespace, pods::uid(deployment));
    let figure = |set: &Value, field: &str| set["status"][field].as_u64().unwrap_or(0);
    let newest = sets.iter().find(|(at, _)| at.name == name);
    let serves = newest.is_some_and(|(_, set)| figure(set, "readyReplicas") >= replicas);
    for (at, set) in &sets {
        let wanted = match (at.name == name, serves) {
            (true, _) => replicas,
            (false, true) => 0,
            (false, false) => continue,
        };
        let mut scaled = set.clone();
        child(&mut scaled, "spec")["replicas"] = wanted.into();
        store.put(at, scaled);
    }
    let sum = |field: &str| sets.iter().map(|(_, set)| figure(set, field)).sum::<u64>();
    let ready = sum("readyReplicas");
    let figures = json!({
        "replicas": sum("replicas"), "updatedReplicas": newest.map_or(0, |(_, set)| figure(set, "replicas")),
        "readyReplicas": ready, "availableReplicas": ready, "unavailableReplicas": replicas.saturating_sub(ready),
    });
    set_status(store, key, figures);
    let Some(stored) = store.get(key) else { return };
    let mut judged = (**stored).clone();
    let (available, why) =
        if ready >= replicas { ("True", "MinimumReplicasAvailable") } else { ("False", "MinimumReplicasUnavailable") };
    pods::set_condition(&mut judged, "Available", available, why, now);
    pods::set_condition(&mut judged, "Progressing", "True", "NewReplicaSetAvailable", now);
    store.put(key, judged);
}

fn replica_set(key: &Key, deployment: &Value, hash: &str) -> Value {
    let mut template = deployment["spec"]["template"].clone();
    child(metadata(&mut template), "labels")["pod-template-hash"] = hash.into();
    let mut selector = deployment["spec"]["selector"].clone();
    child(&mut selector, "matchLabels")["pod-template-hash"] = hash.into();
    json!({
        "metadata": {
            "labels": template["metadata"]["labels"],
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": key.name, "uid": pods::uid(deployment),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template}, "status": {"replicas": 0},
    })
}

/// As many pods as the ReplicaSet wants; those that are going do not count.
fn replicate(store: &mut Store, key: &Key, set: &Value, now: Timestamp) {
    let wanted = usize::try_from(set["spec"]["replicas"].as_u64().unwrap_or(0)).unwrap_or(0);
    let staying = |store: &Store| -> Vec<(Key, Value)> {
        let owned = owned_by(store, "pods", &key.namespace, pods::uid(set));
        owned.into_iter().filter(|(_, pod)| !pods::is_going(pod)).collect()
    };
    let mut present = staying(store);
    for _ in present.len()..wanted {
        pods::from_template(store, key, set, &[], now);
    }
    // Those that do not serve go first.
    present.sort_by_key(|(at, pod)| (is_ready(pod), at.clone()));
    let surplus = present.len().saturating_sub(wanted);
    for (at, _) in present.iter().take(surplus) {
        delete(store, at, now);
    }
    let present = staying(store);
    let ready = present.iter().filter(|(_, pod)| is_ready(pod)).count();
    let figures = json!({
        "replicas": present.len(), "fullyLabeledReplicas": present.len(), "readyReplicas": ready,
        "availableReplicas": ready,
    });
    set_status(store, key, figures);
}
