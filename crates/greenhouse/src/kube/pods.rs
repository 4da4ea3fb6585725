//! Pods on their nodes: just enough kubelet for them to start, stop, and be lost with their node; and for those whose image has
//! a program, to run it ([`containers`]).

pub(super) mod containers;
mod environment;
mod probes;

use super::deletion::Deletion;
use super::objects::Writer;
use super::resource::{Resource, find};
use super::store::{Key, Store, child, metadata, seconds};
use super::{Cluster, ClusterId, birth, cluster_mut, evict, workloads};
use crate::world::World;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

/// A kubelet that has been silent for longer than this starts and stops nothing.
const ALIVE: SignedDuration = SignedDuration::from_secs(12);

pub(super) fn resource() -> Option<&'static Resource> {
    find("", "v1", "pods")
}

/// Every pod, or those of a namespace.
pub(super) fn list<'a>(store: &'a Store, namespace: &'a str) -> impl Iterator<Item = (&'a Key, &'a Value)> {
    resource().into_iter().flat_map(move |pods| store.list(pods, namespace)).map(|(key, pod)| (key, &**pod))
}

pub(super) fn node_of(pod: &Value) -> &str {
    pod["spec"]["nodeName"].as_str().unwrap_or_default()
}

pub(super) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

pub(super) fn is_going(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_string()
}

pub(super) fn has_ready(store: &Store, node: &str, prefix: &str) -> bool {
    list(store, "").any(|(key, pod)| node_of(pod) == node && key.name.starts_with(prefix) && evict::is_ready(pod))
}

/// The port of a pod that a service's port leads to.
pub(super) fn target_port(pod: &Value, port: &Value) -> Option<u64> {
    let wanted = if port["targetPort"].is_null() { &port["port"] } else { &port["targetPort"] };
    environment::port_of(pod, wanted).map(u64::from)
}

fn kubelet_lives(cluster: &Cluster, node: &str, now: Timestamp) -> bool {
    let kubelet = cluster.kubelets.get(node);
    kubelet.is_some_and(|kubelet| !kubelet.silent && !kubelet.off && now.duration_since(kubelet.heard) <= ALIVE)
}

/// The control plane's own pods, which the kubelet mirrors from its manifests.
pub(super) fn static_pods(cluster: &mut Cluster, node: &str, now: Timestamp) {
    let owner = find("", "v1", "nodes").and_then(|nodes| cluster.store.get(&Key::new(nodes, "", node)));
    let Some(owner) = owner.map(|node| uid(node).to_owned()) else { return };
    for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        let image = format!("registry.k8s.io/{component}:v{}", cluster.version);
        let pod = json!({
            "metadata": {
                "labels": {"k8s-app": component, "tier": "control-plane"},
                "annotations": {"kubernetes.io/config.mirror": owner, "kubernetes.io/config.source": "file"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node, "uid": owner, "controller": true}],
            },
            "spec": {
                "nodeName": node, "hostNetwork": true, "priorityClassName": "system-cluster-critical",
                "restartPolicy": "Always", "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
                "containers": [{"name": component, "image": image}],
            },
            "status": {"phase": "Pending"},
        });
        birth::put(&mut cluster.store, resource(), "kube-system", &format!("{component}-{node}"), pod, now);
    }
}

/// Has kubelets that live begin what they have not begun: starting pods, stopping pods.
pub(super) fn begin(world: &World, id: ClusterId, cluster: &mut Cluster, now: Timestamp) {
    containers::kill_orphans(cluster, now);
    let mut begun = Vec::new();
    for (key, pod) in list(&cluster.store, "") {
        if !kubelet_lives(cluster, node_of(pod), now) || cluster.busy.contains(uid(pod)) {
            continue;
        }
        if is_going(pod) {
            begun.push((key.clone(), uid(pod).to_owned(), true));
            continue;
        }
        let is_due = match pod["status"]["phase"].as_str() {
            Some("Pending") => has_network(cluster, pod),
            // What ran before a reboot is started anew.
            Some("Running") if containers::has_program(cluster, pod) => !cluster.running.contains_key(uid(pod)),
            Some("Running") => !evict::is_ready(pod),
            _ => false,
        };
        if is_due {
            begun.push((key.clone(), uid(pod).to_owned(), false));
        }
    }
    for (key, uid, stops) in begun {
        cluster.busy.insert(uid.clone());
        let world_of_pod = world.clone();
        world.spawn(async move {
            if stops {
                stop(&world_of_pod, id, &key, &uid).await;
            } else {
                start(&world_of_pod, id, &key, &uid).await;
            }
        });
    }
}

