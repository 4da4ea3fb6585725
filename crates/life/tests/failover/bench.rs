//! The bench: a rig with Traefik and the watcher on it, a zone on its internet, and what can be done to them.

use super::certificates::{Certificates, Pair};
use super::manifests::{self, CANARY, POOL, TLS};
use super::zone::{Zone, inside};
use rig::{MACHINES, Machine, Options, Rig};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Records and verdicts stay as they are for this long before something else is broken.
const STILL: Duration = Duration::from_secs(4);

pub struct Bench {
    pub rig: Rig,
    pub certificates: Certificates,
    zone: Zone,
    dig: assets::Program,
    begun: Instant,
}

impl Bench {
    /// Everything up, and all nodes published; `None` where this machine cannot.
    pub fn up(what: &str, profile: &str, zone: impl FnOnce(&Rig) -> Option<Zone>) -> Option<Self> {
        if let Err(lack) = rig::ready() {
            assets::skip(what, &lack.to_string());
            return None;
        }
        let dig = assets::needed("dig", what)?;
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let watcher = rig::own::watcher(&sources, "release").unwrap();
        let begun = now();
        let rig = Rig::up(Options { tied: true, talk: |line| println!("{line}") }).unwrap();
        let traefik = rig.image("bouquet.test/traefik:3.7.15", "traefik", &["/traefik"]).unwrap();
        rig.import(&rig.archive("failover", &[traefik, watcher]).unwrap()).unwrap();
        let zone = zone(&rig)?;
        let certificates = Certificates::for_host(CANARY);
        let bench = Bench { rig, certificates, zone, dig, begun };
        for machine in MACHINES {
            bench.lay_certificate(machine, &bench.certificates.good);
            let address = format!("bouquet.dev/public-address={}", machine.public());
            bench.rig.kubectl(&["annotate", "node", machine.name, &address]).unwrap();
        }
        bench.rig.apply(&manifests::traefik()).unwrap();
        bench.rig.apply(&manifests::watcher(profile, &bench.zone, &bench.certificates.authority)).unwrap();
        bench.until("all nodes are in DNS", Duration::from_secs(120), |published| published.len() == MACHINES.len());
        println!("{:5.1} s  all nodes are in DNS", begun.elapsed().as_secs_f32());
        Some(bench)
    }

    /// Addresses of the pool, as somebody on the internet is told.
    pub fn published(&self) -> BTreeSet<String> {
        let mut asked = inside(&self.rig, &self.dig.command());
        let (server, port) = (format!("@{}", self.zone.server.ip()), self.zone.server.port().to_string());
        let said = asked.args([&server, "-p", &port, "+short", "+tries=1", "+time=1", POOL, "A"]).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        said.lines().filter(|line| line.parse::<std::net::IpAddr>().is_ok()).map(str::to_owned).collect()
    }

