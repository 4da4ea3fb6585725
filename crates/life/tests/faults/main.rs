//! Every fault that these flows can meet, alone, at its first, middle and last match; then the same run without it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod anywhere;
mod far;

use anywhere::Garden;
use engine::Event;
use life::{Life, TULIP, alone, nodes};

/// One control plane, and a worker that has somewhere else to go.
const PAIR: &str = "cluster: bouquet
ingress: none
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
  lily: { role: worker, on: [hetzner/fsn1/cax21, hetzner/nbg1/cax21] }
";

fn garden(file: &str) -> Life {
    let life = Life::new(1, file);
    life.snapshot("arm64");
    life
}

/// What breaks a call, whoever is called.
const BROKEN: [&str; 9] =
    ["lose-request", "lose-answer", "status=503", "rate-limit", "html", "garbage", "truncate", "slow=20", "hang"];

#[test]
fn a_broken_call_is_made_good_wherever_it_breaks() {
    let garden = Garden::of(|| garden(PAIR), PAIR);
    let mut lives = 0;
    for effect in BROKEN {
        for calls in [
            "hetzner {}",
            "tailscale {}",
            "hetzner {} on POST /v1/servers",
            "hetzner {} on POST /v1/firewalls",
            "tailscale {} on POST /api/v2/tailnet",
        ] {
            lives += garden.everywhere(&calls.replace("{}", effect));
        }
    }
    println!("{lives} lives with one broken call each");
}

#[test]
fn what_strikes_a_machine_once_is_mended_by_the_next_run() {
    let garden = Garden::of(|| garden(PAIR), PAIR);
    for rule in [
        "hetzner action-error times 1",
        "hetzner action-error after 1 times 1",
        "hetzner action-locked times 1",
        "hetzner action-locked after 1 times 1",
        "hetzner locked times 1",
        "hetzner locked after 1 times 1",
        "hetzner quota times 1",
        "hetzner quota after 1 times 1",
        "hetzner sold-out for cax21",
        "hetzner no-boot for bouquet-lily times 1",
        "hetzner no-boot for bouquet-rose times 1",
        "tailscale tags-refused times 1",
        "tailscale tags-refused after 1 times 1",
        "node dies for rose:boot times 1",
        "node dies for rose:mesh times 1",
        "node dies for rose:etcd times 1",
        "node dies for rose:node-ready times 1",
        "node dies for lily:services times 1",
        "node dies for lily:kubelet times 1",
    ] {
        garden.strikes_and_heals(rule);
    }
}

fn said(life: &Life, part: &str) -> bool {
    let notes = life.events().into_iter();
    notes
        .filter(|event| matches!(event, Event::Note { .. } | Event::Error { .. }))
        .any(|event| serde_json::to_string(&event).is_ok_and(|text| text.contains(part)))
}

#[test]
fn a_place_without_room_gives_way_to_the_next() {
    for rule in ["hetzner no-capacity for fsn1", "hetzner location-disabled for fsn1"] {
        alone(async {
            let life = garden(PAIR);
            life.world.fault(rule).unwrap();
            let outcome = life.apply().await;
            assert!(outcome.is_ok(), "{rule}: {outcome:#?}");
            assert!(said(&life, "hetzner/fsn1/cax21 has no room now"), "{rule}: {:?}", life.events());
            let machine = outcome.observed.machine("lily").unwrap();
            assert_eq!(machine.place.as_ref().unwrap().region, "nbg1");
            assert!(life.plan().await.0.is_empty());
        });
    }
}

#[test]
fn a_machine_that_never_reached_the_tailnet_is_made_anew_by_the_next_run_and_only_then() {
    for (file, node) in [(PAIR, "lily"), (PAIR, "rose"), (TULIP, "tulip")] {
        let garden = Garden::of(|| garden(file), file);
        alone(async {
            let life = garden.begin();
            let id = life.world.fault(&format!("tailscale key-expired for {node}")).unwrap();
            let outcome = life.apply().await;
            let blocked: Vec<_> = outcome.blocked.iter().map(|one| (one.code.as_str(), one.subject.as_str())).collect();
            assert_eq!(blocked, [("BQ0420", node)], "{:#?}", outcome.failed);
            let launches = life.world.log().matches("power on").count();
            assert_eq!(launches, life.subject.cluster.nodes.len(), "no machine is made twice in one run");
            life.world.heal(id);
            let again = life.again(file);
            let (plan, _) = again.plan().await;
            let ids: Vec<&str> = plan.steps.iter().map(|planned| planned.id.as_str()).collect();
            let at = |start: &str| ids.iter().position(|id| id.starts_with(start)).unwrap_or_else(|| panic!("{ids:?}"));
            assert!(at("delete/") < at(&format!("launch/{node}")), "{ids:?}");
            assert!(again.apply().await.is_ok());
            garden.is_whole(&again);
        });
    }
}

#[test]
fn a_name_that_an_older_device_holds_is_said() {
    alone(async {
        let life = garden(PAIR);
        life.world.fault("tailscale name-taken for lily times 1").unwrap();
        assert!(!life.apply().await.is_ok());
        assert!(said(&life, "an older device holds the name"), "{:?}", life.events());
    });
}

#[test]
fn what_cannot_be_had_does_not_keep_the_rest_from_coming_up() {
    alone(async {
        let file = nodes(3).replace(
            "lily2: { role: worker, on: hetzner/fsn1/cax21 }",
            "lily2: { role: worker, on: hetzner/nbg1/cax11 }",
        );
        let life = garden(&file);
        life.world.fault("hetzner no-capacity for nbg1").unwrap();
        let outcome = life.apply().await;
        assert!(!outcome.is_ok());
        let blocked: Vec<_> = outcome.blocked.iter().map(|blocked| blocked.code.as_str()).collect();
        assert_eq!(blocked, ["BQ0411"], "{outcome:#?}");
        let ready = outcome.observed.kubernetes.unwrap();
        assert!(ready["rose"].ready && ready["lily1"].ready && !ready.contains_key("lily2"), "{ready:?}");
    });
}
