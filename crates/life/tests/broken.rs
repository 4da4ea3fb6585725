//! Whatever a node receives may be wrong. Its boot breaks, and `apply` says of what.

#[path = "broken/meddler.rs"]
mod meddler;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use engine::{Event, StepState};
use life::{Life, TRIO, alone};
use meddler::{Meddling, meddle};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A control plane and a worker at Hetzner.
const HETZNER: &str = "cluster: bouquet
domain: bouquet.example.com
dns: cloudflare
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
  lily: { role: worker, on: hetzner/fsn1/cax21 }
";

/// The same with the worker at OCI.
const OCI: &str = "cluster: bouquet
domain: bouquet.example.com
dns: cloudflare
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
  lily: { role: worker, on: oci/eu-frankfurt-1/VM.Standard.A1.Flex, cpus: 4, memory: 24GiB, disk: 200GiB }
";

/// What has to be done after a boot broke so that the same file comes up.
#[derive(Clone, Copy, PartialEq)]
enum Remedy {
    /// Nothing: the product sets it right itself, once it can reach the node.
    None,
    /// The machine is deleted, as the error's help says.
    Machine,
    /// The image is wrong, or the one control plane: everything is made anew.
    Everything,
}

/// Something wrong in what a node receives.
struct Case {
    name: &'static str,
    file: &'static str,
    node: &'static str,
    prepare: fn(&Life),
    meddling: Meddling,
    /// What one error must say, all of it.
    says: &'static [&'static str],
    /// What no error may say.
    never: &'static [&'static str],
    remedy: Remedy,
}

/// A worker at Hetzner with a good image, of which nothing else is to be said.
const CASE: Case = Case {
    name: "",
    file: HETZNER,
    node: "lily",
    prepare: |life| life.snapshot("arm64"),
    meddling: |_| (),
    says: &[],
    never: &[],
    remedy: Remedy::Machine,
};

/// No token of the cluster's.
const TOKEN: &str = "abcdef.0123456789abcdef";

/// What is in user data when the cloud has kept half of it.
fn half(data: String) -> String {
    data[..data.len() / 2 / 4 * 4].to_owned()
}

