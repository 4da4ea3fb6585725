//! What nodes are told.
#![allow(clippy::unwrap_used, reason = "a program of tests, helpers included")]

mod example;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use example::Garden;
use flate2::read::GzDecoder;
use serde_json::Value;
use spec::{Role, Taint};
use std::io::Read as _;
use talos::{ConfigError, MergeError, Platform, auth_key_of, differences, normalise, render, user_data};
use wire::Secret;

const PLACES: [(&str, Platform); 3] =
    [("rose", Platform::Hcloud), ("lily", Platform::Hcloud), ("tulip", Platform::Oracle)];

fn rendered(garden: &Garden, node: &str, platform: Platform) -> String {
    render(&garden.input(node, platform)).unwrap().expose().to_owned()
}

/// The text with every secret and certificate blanked.
fn blanked(config: &str) -> String {
    const SECRET_KEYS: [&str; 6] = ["token", "crt", "key", "id", "secret", "secretboxEncryptionSecret"];
    let line = |line: &str| match line.split_once(": ") {
        Some((key, _)) if SECRET_KEYS.contains(&key.trim()) => format!("{key}: …\n"),
        _ if line.contains("TS_AUTHKEY=") => format!("{}TS_AUTHKEY=…\n", line.split("TS_AUTHKEY=").next().unwrap()),
        _ => format!("{line}\n"),
    };
    config.lines().map(line).collect()
}

#[test]
fn the_example_renders_to_its_goldens() {
    let garden = Garden::new();
    for (node, platform) in PLACES {
        insta::assert_snapshot!(node, blanked(&rendered(&garden, node, platform)));
    }
    insta::assert_snapshot!("rose-without-dns", blanked(&rendered(&Garden::without_dns(), "rose", Platform::Hcloud)));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for (node, platform) in PLACES {
        assert_eq!(rendered(&Garden::new(), node, platform), rendered(&Garden::new(), node, platform));
    }
}

