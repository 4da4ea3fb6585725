//! Years of a cluster's life on paths that lose packets: how often a node that serves is withdrawn, and how soon one that is dead.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a program of tests, helpers included")]

mod path;

use detect::{
    Act, Cause, Family, Memory, Millis, Node, Policy, Record, Report, Situation, Target, Vantage, View, Zone, decide,
};
use path::{Draws, Path, USUAL, Weather};
use std::collections::BTreeMap;

const YEAR_MS: Millis = 365 * 24 * 3_600_000;
const SECOND_MS: Millis = 1_000;
/// From a vantage's opinion to its report at whoever decides.
const REPORT_MS: Millis = 100;
/// A call to the provider.
const CALL_MS: Millis = 1_000;

/// A cluster of so many nodes, each a vantage at a site of its own and an ingress node; and what the vantages see.
struct Cluster {
    nodes: BTreeMap<String, Node>,
    reports: Vec<Report>,
    zone: Zone,
    memory: Memory,
}

fn target(node: usize) -> Target {
    Target { node: format!("n{node}"), family: Family::V4 }
}

impl Cluster {
    fn new(count: usize) -> Self {
        let address = |node: usize| format!("198.51.100.{}", node + 1).parse().unwrap();
        let node = |at| {
            let addresses = BTreeMap::from([(Family::V4, address(at))]);
            (target(at).node, Node { addresses, ..Node::default() })
        };
        let record = |at: usize| {
            let (id, name) = (at.to_string(), "lb.example.com".to_owned());
            Record { id, name, content: address(at), node: target(at).node }
        };
        let zone =
            Zone { names: vec!["lb.example.com".into()], records: (0..count).map(record).collect(), ..Zone::default() };
        let (nodes, reports) = ((0..count).map(node).collect(), Vec::new());
        let mut cluster = Cluster { nodes, reports, zone, memory: Memory::default() };
        for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))) {
            cluster.reports.push(Report {
                vantage: Vantage { node: target(from).node, site: target(from).node },
                target: target(to),
                view: View::Up,
                cause: None,
                failing: false,
                since_ms: 0,
                probed_ms: 0,
                trusted: true,
            });
        }
        cluster
    }

    fn see(&mut self, from: usize, to: usize, view: View) {
        let count = self.nodes.len();
        let report = &mut self.reports[from * count + to];
        report.view = view;
        report.cause = (view != View::Up).then_some(Cause::Silent);
        report.failing = view != View::Up;
    }

    /// Nodes that are withdrawn now.
    fn withdrawn(&mut self, policy: &Policy, now_ms: Millis) -> Vec<String> {
        for report in &mut self.reports {
            report.probed_ms = now_ms;
        }
        self.zone.read_ms = now_ms;
        let judgement = decide(&Situation {
            now_ms,
            policy,
            nodes: &self.nodes,
            reports: &self.reports,
            zone: Some(&self.zone),
            memory: &self.memory,
            calls_made: 0,
        });
        self.memory = judgement.memory;
        let done =
            judgement.decisions.into_iter().filter(|decision| decision.act == Act::Withdraw && decision.held.is_none());
        done.map(|decision| decision.target.node).collect()
    }
}

/// Stretches of a year during which one path's vantage sees the target down.
fn downs(policy: &Policy, weather: Weather, seed: u64, skips: bool) -> Vec<(Millis, Millis)> {
    let mut path = Path::new(policy, weather, seed, skips);
    let (mut downs, mut from_ms) = (Vec::new(), None);
    while let Some((at_ms, view)) = path.change(YEAR_MS) {
        match (view, from_ms) {
            (View::Down | View::Unstable, None) => from_ms = Some(at_ms),
            (View::Up, Some(begun_ms)) => {
                downs.push((begun_ms, at_ms));
                from_ms = None;
            }
            _ => {}
        }
    }
    downs
}

/// A year of a cluster in which each target has so many foreign vantages.
struct Year {
    /// Stretches in which one vantage saw one target down; how many, and how long together.
    alone: (usize, Millis),
    /// Withdrawals of nodes that served all the time.
    withdrawn: usize,
}

fn year(policy: &Policy, foreign: usize, seed: u64) -> Year {
    let count = foreign + 1;
    let mut changes = Vec::new();
    let mut alone = (0, 0);
    for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))).filter(|(from, to)| from != to) {
        let seed = seed.wrapping_mul(0x1_0001).wrapping_add((from * count + to) as u64);
        for (begun_ms, ended_ms) in downs(policy, USUAL, seed, true) {
            alone = (alone.0 + 1, alone.1 + ended_ms - begun_ms);
            changes.push((begun_ms, from, to, View::Down));
            changes.push((ended_ms, from, to, View::Up));
        }
    }
    changes.sort_by_key(|(at_ms, from, to, _)| (*at_ms, *from, *to));
    let mut cluster = Cluster::new(count);
    // All have been seen to serve before the year begins.
    assert!(cluster.withdrawn(policy, 0).is_empty());
    let mut withdrawn = 0;
    for (at_ms, from, to, view) in changes {
        cluster.see(from, to, view);
        withdrawn += cluster.withdrawn(policy, at_ms).len();
    }
    Year { alone, withdrawn }
}

