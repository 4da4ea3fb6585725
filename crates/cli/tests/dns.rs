//! octoDNS, which keeps zones for a living, on the emulated Cloudflare and on BIND: plan, apply, nothing left to plan, change,
//! delete.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

#[allow(dead_code, reason = "shared by several tests, none of which needs all of it")]
mod garden;
#[path = "../../clouds/tests/name_server/mod.rs"]
mod name_server;

use assets::{Judgement, Program, judged, needed};
use garden::Garden;
use name_server::{Kind, NameServer, ZONE};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What stands in the emulated zone before anybody comes, as octoDNS writes it.
const THERE: &str = "\
'':
  - type: A
    ttl: 300
    value: 198.51.100.80
    octodns: { cloudflare: { proxied: true } }
  - type: MX
    ttl: 300
    values: [ { preference: 10, exchange: mail.example.org. } ]
    octodns: { cloudflare: { auto-ttl: true } }
  - type: TXT
    ttl: 300
    value: v=spf1 include:mail.example.org -all
    octodns: { cloudflare: { auto-ttl: true } }
www:
  type: CNAME
  ttl: 300
  value: example.com.
  octodns: { cloudflare: { proxied: true } }
";
/// The zone's own name servers, which BIND's zone has as a record.
const SERVERS: &str = "\
'':
  type: NS
  ttl: 300
  value: ns.flowers.test.
ns:
  type: A
  ttl: 300
  value: 127.0.0.1
";
/// Of every kind that is common.
const FLOWERS: &str = "\
bed:
  - type: A
    ttl: 120
    values: [ 192.0.2.10, 192.0.2.11 ]
  - type: AAAA
    ttl: 120
    value: 2001:db8::10
  - type: TXT
    ttl: 300
    values: [ 'a long way\\; and back', 'soil' ]
lb:
  type: CNAME
  ttl: 180
  value: bed.ZONE.
'*.wild':
  type: A
  ttl: 300
  value: 192.0.2.12
_ldap._tcp:
  type: SRV
  ttl: 300
  value: { priority: 1, weight: 2, port: 389, target: bed.ZONE. }
issue:
  type: CAA
  ttl: 300
  value: { flags: 0, tag: issue, value: letsencrypt.org }
";

/// A folder with octoDNS's configuration, and how often it was run.
struct Octo {
    program: PathBuf,
    folder: PathBuf,
    zone: &'static str,
    /// What stays in the zone all the time.
    kept: &'static str,
    runs: u64,
}

impl Octo {
    fn new(python: &Path, folder: PathBuf, zone: &'static str, kept: &'static str, target: &str) -> Self {
        fs::create_dir_all(folder.join("zones")).unwrap();
        let config = format!(
            "providers:\n  config: {{ class: octodns.provider.yaml.YamlProvider, directory: ./zones, enforce_order: false }}\n  \
             target: {target}\nzones:\n  {zone}.: {{ sources: [config], targets: [target] }}\n"
        );
        fs::write(folder.join("octodns.yaml"), config).unwrap();
        Octo { program: python.with_file_name("octodns-sync"), folder, zone, kept, runs: 0 }
    }

    /// Writes what the zone should be.
    fn wish(&self, records: &str) {
        let text = format!("{}{}", self.kept, records.replace("ZONE", self.zone));
        fs::write(self.folder.join(format!("zones/{}.yaml", self.zone)), text).unwrap();
    }

