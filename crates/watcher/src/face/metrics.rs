//! Metrics, drawn anew from status and counters at each scrape: nothing has to be unregistered when a node goes.
//!
//! Prometheus' text format 0.0.4: <https://prometheus.io/docs/instrumenting/exposition_formats/>. Names and units by
//! <https://prometheus.io/docs/practices/naming/>.

use super::counters::{BOUNDS_MS, Counters, Labelled};
use super::words;
use crate::status::Status;
use detect::Verdict;
use jiff::Timestamp;
use std::fmt::{Display, Write as _};

const VERDICTS: [Verdict; 4] = [Verdict::Serving, Verdict::Unstable, Verdict::Down, Verdict::Unknown];

/// An exposition as it is written.
#[derive(Default)]
struct Text(String);

impl Text {
    /// A family; its samples follow.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail, here and below.
        let _ = write!(self.0, "# HELP bouquet_watcher_{name} {help}\n# TYPE bouquet_watcher_{name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "bouquet_watcher_{name}");
        for (index, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if index == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(name, &[], value);
    }
}

pub(super) fn exposition(status: &Status, counters: &Counters, now: Timestamp) -> String {
    let mut text = Text::default();
    text.family("build_info", "gauge", "The version of this watcher, as a label.");
    text.sample("build_info", &[("version", status.version), ("profile", status.profile)], 1);
    nodes(&mut text, status);
    state(&mut text, status, now);
    let (calls, lost) = counters.plain();
    text.counter("provider_calls_total", "Calls made to the DNS provider.", calls);
    text.counter("events_lost_total", "Kubernetes Events that could not be told.", lost);
    let labelled = counters.by_label();
    changes(&mut text, status, &labelled);
    probes(&mut text, status, &labelled);
    text.0
}

fn nodes(text: &mut Text, status: &Status) {
    text.family("node_verdict", "gauge", "1 for the verdict that holds of a node's address, 0 for the others.");
    for node in &status.nodes {
        for verdict in VERDICTS {
            let labels =
                [("node", &*node.name), ("family", words::family(node.family)), ("verdict", words::verdict(verdict).0)];
            text.sample("node_verdict", &labels, u8::from(node.verdict == verdict));
        }
    }
    text.family("node_published", "gauge", "Whether a node's address was in DNS when the zone was last read.");
    for node in &status.nodes {
        if let Some(published) = node.published {
            let labels = [("node", &*node.name), ("family", words::family(node.family))];
            text.sample("node_published", &labels, u8::from(published));
        }
    }
    text.family("node_held", "gauge", "Whether a rule keeps a node's records as they are though they should change.");
    for node in &status.nodes {
        let labels = [("node", &*node.name), ("family", words::family(node.family))];
        text.sample("node_held", &labels, u8::from(node.held.is_some()));
    }
}

fn state(text: &mut Text, status: &Status, now: Timestamp) {
    let age = |since: Timestamp| now.duration_since(since).as_secs_f64().max(0.0);
    if let Some(read) = status.provider.read {
        text.gauge("zone_read_age_seconds", "Time since the zone was last read.", age(read));
    }
    text.gauge("zone_records", "Records that the provider lists.", status.provider.records);
    text.gauge(
        "provider_troubled",
        "Whether the provider refuses or does not answer.",
        u8::from(status.provider.trouble.is_some()),
    );
    let permit = status.writer.as_deref() == Some(&status.vantage.pod);
    text.gauge("permit_live", "Whether this vantage holds the permit to write.", u8::from(permit));
    text.gauge("trusted", "Whether this vantage trusts itself.", u8::from(status.vantage.trusted));
    let lost = status.kubernetes_lost.map_or(0.0, age);
    text.gauge("kubernetes_lost_seconds", "How long the Kubernetes API has not answered; 0 while it does.", lost);
    text.gauge("alerts", "Things that need a person.", status.alerts.len());
    text.gauge("names", "Names in DNS that routes ask for, also those that are left alone.", status.names.len());
    text.gauge("dry_run", "Whether nothing is changed.", u8::from(status.dry_run));
}

fn changes(text: &mut Text, status: &Status, labelled: &Labelled) {
    let known = names(status);
    text.family("withdrawals_total", "counter", "Times that a node's records were deleted.");
    for (node, counts) in labelled.nodes.iter().filter(|(node, _)| known.contains(&node.as_str())) {
        text.sample("withdrawals_total", &[("node", node)], counts.withdrawals);
    }
    text.family("restores_total", "counter", "Times that a node's records were made.");
    for (node, counts) in labelled.nodes.iter().filter(|(node, _)| known.contains(&node.as_str())) {
        text.sample("restores_total", &[("node", node)], counts.restores);
    }
    text.family("decisions_held_total", "counter", "Decisions that a rule forbade.");
    for (rule, count) in &labelled.held {
        text.sample("decisions_held_total", &[("rule", words::rule(*rule))], count);
    }
    text.family("webhooks_total", "counter", "Webhooks that were told, or could not be.");
    for ((kind, well), count) in &labelled.webhooks {
        text.sample("webhooks_total", &[("kind", kind), ("outcome", if *well { "told" } else { "failed" })], count);
    }
}

/// Only of nodes that there are: a node that went takes its series with it.
fn probes(text: &mut Text, status: &Status, labelled: &Labelled) {
    let known = names(status);
    let nodes = || labelled.nodes.iter().filter(|(node, _)| known.contains(&node.as_str()));
    text.family("probes_total", "counter", "Probes by how they ended.");
    for (node, counts) in nodes() {
        for (cause, count) in &counts.outcomes {
            text.sample("probes_total", &[("node", node), ("outcome", words::outcome(*cause))], count);
        }
    }
    text.family("probe_duration_seconds", "histogram", "How long probes took, also those that failed.");
    for (node, counts) in nodes() {
        let mut below = 0;
        let bounds = BOUNDS_MS.iter().map(|bound_ms| seconds(*bound_ms)).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(counts.took) {
            below += count;
            text.sample("probe_duration_seconds_bucket", &[("node", node), ("le", &bound)], below);
        }
        text.sample("probe_duration_seconds_sum", &[("node", node)], counts.took_sum.as_secs_f64());
        text.sample("probe_duration_seconds_count", &[("node", node)], below);
    }
}

fn names(status: &Status) -> Vec<&str> {
    status.nodes.iter().map(|node| node.name.as_str()).collect()
}

/// `0.005`, `4`.
fn seconds(ms: u64) -> String {
    let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
