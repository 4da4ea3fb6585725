//! The rules of Talos's `Validate` that a configuration for cloud machines can break, with Talos's own words.

use super::{Subnet, endpoint, minor, pem_at, port_range, text_at, texts_at};
use serde_json::Value;

/// What Talos 1.14 runs where the configuration names no version.
pub(super) const KUBERNETES_DEFAULT: &str = "1.37.1";

/// Talos 1.x → Kubernetes 1.low–1.high that it runs (Talos's own compatibility check).
const KUBERNETES: &[(u32, u32, u32)] = &[(12, 30, 35), (13, 31, 36), (14, 32, 37), (15, 33, 38)];

/// The default action, routing rules of `ip rule` and KubeSpan keep these priorities for themselves.
const RESERVED_PRIORITIES: &[u32] = &[0, 32_500, 32_501, 32_766, 32_767];

/// Checks every rule; warnings, or all errors at once.
pub(super) fn check(
    documents: &[(String, Value)],
    v1alpha1: Option<&Value>,
    talos: &str,
) -> Result<Vec<String>, Vec<String>> {
    let mut errors = Vec::new();
    if let Some(document) = v1alpha1 {
        machine(document, &mut errors);
        cluster(document, &mut errors);
        versions(document, talos, &mut errors);
    }
    for (kind, document) in documents {
        single(kind, document, v1alpha1, &mut errors);
    }
    if errors.is_empty() { Ok(Vec::new()) } else { Err(errors) }
}

fn present(document: &Value, pointer: &str) -> bool {
    document.pointer(pointer).is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
}

fn machine(document: &Value, errors: &mut Vec<String>) {
    if !present(document, "/machine") {
        errors.push("machine instructions are required".into());
        return;
    }
    let mut refuse = |text: &str| errors.push(text.to_owned());
    let has_ca = present(document, "/machine/ca");
    if !has_ca && !present(document, "/machine/acceptedCAs/0") {
        refuse("issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)");
    }
    match text_at(document, "/machine/type").as_deref() {
        Some("controlplane" | "init") => {
            if !has_ca {
                refuse("issuing CA is required (.machine.ca)");
            } else if !present(document, "/machine/ca/key") {
                refuse("issuing CA key is required for controlplane nodes (.machine.ca.key)");
            }
        }
        Some("worker" | "join") => {
            if present(document, "/machine/ca/key") {
                refuse("issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)");
            }
            if has_ca && !present(document, "/machine/ca/crt") && !present(document, "/machine/acceptedCAs/0") {
                refuse(
                    "trusted CA certificates are required on non-controlplane nodes (.machine.ca.crt, .machine.acceptedCAs)",
                );
            }
            if present(document, "/cluster/ca/key") {
                refuse("issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)");
            }
        }
        other => refuse(&format!("unknown machine type {:?}", other.unwrap_or_default())),
    }
    if document.get("persist") == Some(&Value::Bool(false)) {
        refuse(".persist should be enabled");
    }
    let forwards = document.pointer("/machine/features/hostDNS/forwardKubeDNSToHost") == Some(&Value::Bool(true));
    if forwards && document.pointer("/machine/features/hostDNS/enabled") != Some(&Value::Bool(true)) {
        refuse("feature hostDNS.forwardKubeDNSToHost requires hostDNS.enabled to be true (.machine.features.hostDNS)");
    }
    for pointer in ["/machine/ca", "/cluster/ca", "/cluster/etcd/ca", "/cluster/aggregatorCA"] {
        for half in ["crt", "key"] {
            let at = format!("{pointer}/{half}");
            if present(document, &at) && pem_at(document, &at).is_none() {
                refuse(&format!("illegal base64 data in {}", at.replace('/', ".")));
            }
        }
    }
    ranges(document, "/machine/kubelet/nodeIP/validSubnets", errors);
}

