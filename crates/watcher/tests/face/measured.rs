//! Metrics: by the format's own judge, and the dashboard that is drawn from them.

use crate::asked::{Asked, asked, text};
use crate::statuses::{self, happened};
use detect::{Cause, Outcome, Rule};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;
use watcher::status::{Happening, What};

const DASHBOARD: &str = include_str!("../../../../deploy/grafana.json");

fn busy() -> Asked {
    let asked = asked(statuses::twenty());
    let counters = &asked.counters;
    for took_ms in [3, 5, 6, 900, 9_000] {
        counters.probed("lily", Outcome::Pass, Duration::from_millis(took_ms));
    }
    counters.probed("erica", Outcome::Fail(Cause::NoRoute), Duration::from_millis(20));
    counters.provider_called(7);
    counters.happened(&happened(0, What::Withdrawn, "narcissus", "lily: refused"));
    counters.happened(&happened(0, What::Restored, "peony", "it serves again"));
    counters.happened(&Happening { rule: Some(Rule::Rate), ..happened(0, What::Held, "erica", "too many") });
    counters.told("ntfy", false);
    counters.events_lost(2);
    counters.probed("gone", Outcome::Pass, Duration::from_millis(1));
    asked
}

fn families(metrics: &str) -> BTreeSet<&str> {
    metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

#[tokio::test(start_paused = true)]
async fn metrics_say_what_the_status_says() {
    let metrics = text(&busy().router, "/metrics").await;
    for line in [
        r#"bouquet_watcher_node_verdict{node="narcissus",family="IPv4",verdict="down"} 1"#,
        r#"bouquet_watcher_node_verdict{node="narcissus",family="IPv4",verdict="serving"} 0"#,
        r#"bouquet_watcher_node_published{node="narcissus",family="IPv4"} 0"#,
        r#"bouquet_watcher_node_held{node="erica",family="IPv4"} 1"#,
        r#"bouquet_watcher_probes_total{node="erica",outcome="no_route"} 1"#,
        r#"bouquet_watcher_probe_duration_seconds_bucket{node="lily",le="0.005"} 2"#,
        r#"bouquet_watcher_probe_duration_seconds_bucket{node="lily",le="1"} 4"#,
        r#"bouquet_watcher_probe_duration_seconds_bucket{node="lily",le="+Inf"} 5"#,
        r#"bouquet_watcher_probe_duration_seconds_sum{node="lily"} 9.914"#,
        r#"bouquet_watcher_withdrawals_total{node="narcissus"} 1"#,
        r#"bouquet_watcher_decisions_held_total{rule="rate"} 1"#,
        r#"bouquet_watcher_webhooks_total{kind="ntfy",outcome="failed"} 1"#,
        "bouquet_watcher_events_lost_total 2",
        "bouquet_watcher_provider_calls_total 7",
        "bouquet_watcher_zone_read_age_seconds 2",
        "bouquet_watcher_kubernetes_lost_seconds 0",
        "bouquet_watcher_permit_live 0",
        "bouquet_watcher_alerts 1",
    ] {
        assert!(metrics.lines().any(|at| at == line), "{line} is missing:\n{metrics}");
    }
    assert!(!metrics.contains("gone"), "a node that went took its series with it");
}

#[tokio::test(start_paused = true)]
async fn the_zones_age_grows_between_two_readings() {
    let asked = busy();
    asked.time.sleep(Duration::from_secs(5)).await;
    let metrics = text(&asked.router, "/metrics").await;
    assert!(metrics.contains("\nbouquet_watcher_zone_read_age_seconds 7\n"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn prometheus_has_nothing_to_say_about_the_metrics() {
    let Some(judge) = assets::needed("promlint", "metrics by Prometheus' own linter") else { return };
    let metrics = text(&busy().router, "/metrics").await;
    let lint = |metrics: &str| {
        let mut child = judge.command().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(lint(&metrics), (true, String::new()));
    assert!(!lint(&metrics.replace("_total", "")).0, "the judge takes anything");
    let count = families(&metrics).len() as u64;
    assets::judged(&assets::Judgement {
        protocol: "Prometheus metrics",
        judge: "client_golang's promlint 1.25.0",
        covers: &["the text format", "names, units, types and help of every metric"],
        lacks: &["a scrape by a running Prometheus"],
        count,
        lies: &[],
    });
}

#[tokio::test(start_paused = true)]
async fn the_dashboard_draws_only_metrics_that_there_are() {
    let metrics = text(&busy().router, "/metrics").await;
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let expressions: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(expressions.len() >= 10, "{expressions:?}");
    let families = families(&metrics);
    let mut drawn = BTreeSet::new();
    for expression in expressions {
        let names = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let named: Vec<&str> = names.filter(|name| name.starts_with("bouquet_watcher_")).collect();
        assert!(!named.is_empty(), "{expression}");
        for name in named {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(families.contains(family), "{name} of the dashboard is no metric");
            drawn.insert(family);
        }
    }
    assert!(drawn.len() >= 10, "{drawn:?}");
}
