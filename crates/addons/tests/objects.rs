//! What is installed, whole, as files that a person can read.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use addons::{Addon, Credential, Given, Object, all};
use std::fmt::Write;
use std::path::Path;
use wire::Secret;

const MISSION: &str = include_str!("../../../examples/bouquet.yaml");
const BIND: &str = "cluster: bench
domain: example.org
dns: { provider: rfc2136, server: ns1.example.org, key: tsig.key }
ingress: { kind: traefik, nodes: [iris, lily] }
watcher: { image: registry.example.org/watcher@sha256:0000, profile: fast }
nodes:
  iris: { role: control-plane, on: hetzner/hel1/cax11 }
  lily: { role: worker, on: hetzner/fsn1/cax21, taints: [edge=yes:NoSchedule] }
";

fn token() -> Credential {
    Credential::Token(Secret::new("a-token-that-nobody-may-see-0123456789ab"))
}

fn addons(file: &str, credential: &Credential, zone: &str) -> Vec<Addon> {
    let cluster = spec::read(file).cluster.unwrap();
    all(&cluster, Given { zone: Some(zone), credential: Some(credential) })
}

fn shown(addons: &[Addon]) -> String {
    let mut text = String::new();
    for addon in addons {
        for object in &addon.objects {
            let body = serde_saphyr::to_string(object.body()).unwrap();
            let _ = write!(text, "# {}: {}\n{body}---\n", addon.name, object.id());
        }
    }
    text
}

fn object<'a>(addons: &'a [Addon], kind: &str, name: &str) -> &'a Object {
    let all = addons.iter().flat_map(|addon| &addon.objects);
    all.into_iter().find(|object| object.id().kind == kind && object.id().name == name).unwrap()
}

#[test]
fn the_missions_objects_are_these() {
    insta::assert_snapshot!(shown(&addons(MISSION, &token(), "example.com")));
}

#[test]
fn with_dynamic_updates_the_key_file_is_mounted_beside_the_configuration() {
    let file = Secret::new("key \"k\" { algorithm hmac-sha256; secret \"c2VjcmV0\"; };");
    let key = Credential::Tsig { name: "k".into(), algorithm: "hmac-sha256".into(), file };
    insta::assert_snapshot!(shown(&addons(BIND, &key, "example.org")));
}

#[test]
fn a_file_without_ingress_or_names_gets_neither_more_than_it_needs() {
    let names = |file: &str| addons(file, &token(), "z").iter().map(|addon| addon.name).collect::<Vec<_>>();
    let nodes = "nodes: { rose: { role: control-plane, on: hetzner/hel1/cax11 } }\n";
    assert_eq!(names(&format!("cluster: a\n{nodes}")), ["traefik"]);
    assert_eq!(names(&format!("cluster: a\ningress: none\n{nodes}")), [""; 0]);
    assert_eq!(names(&format!("cluster: a\ndomain: b.example\ndns: cloudflare\ningress: none\n{nodes}")), [""; 0]);
    assert_eq!(names(&format!("cluster: a\ndomain: b.example\ndns: cloudflare\n{nodes}")), ["traefik", "watcher"]);
}

#[test]
fn the_token_is_sent_and_never_shown() {
    let addons = addons(MISSION, &token(), "example.com");
    let secret = object(&addons, "Secret", "bouquet-watcher-dns");
    let sent: serde_json::Value = serde_json::from_str(secret.to_json().expose()).unwrap();
    assert!(sent["data"]["CLOUDFLARE_API_TOKEN"].is_string());
    for shown in [format!("{addons:?}"), shown(&addons)] {
        assert!(!shown.contains("a-token-that") && !shown.contains("YS10b2tlbi10aGF0"), "{shown}");
    }
}

#[test]
fn another_token_or_configuration_makes_new_pods() {
    let template = |file: &str, token: &str| {
        let addons = addons(file, &Credential::Token(Secret::new(token)), "example.com");
        object(&addons, "Deployment", "bouquet-watcher").body()["spec"]["template"]["metadata"].clone()
    };
    let first = template(MISSION, "one");
    assert_eq!(first, template(MISSION, "one"));
    assert_ne!(first, template(MISSION, "two"));
    assert_ne!(first, template(&format!("{MISSION}watcher: {{ profile: fast }}\n"), "one"));
}

#[test]
fn what_is_deployed_elsewhere_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    for (path, text) in addons::deploy::files() {
        let path = folder.join(path);
        if std::env::var_os("BOUQUET_UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(there, text, "{}: run the tests with BOUQUET_UPDATE=1 to write it anew", path.display());
    }
}