/// Whether the node's network can take the pod: flannel runs there first, where there is flannel.
fn has_network(cluster: &Cluster, pod: &Value) -> bool {
    let flannel = find("apps", "v1", "daemonsets").map(|daemons| Key::new(daemons, "kube-system", "kube-flannel"));
    pod["spec"]["hostNetwork"] == true
        || flannel.is_none_or(|key| cluster.store.get(&key).is_none())
        || has_ready(&cluster.store, node_of(pod), "kube-flannel")
}

/// Pulls the image, starts the containers: seconds.
async fn start(world: &World, id: ClusterId, key: &Key, uid_begun: &str) {
    world.delay_between(&format!("pod {} starts", key.name), 1_500, 4_000).await;
    world.with(|state| {
        let now = state.now();
        let Some(cluster) = cluster_mut(state, id) else { return };
        cluster.busy.remove(uid_begun);
        let Some(pod) = cluster.store.get(key).filter(|pod| uid(pod) == uid_begun && !is_going(pod)).cloned() else {
            return;
        };
        if kubelet_lives(cluster, node_of(&pod), now) && cluster.available {
            let mut running = (*pod).clone();
            settle_in(cluster, &mut running, now);
            if containers::has_program(cluster, &running) {
                containers::launch(world, id, cluster, key, &running);
            }
            containers::show(cluster, &mut running, now);
            cluster.store.put(key, running);
            workloads::wake(world, state, id);
        }
    });
}

