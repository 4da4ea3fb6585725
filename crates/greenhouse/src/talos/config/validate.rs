//! The rules of Talos's `Validate` that a configuration for cloud machines can break, with Talos's own words.

mod documents;

use super::{Subnet, endpoint, minor, pem_at, text_at, texts_at};
use serde_json::Value;

/// What Talos 1.14 runs where the configuration names no version.
pub(super) const KUBERNETES_DEFAULT: &str = "1.37.1";

/// Talos 1.x → Kubernetes 1.low–1.high that it runs (Talos's own compatibility check).
const KUBERNETES: &[(u32, u32, u32)] = &[(12, 30, 35), (13, 31, 36), (14, 32, 37), (15, 33, 38)];

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
        documents::check(kind, document, v1alpha1, minor(talos), &mut errors);
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
                refuse("cluster CA key is not allowed on non-controlplane nodes (.cluster.ca)");
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
    ranges(document, "/machine/kubelet/nodeIP/validSubnets", "kubelet nodeIP", errors);
    documents::labels(document, errors);
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
    if let Err(why) = endpoint(&url) {
        errors.push(format!("invalid controlplane endpoint: {why}"));
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
    // Pod and service ranges are not looked at here, in life neither.
    ranges(document, "/cluster/etcd/advertisedSubnets", "etcd advertised", errors);
    ranges(document, "/cluster/etcd/listenSubnets", "etcd listen", errors);
}

fn discovery(document: &Value, errors: &mut Vec<String>) {
    let is = |pointer: &str, value: bool| document.pointer(pointer) == Some(&Value::Bool(value));
    let enabled = present(document, "/cluster/discovery")
        && !is("/cluster/discovery/enabled", false)
        && !is("/cluster/discovery/registries/service/disabled", true);
    for (key, what) in [("id", ".cluster.id"), ("secret", ".cluster.secret")] {
        if enabled && !present(document, &format!("/cluster/{key}")) {
            errors.push(format!("cluster discovery service requires {what}"));
        }
    }
}

fn ranges(document: &Value, pointer: &str, what: &str, errors: &mut Vec<String>) {
    for text in texts_at(document, pointer) {
        if Subnet::read(&text).is_none() {
            errors.push(format!("{what} subnet is not valid: {text:?}"));
        }
    }
}

/// Talos checks this when the node itself reads (`RuntimeValidate`), which is the case here.
fn versions(document: &Value, talos: &str, errors: &mut Vec<String>) {
    let Some((_, low, high)) = KUBERNETES.iter().find(|(of, ..)| *of == minor(talos)) else { return };
    for (pointer, what) in [
        ("/machine/kubelet/image", "kubelet"),
        ("/cluster/apiServer/image", "kube-apiserver"),
        ("/cluster/controllerManager/image", "kube-controller-manager"),
        ("/cluster/scheduler/image", "kube-scheduler"),
    ] {
        let Some(version) = super::v1alpha1::tag(document, pointer) else { continue };
        if !(*low..=*high).contains(&minor(&version)) {
            let side = if minor(&version) < *low { "old" } else { "new" };
            errors.push(format!("{what}: version of Kubernetes {version} is too {side} to be used with Talos {talos}"));
        }
    }
}