fn cluster(document: &Value, errors: &mut Vec<String>) {
    if !present(document, "/cluster") {
        errors.push("cluster instructions are required".into());
        return;
    }
    let Some(url) = text_at(document, "/cluster/controlPlane/endpoint") else {
        errors.push("cluster controlplane endpoint is required".into());
        return;
    };
    if endpoint(&url).is_none() {
        errors.push("invalid controlplane endpoint: hostname must not be blank".into());
    }
    let control_plane = matches!(text_at(document, "/machine/type").as_deref(), Some("controlplane" | "init"));
    if present(document, "/cluster/etcd") && !control_plane {
        errors.push("etcd config is only allowed on control plane machines".into());
    }
    if control_plane {
        let cni = text_at(document, "/cluster/network/cni/name").unwrap_or_default();
        if !["", "flannel", "custom", "none"].contains(&cni.as_str()) {
            errors.push(r#"cni name should be one of ["flannel", "custom", "none"]"#.into());
        }
        let extra = present(document, "/cluster/network/cni/flannel/extraArgs/0");
        if extra && (cni == "none" || cni == "custom") {
            errors.push(format!("\"flanneldExtraArgs\" field should be empty for {cni:?} CNI"));
        }
    }
    discovery(document, errors);
    for key in ["etcd/advertisedSubnets", "etcd/listenSubnets", "network/podSubnets", "network/serviceSubnets"] {
        ranges(document, &format!("/cluster/{key}"), errors);
    }
}

/// The discovery service encrypts what nodes publish with the cluster's secret, a 32-byte key.
fn discovery(document: &Value, errors: &mut Vec<String>) {
    use base64::Engine as _;
    let off = |pointer: &str, value: bool| document.pointer(pointer) == Some(&Value::Bool(value));
    let enabled = present(document, "/cluster/discovery")
        && !off("/cluster/discovery/enabled", false)
        && !off("/cluster/discovery/registries/service/disabled", true);
    for (key, what) in [("id", ".cluster.id"), ("secret", ".cluster.secret")] {
        if enabled && !present(document, &format!("/cluster/{key}")) {
            errors.push(format!("cluster discovery service requires {what}"));
        }
    }
    if let Some(secret) = text_at(document, "/cluster/secret").filter(|text| !text.is_empty()) {
        let key = base64::engine::general_purpose::STANDARD.decode(secret.trim());
        if key.map_or(0, |key| key.len()) != 32 {
            errors.push("cluster secret should be a base64-encoded 32-byte key".into());
        }
    }
}

fn ranges(document: &Value, pointer: &str, errors: &mut Vec<String>) {
    for text in texts_at(document, pointer) {
        if Subnet::read(&text).is_none() {
            let at = pointer.replace('/', ".");
            errors.push(format!("{at}: invalid subnet: netip.ParsePrefix({text:?}): no '/'"));
        }
    }
}

fn versions(document: &Value, talos: &str, errors: &mut Vec<String>) {
    let Some((_, low, high)) = KUBERNETES.iter().find(|(of, ..)| *of == minor(talos)) else { return };
    for (pointer, what) in [
        ("/machine/kubelet/image", "kubelet"),
        ("/cluster/apiServer/image", "kube-apiserver"),
        ("/cluster/controllerManager/image", "kube-controller-manager"),
        ("/cluster/scheduler/image", "kube-scheduler"),
    ] {
        let Some(version) = super::tag(document, pointer) else { continue };
        if !(*low..=*high).contains(&minor(&version)) {
            let side = if minor(&version) < *low { "too old" } else { "too new" };
            errors.push(format!("{what} image version {version:?} is {side} for Talos version {talos:?}"));
        }
    }
}

/// Rules of documents other than v1alpha1.
fn single(kind: &str, document: &Value, v1alpha1: Option<&Value>, errors: &mut Vec<String>) {
    let name = text_at(document, "/name").unwrap_or_default();
    let mut refuse = |text: String| errors.push(text);
    let needs_name = [
        "ExtensionServiceConfig",
        "NetworkRuleConfig",
        "UserVolumeConfig",
        "VolumeConfig",
        "StaticHostConfig",
        "RoutingRuleConfig",
        "TrustedRootsConfig",
        "RegistryMirrorConfig",
        "RegistryAuthConfig",
    ];
    if needs_name.contains(&kind) && name.is_empty() {
        refuse("name is required".into());
        return;
    }
    match kind {
        "HostnameConfig" => hostname(document, v1alpha1, errors),
        "NetworkDefaultActionConfig" => {
            let action = text_at(document, "/ingress").unwrap_or_default();
            if !["accept", "block"].contains(&action.as_str()) {
                refuse(format!("{action:?} does not belong to DefaultAction values"));
            }
        }
        "NetworkRuleConfig" => {
            let ports = texts_at(document, "/portSelector/ports");
            if ports.is_empty() {
                refuse("portSelector.ports is required".into());
            }
            ports
                .iter()
                .filter(|text| port_range(text).is_none())
                .for_each(|text| refuse(format!("invalid port range: {text}")));
            let protocol = text_at(document, "/portSelector/protocol").unwrap_or_default();
            if !["tcp", "udp", "icmp", "icmpv6"].contains(&protocol.as_str()) {
                refuse(format!("{protocol:?} does not belong to Protocol values"));
            }
            for source in document.pointer("/ingress").and_then(Value::as_array).into_iter().flatten() {
                let subnet = text_at(source, "/subnet").unwrap_or_default();
                if Subnet::read(&subnet).is_none() {
                    refuse(format!("invalid subnet: {subnet}"));
                }
            }
        }
        "StaticHostConfig" => {
            if name.parse::<std::net::IpAddr>().is_err() {
                refuse("name must be a valid IP address".into());
            }
            if texts_at(document, "/hostnames").is_empty() {
                refuse("at least one hostname is required".into());
            }
        }
        "RoutingRuleConfig" => routing_rule(document, &name, errors),
        "VolumeConfig" if !["EPHEMERAL", "STATE", "IMAGECACHE"].contains(&name.as_str()) => {
            refuse(format!("only [\"STATE\" \"EPHEMERAL\" \"IMAGECACHE\"] volumes are supported: {name:?}"));
        }
        "UserVolumeConfig" if name.len() > 34 => {
            refuse("name must be between 1 and 34 characters long".into());
        }
        "TrustedRootsConfig"
            if !text_at(document, "/certificates").unwrap_or_default().contains("BEGIN CERTIFICATE") =>
        {
            refuse("no certificates found".into());
        }
        _ => {}
    }
}

fn hostname(document: &Value, v1alpha1: Option<&Value>, errors: &mut Vec<String>) {
    let auto = text_at(document, "/auto");
    let name = text_at(document, "/hostname").unwrap_or_default();
    match auto.as_deref() {
        None if name.is_empty() => errors.push("either 'auto' or 'hostname' must be set".into()),
        None | Some("off" | "stable") => {}
        Some(other) => errors.push(format!("invalid value for 'auto': {other}")),
    }
    if auto.as_deref() == Some("stable") && !name.is_empty() {
        errors.push("'auto' and 'hostname' cannot be set at the same time".into());
    }
    let label = name.split('.').next().unwrap_or_default();
    if !name.is_empty() && (label.is_empty() || label.len() > 63 || name.len() > 253) {
        errors.push(format!("invalid hostname {label:?}"));
    }
    if v1alpha1.is_some_and(|document| present(document, "/machine/network/hostname")) {
        errors.push("static hostname is already set in v1alpha1 config".into());
    }
    if v1alpha1.and_then(|document| document.pointer("/machine/features/stableHostname")) == Some(&Value::Bool(true)) {
        errors.push("stable hostname is already set in v1alpha1 config".into());
    }
}

fn routing_rule(document: &Value, name: &str, errors: &mut Vec<String>) {
    match name.parse::<u32>() {
        Err(_) => errors.push("invalid name: must be priority parsable unsigned integer".into()),
        Ok(priority) if priority > 32_765 || RESERVED_PRIORITIES.contains(&priority) => {
            errors.push("priority must be between 1 and 32765 (excluding reserved priorities)".into());
        }
        Ok(_) => {}
    }
    let action = text_at(document, "/action").unwrap_or_default();
    if !["", "unicast", "blackhole", "unreachable", "prohibit"].contains(&action.as_str()) {
        errors.push(format!("{action:?} does not belong to RoutingRuleAction values"));
    }
    if !present(document, "/table") && ["", "unicast"].contains(&action.as_str()) {
        errors.push("either table or a non-unicast action must be specified".into());
    }
    for key in ["src", "dst"] {
        let text = text_at(document, &format!("/{key}")).unwrap_or_default();
        if !text.is_empty() && Subnet::read(&text).is_none() {
            errors.push(format!("invalid {key}: {text:?}"));
        }
    }
}
