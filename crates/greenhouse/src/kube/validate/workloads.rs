//! Pods, alone and in templates, and the workloads that have these.

use super::super::resource::Resource;
use super::super::select::Selector;
use super::{Fault, LABEL, is_label, port_number};
use serde_json::{Value, json};

/// Deployments, daemon sets, replica sets, stateful sets.
pub(super) fn workload(resource: &Resource, object: &Value, faults: &mut Vec<Fault>) {
    let spec = &object["spec"];
    let is_set = |selector: &Value| {
        let has = |field: &str| match &selector[field] {
            Value::Object(map) => !map.is_empty(),
            Value::Array(list) => !list.is_empty(),
            _ => false,
        };
        has("matchLabels") || has("matchExpressions")
    };
    let replicas = |faults: &mut Vec<Fault>| {
        if let Some(figure) = spec["replicas"].as_i64().filter(|figure| *figure < 0) {
            faults.push(Fault::invalid("spec.replicas", &figure.into(), "must be greater than or equal to 0"));
        }
    };
    replicas(faults);
    let selector = &spec["selector"];
    if selector.is_null() {
        faults.push(Fault::required("spec.selector", ""));
    } else if !is_set(selector) {
        let detail = match resource.plural {
            "deployments" => "empty selector is invalid for deployment",
            "daemonsets" => "empty selector is invalid for daemonset",
            "statefulsets" => "empty selector is invalid for statefulset",
            _ => "empty selector is invalid for deployment",
        };
        faults.push(Fault::invalid("spec.selector", selector, detail));
    }
    let template = &spec["template"];
    let fits = !selector.is_null() && Selector::of_object(selector).matches(template);
    if !fits && (selector.is_null() || is_set(selector)) {
        let labels = &template["metadata"]["labels"];
        faults.push(Fault::invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        ));
    }
    super::metadata::labels(&template["metadata"]["labels"], "spec.template.metadata.labels", faults);
    pod(&template["spec"], "spec.template.spec", true, faults);
}

/// A pod's spec.
pub(super) fn pod(spec: &Value, place: &str, always: bool, faults: &mut Vec<Fault>) {
    let containers = spec["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if containers.is_empty() {
        faults.push(Fault::required(format!("{place}.containers"), ""));
    }
    let mut names: Vec<&str> = Vec::new();
    for (at, container) in containers.iter().enumerate() {
        let place = format!("{place}.containers[{at}]");
        let name = container["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            faults.push(Fault::required(format!("{place}.name"), ""));
        } else if !is_label(name) {
            faults.push(Fault::invalid(format!("{place}.name"), &json!(name), LABEL));
        } else if names.contains(&name) {
            faults.push(Fault::duplicate(format!("{place}.name"), &json!(name)));
        }
        names.push(name);
        if container["image"].as_str().unwrap_or_default().is_empty() {
            faults.push(Fault::required(format!("{place}.image"), ""));
        }
        for (index, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
            port_number(&port["containerPort"], &format!("{place}.ports[{index}].containerPort"), faults);
        }
    }
    let policy = spec["restartPolicy"].as_str().unwrap_or_default();
    if always && policy != "Always" {
        faults.push(Fault::unsupported(format!("{place}.restartPolicy"), &spec["restartPolicy"], &["Always"]));
    } else if !["Always", "OnFailure", "Never"].contains(&policy) {
        let supported = ["Always", "Never", "OnFailure"];
        faults.push(Fault::unsupported(format!("{place}.restartPolicy"), &spec["restartPolicy"], &supported));
    }
}
