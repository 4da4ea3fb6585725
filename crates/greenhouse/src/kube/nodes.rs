//! Nodes: what kubelets report, and what the lifecycle controller makes of their silence.

use super::resource::find;
use super::store::{Key, child, metadata, micros, seconds};
use super::{Cluster, ClusterId, Kubelet, NodeReport, cluster_mut, pods, workloads};
use crate::world::{State as Everything, World};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// `--node-monitor-grace-period`.
const GRACE: Duration = Duration::from_secs(50);
/// How often a kubelet writes a status in which nothing has changed.
const PUBLISH: SignedDuration = SignedDuration::from_mins(5);
/// How long pods tolerate an unreachable node (`default-unreachable-toleration-seconds`).
const EVICT_AFTER: Duration = Duration::from_mins(5);

const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Takes in a heartbeat.
pub(super) fn report(world: &World, state: &mut Everything, id: ClusterId, report: &NodeReport) {
    let now = state.now();
    let Some(cluster) = cluster_mut(state, id).filter(|cluster| cluster.available) else { return };
    let Some(nodes) = find("", "v1", "nodes") else { return };
    let key = Key::new(nodes, "", &report.name);
    let before = cluster.store.get(&key).cloned();
    let known = cluster.kubelets.get(&report.name);
    if before.is_none() && known.is_some_and(|known| known.boot_id == report.boot_id) {
        return; // Deleted since this kubelet registered.
    }
    let was_watched = known.is_some_and(|known| known.watched);
    let was_silent = known.is_some_and(|known| known.silent);
    let is_due = known.is_none_or(|known| now.duration_since(known.published) >= PUBLISH);
    let mut node = match &before {
        Some(node) => (**node).clone(),
        None => register(cluster, &key, report, now),
    };
    let heartbeat = seconds(now);
    let reported = conditions(report, before.as_deref(), &heartbeat);
    let changed = write(&mut node, report, reported) || before.is_none() || was_silent;
    if changed || is_due {
        set_lifecycle_taints(&mut node, now);
        cluster.store.put(&key, node);
    }
    renew_lease(cluster, &key, now);
    let published = match known_published(cluster, &report.name) {
        Some(published) if !changed && !is_due => published,
        _ => now,
    };
    let boot_id = report.boot_id.clone();
    let kubelet =
        Kubelet { machine: report.machine, boot_id, heard: now, published, silent: false, watched: true, off: false };
    cluster.kubelets.insert(report.name.clone(), kubelet);
    if report.control_plane {
        pods::static_pods(cluster, &report.name, now);
    }
    if !was_watched {
        let (watching, name) = (world.clone(), report.name.clone());
        world.spawn(async move { wait_for_silence(&watching, id, &name).await });
    }
    let told = pods::containers::tell_all(cluster, &report.name, now);
    if changed || told {
        workloads::wake(world, state, id);
    }
    if changed {
        let said = |node: Option<&Value>| node.and_then(|node| ready_status(node).map(str::to_owned));
        let is_ready = if report.ready.is_ok() { "True" } else { "False" };
        if said(before.as_deref()).as_deref() != Some(is_ready) {
            let words = if report.ready.is_ok() { "ready" } else { "not ready" };
            state.note(format_args!("node {}: {words}", report.name));
        }
    }
}

fn known_published(cluster: &Cluster, name: &str) -> Option<Timestamp> {
    cluster.kubelets.get(name).map(|kubelet| kubelet.published)
}

