//! A served world and the product beside it, each a process of the real binary; nothing in common but files and sockets.

use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Emulated delays pass so many times faster.
const SPEED: &str = "60";

/// A served world, and an empty folder to live in. Both are gone with it.
pub struct Garden {
    folder: PathBuf,
    child: Child,
    /// What `. DIR/env` would set.
    pub variables: BTreeMap<String, String>,
}

impl Garden {
    /// Serves a world and waits until it is ready. `name` is the test's own.
    pub fn new(name: &str) -> Self {
        Self::with(name, SPEED, &[])
    }

    /// The same at another speed, and with `more` arguments of `greenhouse serve`.
    pub fn with(name: &str, speed: &str, more: &[&str]) -> Self {
        let folder = env::temp_dir().join(format!("bouquet-garden-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("home")).unwrap();
        let mut serve = Command::new(env!("CARGO_BIN_EXE_bouquet"));
        serve.args(["greenhouse", "serve", "--speed", speed, "--dir"]).arg(folder.join("world")).args(more);
        let mut child = serve.stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let path = ready.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("not ready: {ready:?}")).to_owned();
        let variables = fs::read_to_string(path).unwrap().lines().map(exported).collect();
        Garden { folder, child, variables }
    }

    /// Where the product is run.
    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// A program as a shell would start it that has read `DIR/env`.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.home()).envs(&self.variables).env("XDG_CONFIG_HOME", self.home().join("config"));
        for foreign in
            ["SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "TAILSCALE_API_KEY"]
        {
            command.env_remove(foreign);
        }
        command
    }

    /// `bouquet WORDS`, to its end.
    pub fn bouquet(&self, words: &str) -> Output {
        self.command(env!("CARGO_BIN_EXE_bouquet")).args(words.split_whitespace()).output().unwrap()
    }

    /// The same, with the exit code it must have; what it printed.
    pub fn bouquet_exits(&self, code: i32, words: &str) -> String {
        let output = self.bouquet(words);
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(output.status.code(), Some(code), "bouquet {words}\n{out}\n{err}");
        out
    }

    /// Asks the control address, in plain HTTP.
    pub fn control(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let host = self.variables["BOUQUET_GREENHOUSE"].strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} /_greenhouse/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// What the vendors' APIs would list.
    pub fn inventory(&self) -> Value {
        self.control("GET", "inventory", "").1
    }

    /// Makes one of each kind that is not the product's.
    pub fn plant_decoys(&self) {
        for kind in ["server", "firewall", "image", "vcn", "device", "record"] {
            let body = format!("{{\"kind\": \"{kind}\", \"name\": \"decoy-{kind}\"}}");
            assert_eq!(self.control("POST", "foreign", &body).0, 200, "{kind}");
        }
    }

    /// SIGTERM; the exit code.
    pub fn stop(mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Garden {
    fn drop(&mut self) {
        // It may have ended already; what is left behind in the temporary folder harms nobody.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `export NAME='value'`.
fn exported(line: &str) -> (String, String) {
    let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
    let value = value.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap();
    (name.to_owned(), value.replace(r"'\''", "'"))
}
