//! Tables: what `kubectl get` shows, which the server prints.

use super::resource::Resource;
use http::HeaderMap;
use http::header::ACCEPT;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Whether the client would rather have a table.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').next().is_some_and(|first| first.contains("as=Table") && first.contains("g=meta.k8s.io"))
}

/// The table of an object, or of a list's items.
pub(super) fn of(resource: &Resource, shown: &Value, now: Timestamp) -> Value {
    let columns = columns(resource);
    let row = |object: &Value| {
        let cells: Value = columns
            .iter()
            .map(|(name, _)| custom_cell(resource, name, object, now).unwrap_or_else(|| cell(name, object, now)))
            .collect();
        let meta = json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
        });
        json!({"cells": cells, "object": meta})
    };
    let rows: Value = match shown["items"].as_array() {
        Some(items) => items.iter().map(row).collect(),
        None => json!([row(shown)]),
    };
    let definitions = columns.iter().map(|(name, priority)| {
        let format = if *name == "Name" { "name" } else { "" };
        json!({"name": name, "type": "string", "format": format, "description": "", "priority": priority})
    });
    let mut metadata = shown["metadata"].clone();
    if shown["items"].is_null() {
        metadata = json!({"resourceVersion": shown["metadata"]["resourceVersion"]});
    }
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions.collect::<Value>(), "rows": rows,
    })
}

/// Names and priorities; those of priority 1 show with `-o wide` only.
fn columns(resource: &Resource) -> Vec<(&str, u8)> {
    if let Some(custom) = resource.custom {
        let own = custom.columns.iter().map(|(name, ..)| (name.as_str(), 0));
        // A definition with columns of its own has no other.
        let age = custom.columns.is_empty().then_some(("Age", 0));
        return [("Name", 0)].into_iter().chain(own).chain(age).collect();
    }
    built_in(resource).to_vec()
}

fn built_in(resource: &Resource) -> &'static [(&'static str, u8)] {
    match resource.plural {
        "nodes" => &[
            ("Name", 0),
            ("Status", 0),
            ("Roles", 0),
            ("Age", 0),
            ("Version", 0),
            ("Internal-IP", 1),
            ("External-IP", 1),
            ("OS-Image", 1),
            ("Kernel-Version", 1),
            ("Container-Runtime", 1),
        ],
        "pods" => &[("Name", 0), ("Ready", 0), ("Status", 0), ("Restarts", 0), ("Age", 0), ("IP", 1), ("Node", 1)],
        "deployments" => &[("Name", 0), ("Ready", 0), ("Up-to-date", 0), ("Available", 0), ("Age", 0)],
        "daemonsets" => &[("Name", 0), ("Desired", 0), ("Current", 0), ("Ready", 0), ("Available", 0), ("Age", 0)],
        "namespaces" => &[("Name", 0), ("Status", 0), ("Age", 0)],
        "services" => &[("Name", 0), ("Type", 0), ("Cluster-IP", 0), ("External-IP", 0), ("Port(s)", 0), ("Age", 0)],
        "configmaps" => &[("Name", 0), ("Data", 0), ("Age", 0)],
        "secrets" => &[("Name", 0), ("Type", 0), ("Data", 0), ("Age", 0)],
        _ => &[("Name", 0), ("Age", 0)],
    }
}

/// What a definition's own column shows of an object.
fn custom_cell(resource: &Resource, column: &str, object: &Value, now: Timestamp) -> Option<Value> {
    let (_, kind, path) = resource.custom?.columns.iter().find(|(name, ..)| name == column)?;
    let found = path.trim_start_matches('.').split('.').fold(object, |at, field| &at[field]);
    let is_date = kind == "date" && found.is_string();
    Some(if is_date { age(found.as_str(), now).into() } else { found.clone() })
}

