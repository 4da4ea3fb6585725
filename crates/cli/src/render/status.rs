use super::style::Ink;
use super::width::hanging;
use engine::{IngressStatus, NodeStatus, Status};
use std::fmt::Write;

/// The cluster as a table.
pub fn status(ink: Ink, status: &Status) -> String {
    let mut text = node_table(ink, &status.nodes);
    let answers = if status.api.answers { ink.good("answers") } else { ink.bad("does not answer") };
    text.push_str(&ingress_table(ink, &status.nodes));
    let endpoint = status.api.endpoint.as_deref().unwrap_or("the Kubernetes API");
    let _ = writeln!(text, "\n{endpoint} {answers}");
    for addon in &status.addons {
        let state = match (addon.ready, addon.installed) {
            (true, _) => ink.good("ready"),
            (false, true) => ink.warn("not ready"),
            (false, false) => ink.bad("not installed"),
        };
        let _ = writeln!(text, "add-on {} {state}", addon.name);
    }
    for trouble in &status.trouble {
        let _ = writeln!(text, "{} {trouble}", ink.warn("!"));
    }
    for node in &status.nodes {
        for trouble in &node.trouble {
            let _ = writeln!(text, "{} {}: {trouble}", ink.warn("!"), node.name);
        }
    }
    for addon in &status.addons {
        for trouble in &addon.trouble {
            let head = format!("{} ", ink.warn("!"));
            let _ = writeln!(text, "{}", hanging(&head, "! ".len(), &format!("{}: {trouble}", addon.name)));
        }
    }
    text
}

/// What the watcher says of the nodes that serve; nothing where none does.
fn ingress_table(ink: Ink, nodes: &[NodeStatus]) -> String {
    let seen: Vec<(&str, &IngressStatus)> =
        nodes.iter().filter_map(|node| Some((node.name.as_str(), node.ingress.as_ref()?))).collect();
    if seen.is_empty() {
        return String::new();
    }
    let width = seen.iter().map(|(name, _)| name.len()).chain(["INGRESS".len()]).max().unwrap_or_default();
    let mut text = String::new();
    let _ = writeln!(text, "\n{}", ink.bold(&format!("{:<width$}  VERDICT   IN DNS  SINCE", "INGRESS")));
    for (name, ingress) in seen {
        let verdict = if ingress.verdict.is_empty() { "-" } else { &ingress.verdict };
        let verdict = format!("{verdict:<8}");
        let verdict = if ingress.verdict == "Serving" { ink.good(&verdict) } else { ink.bad(&verdict) };
        let published = if ingress.published { "yes" } else { "no" };
        let since = ingress.since.as_deref().unwrap_or("-");
        let _ = writeln!(text, "{name:<width$}  {verdict}  {published:<6}  {since}");
        let reason = ingress.reason.as_deref().filter(|_| ingress.verdict != "Serving" || !ingress.published);
        if let Some(reason) = reason {
            let head = " ".repeat(width + 2);
            let _ = writeln!(text, "{}", hanging(&head, head.len(), reason));
        }
    }
    text
}

const HEAD: [&str; 7] = ["NODE", "ROLE", "STATE", "TALOS", "KUBE", "PUBLIC", "MESH"];
const GAP: &str = "  ";
/// The column that is coloured.
const STATE: usize = 2;

/// Nodes as a table, each column as wide as it must be: 80 in all for names of five letters.
pub fn node_table(ink: Ink, nodes: &[NodeStatus]) -> String {
    let rows: Vec<[String; 7]> = nodes.iter().map(row).collect();
    let widths: Vec<usize> = HEAD
        .iter()
        .enumerate()
        .map(|(at, head)| rows.iter().filter_map(|row| row.get(at)).map(String::len).chain([head.len()]).max())
        .map(Option::unwrap_or_default)
        .collect();
    let padded = |cells: &[String; 7]| -> Vec<String> {
        cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect()
    };
    let mut text = String::new();
    let _ = writeln!(text, "{}", ink.bold(padded(&HEAD.map(str::to_owned)).join(GAP).trim_end()));
    for (node, row) in nodes.iter().zip(&rows) {
        let mut cells = padded(row);
        if let Some(state) = cells.get_mut(STATE) {
            *state = if node.ready { ink.good(state) } else { ink.bad(state) };
        }
        let _ = writeln!(text, "{}", cells.join(GAP).trim_end());
    }
    text
}

fn row(node: &NodeStatus) -> [String; 7] {
    let state = match (node.ready, node.machine.as_deref()) {
        (true, _) => "Ready",
        (false, Some("running")) => "NotReady",
        (false, Some(machine)) => machine,
        (false, None) => "absent",
    };
    let known = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let public = node.addresses.public.iter().find(|address| address.is_ipv4());
    [
        node.name.clone(),
        node.role.clone(),
        state.to_owned(),
        known(node.talos.clone()),
        known(node.kubernetes.clone()),
        known(public.map(ToString::to_string)),
        known(node.addresses.mesh.map(|mesh| mesh.to_string())),
    ]
}
