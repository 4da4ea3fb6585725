//! What the server makes of an object before it is stored: its own fields, its status, addresses and ports, generation.

use super::resource::{Resource, find};
use super::store::{Store, child, metadata};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A new object: its status is the server's, or none.
pub(super) fn create(resource: &Resource, object: &mut Value, store: &mut Store) {
    if resource.custom.is_some() {
        if resource.status
            && let Some(fields) = object.as_object_mut()
        {
            fields.shift_remove("status");
        }
        return;
    }
    if resource.status && resource.plural != "nodes" {
        object["status"] = super::decode::empty(resource.shape().field("status").unwrap_or(&super::schema::Shape::Any));
    }
    match (resource.group, resource.plural) {
        ("", "namespaces") => {
            let finalizers = &mut child(object, "spec")["finalizers"];
            let has = finalizers.as_array().is_some_and(|list| list.iter().any(|at| at == "kubernetes"));
            if !has {
                *finalizers = json!(["kubernetes"]);
            }
            object["status"] = json!({"phase": "Active"});
        }
        ("", "pods") => {
            let class = quality(object);
            object["status"] = json!({"phase": "Pending", "qosClass": class});
        }
        ("", "persistentvolumeclaims") => object["status"] = json!({"phase": "Pending"}),
        ("", "persistentvolumes") => object["status"] = json!({"phase": "Pending"}),
        ("", "services") => service(object, None, store),
        ("apps", "daemonsets") => template_generation(object, 1),
        ("apiextensions.k8s.io", _) => {
            let versions = object["spec"]["versions"].as_array().cloned().unwrap_or_default();
            let stored =
                versions.iter().filter(|version| version["storage"] == true).map(|version| version["name"].clone());
            object["status"]["storedVersions"] = stored.collect();
        }
        ("policy", "poddisruptionbudgets") => {
            object["status"] =
                json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0});
        }
        _ => {}
    }
}

/// A changed object.
pub(super) fn update(resource: &Resource, before: &Value, object: &mut Value, store: &mut Store) {
    match (resource.group, resource.plural) {
        ("", "services") => service(object, Some(before), store),
        ("", "namespaces") => object["spec"]["finalizers"] = before["spec"]["finalizers"].clone(),
        ("apps", "daemonsets") => {
            let generation = before["metadata"]["annotations"][TEMPLATE].as_str().and_then(|at| at.parse().ok());
            let changed = before["spec"]["template"] != object["spec"]["template"];
            template_generation(object, generation.unwrap_or(1) + u64::from(changed));
        }
        _ => {}
    }
}

const TEMPLATE: &str = "deprecated.daemonset.template.generation";

fn template_generation(object: &mut Value, generation: u64) {
    child(metadata(object), "annotations")[TEMPLATE] = generation.to_string().into();
}

/// Guaranteed, Burstable or BestEffort.
fn quality(pod: &Value) -> &'static str {
    let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let part = |container: &Value, kind: &str, name: &str| container["resources"][kind][name].clone();
    let has_any = |container: &Value| {
        ["cpu", "memory"]
            .iter()
            .any(|name| !part(container, "requests", name).is_null() || !part(container, "limits", name).is_null())
    };
    let is_whole = |container: &Value| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = part(container, "limits", name);
            !limit.is_null() && limit == part(container, "requests", name)
        })
    };
    if !containers.iter().any(has_any) {
        "BestEffort"
    } else if containers.iter().all(is_whole) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Gives a service the addresses and ports of its type, and takes from it those of the type it no longer has.
fn service(object: &mut Value, before: Option<&Value>, store: &mut Store) {
    let spec = child(object, "spec");
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    if kind == "ExternalName" {
        return;
    }
    if let Some(before) = before.map(|before| &before["spec"]) {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if spec[field].is_null() && !before[field].is_null() {
                spec[field] = before[field].clone();
            }
        }
        if before["type"] != *kind && kind == "ClusterIP" {
            if let Some(fields) = spec.as_object_mut() {
                fields.shift_remove("externalTrafficPolicy");
                fields.shift_remove("healthCheckNodePort");
                fields.shift_remove("allocateLoadBalancerNodePorts");
            }
        }
    }
    let (addresses, ports) = taken(store);
    if spec["clusterIP"].is_null() {
        let mut drawn = || format!("10.{}.{}.{}", store.draw(97, 111), store.draw(0, 255), store.draw(1, 254));
        let address = std::iter::repeat_with(&mut drawn).find(|address| !addresses.contains(address));
        spec["clusterIP"] = address.unwrap_or_default().into();
    }
    if spec["clusterIPs"].is_null() {
        spec["clusterIPs"] = json!([spec["clusterIP"]]);
    }
    if spec["ipFamilies"].is_null() {
        spec["ipFamilies"] = json!(["IPv4"]);
    }
    if spec["ipFamilyPolicy"].is_null() {
        spec["ipFamilyPolicy"] = "SingleStack".into();
    }
    let wants_ports = kind == "NodePort" || kind == "LoadBalancer";
    let mut free = (30_000..=32_767_u32).filter(|port| !ports.contains(port));
    let old_ports = before.map(|before| before["spec"]["ports"].clone()).unwrap_or_default();
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let old = old_ports.as_array().into_iter().flatten();
        let same = old.into_iter().find(|old| old["port"] == port["port"] && old["protocol"] == port["protocol"]);
        if wants_ports && port["nodePort"].is_null() {
            let kept = same.map(|old| old["nodePort"].clone()).filter(|kept| !kept.is_null());
            port["nodePort"] = kept.unwrap_or_else(|| free.next().unwrap_or_default().into());
        } else if !wants_ports && let Some(fields) = port.as_object_mut() {
            fields.shift_remove("nodePort");
        }
    }
    if kind == "LoadBalancer" && spec["externalTrafficPolicy"] == "Local" && spec["healthCheckNodePort"].is_null() {
        spec["healthCheckNodePort"] = free.next().unwrap_or_default().into();
    }
}

/// Addresses and node ports that services have.
fn taken(store: &Store) -> (BTreeSet<String>, BTreeSet<u32>) {
    let (mut addresses, mut ports) = (BTreeSet::new(), BTreeSet::new());
    for (_, service) in find("", "v1", "services").into_iter().flat_map(|services| store.list(services, "")) {
        addresses.extend(service["spec"]["clusterIP"].as_str().map(str::to_owned));
        for port in service["spec"]["ports"].as_array().into_iter().flatten() {
            ports.extend(port["nodePort"].as_u64().and_then(|port| u32::try_from(port).ok()));
        }
        ports.extend(service["spec"]["healthCheckNodePort"].as_u64().and_then(|port| u32::try_from(port).ok()));
    }
    (addresses, ports)
}