fn cell(column: &str, object: &Value, now: Timestamp) -> Value {
    let (meta, status) = (&object["metadata"], &object["status"]);
    let is_node = !status["nodeInfo"].is_null();
    let is_pod = !object["spec"]["containers"].is_null();
    let figure = |field: &str| status[field].as_u64().unwrap_or(0).to_string();
    let info = |field: &str| status["nodeInfo"][field].as_str().unwrap_or("<unknown>").to_owned();
    match column {
        "Name" => return meta["name"].clone(),
        "Age" => age(meta["creationTimestamp"].as_str(), now),
        "Status" if is_node => node_status(object),
        "Status" if is_pod && meta["deletionTimestamp"].is_string() => "Terminating".into(),
        "Status" => status["phase"].as_str().unwrap_or_default().to_owned(),
        "Roles" => roles(&meta["labels"]),
        "Version" => info("kubeletVersion"),
        "Internal-IP" => address(status, "InternalIP"),
        "External-IP" => address(status, "ExternalIP"),
        "OS-Image" => info("osImage"),
        "Kernel-Version" => info("kernelVersion"),
        "Container-Runtime" => info("containerRuntimeVersion"),
        "Ready" if is_pod => {
            let ready = status["containerStatuses"].as_array().map_or(0, Vec::len);
            format!("{ready}/{}", object["spec"]["containers"].as_array().map_or(0, Vec::len))
        }
        "Ready" if object["spec"]["replicas"].is_number() => {
            format!("{}/{}", figure("readyReplicas"), object["spec"]["replicas"])
        }
        "Ready" => figure("numberReady"),
        "Restarts" => "0".into(),
        "Type" if object["spec"]["type"].is_string() => text(&object["spec"]["type"]),
        "Type" => text(&object["type"]),
        "Cluster-IP" => text(&object["spec"]["clusterIP"]),
        "Port(s)" => ports(&object["spec"]["ports"]),
        "Data" => object["data"].as_object().map_or(0, serde_json::Map::len).to_string(),
        "IP" => status["podIP"].as_str().unwrap_or("<none>").to_owned(),
        "Node" => object["spec"]["nodeName"].as_str().unwrap_or("<none>").to_owned(),
        "Up-to-date" => figure("updatedReplicas"),
        "Available" if object["spec"]["replicas"].is_number() => figure("availableReplicas"),
        "Available" => figure("numberAvailable"),
        "Desired" => figure("desiredNumberScheduled"),
        "Current" => figure("currentNumberScheduled"),
        _ => String::new(),
    }
    .into()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("<none>").to_owned()
}

fn ports(list: &Value) -> String {
    let port = |port: &Value| {
        let node = port["nodePort"].as_u64().map(|node| format!(":{node}")).unwrap_or_default();
        format!("{}{node}/{}", port["port"], port["protocol"].as_str().unwrap_or("TCP"))
    };
    let all: Vec<String> = list.as_array().into_iter().flatten().map(port).collect();
    if all.is_empty() { "<none>".into() } else { all.join(",") }
}

fn node_status(node: &Value) -> String {
    let conditions = node["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|at| at["type"] == "Ready");
    // A node that nobody hears from is NotReady here too.
    let word = if ready.is_some_and(|at| at["status"] == "True") { "Ready" } else { "NotReady" };
    let cordoned = if node["spec"]["unschedulable"] == true { ",SchedulingDisabled" } else { "" };
    format!("{word}{cordoned}")
}

fn roles(labels: &Value) -> String {
    let all = labels.as_object().into_iter().flatten();
    let mut roles: Vec<&str> = all.filter_map(|(label, _)| label.strip_prefix("node-role.kubernetes.io/")).collect();
    roles.sort_unstable();
    if roles.is_empty() { "<none>".into() } else { roles.join(",") }
}

fn address(status: &Value, kind: &str) -> String {
    let found = status["addresses"].as_array().into_iter().flatten().find(|at| at["type"] == kind);
    found.and_then(|at| at["address"].as_str()).unwrap_or("<none>").to_owned()
}

/// `12s`, `4m5s`, `3h`, `6d`: about as precise as kubectl is.
fn age(created: Option<&str>, now: Timestamp) -> String {
    let Some(created) = created.and_then(|text| text.parse::<Timestamp>().ok()) else { return "<unknown>".into() };
    let seconds = now.duration_since(created).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => format!("{}m{}s", seconds / 60, seconds % 60),
        600..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
