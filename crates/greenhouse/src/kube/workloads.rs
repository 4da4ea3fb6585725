//! The controllers: garbage collection, DaemonSets, Deployments, the scheduler, EndpointSlices, taints and budgets.
//!
//! They run together, a little after something has changed, until nothing changes any more.

mod daemons;
mod deployments;
mod endpoints;
mod scheduler;

use super::birth;
use super::deletion::Deletion;
use super::evict::Standing;
use super::objects::Writer;
use super::resource::{RESOURCES, find};
use super::store::{Key, Store, child};
use super::{Cluster, ClusterId, cluster_mut, nodes, pods};
use crate::world::{State as Everything, World};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// From a change to the controllers having acted on it.
const REACTION: Duration = Duration::from_millis(100);
/// How long a namespace takes to go with all that is in it.
const NAMESPACE_ENDS: Duration = Duration::from_secs(5);

/// Has the controllers look, unless they are about to.
pub(super) fn wake(world: &World, state: &mut Everything, id: ClusterId) {
    let Some(cluster) = cluster_mut(state, id).filter(|cluster| cluster.controlled && !cluster.waking) else { return };
    cluster.waking = true;
    let world_of_controllers = world.clone();
    world.spawn(async move {
        world_of_controllers.delay(REACTION).await;
        world_of_controllers.with(|state| {
            let now = state.now();
            let Some(cluster) = cluster_mut(state, id) else { return };
            cluster.waking = false;
            if !cluster.available {
                return;
            }
            let before = cluster.store.revision();
            settle(cluster, now);
            pods::begin(&world_of_controllers, id, cluster, now);
            if cluster.store.revision() != before {
                wake(&world_of_controllers, state, id);
            }
        });
    });
}

/// Something is going but not gone: a namespace takes its content with it. Pods are their kubelet's.
pub(super) fn stopping(world: &World, id: ClusterId, key: &Key) {
    if key.resource.plural != "namespaces" {
        return;
    }
    let (world_of_end, key) = (world.clone(), key.clone());
    world.spawn(async move {
        world_of_end.delay(NAMESPACE_ENDS).await;
        world_of_end.with(|state| {
            let Some(cluster) = cluster_mut(state, id) else { return };
            let all = cluster.store.all();
            let inside: Vec<Key> = all.filter(|(at, _)| at.namespace == key.name).map(|(at, _)| at.clone()).collect();
            for at in inside {
                cluster.store.remove(&at);
            }
            cluster.store.remove(&key);
            wake(&world_of_end, state, id);
        });
    });
}

/// One round of all controllers.
fn settle(cluster: &mut Cluster, now: Timestamp) {
    let store = &mut cluster.store;
    fill_namespaces(store, &cluster.root_ca, now);
    collect_garbage(store, now);
    taint_nodes(store, now);
    daemons::settle(store, now);
    deployments::settle(store, now);
    scheduler::settle(store, now);
    endpoints::settle(store, now);
    judge_budgets(store);
}

fn fill_namespaces(store: &mut Store, root_ca: &str, now: Timestamp) {
    let Some(namespaces) = find("", "v1", "namespaces") else { return };
    let active = store.list(namespaces, "").filter(|(_, namespace)| namespace["status"]["phase"] == "Active");
    let names: Vec<String> = active.map(|(key, _)| key.name.clone()).collect();
    for name in names {
        birth::namespace_content(store, &name, root_ca, now);
    }
}

