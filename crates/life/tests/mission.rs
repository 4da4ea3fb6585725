//! The mission's own cluster: two clouds, one tailnet, a name, and no image to begin with.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use greenhouse::Cut;
use life::{Life, MISSION, TULIP, alone, differences};
use serde_json::Value;

/// Somebody else's things wherever the product works.
fn garden() -> Life {
    let life = Life::new(1, MISSION);
    let decoys = [
        ("server", "mail"),
        ("firewall", "office"),
        ("image", "golden"),
        ("vcn", "warehouse"),
        ("device", "laptop"),
        ("record", "shop"),
    ];
    for (kind, name) in decoys {
        life.world.foreign(kind, name).unwrap();
    }
    life
}

#[test]
fn the_missions_file_becomes_three_ready_nodes_and_goes_without_a_trace() {
    alone(async {
        let life = garden();
        let before = life.world.inventory();
        let outcome = life.apply().await;
        assert!(outcome.is_ok(), "{:#?}\n{:#?}\n{}", outcome.failed, outcome.blocked, life.world.log());
        let ready = outcome.observed.kubernetes.as_ref().unwrap();
        assert!(["rose", "lily", "tulip"].iter().all(|node| ready[*node].ready), "{ready:?}");
        let (plan, report) = life.again(MISSION).plan().await;
        assert!(plan.is_empty(), "{:?} {report:?}", plan.steps);
        let outcome = life.destroy().await;
        assert!(outcome.is_ok(), "{outcome:#?}");
        assert!(engine::proof(&life.reach, &life.subject).await.unwrap().is_empty());
        assert_eq!(life.world.inventory(), before);
    });
}

#[test]
fn a_control_plane_at_oci_is_open_to_its_operator_and_only_until_it_is_configured() {
    alone(async {
        let life = Life::new(1, TULIP);
        let outcome = life.apply().await;
        assert!(outcome.is_ok(), "{:#?}\n{:#?}\n{}", outcome.failed, outcome.blocked, life.world.log());
        let journal = life.world.journal();
        let at = |method: &str, path: &str| {
            journal.iter().rposition(|call| call.method == method && call.path.contains(path)).unwrap()
        };
        assert!(at("POST", "/ApplyConfiguration") < at("PUT", "/securityLists/"), "it is closed behind the contact");
        let open = life.world.inventory()["oci_security_lists"].to_string();
        assert!(!open.contains("6443") && !open.contains("50000"), "{open}");
        assert!(life.plan().await.0.is_empty());
    });
}

/// What a whole apply of the mission's file leaves, and where it can be cut off.
fn whole() -> (Value, Vec<u64>) {
    alone(async {
        let life = garden();
        life.world.cut(None);
        assert!(life.apply().await.is_ok());
        (life.shape(), life.world.places_to_cut())
    })
}

/// Cuts an apply off at every `parts`-th place, `part` first, and applies again.
fn cut_applies(part: usize, parts: usize) {
    let (whole, places) = whole();
    assert!(places.len() > 60, "only {} places to cut", places.len());
    for number in places.into_iter().skip(part).step_by(parts) {
        for cut in [Cut::Before(number), Cut::After(number)] {
            alone(async {
                let life = garden();
                assert!(life.cut_off(cut, life.apply()).await, "{cut:?} did not happen");
                let again = life.again(MISSION);
                let outcome = again.apply().await;
                assert!(outcome.is_ok(), "{cut:?}: {:#?}\n{}", outcome.failed, life.world.log());
                let differences = differences(&again.shape(), &whole);
                assert!(differences.is_empty(), "{cut:?}: {differences:#?}");
                let (plan, _) = again.plan().await;
                assert!(plan.is_empty(), "{cut:?}: {:?}", plan.steps);
            });
        }
    }
}

#[test]
fn an_apply_cut_off_anywhere_ends_the_same() {
    cut_applies(0, 2);
}

#[test]
fn an_apply_cut_off_anywhere_else_ends_the_same() {
    cut_applies(1, 2);
}

#[test]
fn a_destroy_cut_off_anywhere_leaves_nothing() {
    let (before, places) = alone(async {
        let life = garden();
        let before = life.world.inventory();
        assert!(life.apply().await.is_ok());
        life.world.cut(None);
        assert!(life.destroy().await.is_ok());
        (before, life.world.places_to_cut())
    });
    assert!(places.len() > 30, "only {} places to cut", places.len());
    for number in places {
        for cut in [Cut::Before(number), Cut::After(number)] {
            alone(async {
                let life = garden();
                assert!(life.apply().await.is_ok());
                assert!(life.cut_off(cut, life.destroy()).await, "{cut:?} did not happen");
                let outcome = life.again(MISSION).destroy().await;
                assert!(outcome.is_ok(), "{cut:?}: {outcome:#?}");
                let differences = differences(&life.world.inventory(), &before);
                assert!(differences.is_empty(), "{cut:?}: {differences:#?}");
            });
        }
    }
}