const CASES: &[Case] = &[
    Case {
        name: "wrong CA of a worker",
        meddling: |passing| passing.config("lily", "machine:", &pem(1).0, &pem(2).0),
        says: &[
            "lily was not Ready",
            "the certificate authority or the token in its configuration is not the cluster's",
        ],
        never: &["image", "auth key"],
        ..CASE
    },
    Case {
        name: "wrong CA of a control plane",
        node: "rose",
        meddling: |passing| {
            passing.config("rose", "machine:", &pem(1).0, &pem(2).0);
            passing.config("rose", "machine:", &pem(1).1, &pem(2).1);
        },
        says: &["rose did not take the bootstrap call", "a certificate of another certificate authority"],
        never: &["token", "image", "auth key"],
        remedy: Remedy::Everything,
        ..CASE
    },
    Case {
        name: "expired auth key",
        meddling: |passing| passing.expire_key("lily"),
        says: &["lily did not appear on the tailnet", "its auth key expired at 2026-12-01 08:00:"],
        never: &["user data", "image that"],
        ..CASE
    },
    Case {
        name: "host name, everywhere",
        meddling: |passing| {
            passing.config("lily", "kind: HostnameConfig", "hostname: lily", "hostname: daisy");
            passing.config("lily", "TS_AUTHKEY", "TS_HOSTNAME=lily", "TS_HOSTNAME=daisy");
        },
        says: &["lily did not appear on the tailnet", "a device called \"daisy\"", "host name"],
        never: &["user data", "image that", "taken back"],
        ..CASE
    },
    Case {
        name: "host name, Talos's own",
        meddling: |passing| passing.config("lily", "kind: HostnameConfig", "hostname: lily", "hostname: daisy"),
        says: &["lily was not Ready", "knows \"daisy\"", "the host name (HostnameConfig: hostname)"],
        never: &["certificate authority", "token"],
        remedy: Remedy::None,
        ..CASE
    },
    Case {
        name: "architecture, at Hetzner",
        prepare: |life| life.snapshot_of("arm64", "amd64", &[talos::TAILSCALE]),
        node: "",
        says: &["image architecture does not match server type architecture"],
        remedy: Remedy::Everything,
        ..CASE
    },
    Case {
        name: "architecture, at OCI",
        file: OCI,
        meddling: |passing| passing.image("oracle-arm64", "oracle-amd64"),
        says: &["lily did not appear on the tailnet", "UEFI Shell", "wrong architecture"],
        never: &["user data"],
        remedy: Remedy::Everything,
        ..CASE
    },
    Case {
        name: "firmware",
        file: OCI,
        meddling: |passing| passing.firmware("BIOS"),
        says: &["lily did not appear on the tailnet", "the firmware BIOS", "UEFI_64 only"],
        never: &["user data", "architecture"],
        remedy: Remedy::Everything,
        ..CASE
    },
    Case {
        name: "installer of another platform",
        file: OCI,
        meddling: |passing| passing.image("oracle-arm64", "metal-arm64"),
        says: &["lily did not appear on the tailnet", "the installer of another platform"],
        never: &["architecture", "truncated"],
        remedy: Remedy::Everything,
        ..CASE
    },
    Case {
        name: "installer without the extension",
        prepare: |life| life.snapshot_of("arm64", "arm64", &[]),
        node: "",
        says: &[
            "did not appear on the tailnet",
            "auth key was never used",
            "another installer, or without the tailscale extension",
        ],
        remedy: Remedy::Everything,
        ..CASE
    },
    Case {
        name: "endpoint",
        meddling: |passing| passing.config("lily", "controlPlane:", "api.bouquet.example.com", "api.weeds.example.com"),
        says: &[
            "lily was not Ready",
            "the endpoint (cluster.controlPlane.endpoint)",
            "lookup api.weeds.example.com: no such host",
        ],
        never: &["token", "image"],
        remedy: Remedy::None,
        ..CASE
    },
    Case {
        name: "subnet of the node's address",
        meddling: |passing| passing.config("lily", "validSubnets", "100.64.0.0/10", "10.99.0.0/16"),
        says: &[
            "lily was not Ready",
            "the subnet of its node address (machine.kubelet.nodeIP.validSubnets)",
            "Waiting for node IP",
        ],
        never: &["token", "image"],
        remedy: Remedy::None,
        ..CASE
    },
    Case {
        name: "subnet of the firewall",
        meddling: |passing| passing.config("lily", "mesh-talos", "100.64.0.0/10", "10.99.0.0/16"),
        says: &["lily was not Ready", "the firewall in its configuration lets another subnet in"],
        never: &["token", "image"],
        ..CASE
    },
    Case {
        name: "token of Talos",
        meddling: |passing| passing.config("lily", "machine:", bundle(1).trustd_token.expose(), TOKEN),
        says: &[
            "lily was not Ready",
            "the certificate authority or the token in its configuration is not the cluster's",
        ],
        never: &["image", "auth key"],
        ..CASE
    },
    Case {
        name: "token of Kubernetes",
        meddling: |passing| passing.config("lily", "cluster:", bundle(1).bootstrap_token.expose(), TOKEN),
        says: &["lily was not Ready", "the bootstrap token (cluster.token)", "Unauthorized"],
        never: &["endpoint", "image"],
        remedy: Remedy::None,
        ..CASE
    },
    Case {
        name: "truncated user data, at Hetzner",
        meddling: |passing| passing.user_data("lily", half),
        says: &[
            "lily did not appear on the tailnet",
            "auth key was never used",
            "user data that it cannot read (truncated",
        ],
        ..CASE
    },
    Case {
        name: "truncated user data, at OCI",
        file: OCI,
        meddling: |passing| passing.user_data("lily", half),
        says: &["lily did not appear on the tailnet", "Talos cannot read the user data: truncated", "error unzipping"],
        never: &["architecture", "installer"],
        ..CASE
    },
];

/// The bundle of every life, which is that of seed 1; or another.
fn bundle(seed: u64) -> Arc<talos::Bundle> {
    static BUNDLES: Mutex<BTreeMap<u64, Arc<talos::Bundle>>> = Mutex::new(BTreeMap::new());
    let began = "2026-12-01T08:00:00Z".parse().unwrap();
    let make = || Arc::new(talos::Bundle::generate(&mut wire::Rng::seeded(seed), began).unwrap());
    BUNDLES.lock().unwrap().entry(seed).or_insert_with(make).clone()
}

