//! Subresources besides status and eviction: scale, binding, finalize.

use super::objects::Writer;
use super::pods;
use super::refusal::Refusal;
use super::resource::Resource;
use super::store::{Key, Store, child, metadata};
use super::validate::Fault;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// Whether a resource has that subresource.
pub(super) fn has(resource: &Resource, name: &str) -> bool {
    match name {
        "status" => resource.status,
        "scale" => resource.group == "apps" && resource.plural != "daemonsets",
        "eviction" | "binding" => resource.group.is_empty() && resource.plural == "pods",
        "finalize" => resource.group.is_empty() && resource.plural == "namespaces",
        _ => false,
    }
}

/// A workload's scale.
pub(super) fn scale(object: &Value) -> Value {
    let meta = &object["metadata"];
    let labels = object["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    let mut selector: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    selector.sort();
    let mut kept = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        kept[field] = meta[field].clone();
    }
    let mut spec = json!({});
    if let Some(replicas) = object["spec"]["replicas"].as_i64().filter(|replicas| *replicas != 0) {
        spec["replicas"] = replicas.into();
    }
    let replicas = object["status"]["replicas"].as_i64().unwrap_or(0);
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": kept, "spec": spec,
        "status": {"replicas": replicas, "selector": selector.join(",")},
    })
}

/// Gives a workload another scale.
pub(super) fn rescale(writer: &mut Writer<'_>, key: &Key, wanted: &Value) -> Result<Value, Refusal> {
    let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let fault = Fault::invalid("spec.replicas", &replicas.into(), "must be greater than or equal to 0");
        return Err(Refusal::invalid_kind("autoscaling", "Scale", &key.name, &[fault]));
    }
    let mut next = (*writer.current(key)?).clone();
    let version = wanted["metadata"]["resourceVersion"].clone();
    next["spec"]["replicas"] = replicas.into();
    if version.is_string() {
        metadata(&mut next)["resourceVersion"] = version;
    }
    writer.store_scaled(key, next).map(|scaled: Arc<Value>| scale(&scaled))
}

/// Binds a pod to a node.
pub(super) fn bind(store: &mut Store, key: &Key, body: &Value, now: Timestamp) -> Result<(), Refusal> {
    let pod = store.get(key).cloned().ok_or_else(|| Refusal::not_found(key.resource, &key.name))?;
    let node = pods::node_of(&pod);
    if !node.is_empty() {
        let why = format!("pod {} is already assigned to node {node:?}", key.name);
        return Err(Refusal::conflict_of("pods/binding", &key.name, &why));
    }
    pods::bind(store, key, body["target"]["name"].as_str().unwrap_or_default(), now);
    Ok(())
}

/// Takes a namespace's own finalizers off; with the last, it goes.
pub(super) fn finalize(store: &mut Store, key: &Key, body: &Value) -> Result<Value, Refusal> {
    let current = store.get(key).cloned().ok_or_else(|| Refusal::not_found(key.resource, &key.name))?;
    let mut next = (*current).clone();
    let left = body["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
    let is_going = next["metadata"]["deletionTimestamp"].is_string();
    let spec = child(&mut next, "spec");
    if left.is_empty() {
        if let Some(fields) = spec.as_object_mut() {
            fields.shift_remove("finalizers");
        }
        let held = current["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
        if is_going && !held {
            store.remove(key);
            return Ok(next);
        }
    } else {
        spec["finalizers"] = left.into();
    }
    Ok((*store.put(key, next)).clone())
}
