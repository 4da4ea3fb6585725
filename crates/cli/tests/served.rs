//! The real binary against the served world: real sockets, real TLS, real SSH, and no other way of knowing than `DIR/env`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a program of tests, helpers included")]

mod garden;

use garden::Garden;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const TWO: &str = "\
cluster: bouquet
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
  lily: { role: worker, on: hetzner/fsn1/cax21 }
mesh: tailscale
";

/// Alone, so that no worker has looked the API's name up while it pointed nowhere: its TTL of a minute is real.
const ROSE_WITH_NAME: &str = "\
cluster: bouquet
domain: bouquet.example.com
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
dns: cloudflare
";

/// `wanted` of every item of a kind.
fn column<'a>(inventory: &'a Value, kind: &str, wanted: &str) -> Vec<&'a str> {
    inventory[kind].as_array().unwrap().iter().filter_map(|item| item[wanted].as_str()).collect()
}

#[test]
fn a_cluster_comes_and_goes_over_real_sockets() {
    let garden = Garden::new("life");
    garden.plant_decoys();
    let before = garden.inventory();
    fs::write(garden.home().join("bouquet.yaml"), TWO).unwrap();

    garden.bouquet_exits(0, "check");
    garden.bouquet_exits(3, "plan --exit-code");
    assert_eq!(garden.inventory(), before, "check and plan write nothing");
    let events = garden.bouquet_exits(0, "apply --yes -o json");
    let summary: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!([&summary["event"], &summary["ok"], &summary["exit"]], [&json!("summary"), &json!(true), &json!(0)]);
    let status: Value = serde_json::from_str(&garden.bouquet_exits(0, "status -o json")).unwrap();
    let ready = status["nodes"].as_array().unwrap().iter().map(|node| (node["name"].clone(), node["ready"].clone()));
    assert_eq!(ready.collect::<Vec<_>>(), [(json!("lily"), json!(true)), (json!("rose"), json!(true))]);
    garden.bouquet_exits(0, "plan --exit-code");

    let (_, calls) = garden.control("GET", "requests", "");
    let calls = calls.to_string();
    for secret in ["HCLOUD_TOKEN", "TAILSCALE_OAUTH_CLIENT_SECRET"] {
        assert!(!calls.contains(&garden.variables[secret]), "{secret} is in the journal");
    }
    garden.bouquet_exits(0, "destroy --yes");
    assert_eq!(garden.inventory(), before, "what is not the cluster's is as it was, and nothing else is there");
    assert_eq!(garden.stop(), Some(0));
}

#[test]
fn a_cluster_with_a_domain_is_reached_by_its_name_through_an_http_proxy() {
    let mut garden = Garden::new("name");
    let proxy = garden.variables["BOUQUET_MESH_PROXY"].replace("socks5h://", "http://");
    garden.variables.insert("BOUQUET_MESH_PROXY".into(), proxy);
    let before = garden.inventory();
    fs::write(garden.home().join("bouquet.yaml"), ROSE_WITH_NAME).unwrap();
    garden.bouquet_exits(0, "apply --yes");
    assert!(column(&garden.inventory(), "cloudflare_records", "name").contains(&"api.bouquet.example.com"));
    let status: Value = serde_json::from_str(&garden.bouquet_exits(0, "status -o json")).unwrap();
    assert_eq!(status["api"], json!({"endpoint": "https://api.bouquet.example.com:6443", "answers": true}));
    assert!(garden.bouquet_exits(0, "kubeconfig").contains("proxy-url: http://127.0.0.1:"));
    garden.bouquet_exits(0, "destroy --yes");
    assert_eq!(garden.inventory(), before);
}

#[test]
fn the_control_address_has_power_over_machines_and_faults() {
    let garden = Garden::new("control");
    fs::write(garden.home().join("bouquet.yaml"), TWO).unwrap();
    let (status, fault) = garden.control("POST", "faults", "{\"rule\": \"hetzner quota for bouquet-lily\"}");
    assert_eq!(status, 200);
    assert_eq!(garden.control("POST", "faults", "{\"rule\": \"hetzner hail\"}").0, 400);
    let path = format!("faults/{}", fault["id"]);
    assert_eq!([garden.control("DELETE", &path, "").0, garden.control("DELETE", &path, "").0], [200, 404]);
    garden.bouquet_exits(0, "apply --yes");

    let power = || {
        let inventory = garden.inventory();
        let servers = inventory["hetzner_servers"].as_array().unwrap();
        servers.iter().find(|server| server["name"] == "bouquet-lily").map(|server| server["status"].clone())
    };
    assert_eq!(power(), Some(json!("running")));
    assert_eq!(garden.control("POST", "nodes/lily/kill", "").0, 200);
    assert_eq!(power(), Some(json!("off")));
    let status: Value = serde_json::from_str(&garden.bouquet_exits(0, "status -o json")).unwrap();
    let trouble = status["nodes"][0]["trouble"].as_array().unwrap();
    assert!(trouble.contains(&json!("its machine is switched off")), "{trouble:?}");
    assert_eq!(garden.control("POST", "nodes/lily/start", "").0, 200);
    assert_eq!(garden.control("POST", "nodes/lily/destroy", "").0, 200);
    assert_eq!(power(), None);
    for (path, wrong) in [("nodes/daisy/kill", 404), ("nodes/rose/hug", 404), ("foreign", 400)] {
        assert_eq!(garden.control("POST", path, "{}").0, wrong, "{path}");
    }
    garden.bouquet_exits(3, "plan --exit-code");
    garden.bouquet_exits(0, "destroy --yes");
}

#[test]
fn the_env_file_names_all_that_a_client_needs_and_nobody_else_reads_it() {
    let garden = Garden::new("env");
    let named = [
        "AWS_ACCESS_KEY_ID AWS_CA_BUNDLE AWS_ENDPOINT_URL_S3 AWS_SECRET_ACCESS_KEY BOUQUET_FACTORY_URL BOUQUET_GREENHOUSE",
        "BOUQUET_MESH_PROXY BOUQUET_OCI_ENDPOINT BOUQUET_WATCHER_DNS_TOKEN CLOUDFLARE_API_TOKEN CLOUDFLARE_BASE_URL HCLOUD_ENDPOINT HCLOUD_TOKEN",
        "OCI_CLI_CONFIG_FILE REQUESTS_CA_BUNDLE SSL_CERT_FILE TAILSCALE_BASE_URL TAILSCALE_OAUTH_CLIENT_ID",
        "TAILSCALE_OAUTH_CLIENT_SECRET TAILSCALE_TAILNET",
    ];
    for name in named.iter().flat_map(|line| line.split(' ')) {
        assert!(garden.variables.get(name).is_some_and(|value| !value.is_empty()), "{name}");
    }
    assert!(!garden.variables.contains_key("HTTPS_PROXY"));
    for (name, path) in [("HCLOUD_ENDPOINT", "/v1"), ("CLOUDFLARE_BASE_URL", "/client/v4")] {
        assert!(garden.variables[name].ends_with(path), "{name} is written as the vendor writes it");
    }
    let config = Path::new(&garden.variables["OCI_CLI_CONFIG_FILE"]);
    let folder = config.parent().unwrap();
    let config = fs::read_to_string(config).unwrap();
    let key = config.lines().find_map(|line| line.strip_prefix("key_file=")).unwrap();
    assert!(fs::read_to_string(key).unwrap().starts_with("-----BEGIN"));
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
    }
}