/// Deletes what is owned only by things that are no more, and pods bound to nodes that are no more.
fn collect_garbage(store: &mut Store, now: Timestamp) {
    let living: BTreeSet<String> = store.all().map(|(_, object)| pods::uid(object).to_owned()).collect();
    let is_orphan = |object: &Value| {
        let owners = object["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
        !owners.is_empty() && owners.iter().all(|owner| owner["uid"].as_str().is_none_or(|uid| !living.contains(uid)))
    };
    let orphans = store.all().filter(|(_, object)| is_orphan(object)).map(|(key, _)| key.clone());
    let homeless = pods::list(store, "")
        .filter(|(_, pod)| !pods::node_of(pod).is_empty() && node(store, pods::node_of(pod)).is_none());
    let homeless: Vec<Key> = homeless.map(|(key, _)| key.clone()).collect();
    let orphans: Vec<Key> = orphans.collect();
    for key in orphans {
        if !homeless.contains(&key) {
            delete(store, &key, now);
        }
    }
    for key in homeless {
        store.remove(&key);
    }
}

/// Begins a deletion, as a controller's client does; one that has begun is left alone.
fn delete(store: &mut Store, key: &Key, now: Timestamp) {
    if store.get(key).is_none_or(|object| pods::is_going(object)) {
        return;
    }
    let mut writer = Writer::of_controller(store, now);
    drop(writer.delete(key, &Deletion::default()));
}

fn node<'a>(store: &'a Store, name: &str) -> Option<&'a Value> {
    let nodes = find("", "v1", "nodes")?;
    store.get(&Key::new(nodes, "", name)).map(|node| &**node)
}

fn every_node(store: &Store) -> impl Iterator<Item = (&Key, &Value)> {
    let nodes = find("", "v1", "nodes");
    nodes.into_iter().flat_map(|nodes| store.list(nodes, "")).map(|(key, node)| (key, &**node))
}

fn taint_nodes(store: &mut Store, now: Timestamp) {
    let tainted: Vec<(Key, Value)> = every_node(store)
        .filter_map(|(key, node)| {
            let mut tainted = node.clone();
            nodes::set_lifecycle_taints(&mut tainted, now);
            (tainted != *node).then(|| (key.clone(), tainted))
        })
        .collect();
    for (key, node) in tainted {
        store.put(&key, node);
    }
}

/// Objects of a resource whose controller owner has this uid.
fn owned_by(store: &Store, plural: &str, namespace: &str, uid: &str) -> Vec<(Key, Value)> {
    let resource = RESOURCES.iter().find(|at| at.plural == plural);
    let all = resource.into_iter().flat_map(|resource| store.list(resource, namespace));
    all.filter(|(_, object)| is_controlled_by(object, uid))
        .map(|(key, object)| (key.clone(), (**object).clone()))
        .collect()
}

fn is_controlled_by(object: &Value, uid: &str) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().any(|owner| owner["controller"] == true && owner["uid"] == uid)
}

/// Replaces an object's status, keeping its conditions.
fn set_status(store: &mut Store, key: &Key, figures: Value) {
    let Some(object) = store.get(key) else { return };
    let mut next = (**object).clone();
    let conditions = next["status"]["conditions"].clone();
    let generation = next["metadata"]["generation"].clone();
    next["status"] = figures;
    let status = child(&mut next, "status");
    status["observedGeneration"] = generation;
    if conditions.is_array() {
        status["conditions"] = conditions;
    }
    store.put(key, next);
}

fn judge_budgets(store: &mut Store) {
    let Some(budgets) = find("policy", "v1", "poddisruptionbudgets") else { return };
    let all: Vec<(Key, Standing)> = store
        .list(budgets, "")
        .map(|(key, budget)| (key.clone(), Standing::of(store, &key.namespace, budget)))
        .collect();
    for (key, standing) in all {
        let figures = json!({
            "expectedPods": standing.expected, "currentHealthy": standing.healthy, "desiredHealthy": standing.desired,
            "disruptionsAllowed": standing.allowed,
        });
        set_status(store, &key, figures);
    }
}

/// A short name for a template's content, as revision labels carry it. The order of fields, which a patch can change, is no
/// content: a revision of its own for it would be taken for the older, empty one by all who look for an equal template.
fn template_hash(template: &Value) -> String {
    use sha2::{Digest, Sha256};
    const SAFE: &[u8] = b"bcdfghjklmnpqrst";
    let mut template = template.clone();
    template.sort_all_objects();
    let digest = Sha256::digest(template.to_string());
    let letter = |byte: &u8| SAFE.get(usize::from(byte & 15)).copied().map_or('b', char::from);
    digest.iter().take(10).map(letter).collect()
}
