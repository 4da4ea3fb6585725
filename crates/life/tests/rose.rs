//! The smallest cluster's whole life, cut off anywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]
#![allow(clippy::large_futures, reason = "a life is one future, and stands on a test's own stack")]

use greenhouse::Cut;
use life::{Life, ROSE, alone};

/// A world with decoys in it, and a snapshot so that no image need be made.
fn garden(seed: u64) -> Life {
    let life = Life::new(seed, ROSE);
    for (kind, name) in [("server", "mail"), ("firewall", "office"), ("image", "golden"), ("device", "laptop")] {
        life.world.foreign(kind, name).unwrap();
    }
    life.snapshot("arm64");
    life
}

#[test]
fn a_cluster_comes_needs_nothing_more_and_goes() {
    alone(async {
        let life = garden(1);
        let before = life.world.inventory();
        let outcome = life.apply().await;
        assert!(outcome.is_ok(), "{:#?}\n{}", outcome, life.world.log());
        let (plan, report) = life.plan().await;
        assert!(plan.is_empty(), "{:?} {:?}", plan.steps, report);
        assert!(outcome.observed.kubernetes.unwrap()["rose"].ready);
        let outcome = life.destroy().await;
        assert!(outcome.is_ok(), "{outcome:#?}");
        let mut after = life.world.inventory();
        let mut before = before;
        // The snapshot that the world began with bears the cluster's mark and goes with it.
        before["hetzner_images"] = after["hetzner_images"].take();
        after["hetzner_images"] = before["hetzner_images"].clone();
        assert_eq!(before, after);
    });
}

#[test]
fn an_apply_cut_off_anywhere_ends_the_same() {
    let whole = alone(async {
        let life = garden(1);
        life.apply().await;
        life.shape()
    });
    let mut runs = 0;
    for number in 0.. {
        let mut was_cut = false;
        for cut in [Cut::Before(number), Cut::After(number)] {
            let (cut_here, shape, empty) = alone(async {
                let life = garden(1);
                let cut_here = life.cut_off(cut, life.apply()).await;
                let again = life.again(ROSE);
                let outcome = again.apply().await;
                assert!(outcome.is_ok(), "{cut:?}: {outcome:#?}\n{}", life.world.log());
                (cut_here, again.shape(), again.plan().await.0.is_empty())
            });
            assert_eq!(shape, whole, "{cut:?}");
            assert!(empty, "{cut:?}");
            was_cut |= cut_here;
            runs += 1;
        }
        if !was_cut {
            break;
        }
    }
    assert!(runs > 20, "only {runs} places to cut");
}

#[test]
fn a_destroy_cut_off_anywhere_leaves_nothing() {
    for number in 0.. {
        let mut was_cut = false;
        for cut in [Cut::Before(number), Cut::After(number)] {
            was_cut |= alone(async {
                let life = garden(1);
                life.apply().await;
                let cut_here = life.cut_off(cut, life.destroy()).await;
                let again = life.again(ROSE);
                let outcome = again.destroy().await;
                assert!(outcome.is_ok(), "{cut:?}: {outcome:#?}");
                let left = engine::proof(&again.reach, &again.subject).await.unwrap();
                assert!(left.is_empty(), "{cut:?}: {left:?}");
                cut_here
            });
        }
        if !was_cut {
            break;
        }
    }
}

#[test]
fn the_same_seed_lives_the_same_life() {
    let log = |seed| {
        alone(async move {
            let life = garden(seed);
            life.apply().await;
            life.destroy().await;
            life.world.log()
        })
    };
    let mut logs = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let first = log(seed);
        assert_eq!(first, log(seed), "seed {seed}");
        logs.insert(first);
    }
    assert!(logs.len() >= 190, "{} distinct lives of 200", logs.len());
}
