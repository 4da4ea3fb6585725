//! What may not change once it is set.

use super::super::resource::Resource;
use super::Fault;
use serde_json::Value;

const POD: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(super) fn check(resource: &Resource, object: &Value, before: &Value, faults: &mut Vec<Fault>) {
    let (spec, old) = (&object["spec"], &before["spec"]);
    let mut fixed = |field: &str| {
        if spec[field] != old[field] {
            faults.push(Fault::invalid(format!("spec.{field}"), &spec[field], "field is immutable"));
        }
    };
    match (resource.group, resource.plural) {
        ("apps", "deployments" | "daemonsets" | "replicasets") => fixed("selector"),
        ("", "nodes") => node(spec, old, faults),
        ("", "pods") => pod(spec, old, faults),
        ("", "services") => service(spec, old, faults),
        ("", "secrets" | "configmaps") => data(resource, object, before, faults),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            if object["roleRef"] != before["roleRef"] {
                let role = &object["roleRef"];
                // As the server's own type prints it.
                let shown =
                    serde_json::json!({"APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"]});
                faults.push(Fault::invalid("roleRef", &shown, "field is immutable"));
            }
        }
        _ => {}
    }
}

fn node(spec: &Value, old: &Value, faults: &mut Vec<Fault>) {
    let set = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    if set(&old["podCIDR"]) && spec["podCIDR"] != old["podCIDR"] {
        faults.push(Fault::forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid"));
    }
    if set(&old["providerID"]) && spec["providerID"] != old["providerID"] {
        let verb = if set(&spec["providerID"]) { "modified" } else { "cleared" };
        faults.push(Fault::invalid("spec.providerID", &Value::Null, &format!("field cannot be {verb} once set")));
    }
}

/// Images and added tolerations may change, nothing else.
fn pod(spec: &Value, old: &Value, faults: &mut Vec<Fault>) {
    let bare = |spec: &Value| {
        let mut spec = spec.clone();
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        if let Some(fields) = spec.as_object_mut() {
            fields.shift_remove("activeDeadlineSeconds");
            fields.shift_remove("tolerations");
        }
        spec
    };
    let list = |spec: &Value| spec["tolerations"].as_array().cloned().unwrap_or_default();
    let keeps = list(old).iter().all(|toleration| list(spec).contains(toleration));
    if bare(spec) != bare(old) {
        faults.push(Fault::forbidden("spec", POD));
    }
    if !keeps {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        faults.push(Fault::forbidden("spec.tolerations", detail));
    }
}

fn service(spec: &Value, old: &Value, faults: &mut Vec<Fault>) {
    let had = &old["clusterIP"];
    if had.as_str().is_some_and(|had| !had.is_empty()) && spec["clusterIP"] != *had && spec["type"] != "ExternalName" {
        let list = serde_json::json!([spec["clusterIP"]]);
        faults.push(Fault::invalid("spec.clusterIPs[0]", &list, "may not change once set"));
    }
}

fn data(resource: &Resource, object: &Value, before: &Value, faults: &mut Vec<Fault>) {
    if resource.plural == "secrets" && object["type"] != before["type"] {
        faults.push(Fault::invalid("type", &object["type"], "field is immutable"));
    }
    if before["immutable"] == true {
        const DETAIL: &str = "field is immutable when `immutable` is set";
        for field in ["immutable", "data", "binaryData"] {
            if object[field] != before[field] {
                faults.push(Fault::forbidden(field, DETAIL));
            }
        }
    }
}