/// A Node as a kubelet creates it, with the pod range that the controller manager then gives it.
fn register(cluster: &mut Cluster, key: &Key, report: &NodeReport, now: Timestamp) -> Value {
    let range = free_range(cluster);
    let mut spec = json!({"podCIDR": range, "podCIDRs": [range]});
    if let Some(provider_id) = &report.provider_id {
        spec["providerID"] = provider_id.clone().into();
    }
    let mut node = json!({
        "metadata": {"annotations": {
            "node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        }},
        "spec": spec, "status": {},
    });
    cluster.store.stamp(key, &mut node, now);
    node
}

/// The lowest free /24 of 10.244.0.0/16.
fn free_range(cluster: &Cluster) -> String {
    let taken: Vec<String> = find("", "v1", "nodes")
        .into_iter()
        .flat_map(|nodes| cluster.store.list(nodes, ""))
        .filter_map(|(_, node)| node["spec"]["podCIDR"].as_str().map(str::to_owned))
        .collect();
    let mut ranges = (0..=255).map(|third| format!("10.244.{third}.0/24"));
    ranges.find(|range| !taken.contains(range)).unwrap_or_default()
}

/// Writes what the report says into the node; whether more than heartbeats has changed.
fn write(node: &mut Value, report: &NodeReport, (conditions, conditions_changed): (Value, bool)) -> bool {
    let before = node.clone();
    let mut labels = report.labels.clone();
    if report.control_plane {
        labels.entry("node-role.kubernetes.io/control-plane".into()).or_default();
    }
    own_labels(node, &labels);
    for (key, value) in [("arch", report.arch), ("hostname", &report.name), ("os", "linux")] {
        metadata(node)["labels"][format!("kubernetes.io/{key}")] = value.into();
        if key != "hostname" {
            metadata(node)["labels"][format!("beta.kubernetes.io/{key}")] = value.into();
        }
    }
    own_taints(node, &report.taints);
    let changed = {
        let status = child(node, "status");
        status["addresses"] =
            report.addresses.iter().map(|(kind, address)| json!({"type": kind, "address": address})).collect();
        status["capacity"] = resources(u64::from(report.cores) * 1000, report.memory_mib * 1024);
        // Talos reserves 50m and 192 MiB for the system (512 MiB on control planes); 100 MiB is the eviction threshold.
        let reserved_mib = if report.control_plane { 512 } else { 192 } + 100;
        let cpu = (u64::from(report.cores) * 1000).saturating_sub(50);
        status["allocatable"] = resources(cpu, report.memory_mib.saturating_sub(reserved_mib) * 1024);
        status["daemonEndpoints"] = json!({"kubeletEndpoint": {"Port": 10250}});
        status["nodeInfo"] = node_info(report);
        *node != before || conditions_changed
    };
    node["status"]["conditions"] = conditions;
    changed
}

fn resources(cpu_milli: u64, memory_kib: u64) -> Value {
    let cpu = if cpu_milli.is_multiple_of(1000) { (cpu_milli / 1000).to_string() } else { format!("{cpu_milli}m") };
    json!({"cpu": cpu, "memory": format!("{memory_kib}Ki"), "pods": "110"})
}

fn node_info(report: &NodeReport) -> Value {
    let id = hex::encode(Sha256::digest(&report.name)).get(..32).unwrap_or_default().to_owned();
    json!({
        "machineID": id, "systemUUID": id, "bootID": report.boot_id,
        "kernelVersion": "6.18.33-talos", "osImage": report.os_image, "containerRuntimeVersion": "containerd://2.2.1",
        "kubeletVersion": format!("v{}", report.kubelet), "kubeProxyVersion": "",
        "operatingSystem": "linux", "architecture": report.arch,
    })
}

/// Talos puts its configured labels on the node and takes off those that it put there and no longer finds configured.
fn own_labels(node: &mut Value, labels: &BTreeMap<String, String>) {
    let meta = metadata(node);
    let owned = owned(meta, "talos.dev/owned-labels");
    if let Some(on_node) = child(meta, "labels").as_object_mut() {
        on_node.retain(|label, _| !owned.contains(label) || labels.contains_key(label));
        on_node.extend(labels.iter().map(|(label, value)| (label.clone(), value.clone().into())));
    }
    let names: Vec<&String> = labels.keys().collect();
    annotate(meta, "talos.dev/owned-labels", &json!(names));
}

fn own_taints(node: &mut Value, taints: &[(String, String, String)]) {
    let owned = owned(metadata(node), "talos.dev/owned-taints");
    let mut list = taints_of(node);
    list.retain(|taint| !owned.iter().any(|key| taint["key"] == **key));
    for (key, value, effect) in taints {
        let mut taint = json!({"key": key, "effect": effect});
        if !value.is_empty() {
            taint["value"] = value.clone().into();
        }
        list.push(taint);
    }
    set_taints(node, list);
    let keys: Vec<&String> = taints.iter().map(|(key, _, _)| key).collect();
    annotate(metadata(node), "talos.dev/owned-taints", &json!(keys));
}

fn owned(meta: &Value, annotation: &str) -> Vec<String> {
    let text = meta["annotations"][annotation].as_str().unwrap_or("[]");
    serde_json::from_str(text).unwrap_or_default()
}

fn annotate(meta: &mut Value, annotation: &str, value: &Value) {
    child(meta, "annotations")[annotation] = value.to_string().into();
}

/// The kubelet's conditions, with the transition times of those that have not changed; whether one has.
fn conditions(report: &NodeReport, before: Option<&Value>, now: &str) -> (Value, bool) {
    let ready = match &report.ready {
        Ok(()) => ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        Err(why) => ("Ready", "False", "KubeletNotReady", why.as_str()),
    };
    let sufficient = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ];
    let mut changed = false;
    let list = sufficient.into_iter().chain([ready]).map(|(kind, status, reason, message)| {
        let old = before.and_then(|node| condition(node, kind));
        let same = old.filter(|old| old["status"] == status);
        changed |= same.is_none_or(|old| old["message"] != message);
        let since = same.and_then(|old| old["lastTransitionTime"].as_str()).unwrap_or(now);
        json!({
            "type": kind, "status": status, "lastHeartbeatTime": now, "lastTransitionTime": since,
            "reason": reason, "message": message,
        })
    });
    let list: Value = list.collect();
    (list, changed)
}

fn condition<'a>(node: &'a Value, kind: &str) -> Option<&'a Value> {
    node["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// `True`, `False`, `Unknown`.
fn ready_status(node: &Value) -> Option<&str> {
    condition(node, "Ready")?["status"].as_str()
}

fn renew_lease(cluster: &mut Cluster, node: &Key, now: Timestamp) {
    let (Some(leases), Some(of)) = (find("coordination.k8s.io", "v1", "leases"), cluster.store.get(node)) else {
        return;
    };
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": of["metadata"]["uid"]});
    let key = Key::new(leases, "kube-node-lease", &node.name);
    let mut lease = if let Some(lease) = cluster.store.get(&key) {
        (**lease).clone()
    } else {
        let mut lease = json!({"metadata": {"ownerReferences": [owner]}, "spec": {}});
        cluster.store.stamp(&key, &mut lease, now);
        lease
    };
    lease["spec"] = json!({"holderIdentity": node.name, "leaseDurationSeconds": 40, "renewTime": micros(now)});
    cluster.store.put(&key, lease);
}

/// Waits until the node's kubelet has said nothing for the grace period, however long that takes.
async fn wait_for_silence(world: &World, id: ClusterId, name: &str) {
    let grace = SignedDuration::try_from(GRACE).unwrap_or_default();
    let mut left = GRACE;
    loop {
        world.time().sleep(left).await;
        let waits = world.with(|state| {
            let now = state.now();
            let cluster = cluster_mut(state, id)?;
            let kubelet = cluster.kubelets.get(name)?;
            let silence = if cluster.available { now.duration_since(kubelet.heard) } else { SignedDuration::ZERO };
            if silence < grace {
                return Duration::try_from(grace.saturating_sub(silence)).ok();
            }
            give_up(world, state, id, name);
            None
        });
        match waits {
            Some(wait) => left = wait.max(Duration::from_secs(1)),
            None => break,
        }
    }
    world.time().sleep(EVICT_AFTER).await;
    world.with(|state| {
        let now = state.now();
        let Some(cluster) = cluster_mut(state, id).filter(|cluster| cluster.available) else { return };
        if cluster.kubelets.get(name).is_some_and(|kubelet| kubelet.silent) {
            pods::evict_from(cluster, name, now);
            workloads::wake(world, state, id);
        }
    });
}

/// The node is Unknown, tainted, and its pods count for nothing.
fn give_up(world: &World, state: &mut Everything, id: ClusterId, name: &str) {
    let now = state.now();
    let Some(cluster) = cluster_mut(state, id) else { return };
    if let Some(kubelet) = cluster.kubelets.get_mut(name) {
        kubelet.silent = true;
        kubelet.watched = false;
    }
    let Some(key) = find("", "v1", "nodes").map(|nodes| Key::new(nodes, "", name)) else { return };
    let Some(node) = cluster.store.get(&key) else { return };
    let mut node = (**node).clone();
    let conditions = child(&mut node, "status")["conditions"].as_array_mut();
    for condition in conditions.into_iter().flatten().filter(|condition| condition.is_object()) {
        if condition["status"] != "Unknown" {
            condition["lastTransitionTime"] = seconds(now).into();
        }
        condition["status"] = "Unknown".into();
        condition["reason"] = "NodeStatusUnknown".into();
        condition["message"] = "Kubelet stopped posting node status.".into();
    }
    set_lifecycle_taints(&mut node, now);
    cluster.store.put(&key, node);
    pods::node_lost(cluster, name, now);
    state.note(format_args!("node {name}: unknown"));
    workloads::wake(world, state, id);
}

/// Puts on and takes off the taints that follow from conditions and from a cordon.
pub(super) fn set_lifecycle_taints(node: &mut Value, now: Timestamp) {
    let status = ready_status(node).unwrap_or("Unknown").to_owned();
    let is_cordoned = node["spec"]["unschedulable"] == true;
    let before = taints_of(node);
    let wanted = [
        (NOT_READY, "NoSchedule", status == "False"),
        (NOT_READY, "NoExecute", status == "False"),
        (UNREACHABLE, "NoSchedule", status == "Unknown"),
        (UNREACHABLE, "NoExecute", status == "Unknown"),
        (UNSCHEDULABLE, "NoSchedule", is_cordoned),
    ];
    let mut list = before;
    for (key, effect, is_wanted) in wanted {
        let is_it = |taint: &Value| taint["key"] == key && taint["effect"] == effect;
        if !is_wanted {
            list.retain(|taint| !is_it(taint));
        } else if !list.iter().any(is_it) {
            list.push(json!({"key": key, "effect": effect, "timeAdded": seconds(now)}));
        }
    }
    set_taints(node, list);
}

pub(super) fn taints_of(node: &Value) -> Vec<Value> {
    node["spec"]["taints"].as_array().cloned().unwrap_or_default()
}

fn set_taints(node: &mut Value, list: Vec<Value>) {
    let Some(spec) = child(node, "spec").as_object_mut() else { return };
    if list.is_empty() {
        spec.shift_remove("taints");
    } else {
        spec.insert("taints".into(), list.into());
    }
}
