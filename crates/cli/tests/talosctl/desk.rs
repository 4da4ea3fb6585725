//! The desk of somebody with talosctl: a served world, an applied cluster, its talosconfig.

use crate::garden::Garden;
use serde_json::Value;
use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Talos in talosctl's own version, and the newest Kubernetes that it knows. No domain: its TTL of a minute is real.
const TWO: &str = "\
cluster: bouquet
talos: 1.13.9
kubernetes: 1.36.2
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
  lily: { role: worker, on: hetzner/fsn1/cax21 }
mesh: tailscale
";

/// Alone, so that no worker has looked the API's name up while it pointed nowhere.
const NAMED: &str = "\
cluster: bouquet
talos: 1.13.9
kubernetes: 1.36.2
domain: bouquet.example.com
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
mesh: tailscale
dns: cloudflare
";

/// A command that has not ended after so many seconds never will.
const LONGEST_S: &str = "60";
/// Nor has one that follows something and has not been told of it.
const LONGEST_STREAM_S: &str = "15";
/// An honest world's cluster is there after a third of it.
const LONGEST_APPLY_S: &str = "30";

/// See the module.
pub struct Desk {
    pub garden: Garden,
    program: PathBuf,
    /// The control plane's address on the mesh.
    pub rose: String,
    /// The worker's.
    pub lily: String,
    count: Cell<u64>,
}

/// What a command did.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    /// Standard output, then standard error.
    pub text: String,
}

impl Desk {
    /// A world in which nothing has been made yet.
    pub fn beginning(name: &str, speed: &str) -> Option<Self> {
        Self::with(name, speed, &[])
    }

    fn with(name: &str, speed: &str, lies: &[&str]) -> Option<Self> {
        let program = assets::needed("talosctl", "talosctl on emulated nodes")?.path;
        let more: Vec<&str> = lies.iter().flat_map(|lie| ["--lie", lie]).collect();
        let mut garden = Garden::with(name, speed, &more);
        let proxy = garden.variables["BOUQUET_MESH_PROXY"].replace("socks5h://", "http://");
        garden.variables.insert("BOUQUET_MESH_PROXY".into(), proxy);
        Some(Desk { garden, program, rose: String::new(), lily: String::new(), count: Cell::new(0) })
    }

    /// A world at a speed, with lies, and the cluster of two in it; `None` where there is no talosctl.
    pub fn new(name: &str, speed: &str, lies: &[&str]) -> Option<Self> {
        Self::with(name, speed, lies)?.applied(TWO)
    }

    /// The cluster of two under a lie, as far as the product brings it in a time in which it would otherwise be done.
    pub fn lied_to(lie: &str, speed: &str) -> Option<Self> {
        let desk = Self::with(lie, speed, &[lie])?;
        desk.write("bouquet.yaml", TWO);
        let applied = || {
            let mut apply = desk.garden.command("timeout");
            apply
                .args([LONGEST_APPLY_S, env!("CARGO_BIN_EXE_bouquet"), "apply", "--yes"])
                .output()
                .unwrap()
                .status
                .success()
        };
        // Whatever comes of it: that the product may notice too is not what is tried here.
        let _ = applied() || applied();
        desk.at_hand()
    }

    /// A control plane alone whose API has a name in DNS.
    pub fn named(name: &str, speed: &str) -> Option<Self> {
        Self::with(name, speed, &[])?.applied(NAMED)
    }

    fn applied(self, cluster: &str) -> Option<Self> {
        self.write("bouquet.yaml", cluster);
        self.garden.bouquet_exits(0, "apply --yes");
        self.at_hand()
    }

    /// With the talosconfig and the addresses of what has been applied.
    fn at_hand(mut self) -> Option<Self> {
        let desk = &mut self;
        desk.write("talosconfig", &desk.garden.bouquet_exits(0, "talosconfig"));
        let status = desk.status();
        for (name, address) in [("rose", &mut desk.rose), ("lily", &mut desk.lily)] {
            let node = status["nodes"].as_array().unwrap().iter().find(|node| node["name"] == name);
            node.and_then(|node| node["addresses"]["mesh"].as_str()).unwrap_or_default().clone_into(address);
        }
        Some(self)
    }

