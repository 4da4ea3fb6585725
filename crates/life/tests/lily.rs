//! Clusters of more than one node: they grow, shrink, and mend what happens behind the product's back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use engine::Outcome;
use life::{Life, ROSE, TRIO, alone, nodes};

/// A world with a snapshot in it, so that no image need be made.
fn garden(file: &str) -> Life {
    let life = Life::new(1, file);
    life.snapshot("arm64");
    life
}

/// Applies, and insists that everything wanted is there and nothing is left to do.
async fn settle(life: &Life) -> Outcome {
    let outcome = life.apply().await;
    assert!(outcome.is_ok(), "{outcome:#?}\n{}", life.world.log());
    let (plan, report) = life.plan().await;
    assert!(plan.is_empty(), "{:?} {report:?}", plan.steps);
    outcome
}

fn whole(file: &str) -> serde_json::Value {
    alone(async {
        let life = garden(file);
        settle(&life).await;
        life.shape()
    })
}

/// Names of the tailnet's devices that are the cluster's.
fn devices(outcome: &Outcome) -> Vec<&str> {
    outcome.observed.devices.iter().filter(|device| device.ours).map(|device| device.name.as_str()).collect()
}

#[test]
fn two_nodes_come_and_go_without_a_trace() {
    alone(async {
        let life = Life::new(1, &nodes(2));
        let before = life.shape();
        life.snapshot("arm64");
        let outcome = settle(&life).await;
        let ready = outcome.observed.kubernetes.as_ref().unwrap();
        assert!(ready["rose"].ready && ready["lily1"].ready);
        assert_eq!(devices(&outcome), ["lily1", "rose"]);
        let outcome = life.destroy().await;
        assert!(outcome.is_ok(), "{outcome:#?}");
        assert!(engine::proof(&life.reach, &life.subject).await.unwrap().is_empty());
        assert_eq!(life.shape(), before);
    });
}

#[test]
fn a_worker_that_the_file_gains_joins() {
    let whole = whole(&nodes(2));
    alone(async {
        let life = garden(ROSE);
        settle(&life).await;
        let grown = life.again(&nodes(2));
        settle(&grown).await;
        assert_eq!(grown.shape(), whole);
    });
}

#[test]
fn a_worker_that_the_file_loses_is_drained_reset_and_deleted() {
    let whole = whole(ROSE);
    alone(async {
        let life = garden(&nodes(2));
        settle(&life).await;
        let shrunk = life.again(ROSE);
        let (plan, _) = shrunk.plan().await;
        let ids: Vec<&str> = plan.steps.iter().map(|planned| planned.id.as_str()).collect();
        let at = |id: &str| ids.iter().position(|step| *step == id).unwrap_or_else(|| panic!("no {id} in {ids:?}"));
        assert!(at("drain/lily1") < at("reset/lily1"), "{ids:?}");
        let outcome = settle(&shrunk).await;
        assert_eq!(shrunk.shape(), whole);
        assert_eq!(outcome.observed.kubernetes.unwrap().into_keys().collect::<Vec<_>>(), ["rose"]);
    });
}

#[test]
fn three_control_planes_are_one_etcd() {
    alone(async {
        let life = garden(TRIO);
        settle(&life).await;
        for node in ["rose", "iris", "fern"] {
            let members = life.talos(node).await.etcd_members(false).await.unwrap();
            let mut names: Vec<&str> = members.iter().map(|member| member.hostname.as_str()).collect();
            names.sort_unstable();
            assert_eq!(names, ["fern", "iris", "rose"]);
            assert!(members.iter().all(|member| !member.is_learner), "{members:?}");
        }
        let bootstraps = life.world.journal().into_iter().filter(|call| call.path.ends_with("/Bootstrap"));
        assert_eq!(bootstraps.filter(|call| call.status == 200).count(), 1);
    });
}

#[test]
fn a_node_without_power_is_switched_on() {
    alone(async {
        let life = garden(&nodes(2));
        settle(&life).await;
        let before = life.shape();
        for node in ["lily1", "rose"] {
            life.world.kill(node).unwrap();
            let (plan, _) = life.again(&nodes(2)).plan().await;
            let power_on = format!("power-on/{node}");
            assert!(plan.steps.iter().any(|planned| planned.id == power_on), "{:?}", plan.steps);
            settle(&life.again(&nodes(2))).await;
            assert_eq!(life.shape(), before, "{node}");
        }
    });
}

#[test]
fn a_worker_destroyed_behind_our_back_is_made_anew_under_its_name() {
    alone(async {
        let life = garden(&nodes(2));
        settle(&life).await;
        let before = life.shape();
        life.world.destroy("lily1").unwrap();
        let outcome = settle(&life.again(&nodes(2))).await;
        assert_eq!(devices(&outcome), ["lily1", "rose"]);
        assert!(outcome.observed.kubernetes.unwrap()["lily1"].ready);
        assert_eq!(life.shape(), before);
    });
}

#[test]
fn a_control_plane_destroyed_behind_our_back_joins_the_etcd_of_the_others() {
    alone(async {
        let life = garden(TRIO);
        settle(&life).await;
        let before = life.shape();
        life.world.destroy("iris").unwrap();
        let outcome = settle(&life.again(TRIO)).await;
        assert_eq!(devices(&outcome), ["fern", "iris", "rose"]);
        assert_eq!(life.shape(), before);
    });
}
