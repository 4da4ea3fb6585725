//! Where Talos's merge departs from "maps merge, lists append". From the struct tags and merge methods of machinery
//! v1.13.9 (`config/types`), and the documents of 1.14 that took the same fields over.

/// How two lists meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListRule {
    Append,
    Replace,
    /// Items with the same value under one of these keys merge; others are appended.
    ByKey(&'static [&'static str]),
}

/// (document kind, path, rule). The main document has no kind.
const LISTS: &[(&str, &[&str], ListRule)] = &[
    ("", &["cluster", "network", "podSubnets"], ListRule::Replace),
    ("", &["cluster", "network", "serviceSubnets"], ListRule::Replace),
    ("", &["cluster", "apiServer", "admissionControl"], ListRule::ByKey(&["name"])),
    ("", &["machine", "network", "interfaces"], ListRule::ByKey(&["interface", "deviceSelector"])),
    ("", &["machine", "network", "interfaces", "vlans"], ListRule::ByKey(&["vlanId"])),
    ("NetworkRuleConfig", &["ingress"], ListRule::Replace),
    ("NetworkRuleConfig", &["portSelector", "ports"], ListRule::Replace),
    ("ExtensionServiceConfig", &["configFiles"], ListRule::ByKey(&["mountPath"])),
    ("KubeNetworkConfig", &["podSubnets"], ListRule::Replace),
    ("KubeNetworkConfig", &["serviceSubnets"], ListRule::Replace),
];

/// Maps that are replaced whole.
const MAPS: &[(&str, &[&str])] = &[("", &["cluster", "apiServer", "auditPolicy"])];

pub(super) fn list_rule(kind: &str, keys: &[String]) -> ListRule {
    let found = LISTS.iter().find(|(rule_kind, path, _)| *rule_kind == kind && keys == *path);
    found.map_or(ListRule::Append, |(_, _, rule)| *rule)
}

pub(super) fn replaces_map(kind: &str, keys: &[String]) -> bool {
    MAPS.iter().any(|(rule_kind, path)| *rule_kind == kind && keys == *path)
}