#[test]
fn a_worker_never_holds_a_ca_key() {
    let garden = Garden::new();
    let bundle = &garden.bundle;
    let keys = [&bundle.os.key, &bundle.k8s.key, &bundle.etcd.key, &bundle.aggregator.key, &bundle.service_account];
    for (node, platform) in PLACES {
        let config = rendered(&garden, node, platform);
        let texts = strings(&normalise(&config).unwrap());
        let held = keys.iter().filter(|key| texts.iter().any(|text| decoded(text) == key.expose())).count();
        let encrypts = config.contains("secretboxEncryptionSecret");
        match garden.cluster.nodes[node].role {
            Role::ControlPlane => assert_eq!((held, encrypts), (keys.len(), true)),
            Role::Worker => {
                assert_eq!((held, encrypts), (0, false));
                let leaked = texts.iter().find(|text| decoded(text).contains("PRIVATE KEY"));
                assert_eq!(leaked, None);
            }
        }
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(map) => map.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

fn decoded(text: &str) -> String {
    let bytes = STANDARD.decode(text).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

#[test]
fn only_nodes_that_serve_ingress_open_http() {
    let garden = Garden::new();
    for (node, serves) in [("rose", false), ("lily", true), ("tulip", true)] {
        let config = normalise(&rendered(&garden, node, Platform::Hcloud)).unwrap();
        assert_eq!(config.get("NetworkRuleConfig/ingress").is_some(), serves, "{node}");
    }
}

#[test]
fn only_the_direct_tailscale_port_and_http_are_open_to_anybody() {
    let garden = Garden::new();
    let config = normalise(&rendered(&garden, "lily", Platform::Hcloud)).unwrap();
    let open: Vec<&String> = config
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, document)| document["ingress"].to_string().contains("0.0.0.0/0"))
        .map(|(id, _)| id)
        .collect();
    assert_eq!(open, ["NetworkRuleConfig/ingress", "NetworkRuleConfig/tailscale"]);
}

#[test]
fn a_cluster_of_control_planes_runs_workloads_on_them() {
    let mut garden = Garden::new();
    garden.cluster.nodes.retain(|_, node| node.role == Role::ControlPlane);
    let config = normalise(&rendered(&garden, "rose", Platform::Hcloud)).unwrap();
    assert_eq!(config["v1alpha1"]["cluster"]["allowSchedulingOnControlPlanes"], true);
}

#[test]
fn labels_and_taints_reach_the_node() {
    let mut garden = Garden::new();
    let lily = garden.cluster.nodes.get_mut("lily").unwrap();
    lily.labels.insert("example.com/disk".into(), "fast".into());
    lily.taints.push(Taint { key: "example.com/only".into(), value: "gpu".into(), effect: "NoSchedule".into() });
    let config = normalise(&rendered(&garden, "lily", Platform::Hcloud)).unwrap();
    let machine = &config["v1alpha1"]["machine"];
    assert_eq!(machine["nodeLabels"]["example.com/disk"], "fast");
    assert_eq!(machine["nodeTaints"]["example.com/only"], "gpu:NoSchedule");
}

#[test]
fn a_headscale_and_tags_go_into_the_extension_s_arguments() {
    let mut garden = Garden::new();
    garden.mesh.login_server = Some("https://hs.example.com".into());
    garden.mesh.advertise_tags = vec!["tag:a".into(), "tag:b".into()];
    let config = rendered(&garden, "lily", Platform::Hcloud);
    assert!(config.contains("TS_EXTRA_ARGS=--login-server=https://hs.example.com --advertise-tags=tag:a,tag:b"));
}

#[test]
fn the_node_s_patches_come_after_the_cluster_s() {
    let mut garden = Garden::new();
    garden.cluster.patches.push("machine: {sysctls: {a: cluster, b: cluster}}".into());
    garden.cluster.nodes.get_mut("lily").unwrap().patches.push("machine: {sysctls: {b: node}}".into());
    let config = normalise(&rendered(&garden, "lily", Platform::Hcloud)).unwrap();
    assert_eq!(config["v1alpha1"]["machine"]["sysctls"], serde_json::json!({ "a": "cluster", "b": "node" }));
}

#[test]
fn a_patch_that_does_not_fit_is_named() {
    let mut garden = Garden::new();
    garden.cluster.nodes.get_mut("lily").unwrap().patches =
        vec!["machine: {}".into(), "machine: {kubelet: [1]}".into()];
    let error = render(&garden.input("lily", Platform::Hcloud)).unwrap_err();
    let shape = MergeError::Shape { path: "machine.kubelet".into() };
    assert_eq!(error, ConfigError::Patch { owner: "node lily".into(), number: 2, error: shape });
}

#[test]
fn an_own_machine_must_name_its_disk() {
    let mut garden = Garden::new();
    let refused = render(&garden.input("lily", Platform::Metal)).unwrap_err();
    assert_eq!(refused, ConfigError::NoInstallDisk("lily".into()));
    garden.cluster.nodes.get_mut("lily").unwrap().patches.push("machine: {install: {disk: /dev/sda}}".into());
    assert!(render(&garden.input("lily", Platform::Metal)).is_ok());
}

#[test]
fn a_new_auth_key_is_no_difference_and_a_changed_image_is() {
    let mut garden = Garden::new();
    let before = normalise(&rendered(&garden, "lily", Platform::Hcloud)).unwrap();
    garden.auth_key = None;
    assert_eq!(normalise(&rendered(&garden, "lily", Platform::Hcloud)).unwrap(), before);
    garden.cluster.kubernetes = "1.37.2".parse().unwrap();
    garden.cluster.ingress = None;
    let after = normalise(&rendered(&garden, "lily", Platform::Hcloud)).unwrap();
    assert_eq!(
        differences(&before, &after),
        ["NetworkRuleConfig/ingress", "machine.kubelet.image", "machine.nodeLabels"]
    );
}

#[test]
fn the_auth_key_of_a_configuration_can_be_carried_over() {
    let mut garden = Garden::new();
    let config = render(&garden.input("lily", Platform::Hcloud)).unwrap();
    assert_eq!(auth_key_of(&config).unwrap().expose(), garden.auth_key.take().unwrap().expose());
    assert!(auth_key_of(&render(&garden.input("lily", Platform::Hcloud)).unwrap()).is_none());
}

#[test]
fn differences_hold_no_secret() {
    let garden = Garden::new();
    let mut other = Garden::new();
    other.bundle.trustd_token = Secret::new("aaaaaa.bbbbbbbbbbbbbbbb");
    let [one, two] = [&garden, &other].map(|garden| normalise(&rendered(garden, "rose", Platform::Hcloud)).unwrap());
    assert_eq!(differences(&one, &two), ["machine.token"]);
}

#[test]
fn user_data_is_the_gzipped_configuration_within_both_clouds_limits() {
    let garden = Garden::new();
    for (node, platform) in PLACES {
        let config = render(&garden.input(node, platform)).unwrap();
        let packed = user_data(&config, platform).unwrap();
        assert_eq!(packed.expose(), user_data(&config, platform).unwrap().expose());
        assert!(packed.expose().len() < 8_000, "{node}: {} bytes", packed.expose().len());
        let bytes = STANDARD.decode(packed.expose()).unwrap();
        let mut text = String::new();
        GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, config.expose());
    }
}

#[test]
fn user_data_over_the_limit_is_refused_with_the_figures() {
    let mut rng = wire::Rng::seeded(1);
    let config = Secret::new(rng.text(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", 32_000));
    let refused = user_data(&config, Platform::Oracle).unwrap_err();
    assert!(refused.length > 32_000 && refused.limit == 32_000);
    assert!(user_data(&config, Platform::Metal).is_ok());
}
