//! EndpointSlices: for each service with a selector, the pods behind it and whether they serve.
//!
//! One slice a service, as there are never a hundred pods here. Services without a selector have the slices that somebody makes;
//! the API's own has none.

use super::{owned_by, pods};
use crate::kube::evict::is_ready;
use crate::kube::resource::find;
use crate::kube::select::Selector;
use crate::kube::store::{Key, Store};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) fn settle(store: &mut Store, now: Timestamp) {
    let (Some(services), Some(slices)) = (find("", "v1", "services"), find("discovery.k8s.io", "v1", "endpointslices"))
    else {
        return;
    };
    let all: Vec<(Key, Value)> = store.list(services, "").map(|(key, at)| (key.clone(), (**at).clone())).collect();
    for (key, service) in all {
        let selects = service["spec"]["selector"].as_object().is_some_and(|selector| !selector.is_empty());
        if !selects || service["spec"]["type"] == "ExternalName" || pods::is_going(&service) {
            continue;
        }
        let (endpoints, ports) = content(store, &key, &service);
        let present = owned_by(store, slices.plural, &key.namespace, pods::uid(&service)).into_iter().next();
        if let Some((at, mut slice)) = present {
            slice["endpoints"] = endpoints;
            slice["ports"] = ports;
            store.put(&at, slice);
        } else {
            let at = Key::new(slices, &key.namespace, &format!("{}-{}", key.name, store.suffix(5)));
            let mut slice = make(&key, &service, &endpoints, &ports);
            store.stamp(&at, &mut slice, now);
            store.put(&at, slice);
        }
    }
}

fn make(key: &Key, service: &Value, endpoints: &Value, ports: &Value) -> Value {
    json!({
        "metadata": {
            "generateName": format!("{}-", key.name),
            "labels": {
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": key.name,
            },
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Service", "name": key.name, "uid": pods::uid(service),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
    })
}

/// The pods that a service selects, and its ports as they have them.
fn content(store: &Store, key: &Key, service: &Value) -> (Value, Value) {
    let selector = Selector::of_object(&json!({"matchLabels": service["spec"]["selector"]}));
    let selected = pods::list(store, &key.namespace).filter(|(_, pod)| {
        let is_over = pod["status"]["phase"] == "Succeeded" || pod["status"]["phase"] == "Failed";
        selector.matches(pod) && !is_over && pod["status"]["podIP"].is_string()
    });
    let selected: Vec<(&Key, &Value)> = selected.collect();
    let publishes = service["spec"]["publishNotReadyAddresses"] == true;
    let endpoints = selected.iter().map(|(at, pod)| {
        let (serving, terminating) = (is_ready(pod), pods::is_going(pod));
        json!({
            "addresses": [pod["status"]["podIP"]],
            "conditions": {
                "ready": publishes || serving && !terminating, "serving": serving, "terminating": terminating,
            },
            "targetRef": {"kind": "Pod", "namespace": at.namespace, "name": at.name, "uid": pods::uid(pod)},
            "nodeName": pods::node_of(pod),
        })
    });
    let endpoints = endpoints.collect();
    let ports = service["spec"]["ports"].as_array().into_iter().flatten().filter_map(|port| {
        let inside = selected.first().and_then(|(_, pod)| pods::target_port(pod, port));
        let inside = inside.or_else(|| port["targetPort"].as_u64().or_else(|| port["port"].as_u64()))?;
        let name = port["name"].as_str().unwrap_or_default();
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        Some(json!({"name": name, "port": inside, "protocol": protocol}))
    });
    (endpoints, ports.collect())
}
