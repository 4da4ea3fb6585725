//! The scheduler: gives each pod that has none a node that it fits and tolerates.

use super::{every_node, pods};
use crate::kube::nodes::taints_of;
use crate::kube::store::{Key, Store};
use jiff::Timestamp;
use serde_json::Value;

pub(super) fn settle(store: &mut Store, now: Timestamp) {
    let waiting = pods::list(store, "").filter(|(_, pod)| pods::node_of(pod).is_empty() && !pods::is_going(pod));
    let waiting: Vec<(Key, Value)> = waiting.map(|(key, pod)| (key.clone(), pod.clone())).collect();
    for (key, pod) in waiting {
        if let Some(node) = choose(store, &pod) {
            pods::bind(store, &key, &node, now);
        } else {
            let mut unschedulable = pod;
            pods::set_condition(&mut unschedulable, "PodScheduled", "False", "Unschedulable", now);
            store.put(&key, unschedulable);
        }
    }
}

/// The fitting node with the fewest pods of the same owner, then the fewest pods, then by name.
fn choose(store: &Store, pod: &Value) -> Option<String> {
    let owner = &pod["metadata"]["ownerReferences"][0]["uid"];
    let load = |node: &str| {
        let on_node = pods::list(store, "").filter(|(_, at)| pods::node_of(at) == node);
        let (mut same, mut all) = (0_u32, 0_u32);
        for (_, at) in on_node {
            all += 1;
            same += u32::from(!owner.is_null() && at["metadata"]["ownerReferences"][0]["uid"] == *owner);
        }
        (same, all)
    };
    let fitting = every_node(store).filter(|(_, node)| fits(pod, node) && tolerates(pod, node, &[]));
    fitting.map(|(key, _)| key.name.clone()).min_by_key(|name| (load(name), name.clone()))
}

/// Whether the pod's node selector takes the node.
pub(super) fn fits(pod: &Value, node: &Value) -> bool {
    let wanted = pod["spec"]["nodeSelector"].as_object();
    wanted.into_iter().flatten().all(|(label, value)| node["metadata"]["labels"].get(label) == Some(value))
}

/// Whether the pod, or whoever asks for it by `also` (keys), tolerates all taints that keep pods away.
pub(super) fn tolerates(pod: &Value, node: &Value, also: &[&str]) -> bool {
    let tolerations = pod["spec"]["tolerations"].as_array().map(Vec::as_slice).unwrap_or_default();
    taints_of(node).iter().filter(|taint| taint["effect"] != "PreferNoSchedule").all(|taint| {
        also.iter().any(|key| taint["key"] == *key)
            || tolerations.iter().any(|toleration| {
                let any_effect = toleration["effect"].is_null() || toleration["effect"] == "";
                let any_key = toleration["key"].is_null() || toleration["key"] == "";
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                (any_effect || toleration["effect"] == taint["effect"])
                    && (any_key || toleration["key"] == taint["key"])
                    && (toleration["operator"] == "Exists" || text(&toleration["value"]) == text(&taint["value"]))
            })
    })
}