/// Certificate and key of the machines' authority, as a configuration writes them.
fn pem(seed: u64) -> (String, String) {
    let os = &bundle(seed).os;
    (STANDARD.encode(&os.crt), STANDARD.encode(os.key.expose()))
}

/// Everything that was said to have failed, with what is advised.
fn errors(life: &Life) -> Vec<(String, String)> {
    let said = life.events().into_iter().filter_map(|event| match event {
        Event::Error { message, help, .. } => Some((message, help.unwrap_or_default())),
        _ => None,
    });
    said.collect()
}

/// Position of the first event that a step reached a state.
fn at(life: &Life, step: &str, wanted: StepState) -> usize {
    let reached = |event: &Event| matches!(event, Event::Step { id, state, .. } if id == step && *state == wanted);
    life.events().iter().position(reached).unwrap_or_else(|| panic!("{step} was never {wanted:?}: {:#?}", errors(life)))
}

async fn breaks_and_says_why(case: &Case) {
    let name = case.name;
    let mut life = Life::new(1, case.file);
    (case.prepare)(&life);
    meddle(&mut life, case.meddling);
    let outcome = life.apply().await;
    let errors = errors(&life);
    let fits = |(message, _): &(String, String)| case.says.iter().all(|words| message.contains(words));
    let (said, help) = errors.iter().find(|error| fits(error)).unwrap_or_else(|| panic!("{name}: {errors:#?}"));
    println!("{name}: {said}");
    for words in case.never {
        assert!(!errors.iter().any(|(message, _)| message.contains(words)), "{name} speaks of {words}: {errors:#?}");
    }
    if case.node == "lily" {
        let failed =
            life.events().iter().position(|event| matches!(event, Event::Step { state: StepState::Failed, .. }));
        assert!(at(&life, "ready/rose", StepState::Done) < failed.unwrap(), "{name} held rose up");
    }
    let repaired = case.remedy == Remedy::None;
    assert_eq!(outcome.is_ok(), repaired, "{name}: {outcome:#?}");
    if !repaired && said.contains(" within ") {
        assert!(help.contains("delete the machine first"), "{name}: {help}");
    }
    let again = life.again(case.file);
    match case.remedy {
        Remedy::None => {}
        Remedy::Machine => again.world.destroy("bouquet-lily").unwrap(),
        Remedy::Everything => assert!(again.destroy().await.is_ok(), "{name}"),
    }
    let outcome = again.apply().await;
    assert!(outcome.is_ok(), "{name}: {outcome:#?}\n{}", life.world.log());
    let (plan, report) = again.plan().await;
    assert!(plan.is_empty(), "{name}: {:?} {report:?}", plan.steps);
}

#[test]
fn whatever_is_wrong_in_what_a_node_receives_is_said_and_can_be_set_right() {
    for case in CASES.iter().step_by(2) {
        alone(breaks_and_says_why(case));
    }
}

#[test]
fn whatever_else_is_wrong_in_what_a_node_receives_is_said_and_can_be_set_right() {
    for case in CASES.iter().skip(1).step_by(2) {
        alone(breaks_and_says_why(case));
    }
}

#[test]
fn a_control_plane_that_does_not_boot_keeps_no_other_from_being_ready() {
    alone(async {
        let mut life = Life::new(1, TRIO);
        life.snapshot("arm64");
        meddle(&mut life, |passing| passing.user_data("iris", half));
        let outcome = life.apply().await;
        assert_eq!(outcome.failed.keys().collect::<Vec<_>>(), ["join/iris"]);
        let ready = outcome.observed.kubernetes.unwrap();
        assert!(ready["rose"].ready && ready["fern"].ready && !ready.contains_key("iris"), "{ready:?}");
        life.world.destroy("bouquet-iris").unwrap();
        let again = life.again(TRIO);
        let outcome = again.apply().await;
        assert!(outcome.is_ok(), "{outcome:#?}");
        assert!(again.plan().await.0.is_empty());
    });
}
