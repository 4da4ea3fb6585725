//! The documents beside the main one: name, mesh, firewall, metadata rule, volume, hosts.

use super::{LOCAL_VOLUME, MESH_RANGE, NodeInput};
use serde_json::{Value, json};
use spec::{Node, Role};

/// Priority of the rule that keeps pods from the metadata service. Talos takes 1 to 32765 without 32500 and 32501.
const METADATA_RULE: &str = "1000";
/// Where both clouds serve user data, control planes' keys included.
const METADATA_ADDRESS: &str = "169.254.169.254/32";
const ANYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

pub(super) fn all(input: &NodeInput, node: &Node) -> Vec<Value> {
    let mut documents = vec![hostname(input.node), tailscale(input)];
    documents.push(json!({
        "apiVersion": "v1alpha1", "kind": "NetworkDefaultActionConfig", "ingress": "block",
    }));
    documents.extend(firewall(node.role, serves_ingress(input)));
    documents.push(json!({
        "apiVersion": "v1alpha1", "kind": "RoutingRuleConfig", "name": METADATA_RULE,
        "src": input.cluster.network.pods, "dst": METADATA_ADDRESS, "action": "blackhole",
    }));
    if input.cluster.storage.is_some() {
        documents.push(json!({
            "apiVersion": "v1alpha1", "kind": "UserVolumeConfig", "name": LOCAL_VOLUME, "volumeType": "directory",
        }));
    }
    documents.extend(input.static_hosts.iter().map(|(address, names)| {
        json!({ "apiVersion": "v1alpha1", "kind": "StaticHostConfig", "name": address, "hostnames": names })
    }));
    documents
}

/// Whether the file lets this node serve HTTP.
pub(super) fn serves_ingress(input: &NodeInput) -> bool {
    input.cluster.ingress.as_ref().is_some_and(|ingress| ingress.nodes.iter().any(|name| name == input.node))
}

fn hostname(name: &str) -> Value {
    json!({ "apiVersion": "v1alpha1", "kind": "HostnameConfig", "hostname": name })
}

fn tailscale(input: &NodeInput) -> Value {
    let mut environment = Vec::new();
    if let Some(key) = input.auth_key {
        environment.push(format!("{}{}", super::compare::AUTH_KEY, key.expose()));
    }
    environment.push(format!("TS_HOSTNAME={}", input.node));
    // Without it the extension logs in again at every start, with a key that has been used up.
    environment.push("TS_AUTH_ONCE=true".into());
    environment.push("TS_ACCEPT_DNS=false".into());
    let mut arguments = Vec::new();
    if let Some(server) = &input.mesh.login_server {
        arguments.push(format!("--login-server={server}"));
    }
    if !input.mesh.advertise_tags.is_empty() {
        arguments.push(format!("--advertise-tags={}", input.mesh.advertise_tags.join(",")));
    }
    if !arguments.is_empty() {
        environment.push(format!("TS_EXTRA_ARGS={}", arguments.join(" ")));
    }
    json!({ "apiVersion": "v1alpha1", "kind": "ExtensionServiceConfig", "name": "tailscale", "environment": environment })
}

/// What may come in. Loopback, established connections, ICMP and the pod and service ranges Talos lets in by itself.
fn firewall(role: Role, serves_ingress: bool) -> Vec<Value> {
    let mesh = &[MESH_RANGE];
    let mut rules = vec![
        rule("mesh-talos", "tcp", &[json!(50000)], mesh),
        rule("mesh-kubelet", "tcp", &[json!(10250)], mesh),
        rule("mesh-vxlan", "udp", &[json!(4789)], mesh),
        // Direct paths of Tailscale; without them everything goes through its relays.
        rule("tailscale", "udp", &[json!(41641)], &ANYWHERE),
    ];
    if role == Role::ControlPlane {
        rules.push(rule("mesh-trustd", "tcp", &[json!(50001)], mesh));
        rules.push(rule("mesh-kubernetes-api", "tcp", &[json!(6443)], mesh));
        // 2383 is etcd's plain HTTP endpoint of Talos 1.14.
        rules.push(rule("mesh-etcd", "tcp", &[json!("2379-2380"), json!(2383)], mesh));
    }
    if serves_ingress {
        rules.push(rule("ingress", "tcp", &[json!(80), json!(443)], &ANYWHERE));
    }
    rules
}

fn rule(name: &str, protocol: &str, ports: &[Value], from: &[&str]) -> Value {
    let ingress: Vec<Value> = from.iter().map(|subnet| json!({ "subnet": subnet })).collect();
    json!({
        "apiVersion": "v1alpha1", "kind": "NetworkRuleConfig", "name": name,
        "portSelector": { "ports": ports, "protocol": protocol },
        "ingress": ingress,
    })
}
