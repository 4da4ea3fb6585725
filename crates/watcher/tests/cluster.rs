//! Whole watchers in a world of virtual time: what a death costs, and what no trouble may bring about.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

#[path = "cluster/sim.rs"]
mod sim;

use sim::alone;
use sim::deaths::{End, settled};
use sim::troubles::broken_by;
use sim::world::Ingress;
use std::time::Duration;

#[test]
fn three_watchers_publish_all_that_serve_and_write_no_more() {
    alone(async {
        let world = settled(3, false, 1).await;
        let writes = world.state().zone.writes;
        world.sleep(600_000).await;
        let after = world.state().zone.writes;
        assert_eq!(after, writes, "{}", world.told());
        assert_eq!(world.broken(), Vec::<String>::new());
    });
}

#[test]
fn a_node_that_stops_serving_goes_and_comes_back() {
    for trouble in [Ingress::Silent, Ingress::Refuses, Ingress::NoRoutes, Ingress::WrongCertificate, Ingress::Behind] {
        alone(async {
            let world = settled(3, false, 2).await;
            world.change(|state| state.ingress[1] = trouble);
            let gone = world.until("n1 is withdrawn", 15, |world| !world.published().contains(&1)).await;
            world.change(|state| state.ingress[1] = Ingress::Serves);
            let back = world.until("n1 is restored", 120, |world| world.published().contains(&1)).await;
            println!("{trouble:?}: withdrawn after {gone:?}, restored after {back:?}");
            assert_eq!(world.broken(), Vec::<String>::new());
        });
    }
}

#[test]
fn what_fails_everywhere_is_told_and_nothing_goes() {
    let troubles = [Ingress::NoRoutes, Ingress::Behind, Ingress::WrongCertificate, Ingress::Refuses, Ingress::Silent];
    let mut lost = Vec::new();
    let rounds = troubles.into_iter().flat_map(|trouble| (0..10).map(move |seed| (trouble, seed)));
    for (trouble, seed) in rounds {
        let (nodes, fast) = (3 + (seed % 3) as usize, seed % 2 == 1);
        let all_stay = alone(async {
            let world = settled(nodes, fast, 3 + seed * 101).await;
            world.change(|state| state.ingress = vec![trouble; nodes]);
            let all_stay = world.is_within(300, |world| world.published().len() < nodes).await.is_err();
            let status = world.process(0).unwrap().status().borrow().clone();
            assert!(!all_stay || !status.alerts.is_empty(), "{trouble:?} {}", world.told());
            all_stay
        });
        if !all_stay {
            lost.push((trouble, nodes, fast, seed));
        }
    }
    assert_eq!(lost, Vec::<(Ingress, usize, bool, u64)>::new());
}

#[test]
fn a_death_is_in_dns_in_time_whoever_dies() {
    let mut late = Vec::new();
    for (nodes, end, fast) in [4, 6]
        .into_iter()
        .flat_map(|nodes| End::ALL.map(|end| (nodes, end)))
        .flat_map(|(nodes, end)| [(nodes, end, false), (nodes, end, true)])
    {
        let mut took: Vec<Duration> = (0..10).map(|round| end.time(nodes, fast, round)).collect();
        took.sort_unstable();
        let worst = took.last().copied().unwrap_or(Duration::MAX);
        println!("{nodes} nodes, fast {fast}, {end:?}: median {:?}, worst {worst:?}", took[took.len() / 2]);
        if worst > end.most(fast) {
            late.push(format!("{nodes} nodes, fast {fast}, {end:?}: {worst:?}"));
        }
    }
    assert_eq!(late, Vec::<String>::new());
}

#[test]
fn three_hundred_seeds_of_random_trouble_break_no_rule_and_end_well() {
    // Some that once were broken: all fall just after a trouble that was no different; the API is lost while a node is to leave, and
    // whoever writes cannot know that it stays after all; lists hide that somebody else has deleted records.
    let once_broken = [1_936, 2_982, 4_232, 4_329, 5_090, 5_210];
    let broken: Vec<String> = (0..300).chain(once_broken).filter_map(broken_by).collect();
    assert!(broken.is_empty(), "{} seeds\n{}", broken.len(), broken.join("\n\n"));
}