    /// What `bouquet status` says.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.garden.bouquet_exits(0, "status -o json")).unwrap()
    }

    /// Writes a file where commands are run.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.garden.home().join(name), text).unwrap();
    }

    /// Reads such a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.garden.home().join(name)).unwrap()
    }

    /// talosctl, ready to run. Addresses may be written `@rose` and `@lily`.
    fn command(&self, words: &[&str], longest_s: &str) -> Command {
        self.count.set(self.count.get() + 1);
        let mut command = self.garden.command("timeout");
        command.args(["-s", "KILL", longest_s]).arg(&self.program).args(words.iter().map(|word| self.resolved(word)));
        command.env("TALOSCONFIG", self.garden.home().join("talosconfig"));
        command.env("HTTPS_PROXY", &self.garden.variables["BOUQUET_MESH_PROXY"]);
        // It puts lines where it thinks that a terminal is, and asks nobody.
        command.env("TERM", "dumb").stdin(Stdio::null());
        command
    }

    /// With addresses for names.
    pub fn resolved(&self, word: &str) -> String {
        word.replace("@rose", &self.rose).replace("@lily", &self.lily)
    }

    /// `talosctl WORDS` to its end. Words are separated by spaces.
    pub fn talosctl(&self, words: &str) -> Said {
        self.run(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// The same with words that hold spaces.
    pub fn run(&self, words: &[&str]) -> Said {
        let output = self.command(words, LONGEST_S).output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Said { code: output.status.code(), text: out + &err }
    }

    /// A command that must succeed, and say each of these; what it said.
    pub fn says(&self, words: &str, wanted: &[&str]) -> String {
        let said = self.talosctl(words);
        assert_eq!(said.code, Some(0), "talosctl {words}\n{}", said.text);
        for wanted in wanted {
            let wanted = self.resolved(wanted);
            assert!(said.text.contains(&wanted), "talosctl {words} does not say {wanted:?}:\n{}", said.text);
        }
        said.text
    }

    /// A command that must fail, and say each of these.
    pub fn fails(&self, words: &str, wanted: &[&str]) {
        let said = self.talosctl(words);
        assert_eq!(said.code, Some(1), "talosctl {words}\n{}", said.text);
        for wanted in wanted {
            let wanted = self.resolved(wanted);
            assert!(said.text.contains(&wanted), "talosctl {words} does not say {wanted:?}:\n{}", said.text);
        }
    }

    /// A command that never ends by itself: its first line that holds `wanted`, after which it is ended.
    pub fn streams(&self, words: &str, wanted: &str) -> String {
        let words: Vec<&str> = words.split_whitespace().collect();
        let mut child = self.command(&words, LONGEST_STREAM_S).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut seen = Vec::new();
        let mut found = None;
        for line in lines {
            if line.contains(wanted) {
                found = Some(line);
                break;
            }
            seen.push(line);
        }
        // `timeout` passes the signal on to talosctl.
        let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        let _ = child.wait();
        found.unwrap_or_else(|| panic!("talosctl {words:?} never says {wanted:?}:\n{}", seen.join("\n")))
    }

    /// The command as a line for a shell, for whoever runs it elsewhere.
    pub fn shell(&self, words: &str) -> String {
        self.count.set(self.count.get() + 1);
        let (config, proxy) = (self.garden.home().join("talosconfig"), &self.garden.variables["BOUQUET_MESH_PROXY"]);
        let program = self.program.display();
        format!("TALOSCONFIG={} HTTPS_PROXY={proxy} {program} {}", config.display(), self.resolved(words))
    }

    /// Asks again until it holds, a few seconds at most.
    pub fn until(&self, what: &str, holds: impl Fn() -> bool) {
        // Each try takes a fraction of a second, being a program of its own. A world that has ended answers none.
        let asked = || self.garden.control("GET", "inventory", "").0 == 200;
        assert!((0..60).any(|_| asked() && holds()), "{what} never came true");
    }

    /// A node's machine configuration as it is in force, in a file of this name.
    pub fn keep_config(&self, node: &str, file: &str) -> String {
        let said = self.talosctl(&format!("-n {node} get machineconfig v1alpha1 -o jsonpath={{.spec}}"));
        assert_eq!(said.code, Some(0), "{}", said.text);
        self.write(file, &said.text);
        said.text
    }
}

/// Notes what talosctl was content with.
pub fn judged(part: &str, desk: &Desk, covers: &[&str]) {
    let lies: Vec<&str> = crate::lies::LIES.iter().map(|(lie, ..)| *lie).collect();
    assets::judged(&assets::Judgement {
        protocol: "Talos machine API",
        judge: &format!("talosctl 1.13.9, {part}"),
        covers,
        lacks: &[
            "etcd recovery",
            "Omni and SideroLink",
            "packet capture, files and images of a node",
            "Talos 1.14's own client",
        ],
        count: desk.count.get(),
        lies: &lies,
    });
}