    /// Plans, and applies if `doit`; what it said.
    fn sync(&mut self, mut command: Command, doit: bool) -> String {
        self.runs += 1;
        command.args(["--config-file", "octodns.yaml", "--force"]).current_dir(&self.folder);
        let output = command.args(doit.then_some("--doit")).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}");
        said
    }

    /// Brings the zone to `records`: a plan that changes nothing, an apply, and a plan with nothing in it.
    fn bring(&mut self, command: &dyn Fn(&Path) -> Command, records: &str, changes: &[&str]) {
        self.wish(records);
        let program = self.program.clone();
        let planned = self.sync(command(&program), false);
        for change in changes {
            assert!(planned.contains(change), "{change}:\n{planned}");
        }
        let applied = self.sync(command(&program), true);
        assert!(changes.iter().all(|change| applied.contains(change)), "a plan changes nothing:\n{applied}");
        let empty = self.sync(command(&program), false);
        assert!(empty.contains("No changes were planned"), "{empty}");
    }

    /// From nothing to flowers, to others, to nothing again.
    fn garden_year(&mut self, command: &dyn Fn(&Path) -> Command, dig: &Program, port: u16) {
        let ask = |name: &str, kind: &str| {
            let mut dig = dig.command();
            dig.args(["-r", "@127.0.0.1", "-p", &port.to_string(), "+short", &format!("{name}.{}", self.zone), kind]);
            let output = dig.output().unwrap();
            let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let bed = format!("bed.{}.", self.zone);
        let zone = self.zone;
        let (first, moved) = (FLOWERS, FLOWERS.replace("192.0.2.11", "192.0.2.99").replace("ttl: 180", "ttl: 240"));
        let mut year = Vec::new();
        for (records, changes) in [
            (first.to_owned(), ["Creates=7", "Updates=0", "Deletes="]),
            (moved, ["Creates=0", "Updates=2", "Deletes=0"]),
            (String::new(), ["Creates=0", "Updates=0", "Deletes=7"]),
        ] {
            let mut octo =
                Octo { program: self.program.clone(), folder: self.folder.clone(), zone, kept: self.kept, runs: 0 };
            octo.bring(command, &records, &changes);
            year.push((octo.runs, ask("lb", "A"), ask("_ldap._tcp", "SRV"), ask("any.wild", "A")));
        }
        self.runs += year.iter().map(|(runs, ..)| runs).sum::<u64>();
        assert_eq!(year[0].1, ["192.0.2.10", "192.0.2.11", bed.as_str()]);
        assert_eq!(year[1].1, ["192.0.2.10", "192.0.2.99", bed.as_str()]);
        assert_eq!(
            (year[0].2.as_slice(), year[0].3.as_slice()),
            ([format!("1 2 389 {bed}")].as_slice(), ["192.0.2.12".to_owned()].as_slice())
        );
        assert!(year[2].1.is_empty() && year[2].2.is_empty() && year[2].3.is_empty(), "{:?}", year[2]);
    }
}

#[test]
fn octodns_keeps_a_zone_of_the_emulated_cloudflare() {
    let what = "octoDNS on the emulated Cloudflare";
    let (Some(python), Some(dig)) = (needed("cloud-clients", what), needed("dig", what)) else { return };
    let garden = Garden::new("octodns");
    let before = garden.inventory();
    let target = format!(
        "{{ class: octodns_cloudflare.CloudflareProvider, token: env/CLOUDFLARE_API_TOKEN, api_url: '{}', pagerules: false, \
         retry_count: 1, retry_period: 1 }}",
        garden.variables["CLOUDFLARE_BASE_URL"]
    );
    let mut octo = Octo::new(&python.path, garden.home(), "example.com", THERE, &target);
    let port = garden.variables["BOUQUET_GREENHOUSE_DNS"].rsplit(':').next().unwrap().parse().unwrap();
    octo.garden_year(&|program| garden.command(program), &dig, port);
    assert_eq!(garden.inventory(), before, "what it found is as it was, and what it made is gone");
    judged(&Judgement {
        protocol: "Cloudflare",
        judge: "octoDNS 1.22 with octodns-cloudflare 1.2",
        covers: &[
            "plan, apply and a plan with nothing in it, for creating, changing and deleting",
            "A, AAAA, CNAME, MX, TXT, SRV, CAA, proxied records",
        ],
        lacks: &["page rules and zone settings", "more records than a page holds"],
        count: octo.runs,
        lies: &[],
    });
}

