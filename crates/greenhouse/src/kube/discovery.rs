//! What an API server says about itself: version, health, and which resources it has.

use super::resource::Resource;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
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

/// The media type of the whole of discovery in one answer.
pub(super) const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

type Resources<'a> = &'a [&'static Resource];

/// `/api`, `/apis`, `/api/v1`, `/apis/GROUP`, `/apis/GROUP/VERSION`.
pub(super) fn document(path: &str, all: Resources<'_>) -> Option<Value> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let has = |group: &str, version: &str| all.iter().any(|at| at.group == group && at.version == version);
    match segments.as_slice() {
        ["api"] => Some(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
        })),
        ["apis"] => Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups(all)})),
        ["api", version] if has("", version) => Some(resources("", version, all)),
        ["apis", group] if !group.is_empty() => {
            let mut found = groups(all).into_iter().find(|at| at["name"] == *group)?;
            found["kind"] = "APIGroup".into();
            found["apiVersion"] = "v1".into();
            Some(found)
        }
        ["apis", group, version] if has(group, version) => Some(resources(group, version, all)),
        _ => None,
    }
}

/// Whether a path is that of a version, be it there or not, of a group that is.
pub(super) fn is_version_of_a_group(path: &str, all: Resources<'_>) -> bool {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        ["api", _] => true,
        ["apis", group, _] => all.iter().any(|at| at.group == *group),
        _ => false,
    }
}

/// All groups with all their resources, where the client would rather have that.
pub(super) fn aggregated(path: &str, accept: &str, all: Resources<'_>) -> Option<Value> {
    let wanted = accept.split(',').any(|kind| kind.contains("apidiscovery.k8s.io") && kind.contains("v=v2;"));
    let names: BTreeMap<&str, &str> = match path {
        "/api" if wanted => [("", "v1")].into(),
        "/apis" if wanted => all.iter().filter(|at| !at.group.is_empty()).map(|at| (at.group, at.version)).collect(),
        _ => return None,
    };
    let item = |(group, version): (&str, &str)| {
        let of = all.iter().filter(|at| at.group == group && at.version == version);
        let resources: Vec<Value> = of.map(|resource| discovered(resource)).collect();
        let meta = if group.is_empty() { json!({}) } else { json!({"name": group}) };
        json!({"metadata": meta, "versions": [{"version": version, "resources": resources, "freshness": "Current"}]})
    };
    let items: Vec<Value> = names.into_iter().map(item).collect();
    Some(json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    }))
}

fn discovered(resource: &Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let subresources: Vec<Value> = subresources_of(resource)
        .into_iter()
        .map(|(name, group, version, of, verbs)| {
            json!({"subresource": name, "responseKind": kind(group, version, of), "verbs": verbs})
        })
        .collect();
    let mut found = json!({
        "resource": resource.plural, "responseKind": kind(resource.group, resource.version, resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.kind.to_lowercase(), "verbs": VERBS,
    });
    if !resource.short.is_empty() {
        found["shortNames"] = json!(resource.short);
    }
    if let Some(categories) = categories(resource) {
        found["categories"] = json!(categories);
    }
    if !subresources.is_empty() {
        found["subresources"] = subresources.into();
    }
    found
}

/// Name, group, version and kind of what it answers, verbs.
fn subresources_of(
    resource: &Resource,
) -> Vec<(&'static str, &'static str, &'static str, &'static str, &'static [&'static str])> {
    let mut all = Vec::new();
    let write: &[&str] = &["get", "patch", "update"];
    for name in ["binding", "eviction", "finalize", "scale", "status"] {
        if !super::subresources::has(resource, name) {
            continue;
        }
        all.push(match name {
            "binding" => (name, "", "v1", "Binding", &["create"] as &[&str]),
            "eviction" => (name, "policy", "v1", "Eviction", &["create"] as &[&str]),
            "finalize" => (name, "", "v1", "Namespace", &["update"] as &[&str]),
            "scale" => (name, "autoscaling", "v1", "Scale", write),
            _ => (name, resource.group, resource.version, resource.kind, write),
        });
    }
    all
}

fn categories(resource: &Resource) -> Option<&'static [&'static str]> {
    match resource.plural {
        "pods" | "services" | "daemonsets" | "deployments" | "replicasets" | "statefulsets" => Some(&["all"]),
        "customresourcedefinitions" => Some(&["api-extensions"]),
        _ => None,
    }
}

fn groups(all: Resources<'_>) -> Vec<Value> {
    let named = all.iter().filter(|at| !at.group.is_empty());
    let versions: BTreeMap<&str, &str> = named.map(|at| (at.group, at.version)).collect();
    let group = |(name, version): (&str, &str)| {
        let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
        json!({"name": name, "versions": [version], "preferredVersion": version})
    };
    versions.into_iter().map(group).collect()
}

fn resources(group: &str, version: &str, all: Resources<'_>) -> Value {
    let mut listed = Vec::new();
    for resource in all.iter().filter(|at| at.group == group && at.version == version) {
        listed.push(entry(resource));
        for (name, group, version, kind, verbs) in subresources_of(resource) {
            let mut entry = json!({
                "name": format!("{}/{name}", resource.plural), "singularName": "", "kind": kind,
                "namespaced": resource.namespaced, "verbs": verbs,
            });
            if (group, version) != (resource.group, resource.version) {
                entry["group"] = group.into();
                entry["version"] = version.into();
            }
            listed.push(entry);
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed})
}

fn entry(resource: &Resource) -> Value {
    let mut entry = json!({
        "name": resource.plural, "singularName": resource.kind.to_lowercase(), "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": VERBS,
    });
    if resource.custom.is_some() {
        // The server lists those verbs in another order.
        entry["verbs"] = json!(["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]);
    }
    if !resource.short.is_empty() {
        entry["shortNames"] = json!(resource.short);
    }
    if let Some(categories) = categories(resource) {
        entry["categories"] = json!(categories);
    }
    // The version that is stored, which for definitions is older.
    let version = if resource.group == "apiextensions.k8s.io" { "v1beta1" } else { resource.version };
    let stored = Sha256::digest(format!("{}/{version}/{}", resource.group, resource.kind));
    entry["storageVersionHash"] = STANDARD.encode(stored.get(..8).unwrap_or_default()).into();
    entry
}
