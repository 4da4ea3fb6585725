//! A cluster's years, put together from its paths'.

#![allow(clippy::cast_precision_loss, reason = "counts of some millions")]

pub mod path;

use detect::{
    Act, Cause, Family, Memory, Millis, Node, Policy, Record, Report, Situation, Target, Vantage, Verdict, View, Zone,
    decide,
};
use path::{Path, ROUND_TRIP_MS, USUAL, Weather};
use std::collections::{BTreeMap, BTreeSet};

const YEAR_MS: Millis = 365 * 24 * 3_600_000;

/// A cluster of so many nodes, each a vantage at a site of its own and an ingress node; and what the vantages see.
pub struct Cluster {
    nodes: BTreeMap<String, Node>,
    pub reports: Vec<Report>,
    zone: Zone,
    memory: Memory,
    /// Nodes that are withdrawn, until they are seen to serve again.
    gone: BTreeSet<String>,
}

pub fn target(node: usize) -> Target {
    Target { node: format!("n{node}"), family: Family::V4 }
}

impl Cluster {
    pub fn new(count: usize) -> Self {
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
        let mut cluster = Cluster { nodes, reports, zone, memory: Memory::default(), gone: BTreeSet::new() };
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

    pub fn see(&mut self, from: usize, to: usize, view: View) {
        let count = self.nodes.len();
        let report = &mut self.reports[from * count + to];
        report.view = view;
        report.cause = (view != View::Up).then_some(Cause::Silent);
        report.failing = view != View::Up;
    }

    /// Nodes that are withdrawn now, and were not before.
    pub fn withdrawn(&mut self, policy: &Policy, now_ms: Millis) -> Vec<String> {
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
        let serves = |node: &String| {
            let target = Target { node: node.clone(), family: Family::V4 };
            judgement.rulings.get(&target).is_some_and(|ruling| ruling.verdict == Verdict::Serving)
        };
        self.gone.retain(|node| !serves(node));
        let done = judgement.decisions.iter().filter(|done| done.act == Act::Withdraw && done.held.is_none());
        done.map(|done| done.target.node.clone()).filter(|node| self.gone.insert(node.clone())).collect()
    }
}

/// Stretches of a year during which one path's vantage sees the target down.
pub fn downs(policy: &Policy, weather: Weather, seed: u64, skips: bool) -> Vec<(Millis, Millis)> {
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

/// How often nodes that served were withdrawn, and how often that is to be expected.
pub struct FalseAlarms {
    /// Years of nodes that were gone through.
    pub node_years: usize,
    /// Withdrawals.
    pub withdrawn: usize,
    /// Stretches in which one vantage alone saw one target down: as many false withdrawals had it decided alone.
    pub alone: usize,
    /// The same, by calculation.
    pub alone_expected: f64,
    /// Withdrawals of independent paths, by calculation from how often and for how long one vantage is wrong.
    pub expected: f64,
}

impl FalseAlarms {
    /// A Poisson distribution of the expectation's mean is at or below this in 95 of 100 cases.
    pub fn bound(&self) -> usize {
        let (mut term, mut sum, mut most) = ((-self.expected).exp(), (-self.expected).exp(), 0);
        while sum < 0.95 {
            most += 1;
            term *= self.expected / most as f64;
            sum += term;
        }
        most
    }
}

/// So many node-years, or some more, in clusters where each node has so many vantages on other nodes.
pub fn false_alarms(policy: &Policy, vantages: usize, node_years: usize) -> FalseAlarms {
    let (mut withdrawn, mut stretches, mut lasted_ms) = (0, 0, 0);
    let nodes = vantages + 1;
    let years = node_years.div_ceil(nodes);
    for seed in 0..years {
        let year = year(policy, vantages, seed as u64 + 1);
        withdrawn += year.withdrawn;
        stretches += year.alone.0;
        lasted_ms += year.alone.1;
    }
    let node_years = years * nodes;
    let path_years = (node_years * vantages) as f64;
    let a_year = stretches as f64 / path_years;
    let share = lasted_ms as f64 / path_years / YEAR_MS as f64;
    // A majority of so many is wrong at once: whichever begins last, the others last already.
    let majority = vantages / 2 + 1;
    let last = a_year * share.powi(i32::try_from(majority).unwrap_or(i32::MAX) - 1) * majority as f64;
    let expected = if vantages < 2 { 0.0 } else { choose(vantages, majority) * last * node_years as f64 };
    FalseAlarms { node_years, withdrawn, alone: stretches, alone_expected: alone_a_year(policy) * path_years, expected }
}

fn choose(of: usize, some: usize) -> f64 {
    (0..some).map(|at| (of - at) as f64 / (at + 1) as f64).product()
}

/// How often a year one vantage is wrong about one target: in each burst, and by chance whenever the two probes that follow a lost
/// one are lost as well, unless the next that is due passes before the third of them is given up.
fn alone_a_year(policy: &Policy) -> f64 {
    let (year_ms, interval_ms) = (YEAR_MS as f64, policy.interval_ms as f64);
    let probes = year_ms / (interval_ms * (1.0 - policy.jitter / 2.0));
    let third_ms = (2 * policy.suspect_gap_ms + policy.connect_timeout_ms) as f64;
    let later_ms = interval_ms + ROUND_TRIP_MS as f64 - third_ms;
    let later = (later_ms / (interval_ms * policy.jitter)).clamp(0.0, 1.0);
    let no_pass = later + (1.0 - later) * USUAL.loss;
    year_ms / USUAL.burst_every_ms + probes * USUAL.loss.powi(3) * no_pass
}
