//! What an object must be: faults, each with its field, in the server's words.

mod changes;
mod metadata;
mod workloads;

use super::resource::Resource;
use serde_json::{Value, json};

/// A fault of one field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub reason: &'static str,
    pub field: String,
    pub message: String,
}

impl Fault {
    pub(super) fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() { "Required value".into() } else { format!("Required value: {detail}") };
        Fault { reason: "FieldValueRequired", field: field.into(), message }
    }

    pub(super) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Fault { reason: "FieldValueInvalid", field: field.into(), message: format!("Invalid value: {value}: {detail}") }
    }

    pub(super) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Fault { reason: "FieldValueForbidden", field: field.into(), message: format!("Forbidden: {detail}") }
    }

    pub(super) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Fault { reason: "FieldValueDuplicate", field: field.into(), message: format!("Duplicate value: {value}") }
    }

    pub(super) fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
        Fault { reason: "FieldValueNotSupported", field: field.into(), message }
    }

    pub(super) fn too_long(field: impl Into<String>, detail: &str) -> Self {
        Fault { reason: "FieldValueTooLong", field: field.into(), message: format!("Too long: {detail}") }
    }
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// Whether it is an RFC 1123 label.
pub(super) fn is_label(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().all(|byte| letter(byte) || byte == b'-')
        && text.bytes().next().is_some_and(letter)
        && text.bytes().last().is_some_and(letter)
}

/// Checks a whole object; `before` is what it replaces.
pub(super) fn object(resource: &Resource, object: &Value, before: Option<&Value>) -> Vec<Fault> {
    let mut faults = Vec::new();
    match before {
        Some(before) => metadata::change(object, before, &mut faults),
        None => metadata::object(resource, object, &mut faults),
    }
    match (resource.group, resource.plural) {
        ("", "configmaps") => {
            if let Some(before) = before {
                changes::check(resource, object, before, &mut faults);
            }
            config_map(object, &mut faults);
            return faults;
        }
        ("", "services") => service(&object["spec"], &mut faults),
        ("", "nodes") => node(&object["spec"], &mut faults),
        ("", "pods") => workloads::pod(&object["spec"], "spec", false, &mut faults),
        ("apps", _) => workloads::workload(resource, object, &mut faults),
        ("coordination.k8s.io", _) => lease(&object["spec"], &mut faults),
        ("policy", _) => {
            if !object["spec"]["minAvailable"].is_null() && !object["spec"]["maxUnavailable"].is_null() {
                let message = "minAvailable and maxUnavailable cannot be both set";
                faults.push(Fault::invalid("spec", &budget_shown(&object["spec"]), message));
            }
        }
        ("apiextensions.k8s.io", _) => super::custom::validate_definition(object, &mut faults),
        _ => {}
    }
    if let Some(before) = before {
        changes::check(resource, object, before, &mut faults);
    }
    faults
}

/// Checks what a status says.
pub(super) fn status(resource: &Resource, object: &Value, before: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    metadata::change(object, before, &mut faults);
    if resource.plural == "deployments" {
        let figure = |name: &str| object["status"][name].as_i64().unwrap_or(0);
        let all = [
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "observedGeneration",
        ];
        for name in all.into_iter().filter(|name| figure(name) < 0) {
            let message = "must be greater than or equal to 0";
            faults.push(Fault::invalid(format!("status.{name}"), &figure(name).into(), message));
        }
        for name in ["updatedReplicas", "readyReplicas", "availableReplicas"] {
            if figure(name) > figure("replicas") {
                let message = "cannot be greater than status.replicas";
                faults.push(Fault::invalid(format!("status.{name}"), &figure(name).into(), message));
            }
        }
        if figure("availableReplicas") > figure("readyReplicas") {
            let message = "cannot be greater than readyReplicas";
            faults.push(Fault::invalid("status.availableReplicas", &figure("availableReplicas").into(), message));
        }
    }
    faults
}

fn budget_shown(spec: &Value) -> Value {
    json!({
        "MinAvailable": spec["minAvailable"], "Selector": spec["selector"], "MaxUnavailable": spec["maxUnavailable"],
        "UnhealthyPodEvictionPolicy": spec["unhealthyPodEvictionPolicy"],
    })
}

fn config_map(object: &Value, faults: &mut Vec<Fault>) {
    const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    for part in ["data", "binaryData"] {
        let mut keys: Vec<&String> = object[part].as_object().into_iter().flatten().map(|(key, _)| key).collect();
        keys.sort();
        for key in keys {
            let is_key = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
            if key.is_empty() || !key.chars().all(is_key) {
                faults.push(Fault::invalid(format!("{part}[{key}]"), &json!(key), KEY));
            }
        }
    }
}

