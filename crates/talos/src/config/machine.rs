//! The main document: `machine` and `cluster`.

use super::{MESH_RANGE, NodeInput, Platform};
use crate::bundle::Encryption;
use crate::pki::Authority;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use spec::{Node, Role};

pub(super) fn document(input: &NodeInput, node: &Node) -> Value {
    json!({
        "version": "v1alpha1",
        "debug": false,
        "persist": true,
        "machine": machine(input, node),
        "cluster": cluster(input, node.role),
    })
}

fn machine(input: &NodeInput, node: &Node) -> Value {
    let bundle = input.bundle;
    let mut machine = fields(json!({
        "type": match node.role { Role::ControlPlane => "controlplane", Role::Worker => "worker" },
        "token": bundle.trustd_token.expose(),
        "ca": ca(&bundle.os, node.role),
        "certSANs": sans(input, input.node),
        "kubelet": {
            "image": format!("ghcr.io/siderolabs/kubelet:v{}", input.cluster.kubernetes),
            "defaultRuntimeSeccompProfileEnabled": true,
            "disableManifestsDirectory": true,
            // Nodes of different clouds share no network but the mesh.
            "nodeIP": { "validSubnets": [MESH_RANGE] },
        },
        "features": {
            "diskQuotaSupport": true,
            "kubePrism": { "enabled": true, "port": 7445 },
            // Off, CoreDNS would ask OCI's resolver, which is the address that pods are kept from.
            "hostDNS": { "enabled": true, "forwardKubeDNSToHost": true },
        },
    }));
    if let (Platform::Metal, Some(image)) = (input.platform, input.installer) {
        machine.insert("install".into(), json!({ "image": image, "wipe": false }));
    }
    let labels = labels(input, node);
    if !labels.is_empty() {
        machine.insert("nodeLabels".into(), labels.into());
    }
    if !node.taints.is_empty() {
        let taints: Map<String, Value> = node
            .taints
            .iter()
            .map(|taint| (taint.key.clone(), format!("{}:{}", taint.value, taint.effect).into()))
            .collect();
        machine.insert("nodeTaints".into(), taints.into());
    }
    machine.into()
}

fn labels(input: &NodeInput, node: &Node) -> Map<String, Value> {
    let mut labels = Map::new();
    if node.role == Role::ControlPlane {
        labels.insert("node.kubernetes.io/exclude-from-external-load-balancers".into(), "".into());
    }
    if super::documents::serves_ingress(input) {
        labels.insert("bouquet.dev/ingress".into(), "true".into());
    }
    labels.extend(node.labels.iter().map(|(key, value)| (key.clone(), value.clone().into())));
    labels
}

fn cluster(input: &NodeInput, role: Role) -> Value {
    let bundle = input.bundle;
    let mut cluster = fields(json!({
        "id": bundle.cluster_id.expose(),
        "secret": bundle.cluster_secret.expose(),
        "controlPlane": { "endpoint": format!("https://{}:6443", input.endpoint) },
        "clusterName": input.cluster.name,
        "network": {
            // Flannel takes the interface of the default route unless told otherwise.
            "cni": { "name": "flannel", "flannel": { "extraArgs": ["--iface=tailscale0"] } },
            "dnsDomain": "cluster.local",
            "podSubnets": [input.cluster.network.pods],
            "serviceSubnets": [input.cluster.network.services],
        },
        "token": bundle.bootstrap_token.expose(),
        "ca": ca(&bundle.k8s, role),
        "discovery": { "enabled": true, "registries": { "kubernetes": { "disabled": true }, "service": {} } },
    }));
    if role == Role::ControlPlane {
        cluster.extend(control_plane(input));
    }
    cluster.into()
}

fn control_plane(input: &NodeInput) -> Map<String, Value> {
    let bundle = input.bundle;
    let image = |component: &str| format!("registry.k8s.io/kube-{component}:v{}", input.cluster.kubernetes);
    let mut part = fields(json!({
        "aggregatorCA": pair(&bundle.aggregator),
        "serviceAccount": { "key": STANDARD.encode(bundle.service_account.expose()) },
        "apiServer": {
            "image": image("apiserver"),
            "certSANs": sans(input, input.endpoint),
            "admissionControl": [{ "name": "PodSecurity", "configuration": pod_security() }],
            "auditPolicy": { "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{ "level": "Metadata" }] },
        },
        "controllerManager": { "image": image("controller-manager") },
        "proxy": { "image": image("proxy") },
        "scheduler": { "image": image("scheduler") },
        "etcd": { "ca": pair(&bundle.etcd), "advertisedSubnets": [MESH_RANGE] },
    }));
    let (kind, key) = match &bundle.encryption {
        Encryption::Secretbox(key) => ("secretboxEncryptionSecret", key),
        Encryption::AesCbc(key) => ("aescbcEncryptionSecret", key),
    };
    part.insert(kind.into(), key.expose().into());
    if input.cluster.with_role(Role::Worker).next().is_none() {
        part.insert("allowSchedulingOnControlPlanes".into(), true.into());
    }
    part
}

/// The defaults of Talos's own generator: baseline is enforced everywhere but in kube-system.
fn pod_security() -> Value {
    json!({
        "apiVersion": "pod-security.admission.config.k8s.io/v1alpha1",
        "kind": "PodSecurityConfiguration",
        "defaults": {
            "enforce": "baseline", "enforce-version": "latest",
            "audit": "restricted", "audit-version": "latest",
            "warn": "restricted", "warn-version": "latest",
        },
        "exemptions": { "namespaces": ["kube-system"], "runtimeClasses": [], "usernames": [] },
    })
}

fn sans<'a>(input: &'a NodeInput, first: &'a str) -> Vec<&'a str> {
    let mut sans = vec![first];
    for name in input.cert_sans {
        if !sans.contains(&name.as_str()) {
            sans.push(name);
        }
    }
    sans
}

/// Control planes issue certificates; workers only check them.
fn ca(authority: &Authority, role: Role) -> Value {
    match role {
        Role::ControlPlane => pair(authority),
        Role::Worker => json!({ "crt": STANDARD.encode(&authority.crt) }),
    }
}

fn pair(authority: &Authority) -> Value {
    json!({ "crt": STANDARD.encode(&authority.crt), "key": STANDARD.encode(authority.key.expose()) })
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
