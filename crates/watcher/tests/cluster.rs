//! Whole watchers in a world of virtual time: what a death costs, and what no trouble may bring about.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

#[path = "cluster/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::time::Duration;
use world::{Ingress, World};

async fn settled(nodes: usize, fast: bool, seed: u64) -> std::sync::Arc<World> {
    let world = World::new(nodes, fast, seed);
    let all: BTreeSet<usize> = (0..nodes).collect();
    world.until("all nodes are published", 60, |world| world.published() == all).await;
    world.sleep(30_000 + seed % 5_000).await;
    assert_eq!(world.published(), all, "{}", world.told());
    world
}

#[tokio::test(start_paused = true)]
async fn three_watchers_publish_all_that_serve_and_write_no_more() {
    let world = settled(3, false, 1).await;
    let writes = world.state().writes;
    world.sleep(600_000).await;
    assert_eq!(world.state().writes, writes, "{}", world.told());
    assert_eq!(world.state().broken, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_serving_goes_and_comes_back() {
    for trouble in [Ingress::Silent, Ingress::Refuses, Ingress::NoRoutes, Ingress::WrongCertificate, Ingress::Behind] {
        let world = settled(3, false, 2).await;
        world.state().ingress[1] = trouble;
        let gone = world.until("n1 is withdrawn", 15, |world| !world.published().contains(&1)).await;
        println!("{trouble:?}: withdrawn after {gone:?}");
        world.state().ingress[1] = Ingress::Serves;
        let back = world.until("n1 is restored", 120, |world| world.published().contains(&1)).await;
        println!("{trouble:?}: restored after {back:?}");
        assert_eq!(world.state().broken, Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_everywhere_is_told_and_nothing_goes() {
    for trouble in [Ingress::NoRoutes, Ingress::Behind, Ingress::WrongCertificate, Ingress::Silent] {
        let world = settled(3, false, 3).await;
        world.state().ingress = vec![trouble; 3];
        world.sleep(300_000).await;
        assert_eq!(world.published().len(), 3, "{trouble:?} {}", world.told());
        let status = world.process(0).unwrap().status().borrow().clone();
        assert!(!status.alerts.is_empty(), "{trouble:?} {}", world.told());
    }
}

async fn worst(nodes: usize, fast: bool, trouble: Option<Ingress>, writer_dies: bool, rounds: u64) -> Duration {
    let mut worst = Duration::ZERO;
    for seed in 0..rounds {
        let world = settled(nodes, fast, 100 + seed * 977).await;
        let writer = world.writer().unwrap();
        let victim = if writer_dies { writer } else { (writer + 1) % nodes };
        match trouble {
            Some(trouble) => world.state().ingress[victim] = trouble,
            None => world.kill(victim),
        }
        let gone = world.until("the victim is withdrawn", 60, |world| !world.published().contains(&victim)).await;
        worst = worst.max(gone);
    }
    worst
}

#[tokio::test(start_paused = true)]
async fn a_death_is_in_dns_in_time_whoever_dies() {
    for nodes in [4, 6] {
        for (fast, silence_s, refused_s) in [(false, 12, 9), (true, 4, 3)] {
            let silence = worst(nodes, fast, None, false, 10).await;
            let refused = worst(nodes, fast, Some(Ingress::Refuses), false, 10).await;
            let writer = worst(nodes, fast, None, true, 10).await;
            println!(
                "{nodes} nodes, fast {fast}: silence {silence:?}, refused {refused:?}, the writer's own {writer:?}"
            );
            assert!(silence <= Duration::from_secs(silence_s) && refused <= Duration::from_secs(refused_s));
            assert!(writer <= Duration::from_secs(silence_s));
        }
    }
}