    /// Waits until DNS says so; how long that took.
    pub fn until(&self, what: &str, limit: Duration, is_so: impl Fn(&BTreeSet<String>) -> bool) -> Duration {
        let begun = now();
        loop {
            let published = self.published();
            if is_so(&published) {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < limit, "after {limit:?} still not: {what}; {published:?}\n{}", self.told());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The watcher's own word, from any of its replicas.
    pub fn status(&self) -> Option<Value> {
        let path = "/api/v1/namespaces/bouquet-system/services/bouquet-watcher:9402/proxy/api/status";
        serde_json::from_str(&self.rig.kubectl(&["get", "--raw", path]).ok()?).ok()
    }

    pub fn until_status(&self, what: &str, limit: Duration, is_so: impl Fn(&Value) -> bool) {
        let begun = now();
        while !self.status().as_ref().is_some_and(&is_so) {
            assert!(begun.elapsed() < limit, "after {limit:?} still not: {what}\n{}", self.told());
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// All nodes serve, are published, and nothing has changed for a while.
    pub fn settle(&self) {
        let serves = |node: &Value| node["verdict"] == "Serving" && node["published"] == true;
        self.until_status("all nodes serve and are published", Duration::from_secs(150), |status| {
            status["nodes"].as_array().is_some_and(|nodes| nodes.len() == 3 && nodes.iter().all(serves))
        });
        std::thread::sleep(STILL);
        assert_eq!(self.published().len(), 3, "{}", self.told());
    }

    /// The same with watchers that remember nothing: of three nodes one may leave in five minutes, whatever is seen.
    pub fn fresh(&self) {
        let kubectl = |words: &[&str]| self.rig.kubectl(words).unwrap();
        let scale =
            |replicas: &str| kubectl(&["scale", "-n", "bouquet-system", "deployment/bouquet-watcher", replicas]);
        let pods = ["-n", "bouquet-system", "pods", "-l", "app.kubernetes.io/name=bouquet-watcher"];
        scale("--replicas=0");
        kubectl(&[&["wait", "--for=delete", "--timeout=60s"], &pods[..]].concat());
        kubectl(&["delete", "ingressnodes", "--all"]);
        kubectl(&["delete", "lease", "-n", "bouquet-system", "bouquet-watcher", "--ignore-not-found"]);
        scale("--replicas=3");
        self.settle();
    }

    /// The machine, one of these, on which the writer runs; has another become it if need be.
    pub fn writer_on(&self, machines: &[Machine]) -> Machine {
        let begun = now();
        loop {
            let status = self.status().unwrap_or_default();
            let writer = status["writer"].as_str().unwrap_or_default().to_owned();
            let pods = self.rig.kubectl(&["get", "pods", "-n", "bouquet-system", "-o", "json"]).unwrap();
            let pods: Value = serde_json::from_str(&pods).unwrap();
            let pod = pods["items"].as_array().unwrap().iter().find(|pod| pod["metadata"]["name"] == writer.as_str());
            let node = pod.and_then(|pod| pod["spec"]["nodeName"].as_str()).unwrap_or_default();
            if let Some(machine) = machines.iter().find(|machine| machine.name == node) {
                return *machine;
            }
            if !writer.is_empty() {
                self.rig.kubectl(&["delete", "pod", "-n", "bouquet-system", &writer, "--wait=true"]).unwrap();
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "no writer on these machines\n{}", self.told());
            std::thread::sleep(Duration::from_secs(2));
        }
    }

    /// Traefik's process dies, and its kubelet does not see it.
    pub fn kill_traefik(&self, machine: Machine) {
        self.rig.freeze("kubelet", machine).unwrap();
        self.rig.end("traefik", machine).unwrap();
    }

    /// Traefik starts anew without a way to the API: it knows no routes, and says so to everybody.
    pub fn lose_routes(&self, machine: Machine) {
        self.firewall(machine, "-I");
        self.rig.end("traefik", machine).unwrap();
    }

    pub fn regain_routes(&self, machine: Machine) {
        self.firewall(machine, "-D");
    }

    /// Pods of this machine and the API's address.
    fn firewall(&self, machine: Machine, verb: &str) {
        let mut rule = self.rig.command(machine).unwrap();
        let said =
            rule.args(["iptables", "-w", verb, "FORWARD", "-p", "tcp", "--dport", "6443", "-j", "DROP"]).output();
        let said = said.unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }

    /// Lays a certificate where the machine's Traefik sees it.
    pub fn lay_certificate(&self, machine: Machine, pair: &Pair) {
        for (name, content) in [("key.pem", &pair.key), ("cert.pem", &pair.certificate), ("tls.yaml", &TLS.to_owned())]
        {
            let mut lay = self.rig.command(machine).unwrap();
            let script = format!(
                "mkdir -p /var/mnt/tls && cat > /var/mnt/tls/.new && chmod 644 /var/mnt/tls/.new && mv /var/mnt/tls/.new /var/mnt/tls/{name}"
            );
            let mut laying = lay.args(["sh", "-c", &script]).stdin(Stdio::piped()).spawn().unwrap();
            laying.stdin.take().unwrap().write_all(content.as_bytes()).unwrap();
            assert!(laying.wait().unwrap().success());
        }
    }

    pub fn remove_canary(&self) {
        self.rig.kubectl(&["delete", "ingress", "bouquet-canary", "-n", "bouquet-system"]).unwrap();
    }

    pub fn apply_canary(&self) {
        self.rig.apply(&manifests::canary()).unwrap();
    }

    /// For a failure's message: what the watcher says, and what its pods have written.
    fn told(&self) -> String {
        let status = self.status().map(|status| format!("{status:#}")).unwrap_or_default();
        let mut told = format!("{:5.1} s\n{status}\n", self.begun.elapsed().as_secs_f32());
        for arguments in [
            &["get", "pods", "-A", "-o", "wide"][..],
            &["get", "events", "-n", "bouquet-system"],
            &["describe", "pods", "-n", "bouquet-system"],
            &["logs", "-n", "bouquet-system", "-l", "app.kubernetes.io/name=bouquet-watcher", "--tail=40", "--prefix"],
            &["get", "lease", "-n", "bouquet-system", "-o", "yaml"],
            &["logs", "-n", "traefik", "-l", "app.kubernetes.io/name=traefik", "--tail=20", "--prefix"],
        ] {
            let said = self.rig.kubectl(arguments).unwrap_or_else(|error| error.to_string());
            told.push_str(&format!("$ kubectl {}\n{said}\n", arguments.join(" ")));
        }
        told + &self.zone.log()
    }

    /// Takes it all down, and fails if something stays.
    pub fn end(self) {
        drop(self);
        rig::down().unwrap();
    }
}

#[allow(clippy::disallowed_methods, reason = "real programs take real time")]
fn now() -> Instant {
    Instant::now()
}
