//! Years of a cluster's life on paths that lose packets: how often a node that serves is withdrawn, and how soon one that is dead.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a program of tests, helpers included")]

#[path = "life.rs"]
mod life;

use detect::{Cause, Millis, Policy, Vantage, View};
use life::path::{Draws, Path, USUAL, Weather};
use life::{Cluster, downs, false_alarms, target};

const SECOND_MS: Millis = 1_000;
/// From a vantage's opinion to its report at whoever decides.
const REPORT_MS: Millis = 100;
/// A call to the provider.
const CALL_MS: Millis = 1_000;

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
    let two = false_alarms(&policy, 2, 20);
    assert!(two.node_years >= 20);
    assert!(two.withdrawn <= two.bound(), "{} withdrawals, {:.3} expected", two.withdrawn, two.expected);
    let apart = (two.alone as f64 - two.alone_expected).abs();
    assert!(apart < 4.0 * two.alone_expected.sqrt(), "{} alone, {:.0} expected", two.alone, two.alone_expected);
    assert_eq!(false_alarms(&policy, 5, 20).withdrawn, 0);
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