#[test]
fn octodns_keeps_a_zone_on_bind() {
    let what = "octoDNS on BIND";
    let (Some(python), Some(dig)) = (needed("cloud-clients", what), needed("dig", what)) else { return };
    let Some(server) = NameServer::new(Kind::Bind, "octodns") else { return };
    let folder = std::env::temp_dir().join(format!("bouquet-octodns-bind-{}", std::process::id()));
    let target = format!(
        "{{ class: octodns_bind.Rfc2136Provider, host: 127.0.0.1, port: {}, key_name: bouquet, key_secret: {}, \
         key_algorithm: hmac-sha256 }}",
        server.port,
        name_server::secret()
    );
    let mut octo = Octo::new(&python.path, folder.clone(), ZONE, SERVERS, &target);
    until_answered(&dig, server.port);
    let command = |program: &Path| Command::new(program);
    // What the zone came with goes first.
    octo.wish("");
    octo.sync(command(&octo.program.clone()), true);
    octo.garden_year(&command, &dig, server.port);
    judged(&Judgement {
        protocol: "RFC 2136",
        judge: "octoDNS 1.22 with octodns-bind 1.1 (the bench itself)",
        covers: &["the same BIND that judges our client takes somebody else's"],
        lacks: &["our client: see BIND and Knot"],
        count: octo.runs,
        lies: &[],
    });
    let _ = fs::remove_dir_all(folder);
}

/// Alone: the emulated machines' resolvers know nothing of a zone outside, and a worker would look the name up there.
fn rose(port: u16, key: &str) -> String {
    format!(
        "cluster: bouquet\ndomain: bouquet.{ZONE}\nnodes:\n  rose: {{ role: control-plane, on: hetzner/hel1/cax11 }}\n\
         dns: {{ provider: rfc2136, server: \"127.0.0.1:{port}\", key: {key} }}\ningress: none\n"
    )
}

#[test]
fn a_cluster_keeps_its_name_on_bind_and_takes_it_away() {
    let what = "a cluster whose name BIND keeps";
    let Some(dig) = needed("dig", what) else { return };
    let Some(server) = NameServer::new(Kind::Bind, "cluster") else { return };
    until_answered(&dig, server.port);
    let garden = Garden::new("rfc2136");
    let home = garden.home();
    let ask = |name: &str, kind: &str| {
        let mut dig = dig.command();
        dig.args(["-r", "@127.0.0.1", "-p", &server.port.to_string(), "+short", &format!("{name}.{ZONE}"), kind]);
        String::from_utf8_lossy(&dig.output().unwrap().stdout).trim().to_owned()
    };
    // The key is found beside the file, wherever bouquet is run from.
    fs::create_dir_all(home.join("keys")).unwrap();
    fs::write(home.join("keys/bouquet.key"), name_server::key_file()).unwrap();
    fs::write(home.join("keys/bouquet.yaml"), rose(server.port, "bouquet.key")).unwrap();
    let file = "-f keys/bouquet.yaml";
    garden.bouquet_exits(0, &format!("{file} check"));
    assert_eq!(ask("api.bouquet", "A"), "", "check writes nothing");
    garden.bouquet_exits(0, &format!("{file} apply --yes"));
    let address = ask("api.bouquet", "A");
    assert!(address.starts_with("100."), "{address:?} is rose's on the mesh");
    assert_eq!(ask("_bouquet.api.bouquet", "TXT"), format!("\"bouquet/bouquet/api/rose {address}\""));
    garden.bouquet_exits(0, &format!("{file} plan --exit-code"));
    garden.bouquet_exits(0, &format!("{file} destroy --yes"));
    assert_eq!([ask("api.bouquet", "A"), ask("_bouquet.api.bouquet", "TXT")], ["", ""]);

    for (key, file, code) in [
        ("nowhere.key", None, "BQ0206"),
        // The key itself, where its path belongs.
        (name_server::secret(), None, "BQ0206"),
        ("broken.key", Some("key bouquet;".to_owned()), "BQ0206"),
        ("other.key", Some(name_server::key_file().replace("Ym91", "d2Vl")), "BQ0206"),
    ] {
        if let Some(text) = file {
            fs::write(home.join(key), text).unwrap();
        }
        fs::write(home.join("bouquet.yaml"), rose(server.port, key)).unwrap();
        let output = garden.bouquet("check");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(output.status.code() == Some(1) && said.contains(code), "{key}:\n{said}");
        assert!(!said.contains(&name_server::secret()[8..]), "{key}: the secret is said");
    }
}

/// A query that is lost while the server starts is asked again by dig itself.
fn until_answered(dig: &Program, port: u16) {
    for _ in 0..500 {
        let mut dig = dig.command();
        dig.args(["-r", "@127.0.0.1", "-p", &port.to_string(), "+short", "+tries=1", "+time=1", ZONE, "SOA"]);
        if dig.output().is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("gardener")) {
            return;
        }
    }
    panic!("nobody answers on {port}");
}
