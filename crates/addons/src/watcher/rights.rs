//! What the watcher may do: every verb that it uses, and no other.

use super::APP;
use crate::part::{account_subject, meta, role_ref, rule};
use crate::{Object, SYSTEM};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};

/// Names the leader among the replicas.
const LEASE: &str = "bouquet-watcher";
/// The authority of the certificates that replicas know each other by.
const AUTHORITY: &str = "bouquet-watcher-ca";

pub(super) fn all() -> Vec<Object> {
    let subjects = Some(vec![account_subject(SYSTEM, APP)]);
    let everywhere =
        ClusterRole { metadata: meta(APP, None, APP), rules: Some(everywhere()), ..ClusterRole::default() };
    let bound = ClusterRoleBinding {
        metadata: meta(APP, None, APP),
        role_ref: role_ref("ClusterRole", APP),
        subjects: subjects.clone(),
    };
    let at_home = Role { metadata: meta(APP, Some(SYSTEM), APP), rules: Some(at_home()) };
    let bound_at_home =
        RoleBinding { metadata: meta(APP, Some(SYSTEM), APP), role_ref: role_ref("Role", APP), subjects };
    vec![Object::of(&everywhere), Object::of(&bound), Object::of(&at_home), Object::of(&bound_at_home)]
}

fn everywhere() -> Vec<PolicyRule> {
    let watch = ["list", "watch"];
    vec![
        rule("", &["nodes", "pods"], &watch),
        rule("networking.k8s.io", &["ingresses"], &watch),
        rule("traefik.io", &["ingressroutes", "ingressroutetcps"], &watch),
        rule("gateway.networking.k8s.io", &["gateways", "httproutes"], &watch),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
        rule("bouquet.dev", &["ingressnodes"], &["list", "create", "delete"]),
        rule("bouquet.dev", &["ingressnodes/status"], &["patch"]),
    ]
}

/// What is created has no name yet that a rule could speak of.
fn at_home() -> Vec<PolicyRule> {
    let one = |name: &str, rule: PolicyRule| PolicyRule { resource_names: Some(vec![name.to_owned()]), ..rule };
    vec![
        rule("coordination.k8s.io", &["leases"], &["create"]),
        one(LEASE, rule("coordination.k8s.io", &["leases"], &["get", "update"])),
        rule("", &["secrets"], &["create"]),
        one(AUTHORITY, rule("", &["secrets"], &["get"])),
    ]
}
