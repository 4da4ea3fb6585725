use super::faults;
use super::style::Ink;
use super::width::hanging;
use clouds::Money;
use plan::{Bill, Class, Plan, Planned, Report, Step};
use serde_json::{Value, json};
use std::fmt::Write;

/// The plan as one document.
pub fn plan_document(plan: &Plan, report: &Report, bill: &Bill) -> Value {
    json!({"changes": plan.steps.len(), "plan": plan, "report": report, "bill": bill})
}

/// The plan as a table grouped by class, with what it costs.
pub fn plan(ink: Ink, plan: &Plan, report: &Report, bill: &Bill) -> String {
    let mut text = String::new();
    for blocked in &report.blocked {
        let _ = writeln!(text, "{}", faults::headed(ink, "blocked", &blocked.code, &blocked.by));
        let _ = writeln!(text, "{}", faults::remedy(ink, &blocked.help));
    }
    for note in &report.notes {
        let head = format!("{}: ", ink.warn("note"));
        let _ = writeln!(text, "{}", hanging(&head, "note: ".len(), &format!("{}: {}", note.subject, note.text)));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    if plan.is_empty() {
        let nothing = if report.blocked.is_empty() { "nothing to do" } else { "nothing that can be done" };
        let _ = writeln!(text, "{nothing}");
        return text;
    }
    for (class, title) in CLASSES {
        let steps: Vec<&Planned> = plan.steps.iter().filter(|step| step.class == *class).collect();
        if steps.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{}", ink.bold(title));
        for step in steps {
            let cost = step.cost.as_ref().map(|cost| format!("  {}/month", money(cost))).unwrap_or_default();
            let _ = writeln!(text, "  {} {}{}", sign(ink, *class), sentence(&step.step), ink.dim(&cost));
        }
    }
    text.push('\n');
    text.push_str(&bill_lines(ink, bill));
    let waits = plan.steps.iter().filter(|step| step.class == Class::Wait).count();
    let todo = plan.steps.len() - waits;
    let _ = writeln!(text, "{todo} step{} to do, {waits} to wait for", if todo == 1 { "" } else { "s" });
    text
}

const CLASSES: &[(Class, &str)] = &[
    (Class::Create, "create"),
    (Class::InPlace, "change in place"),
    (Class::Reboot, "reboot"),
    (Class::Drain, "drain"),
    (Class::Replace, "replace"),
    (Class::Destroy, "destroy"),
    (Class::Wait, "wait for"),
];

fn sign(ink: Ink, class: Class) -> String {
    match class {
        Class::Create => ink.good("+"),
        Class::Destroy => ink.bad("-"),
        Class::Wait => ink.dim("."),
        _ => ink.warn("~"),
    }
}

/// What the cluster costs, a line a node.
pub fn bill_lines(ink: Ink, bill: &Bill) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", ink.bold("a month"));
    for line in &bill.lines {
        let price = line.price.as_ref().map_or_else(|| "unknown".to_owned(), money);
        let live = line.source.is_empty() || line.source == "live";
        let source = if live { String::new() } else { format!(" ({})", line.source) };
        let _ = writeln!(text, "  {:<10} {:<41} {price:>10}{}", line.node, line.place, ink.dim(&source));
    }
    for (what, amount) in &bill.allowances {
        let note = ink.dim(" (at most)");
        let _ = writeln!(text, "  {:<10} {what:<41} {:>10}{note}", "", money(amount));
    }
    let total: Vec<String> = bill
        .total_milli
        .iter()
        .map(|(currency, milli)| money(&Money { currency: currency.clone(), milli: *milli }))
        .collect();
    if !total.is_empty() {
        let _ = writeln!(text, "  {:<10} {:>52}", "in total", total.join(" + "));
    }
    text.push('\n');
    text
}

fn money(money: &Money) -> String {
    let cents = (money.milli.abs() + 5) / 10;
    let sign = if money.milli < 0 { "-" } else { "" };
    format!("{sign}{}.{:02} {}", cents / 100, cents % 100, money.currency)
}

/// What a step does, in words.
pub fn sentence(step: &Step) -> String {
    match step {
        Step::MakeImage { cloud, image, .. } => format!("image of Talos {} for {} at {cloud}", image.talos, image.arch),
        Step::CreateResource { wanted } | Step::UpdateResource { wanted, .. } => wanted.key.to_string(),
        Step::DeleteResource { found } => found.key.to_string(),
        Step::LaunchMachine { node, place, .. } => format!("machine {node} at {place}"),
        Step::PowerOn { node, .. } => format!("switch {node} on"),
        Step::Introduce { node, .. } => format!("push its configuration to {node}"),
        Step::JoinMesh { node } => format!("{node} on the tailnet"),
        Step::ReserveName { name, .. } => format!("name {name}, reserved"),
        Step::PointName { name, node, .. } => format!("name {name} to {node}"),
        Step::DeleteRecord { name, .. } => format!("record {name}"),
        Step::DeleteDevice { name, .. } => format!("tailnet device {name}"),
        Step::DeleteKey { id } => format!("tailnet auth key {id}"),
        Step::Configure { node, differences } => format!("configuration of {node}: {}", differences.join(", ")),
        Step::Bootstrap { node } => format!("etcd on {node}, once"),
        Step::AwaitReady { node } => format!("{node} Ready"),
        Step::AnnotateNode { node, address, ingress } => {
            let address = address.map_or_else(|| "its public address".to_owned(), |address| address.to_string());
            format!("label {node} with {address}{}", if *ingress { ", and as serving HTTP" } else { "" })
        }
        Step::InstallAddon { name, changes, adopt } => {
            let adopted = if *adopt { ", taking fields of others" } else { "" };
            let changes = if changes.is_empty() { String::new() } else { format!(": {}", changes.join(", ")) };
            format!("add-on {name}{adopted}{changes}")
        }
        Step::AwaitAddon { name } => format!("{name} ready"),
        Step::RemoveAddon { name } => format!("add-on {name}"),
        Step::StopWatcher => "the watcher, so that nothing writes DNS".to_owned(),
        Step::Drain { node } => format!("drain {node}"),
        Step::Reset { node } => format!("Talos state of {node}"),
        Step::ForgetNode { node } => format!("Kubernetes node {node}"),
    }
}
