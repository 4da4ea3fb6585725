use super::style::Ink;
use engine::{NodeStatus, Status};
use std::fmt::Write;

/// The cluster as a table.
pub fn status(ink: Ink, status: &Status) -> String {
    let mut text = node_table(ink, &status.nodes);
    let answers = if status.api.answers { ink.good("answers") } else { ink.bad("does not answer") };
    let endpoint = status.api.endpoint.as_deref().unwrap_or("the Kubernetes API");
    let _ = writeln!(text, "\n{endpoint} {answers}");
    for trouble in &status.trouble {
        let _ = writeln!(text, "{} {trouble}", ink.warn("!"));
    }
    for node in &status.nodes {
        for trouble in &node.trouble {
            let _ = writeln!(text, "{} {}: {trouble}", ink.warn("!"), node.name);
        }
    }
    text
}

/// Nodes as a table that fits 80 columns.
pub fn node_table(ink: Ink, nodes: &[NodeStatus]) -> String {
    let mut text = String::new();
    let head = format!(
        "{:<10} {:<13} {:<8} {:<7} {:<7} {:<15} {}",
        "NODE", "ROLE", "STATE", "TALOS", "KUBE", "PUBLIC", "MESH"
    );
    let _ = writeln!(text, "{}", ink.bold(&head));
    for node in nodes {
        let state = match (node.ready, node.machine.as_deref()) {
            (true, _) => "Ready",
            (false, Some("running")) => "NotReady",
            (false, Some(machine)) => machine,
            (false, None) => "absent",
        };
        let padded = format!("{state:<8}");
        let state = if node.ready { ink.good(&padded) } else { ink.bad(&padded) };
        let public = node.addresses.public.iter().find(|address| address.is_ipv4());
        let _ = writeln!(
            text,
            "{:<10} {:<13} {state} {:<7} {:<7} {:<15} {}",
            node.name,
            node.role,
            node.talos.as_deref().unwrap_or("-"),
            node.kubernetes.as_deref().unwrap_or("-"),
            public.map_or_else(|| "-".to_owned(), ToString::to_string),
            node.addresses.mesh.map_or_else(|| "-".to_owned(), |mesh| mesh.to_string()),
        );
    }
    text
}