/// Withdrawals over so many node-years; and what independent paths would give: two vantages are wrong about a node at once
/// at the rate of both, for as long as both stretches last.
fn false_withdrawals(policy: &Policy, foreign: usize, node_years: usize) -> (usize, f64) {
    let (mut withdrawn, mut stretches, mut lasted_ms) = (0, 0, 0);
    let years = node_years.div_ceil(foreign + 1);
    for seed in 0..years {
        let year = year(policy, foreign, seed as u64 + 1);
        withdrawn += year.withdrawn;
        stretches += year.alone.0;
        lasted_ms += year.alone.1;
    }
    let path_years = (years * foreign * (foreign + 1)) as f64;
    let a_year = stretches as f64 / path_years;
    let share = lasted_ms as f64 / path_years / YEAR_MS as f64;
    // Two of two: either begins while the other lasts.
    let expected = 2.0 * a_year * share * (years * (foreign + 1)) as f64;
    (withdrawn, expected)
}

#[test]
fn skipping_quiet_stretches_gives_what_stepping_gives() {
    let policy = Policy::default();
    let count = |skips| (0..4).map(|seed| downs(&policy, USUAL, seed, skips).len()).sum::<usize>() as f64;
    let (stepped, skipped) = (count(false), count(true));
    // Four path-years of Poisson events: within three standard deviations of each other.
    assert!(stepped > 20.0 && (stepped - skipped).abs() < 3.0 * (stepped + skipped).sqrt(), "{stepped} and {skipped}");
}

#[test]
fn twenty_node_years_of_usual_loss_withdraw_as_seldom_as_independent_paths_allow() {
    let policy = Policy::default();
    let (two, expected) = false_withdrawals(&policy, 2, 20);
    // 95 % of a Poisson distribution of this mean are at or below this.
    let bound = expected + 1.645 * expected.sqrt() + 1.0;
    assert!((two as f64) <= bound, "{two} withdrawals, {expected:.3} expected, bound {bound:.2}");
    let (five, _) = false_withdrawals(&policy, 5, 20);
    assert_eq!(five, 0);
}

/// From a node's death to its records' end: the worst of many, with so many nodes.
fn worst_ms(policy: &Policy, cause: Cause, nodes: usize) -> Millis {
    let clean = Weather { loss: 0.0, burst_every_ms: f64::MAX / 2.0, burst_ms: 0 };
    let mut worst_ms = 0;
    for seed in 0..2_000 {
        let death_ms = 60 * SECOND_MS + Draws::seeded(seed).wait_ms(20_000.0);
        let mut seen: Vec<(Millis, usize)> = (1..nodes)
            .map(|from| {
                let mut path = Path::new(policy, clean, seed * 97 + from as u64, false);
                path.death = Some((death_ms, cause));
                let down = std::iter::from_fn(|| path.change(Millis::MAX)).find(|(_, view)| *view == View::Down);
                (down.unwrap().0 + REPORT_MS, from)
            })
            .collect();
        seen.sort_unstable();
        let mut cluster = Cluster::new(nodes);
        assert!(cluster.withdrawn(policy, 0).is_empty());
        // The dead node's own vantage is heard no more.
        cluster
            .reports
            .iter_mut()
            .filter(|report| report.vantage == target_vantage(0))
            .for_each(|report| report.trusted = false);
        let mut withdrawn_ms = None;
        for (at_ms, from) in seen {
            cluster.see(from, 0, View::Down);
            if withdrawn_ms.is_none() && cluster.withdrawn(policy, at_ms) == [target(0).node] {
                withdrawn_ms = Some(at_ms + CALL_MS);
            }
        }
        worst_ms = worst_ms.max(withdrawn_ms.unwrap() - death_ms);
    }
    worst_ms
}

fn target_vantage(node: usize) -> Vantage {
    Vantage { node: target(node).node, site: target(node).node }
}

#[test]
fn a_death_is_in_dns_within_twelve_seconds_and_within_four_when_fast() {
    for nodes in [3, 4, 6] {
        let (usual, fast) = (Policy::default(), Policy::fast());
        let silence = [worst_ms(&usual, Cause::Silent, nodes), worst_ms(&fast, Cause::Silent, nodes)];
        let refused = [worst_ms(&usual, Cause::Refused, nodes), worst_ms(&fast, Cause::Refused, nodes)];
        println!("{nodes} nodes: silence {silence:?} ms, refused {refused:?} ms");
        assert!(silence[0] <= 12_000 && silence[1] <= 4_000, "{silence:?}");
        assert!(refused[0] <= 9_000 && refused[1] <= 3_000, "{refused:?}");
    }
}
