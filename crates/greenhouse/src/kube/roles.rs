//! Roles: who may do what, by the bindings that the cluster holds (RBAC).

use super::auth::User;
use super::resource::find;
use super::store::{Key, Store};
use serde_json::Value;

const RBAC: &str = "rbac.authorization.k8s.io";

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    /// `pods`, `pods/eviction`.
    pub resource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

/// Whether a binding lets the user have its wish.
pub(super) fn allow(store: &Store, user: &User, wish: Wish<'_>) -> bool {
    user.is_master()
        || bound(store, user, "clusterrolebindings", "", wish)
        || !wish.namespace.is_empty() && bound(store, user, "rolebindings", wish.namespace, wish)
}

fn bound(store: &Store, user: &User, bindings: &str, namespace: &str, wish: Wish<'_>) -> bool {
    let Some(resource) = find(RBAC, "v1", bindings) else { return false };
    store.list(resource, namespace).any(|(_, binding)| {
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        let is_subject = |subject: &Value| match subject["kind"].as_str() {
            Some("User") => subject["name"] == *user.name,
            Some("Group") => user.groups.iter().any(|group| subject["name"] == **group),
            Some("ServiceAccount") => {
                let text = |field: &str| subject[field].as_str().unwrap_or_default();
                user.name == format!("system:serviceaccount:{}:{}", text("namespace"), text("name"))
            }
            _ => false,
        };
        subjects.into_iter().any(is_subject) && role_allows(store, &binding["roleRef"], namespace, wish)
    })
}

fn role_allows(store: &Store, role: &Value, namespace: &str, wish: Wish<'_>) -> bool {
    let (plural, namespace) = if role["kind"] == "ClusterRole" { ("clusterroles", "") } else { ("roles", namespace) };
    let key =
        find(RBAC, "v1", plural).map(|roles| Key::new(roles, namespace, role["name"].as_str().unwrap_or_default()));
    let rules = key.and_then(|key| store.get(&key)).map(|role| role["rules"].clone()).unwrap_or_default();
    rules.as_array().into_iter().flatten().any(|rule| {
        let has = |field: &str, wanted: &str| {
            rule[field].as_array().into_iter().flatten().any(|at| at == "*" || at == wanted)
        };
        let subresource = wish.resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
        let resource = has("resources", wish.resource) || subresource.is_some_and(|any| has("resources", &any));
        let names = rule["resourceNames"].as_array().map(Vec::as_slice).unwrap_or_default();
        let named = names.is_empty() || !wish.name.is_empty() && names.iter().any(|name| name == wish.name);
        has("verbs", wish.verb) && has("apiGroups", wish.group) && resource && named
    })
}
