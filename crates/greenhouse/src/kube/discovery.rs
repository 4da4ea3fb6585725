//! What an API server says about itself: version, health, and which resources it has.

use super::resource::{RESOURCES, Resource, has_group};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `/version` of a Kubernetes `version` without `v`.
pub(super) fn version(version: &str) -> Value {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    json!({
        "major": major, "minor": minor,
        "emulationMajor": major, "emulationMinor": minor,
        "gitVersion": format!("v{version}"), "gitTreeState": "clean", "compiler": "gc", "platform": "linux/arm64",
    })
}

/// Whether the path is one of the health endpoints.
pub(super) fn is_health(path: &str) -> bool {
    matches!(path.trim_end_matches('/'), "/healthz" | "/livez" | "/readyz")
}

/// The body of a failed health check; etcd is what fails.
pub(super) fn unhealthy(path: &str) -> String {
    let check = path.trim_matches('/');
    format!("[+]ping ok\n[+]log ok\n[-]etcd failed: reason withheld\n{check} check failed\n")
}

/// `/api`, `/apis`, `/api/v1`, `/apis/GROUP`, `/apis/GROUP/VERSION`.
pub(super) fn document(path: &str) -> Option<Value> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        ["api"] => Some(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
        })),
        ["apis"] => Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups()})),
        ["api", version] if has_group("", version) => Some(resources("", version)),
        ["apis", group] if !group.is_empty() => {
            let mut found = groups().into_iter().find(|at| at["name"] == *group)?;
            found["kind"] = "APIGroup".into();
            found["apiVersion"] = "v1".into();
            Some(found)
        }
        ["apis", group, version] if has_group(group, version) => Some(resources(group, version)),
        _ => None,
    }
}

fn groups() -> Vec<Value> {
    let named = RESOURCES.iter().filter(|at| !at.group.is_empty());
    let versions: BTreeMap<&str, &str> = named.map(|at| (at.group, at.version)).collect();
    let group = |(name, version): (&str, &str)| {
        let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
        json!({"name": name, "versions": [version], "preferredVersion": version})
    };
    versions.into_iter().map(group).collect()
}

fn resources(group: &str, version: &str) -> Value {
    let mut listed = Vec::new();
    for resource in RESOURCES.iter().filter(|at| at.group == group && at.version == version) {
        listed.push(entry(resource));
        let subresource = |name: &str, kind: &str, verbs: &[&str]| {
            json!({
                "name": format!("{}/{name}", resource.plural), "singularName": "", "kind": kind,
                "namespaced": resource.namespaced, "verbs": verbs,
            })
        };
        if resource.status {
            listed.push(subresource("status", resource.kind, &["get", "patch", "update"]));
        }
        if resource.plural == "pods" {
            let mut eviction = subresource("eviction", "Eviction", &["create"]);
            eviction["group"] = "policy".into();
            eviction["version"] = "v1".into();
            listed.push(eviction);
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed})
}

fn entry(resource: &Resource) -> Value {
    let mut entry = json!({
        "name": resource.plural, "singularName": resource.kind.to_lowercase(), "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    });
    if !resource.short.is_empty() {
        entry["shortNames"] = json!(resource.short);
    }
    entry
}