/// Sends SIGTERM, waits for the processes as long as they may take, takes the pod off the API.
async fn stop(world: &World, id: ClusterId, key: &Key, uid_begun: &str) {
    let ended = world.with(|state| {
        let cluster = cluster_mut(state, id)?;
        let pod = cluster.store.get(key).filter(|pod| uid(pod) == uid_begun)?;
        let grace = pod["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(30);
        Some((containers::ask_to_end(cluster, uid_begun)?, Duration::from_secs(grace)))
    });
    if let Some((ended, grace)) = ended {
        tokio::select! {
            biased;
            () = ended.cancelled() => {}
            () = world.time().sleep(grace) => {}
        }
    }
    world.with(|state| cluster_mut(state, id).map(|cluster| containers::kill(cluster, uid_begun)));
    world.delay_between(&format!("pod {} stops", key.name), 500, 2_000).await;
    world.with(|state| {
        let now = state.now();
        let Some(cluster) = cluster_mut(state, id) else { return };
        cluster.busy.remove(uid_begun);
        let Some(pod) = cluster.store.get(key).filter(|pod| uid(pod) == uid_begun && is_going(pod)) else { return };
        if kubelet_lives(cluster, node_of(pod), now) && cluster.available {
            cluster.store.remove(key);
            workloads::wake(world, state, id);
        }
    });
}

/// Gives a pod its address and what its status says besides its containers.
fn settle_in(cluster: &Cluster, pod: &mut Value, now: Timestamp) {
    let node = find("", "v1", "nodes").and_then(|nodes| cluster.store.get(&Key::new(nodes, "", node_of(pod))));
    let host = node.and_then(|node| {
        let addresses = node["status"]["addresses"].as_array()?;
        addresses.iter().find(|at| at["type"] == "InternalIP")?["address"].as_str().map(str::to_owned)
    });
    let host = host.unwrap_or_default();
    let address = match pod["status"]["podIP"].as_str() {
        Some(kept) => kept.to_owned(),
        None if pod["spec"]["hostNetwork"] == true => host.clone(),
        None => free_address(cluster, node.map(|node| &**node)),
    };
    let started = pod["status"]["startTime"].as_str().map_or_else(|| seconds(now), str::to_owned);
    let status = child(pod, "status");
    status["phase"] = "Running".into();
    status["hostIP"] = host.into();
    status["podIP"] = address.clone().into();
    status["podIPs"] = json!([{"ip": address}]);
    status["startTime"] = started.into();
    for kind in ["PodReadyToStartContainers", "Initialized", "PodScheduled"] {
        set_condition(pod, kind, "True", "", now);
    }
}

/// The lowest address of the node's pod range that no pod has; .1 is the bridge.
fn free_address(cluster: &Cluster, node: Option<&Value>) -> String {
    let Some(range) = node.and_then(|node| node["spec"]["podCIDR"].as_str()) else { return String::new() };
    let Some((prefix, _)) = range.rsplit_once('.') else { return String::new() };
    let is_taken = |address: &str| list(&cluster.store, "").any(|(_, pod)| pod["status"]["podIP"] == address);
    (2..=254).map(|last| format!("{prefix}.{last}")).find(|address| !is_taken(address)).unwrap_or_default()
}

/// Sets a condition; its transition time moves only with its status.
pub(super) fn set_condition(object: &mut Value, kind: &str, status: &str, reason: &str, now: Timestamp) {
    let object_is_pod = object["spec"]["containers"].is_array();
    let list = &mut child(object, "status")["conditions"];
    if !list.is_array() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else { return };
    list.retain(Value::is_object);
    let mut made = json!({"type": kind, "status": status, "lastTransitionTime": seconds(now)});
    if object_is_pod {
        made["lastProbeTime"] = Value::Null;
    }
    if !reason.is_empty() {
        made["reason"] = reason.into();
    }
    match list.iter_mut().find(|at| at["type"] == kind) {
        Some(at) if at["status"] == status => {}
        Some(at) => *at = made,
        None => list.push(made),
    }
}

/// The node is silent: its pods count as not ready, whatever they do.
pub(super) fn node_lost(cluster: &mut Cluster, node: &str, now: Timestamp) {
    for (key, pod) in on_node(&cluster.store, node) {
        let mut lost = pod;
        if evict::is_ready(&lost) {
            set_condition(&mut lost, "Ready", "False", "NodeNotReady", now);
            cluster.store.put(&key, lost);
        }
    }
}

/// The node has been unreachable for longer than its pods tolerate: they are to go, and stay Terminating until the
/// kubelet is back or somebody forces them.
pub(super) fn evict_from(cluster: &mut Cluster, node: &str, now: Timestamp) {
    for (key, pod) in on_node(&cluster.store, node) {
        let stays = pod["spec"]["tolerations"].as_array().into_iter().flatten().any(|toleration| {
            toleration["operator"] == "Exists"
                && (toleration["effect"].is_null() || toleration["effect"] == "NoExecute")
                && (toleration["key"].is_null() || toleration["key"] == "node.kubernetes.io/unreachable")
                && toleration["tolerationSeconds"].is_null()
        });
        if !stays {
            let mut writer = Writer::of_controller(&mut cluster.store, now);
            drop(writer.delete(&key, &Deletion::default()));
        }
    }
}

fn on_node(store: &Store, node: &str) -> Vec<(Key, Value)> {
    list(store, "").filter(|(_, pod)| node_of(pod) == node).map(|(key, pod)| (key.clone(), pod.clone())).collect()
}

/// Binds a pod to a node, as the scheduler does.
pub(super) fn bind(store: &mut Store, key: &Key, node: &str, now: Timestamp) {
    let Some(pod) = store.get(key) else { return };
    let mut bound = (**pod).clone();
    child(&mut bound, "spec")["nodeName"] = node.into();
    set_condition(&mut bound, "PodScheduled", "True", "", now);
    store.put(key, bound);
}

/// A pod from a workload's template.
pub(super) fn from_template(
    store: &mut Store,
    owner_key: &Key,
    owner: &Value,
    labels: &[(&str, &str)],
    now: Timestamp,
) -> Option<Key> {
    let template = &owner["spec"]["template"];
    let mut pod = json!({
        "metadata": {
            "generateName": format!("{}-", owner_key.name), "labels": template["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": [{
                "apiVersion": owner_key.resource.api_version(), "kind": owner_key.resource.kind,
                "name": owner_key.name, "uid": uid(owner), "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": template["spec"], "status": {"phase": "Pending"},
    });
    for (label, value) in labels {
        child(metadata(&mut pod), "labels")[*label] = (*value).into();
    }
    let name = format!("{}-{}", owner_key.name, store.suffix(5));
    let key = Key::new(resource()?, &owner_key.namespace, &name);
    store.stamp(&key, &mut pod, now);
    store.put(&key, pod);
    Some(key)
}
