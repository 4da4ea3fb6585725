//! What reaches a node as bytes decides whether it comes up, and a wrong byte shows.

use super::rig::{Recipe, Rig, packed};
use crate::machine::{Arch, Firmware, Os};

const ENDPOINT: &str = "https://198.51.100.1:6443";

#[tokio::test(start_paused = true)]
async fn a_control_plane_becomes_ready_after_bootstrap() {
    let rig = Rig::new();
    let rose = rig.control_plane().await;
    assert!(rig.ready(rose), "{}", rig.console(rose));
    let status = rig.resource(rose, "MachineStatuses.runtime.talos.dev", "machine").await.unwrap();
    let yaml = status.spec.unwrap().yaml_spec;
    assert!(yaml.contains("stage: running") && yaml.contains("ready: true"), "{yaml}");
    let stages: Vec<_> =
        rig.greenhouse.stages().into_iter().filter(|stage| stage.subject == "rose").map(|stage| stage.name).collect();
    assert_eq!(stages, ["services", "etcd", "kubernetes-api", "kubelet", "node-ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_gets_its_certificate_from_a_control_plane_and_becomes_ready() {
    let rig = Rig::new();
    rig.control_plane().await;
    let lily = rig.machine(2, Some(packed(&Recipe::new("lily", false, ENDPOINT).text(&rig.secrets))));
    rig.on(lily);
    rig.wait(90).await;
    assert!(rig.ready(lily), "{}", rig.console(lily));
    assert_eq!(rig.service(lily, "apid").await.state, "Running");
}

/// A worker that joins a good cluster, but for what `spoil` does to its configuration's text.
async fn spoilt_worker(spoil: impl FnOnce(&Rig, String) -> String) -> (Rig, u64) {
    let rig = Rig::new();
    rig.control_plane().await;
    let text = Recipe::new("lily", false, ENDPOINT).text(&rig.secrets);
    let lily = rig.machine(2, Some(packed(&spoil(&rig, text))));
    rig.on(lily);
    rig.wait(300).await;
    (rig, lily)
}

#[tokio::test(start_paused = true)]
async fn a_wrong_machine_ca_keeps_apid_of_a_worker_down() {
    let (rig, lily) = spoilt_worker(|rig, text| {
        let other = super::rig::Authority::new("talos", &rcgen::PKCS_ED25519);
        text.replace(&super::rig::base64(&rig.secrets.os.crt), &super::rig::base64(other.crt))
    })
    .await;
    assert!(!rig.ready(lily));
    assert!(rig.console(lily).contains("invalid peer certificate"), "{}", rig.console(lily));
    let refused = rig.talos(lily).version(()).await.unwrap_err();
    assert!(refused.to_string().contains("refused"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_machine_token_keeps_apid_of_a_worker_down() {
    let (rig, lily) = spoilt_worker(|rig, text| text.replace(&rig.secrets.token, "zzzzzz.0123456789abcdef")).await;
    assert!(!rig.ready(lily));
    assert!(rig.console(lily).contains("Unauthenticated desc = invalid token"));
    assert!(rig.talos(lily).version(()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_bootstrap_token_keeps_the_kubelet_out() {
    let (rig, lily) =
        spoilt_worker(|rig, text| text.replace(&rig.secrets.bootstrap_token, "zzzzzz.fedcba9876543210")).await;
    assert!(!rig.ready(lily));
    assert!(rig.written(lily, "kubelet").contains("Unauthorized"));
    assert_eq!(rig.service(lily, "apid").await.state, "Running", "apid has nothing to do with it");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_kubernetes_ca_keeps_the_kubelet_out() {
    let (rig, lily) = spoilt_worker(|rig, text| {
        let other = super::rig::Authority::new("kubernetes", &rcgen::PKCS_ECDSA_P256_SHA256);
        text.replace(&super::rig::base64(&rig.secrets.kube.crt), &super::rig::base64(other.crt))
    })
    .await;
    assert!(!rig.ready(lily));
    assert!(rig.written(lily, "kubelet").contains("failed to verify certificate"));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_endpoint_keeps_the_kubelet_out() {
    let (rig, lily) = spoilt_worker(|_, text| text.replace(ENDPOINT, "https://nowhere.example.com:6443")).await;
    assert!(!rig.ready(lily));
    assert!(rig.written(lily, "kubelet").contains("lookup nowhere.example.com: no such host"));
}

#[tokio::test(start_paused = true)]
async fn subnets_that_match_no_address_make_the_kubelet_wait_without_a_word() {
    let (rig, lily) = spoilt_worker(|_, text| text.replace("[198.51.100.0/24]", "[100.64.0.0/10]")).await;
    assert!(!rig.ready(lily));
    assert_eq!(rig.console(lily).matches("no suitable node IP").count(), 1);
    assert_eq!(rig.service(lily, "kubelet").await.state, "Waiting");
}

#[tokio::test(start_paused = true)]
async fn etcd_waits_for_its_spec_when_no_address_matches_even_after_bootstrap() {
    let rig = Rig::new();
    let recipe = Recipe { node_subnet: "100.64.0.0/10", ..Recipe::new("rose", true, ENDPOINT) };
    let rose = rig.machine(1, Some(packed(&recipe.text(&rig.secrets))));
    rig.on(rose);
    rig.wait(60).await;
    rig.bootstrap(rose).await.unwrap();
    rig.wait(300).await;
    let etcd = rig.service(rose, "etcd").await;
    assert_eq!(etcd.events.unwrap().events.last().unwrap().msg, "Waiting for etcd spec");
}

#[tokio::test(start_paused = true)]
async fn truncated_user_data_keeps_port_50000_shut() {
    let rig = Rig::new();
    let whole = packed(&Recipe::new("rose", true, ENDPOINT).text(&rig.secrets));
    let rose = rig.machine(1, Some(whole.slice(..whole.len() / 2 / 4 * 4)));
    rig.on(rose);
    rig.wait(120).await;
    assert!(rig.console(rose).contains("error unzipping machine config"), "{}", rig.console(rose));
    assert!(rig.talos(rose).version(()).await.is_err());
    let stage = rig.world().with(|state| super::super::node(state, rose).map(|node| node.stage));
    assert_eq!(stage, Some(super::super::Stage::Booting));
}

/// What is on the console of a machine whose firmware finds nothing to start.
async fn stuck(change: impl FnOnce(&Rig, &mut crate::machine::Machine)) -> String {
    let rig = Rig::new();
    let rose = rig.machine(1, Some(packed(&Recipe::new("rose", true, ENDPOINT).text(&rig.secrets))));
    let mut taken = rig.world().with(|state| state.machines.remove(&rose).unwrap());
    change(&rig, &mut taken);
    rig.world().with(|state| state.machines.insert(rose, taken));
    rig.on(rose);
    rig.wait(120).await;
    rig.change(rose, |machine| assert!(matches!(machine.os, Os::Firmware)));
    rig.console(rose)
}

#[tokio::test(start_paused = true)]
async fn another_architectures_image_ends_in_the_uefi_shell() {
    let console = stuck(|rig, machine| machine.disk = rig.image(&[], super::rig::TALOS, "hcloud", Arch::Amd64)).await;
    assert!(console.contains("Unsupported\nUEFI Interactive Shell"), "{console}");
}

#[tokio::test(start_paused = true)]
async fn an_arm64_image_does_not_boot_from_bios() {
    let console = stuck(|_, machine| machine.firmware = Firmware::Bios).await;
    assert!(console.contains("not a bootable disk"), "{console}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_without_an_image_ends_in_the_uefi_shell() {
    let console = stuck(|_, machine| machine.disk = bytes::Bytes::from_static(b"zeros")).await;
    assert!(console.contains("No bootable option"), "{console}");
}

#[tokio::test(start_paused = true)]
async fn another_clouds_image_finds_no_configuration_and_stays_in_maintenance() {
    let rig = Rig::new();
    let rose = rig.machine(1, Some(packed(&Recipe::new("rose", true, ENDPOINT).text(&rig.secrets))));
    let disk = rig.image(&[], super::rig::TALOS, "oracle", Arch::Arm64);
    rig.change(rose, |machine| machine.disk = disk);
    rig.on(rose);
    rig.wait(60).await;
    let stage = rig.world().with(|state| super::super::node(state, rose).map(|node| node.stage));
    assert_eq!(stage, Some(super::super::Stage::Maintenance));
}

#[tokio::test(start_paused = true)]
async fn a_fault_can_keep_a_machine_from_booting_or_kill_it_at_a_stage() {
    let rig = Rig::with_faults(&["* no-boot for machine-1", "node dies for lily:kubelet times 1"]);
    let rose = rig.machine(1, Some(packed(&Recipe::new("rose", true, ENDPOINT).text(&rig.secrets))));
    let lily = rig.machine(2, Some(packed(&Recipe::new("lily", true, ENDPOINT).text(&rig.secrets))));
    rig.on(rose);
    rig.on(lily);
    rig.wait(120).await;
    rig.change(rose, |machine| assert!(matches!(machine.os, Os::Firmware)));
    rig.change(lily, |machine| assert!(matches!(machine.os, Os::Off)));
}

#[tokio::test(start_paused = true)]
async fn equal_seeds_live_equal_lives() {
    let life = || async {
        let rig = Rig::new();
        rig.control_plane().await;
        let lily = rig.machine(2, Some(packed(&Recipe::new("lily", false, ENDPOINT).text(&rig.secrets))));
        rig.on(lily);
        rig.wait(90).await;
        (rig.greenhouse.log(), rig.console(lily), rig.greenhouse.stages())
    };
    let first = life().await;
    assert!(first.0.contains("node lily: ready"), "{}", first.0);
    assert_eq!(first, life().await);
}