fn lease(spec: &Value, faults: &mut Vec<Fault>) {
    for (field, least) in [("leaseDurationSeconds", 1), ("leaseTransitions", 0)] {
        if let Some(figure) = spec[field].as_i64().filter(|figure| *figure < least) {
            let message = if least == 1 { "must be greater than 0" } else { "must be greater than or equal to 0" };
            faults.push(Fault::invalid(format!("spec.{field}"), &figure.into(), message));
        }
    }
    if spec["holderIdentity"] == "" {
        faults.push(Fault::invalid("spec.holderIdentity", &"".into(), "must not be empty"));
    }
}

fn node(spec: &Value, faults: &mut Vec<Fault>) {
    let taints = spec["taints"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (at, taint) in taints.iter().enumerate() {
        let place = format!("metadata.taints[{at}]");
        metadata::key(taint["key"].as_str().unwrap_or_default(), &format!("{place}.key"), faults);
        let supported = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        let effect = taint["effect"].as_str().unwrap_or_default();
        if effect.is_empty() {
            faults.push(Fault::required(format!("{place}.effect"), ""));
        } else if !supported.contains(&effect) {
            faults.push(Fault::unsupported(format!("{place}.effect"), &taint["effect"], &supported));
        }
        let is_same = |other: &&Value| other["key"] == taint["key"] && other["effect"] == taint["effect"];
        if taints.iter().take(at).any(|other| is_same(&other)) {
            faults.push(Fault::duplicate(place, taint));
        }
    }
}

fn service(spec: &Value, faults: &mut Vec<Fault>) {
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let kind = spec["type"].as_str().unwrap_or_default();
    if ports.is_empty() && spec["clusterIP"] != "None" && kind != "ExternalName" {
        faults.push(Fault::required("spec.ports", ""));
    }
    if kind == "ExternalName" && spec["externalName"].as_str().unwrap_or_default().is_empty() {
        faults.push(Fault::required("spec.externalName", ""));
    }
    let mut names: Vec<&str> = Vec::new();
    for (at, port) in ports.iter().enumerate() {
        let place = format!("spec.ports[{at}]");
        let name = port["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            if ports.len() > 1 {
                faults.push(Fault::required(format!("{place}.name"), ""));
            }
        } else {
            if !is_label(name) {
                faults.push(Fault::invalid(format!("{place}.name"), &json!(name), LABEL));
            }
            if names.contains(&name) {
                faults.push(Fault::duplicate(format!("{place}.name"), &json!(name)));
            }
            names.push(name);
        }
        port_number(&port["port"], &format!("{place}.port"), faults);
        let supported = ["SCTP", "TCP", "UDP"];
        if !supported.contains(&port["protocol"].as_str().unwrap_or_default()) {
            faults.push(Fault::unsupported(format!("{place}.protocol"), &port["protocol"], &supported));
        }
        if port["targetPort"].is_i64() {
            port_number(&port["targetPort"], &format!("{place}.targetPort"), faults);
        }
    }
    for (at, port) in ports.iter().enumerate() {
        let is_same = |other: &&Value| other["port"] == port["port"] && other["protocol"] == port["protocol"];
        if ports.iter().take(at).any(|other| is_same(&other)) {
            let mut shown = serde_json::Map::new();
            for key in ["protocol", "port"] {
                shown.insert(key.to_owned(), port[key].clone());
            }
            faults.push(Fault::duplicate(format!("spec.ports[{at}]"), &Value::Object(shown)));
        }
    }
    metadata::labels(&spec["selector"], "spec.selector", faults);
    let affinities = ["ClientIP", "None"];
    if !affinities.contains(&spec["sessionAffinity"].as_str().unwrap_or_default()) {
        faults.push(Fault::unsupported("spec.sessionAffinity", &spec["sessionAffinity"], &affinities));
    }
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !kinds.contains(&kind) {
        faults.push(Fault::unsupported("spec.type", &spec["type"], &kinds));
    }
}

fn port_number(port: &Value, field: &str, faults: &mut Vec<Fault>) {
    if !port.as_i64().is_some_and(|port| (1..=65_535).contains(&port)) {
        faults.push(Fault::invalid(field, port, "must be between 1 and 65535, inclusive"));
    }
}
