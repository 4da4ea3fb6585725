//! The same for what only a longer way meets: an image that must be made, a name, a second cloud.

use super::anywhere::Garden;
use super::{BROKEN, said};
use life::{Life, MISSION, ROSE, TULIP, alone};

/// A control plane with a name.
const NAMED: &str = "cluster: bouquet
domain: bouquet.example.com
dns: cloudflare
ingress: none
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
";

#[test]
fn a_broken_call_to_the_dns_provider_is_made_good() {
    let begin = || {
        let life = Life::new(1, NAMED);
        life.snapshot("arm64");
        life
    };
    let garden = Garden::of(begin, NAMED);
    garden.strikes_and_heals("cloudflare zone-hidden");
    for effect in BROKEN {
        for calls in ["cloudflare {}", "cloudflare {} on POST /", "cloudflare {} on PATCH /"] {
            garden.everywhere(&calls.replace("{}", effect));
        }
    }
}

#[test]
fn an_image_is_made_in_spite_of_what_goes_wrong_on_the_way() {
    let garden = Garden::of(|| Life::new(1, ROSE), ROSE);
    for effect in BROKEN {
        for calls in [
            "factory {}",
            "hetzner {}",
            "hetzner {} on POST /v1/ssh_keys",
            "hetzner {} on POST /v1/servers",
            "hetzner {} on DELETE /v1/servers",
        ] {
            garden.everywhere(&calls.replace("{}", effect));
        }
    }
    for rule in [
        "hetzner rescue-refused=300 times 1",
        "hetzner rescue-refused=1800 times 1",
        "factory image-missing times 1",
        "hetzner locked times 1",
        "hetzner locked after 3 times 1",
        "hetzner action-error times 1",
    ] {
        garden.strikes_and_heals(rule);
    }
}

#[test]
fn a_broken_call_to_oci_is_made_good_wherever_it_breaks() {
    let garden = Garden::of(|| Life::new(1, TULIP), TULIP);
    for effect in BROKEN {
        for calls in ["oci {}", "oci {} on POST /20160918"] {
            garden.everywhere(&calls.replace("{}", effect));
        }
    }
}

#[test]
fn what_strikes_at_oci_once_is_mended_by_the_next_run() {
    let garden = Garden::of(|| Life::new(1, TULIP), TULIP);
    for rule in [
        "oci no-capacity times 1",
        "oci shape-not-found times 1",
        "oci limit-exceeded times 1",
        "oci suspended times 1",
        "oci no-address=120 times 1",
        "oci image-shape times 1",
        "oci no-boot for bouquet-tulip times 1",
        "oci clock-skew times 1",
        "oci clock-skew after 20 times 1",
        "oci lose-answer on POST /20160918/instances times 1",
        "oci lose-answer on POST /20160918/images times 1",
        "tailscale key-expired times 1",
        "node dies for tulip:boot times 1",
        "node dies for tulip:etcd times 1",
    ] {
        garden.strikes_and_heals(rule);
    }
}

#[test]
fn a_destroy_waits_for_what_oci_will_not_let_go_of_yet() {
    for rule in [
        "oci subnet-in-use times 3",
        "oci vcn-busy times 3",
        "oci vnic-stuck=600 times 1",
        "hetzner in-use times 3",
        "hetzner locked times 1",
        "cloudflare status=500 times 1",
    ] {
        alone(async {
            let life = Life::new(1, MISSION);
            let before = life.world.inventory();
            assert!(life.apply().await.is_ok());
            life.world.fault(rule).unwrap();
            let outcome = life.destroy().await;
            assert!(outcome.is_ok(), "{rule}: {:#?}", outcome.failed);
            assert_eq!(life.world.inventory(), before, "{rule}");
        });
    }
}

#[test]
fn a_cloud_without_room_keeps_only_its_own_node_from_coming_up() {
    alone(async {
        let life = Life::new(1, MISSION);
        let id = life.world.fault("oci no-capacity").unwrap();
        let outcome = life.apply().await;
        let blocked: Vec<_> = outcome.blocked.iter().map(|blocked| blocked.code.as_str()).collect();
        assert_eq!(blocked, ["BQ0411"], "{:#?}", outcome.failed);
        assert!(said(&life, "has no room now"), "{:?}", life.events());
        let ready = outcome.observed.kubernetes.unwrap();
        assert!(ready["rose"].ready && ready["lily"].ready && !ready.contains_key("tulip"), "{ready:?}");
        life.world.heal(id);
        assert!(life.again(MISSION).apply().await.is_ok());
    });
}
