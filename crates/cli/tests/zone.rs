//! One zone, as everybody sees it: the watcher, Cloudflare's own client, octoDNS, and whoever asks for a name.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a program of tests, helpers included")]

#[allow(dead_code, reason = "shared by several tests, none of which needs all of it")]
mod garden;

use assets::{Judgement, judged, needed};
use garden::Garden;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const FILE: &str = "\
cluster: garden
domain: garden.example.com
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
dns: cloudflare
ingress: traefik
";
const POOL: &str = "lb.garden.example.com";

/// Name, kind, content, comment.
type Record = (String, String, String, String);

struct Desk {
    garden: Garden,
    python: PathBuf,
}

impl Desk {
    fn client(&self, what: &str) -> BTreeSet<Record> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zone/zone.py");
        let output = self.garden.command(&self.python).arg(script).arg(what).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A name's addresses as octoDNS writes the zone down.
    fn octodns(&self, name: &str) -> BTreeSet<String> {
        let home = self.garden.home();
        let config = format!(
            "providers:\n  config: {{ class: octodns.provider.yaml.YamlProvider, directory: ./zones }}\n  cloudflare: {{ class: \
             octodns_cloudflare.CloudflareProvider, token: env/CLOUDFLARE_API_TOKEN, api_url: '{}', pagerules: false }}\nzones:\n  \
             example.com.: {{ sources: [cloudflare], targets: [config] }}\n",
            self.garden.variables["CLOUDFLARE_BASE_URL"]
        );
        fs::write(home.join("octodns.yaml"), config).unwrap();
        let mut dump = self.garden.command(self.python.with_file_name("octodns-dump"));
        dump.args(["--config-file", "octodns.yaml", "--output-dir", "zones", "example.com.", "cloudflare"]);
        let output = dump.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = fs::read_to_string(home.join("zones/example.com.yaml")).unwrap();
        let zone: Value = serde_saphyr::from_str(&text).unwrap();
        let rows = match &zone[name] {
            Value::Array(rows) => rows.clone(),
            row => vec![row.clone()],
        };
        let of_address = rows.iter().filter(|row| row["type"] == "A");
        let values = of_address.flat_map(|row| match &row["values"] {
            Value::Array(values) => values.clone(),
            _ => vec![row["value"].clone()],
        });
        values.filter_map(|value| Some(value.as_str()?.to_owned())).collect()
    }

    /// Addresses of the nodes that the watcher has in DNS.
    fn watcher(&self) -> BTreeSet<String> {
        let status: Value = serde_json::from_str(&self.garden.bouquet_exits(0, "status -o json")).unwrap();
        let nodes = status["nodes"].as_array().unwrap().iter().filter(|node| node["ingress"]["published"] == true);
        let addresses = nodes.flat_map(|node| node["addresses"]["public"].as_array().unwrap().clone());
        addresses
            .filter_map(|address| Some(address.as_str()?.to_owned()))
            .filter(|address| !address.contains(':'))
            .collect()
    }
}

#[test]
fn all_see_the_zone_that_the_watcher_keeps_and_what_others_own_is_never_touched() {
    let what = "one zone as everybody sees it";
    let (Some(python), Some(dig)) = (needed("cloud-clients", what), needed("dig", what)) else { return };
    let desk = Desk { garden: Garden::new("zone"), python: python.path };
    let before = desk.client("plant");
    assert!(before.len() >= 4 + 3, "{before:?}");
    fs::write(desk.garden.home().join("bouquet.yaml"), FILE).unwrap();
    desk.garden.bouquet_exits(0, "apply --yes");

    let kept = desk.client("list");
    let ours: BTreeSet<&Record> = kept.difference(&before).collect();
    assert!(ours.iter().all(|(.., comment)| comment.starts_with("bouquet/garden/")), "{ours:?}");
    assert!(before.is_subset(&kept), "what others own is as it was: {kept:?}");
    let of_pool = kept.iter().filter(|(name, kind, ..)| name == POOL && kind == "A");
    let pool: BTreeSet<String> = of_pool.map(|(_, _, content, _)| content.clone()).collect();
    assert!(!pool.is_empty(), "{kept:?}");
    assert_eq!(desk.watcher(), pool);
    assert_eq!(desk.octodns("lb.garden"), pool);
    let port = desk.garden.variables["BOUQUET_GREENHOUSE_DNS"].rsplit(':').next().unwrap().to_owned();
    let answer = dig.command().args(["-r", "@127.0.0.1", "-p", &port, "+short", POOL, "A"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout).lines().map(str::to_owned).collect::<BTreeSet<_>>(), pool);

    desk.garden.bouquet_exits(0, "destroy --yes");
    assert_eq!(desk.client("list"), before, "what is ours is gone, and nothing else");
    judged(&Judgement {
        protocol: "Cloudflare",
        judge: "cloudflare 5.9.0 (Python), octoDNS 1.22 and dig, beside the watcher",
        covers: &[
            "the zone that a cluster's watcher keeps",
            "records of others: by hand, external-dns, another cluster",
        ],
        lacks: &[],
        count: 6,
        lies: &[],
    });
}
