//! The mission's cluster over real sockets, with `talosctl` and `kubectl` looking at it half-way and at the end.

use crate::desk::{Desk, judged};
use serde_json::Value;
use std::collections::BTreeMap;

/// The file of the mission without `domain` and `dns` (the API's name would have a TTL of a real minute), and without the
/// backup, whose bucket nobody has made.
fn file() -> String {
    let left_out = ["domain:", "dns:", "backup:"];
    let whole = include_str!("../../../../examples/bouquet.yaml");
    let kept = whole.lines().filter(|line| !left_out.iter().any(|key| line.starts_with(key)));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// A node as somebody sees it: Talos version, Kubernetes version, mesh address, whether it is ready.
#[derive(Debug, PartialEq, Eq)]
struct Node {
    talos: String,
    kubernetes: String,
    mesh: String,
    ready: bool,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// By `bouquet status`; nodes that are not there yet are left out.
fn by_status(status: &Value) -> BTreeMap<String, Node> {
    let nodes = status["nodes"].as_array().unwrap().iter().filter(|node| node["talos"].is_string());
    let node = |node: &Value| Node {
        talos: text(&node["talos"]),
        kubernetes: text(&node["kubernetes"]),
        mesh: text(&node["addresses"]["mesh"]),
        ready: node["ready"] == true,
    };
    nodes.map(|found| (text(&found["name"]), node(found))).collect()
}

/// By `kubectl get nodes` and, for each, by `talosctl`.
fn by_strangers(desk: &Desk, kubectl: &std::path::Path) -> BTreeMap<String, Node> {
    desk.write("kubeconfig", &desk.garden.bouquet_exits(0, "kubeconfig"));
    let mut command = desk.garden.command(kubectl);
    let output = command.args(["--kubeconfig", "kubeconfig", "get", "nodes", "-o", "json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut nodes = BTreeMap::new();
    for node in list["items"].as_array().unwrap() {
        let name = text(&node["metadata"]["name"]);
        let addresses = node["status"]["addresses"].as_array().unwrap();
        let internal = addresses.iter().find(|address| address["type"] == "InternalIP").unwrap();
        let mesh = text(&internal["address"]);
        let conditions = node["status"]["conditions"].as_array().unwrap();
        let ready = conditions.iter().any(|found| found["type"] == "Ready" && found["status"] == "True");
        let version = desk.says(&format!("version -n {mesh}"), &[&format!("NODE:        {mesh}")]);
        let tag =
            version.lines().filter_map(|line| line.trim().strip_prefix("Tag:")).next_back().unwrap().trim().to_owned();
        desk.says(&format!("get hostname -n {mesh}"), &[&name]);
        let status = desk.says(&format!("get machinestatus machine -n {mesh} -o yaml"), &[]);
        assert_eq!(status.contains("\n        ready: true"), ready, "{name}: {status}");
        let kubernetes = text(&node["status"]["nodeInfo"]["kubeletVersion"]).trim_start_matches('v').to_owned();
        assert_eq!(text(&node["status"]["nodeInfo"]["osImage"]), format!("Talos ({tag})"));
        let talos = tag.trim_start_matches('v').to_owned();
        nodes.insert(name, Node { talos, kubernetes, mesh, ready });
    }
    nodes
}

fn names(nodes: &BTreeMap<String, Node>) -> Vec<&str> {
    nodes.keys().map(String::as_str).collect()
}

#[test]
fn what_talosctl_and_kubectl_print_agrees_with_status_half_way_and_at_the_end() {
    let Some(kubectl) = assets::needed("kubectl", "kubectl on the mission's cluster") else { return };
    let Some(desk) = Desk::beginning("mission", "60") else { return };
    desk.write("bouquet.yaml", &file());
    // Half-way: Oracle has no machine to give.
    let (_, fault) = desk.garden.control("POST", "faults", "{\"rule\": \"oci no-capacity\"}");
    let half = desk.garden.bouquet("apply --yes");
    assert_ne!(half.status.code(), Some(0), "{}", String::from_utf8_lossy(&half.stdout));
    desk.write("talosconfig", &desk.garden.bouquet_exits(0, "talosconfig"));
    let nodes = by_status(&desk.status());
    assert_eq!(names(&nodes), ["lily", "rose"]);
    assert_eq!(by_strangers(&desk, &kubectl.path), nodes);

    assert_eq!(desk.garden.control("DELETE", &format!("faults/{}", fault["id"]), "").0, 200);
    desk.garden.bouquet_exits(0, "apply --yes");
    desk.write("talosconfig", &desk.garden.bouquet_exits(0, "talosconfig"));
    let nodes = by_status(&desk.status());
    assert_eq!(names(&nodes), ["lily", "rose", "tulip"]);
    assert!(nodes.values().all(|node| node.ready), "{nodes:?}");
    assert_eq!(by_strangers(&desk, &kubectl.path), nodes);
    let rose = &nodes["rose"].mesh;
    let members = desk.says(&format!("get members -n {rose}"), &[]);
    for (name, node) in &nodes {
        let row = members.lines().find(|line| line.split_whitespace().nth(3) == Some(name.as_str()));
        assert!(row.is_some_and(|row| row.contains(&node.mesh)), "{name}: {members}");
    }
    desk.garden.bouquet_exits(0, "plan --exit-code");
    judged("the mission's cluster", &desk, &["names, versions, addresses, readiness, half-way and at the end"]);
}
