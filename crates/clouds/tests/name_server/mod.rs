//! BIND and Knot on loopback, each private: a folder, a port, a zone and four keys; gone with the value.
#![allow(dead_code, reason = "shared by several tests, none of which needs all of it")]

use assets::Program;
use clouds::rfc2136::{Algorithm, Key};
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use wire::Secret;

/// The zone that every server has.
pub const ZONE: &str = "flowers.test";
/// Strings of the name `big`, more than any UDP answer holds.
pub const BIG: usize = 60;

/// A key's secret, base64; the other one is what a wrong key of the same name has.
const SECRET: &str = "Ym91cXVldCBib3VxdWV0IGJvdXF1ZXQgYm91cXVldCE=";
const OTHER: &str = "d2VlZHMgd2VlZHMgd2VlZHMgd2VlZHMgd2VlZHMgISE=";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bind,
    Knot,
}

/// A server that runs.
pub struct NameServer {
    pub kind: Kind,
    pub port: u16,
    /// As the judgement names it.
    pub version: &'static str,
    folder: PathBuf,
    child: Child,
}

/// `bouquet` and `bouquet512` may change the zone, `reader` may not.
pub fn key(name: &str) -> Key {
    let algorithm = if name == "bouquet512" { Algorithm::HmacSha512 } else { Algorithm::HmacSha256 };
    Key::new(name, algorithm, Secret::new(SECRET)).unwrap()
}

/// A key of a name that the server knows, with another secret.
pub fn wrong_key() -> Key {
    Key::new("bouquet", Algorithm::HmacSha256, Secret::new(OTHER)).unwrap()
}

/// `bouquet` as `tsig-keygen` would write it.
pub fn key_file() -> String {
    format!("key \"bouquet\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{SECRET}\";\n}};\n")
}

/// The secret of `bouquet`, for other people's clients.
pub fn secret() -> &'static str {
    SECRET
}

fn zone_file() -> String {
    let big: Vec<String> = (0..BIG).map(|at| format!("big TXT \"{at:03} {}\"\n", "petal ".repeat(16))).collect();
    let big = big.concat();
    format!(
        "$TTL 300\n@ SOA ns.{ZONE}. gardener.{ZONE}. 1 3600 600 86400 900\n@ NS ns.{ZONE}.\nns A 127.0.0.1\n\
         rose A 192.0.2.1\nrose A 192.0.2.2\nweb CNAME rose.{ZONE}.\nsoil TXT \"loam\"\n{big}"
    )
}

impl NameServer {
    /// The server of that kind, if its program is here. It may not listen yet.
    pub fn new(kind: Kind, test: &str) -> Option<Self> {
        let what = format!("dynamic updates on {kind:?}: {test}");
        let (program, version) = match kind {
            Kind::Bind => (assets::needed("named", &what)?, "BIND 9.18"),
            Kind::Knot => (assets::needed("knotd", &what)?, "Knot DNS 3.2"),
        };
        let folder = std::env::temp_dir().join(format!("bouquet-{kind:?}-{test}-{}", std::process::id()));
        fs::create_dir_all(folder.join("db")).unwrap();
        fs::write(folder.join("zone"), zone_file()).unwrap();
        let port = free_port();
        let child = match kind {
            Kind::Bind => bind(&program, &folder, port),
            Kind::Knot => knot(&program, &folder, port),
        };
        Some(NameServer { kind, port, version, folder, child })
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it has written down, for whoever wants to know why something failed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        // It may have ended already; what is left behind in the temporary folder harms nobody.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("{}", self.log());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Free for TCP and UDP just now.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn start(mut command: Command, folder: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

fn bind(program: &Program, folder: &Path, port: u16) -> Child {
    let at = folder.display();
    let keys: String = [("bouquet", "256"), ("bouquet512", "512"), ("reader", "256")]
        .map(|(name, bits)| format!("key \"{name}\" {{ algorithm hmac-sha{bits}; secret \"{SECRET}\"; }};\n"))
        .concat();
    let config = format!(
        "options {{ directory \"{at}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
         pid-file none; session-keyfile \"{at}/session\"; managed-keys-directory \"{at}/db\"; recursion no; \
         dnssec-validation no; notify no; allow-transfer {{ key bouquet; }}; }};\ncontrols {{ }};\n{keys}\
         zone \"{ZONE}\" {{ type primary; file \"zone\"; \
         update-policy {{ grant bouquet zonesub ANY; grant bouquet512 zonesub ANY; }}; }};\n"
    );
    fs::write(folder.join("named.conf"), config).unwrap();
    let mut command = program.command();
    command.args(["-f", "-g", "-n", "1", "-c"]).arg(folder.join("named.conf"));
    start(command, folder)
}

fn knot(program: &Program, folder: &Path, port: u16) -> Child {
    let at = folder.display();
    let keys: String = [("bouquet", "256"), ("bouquet512", "512"), ("reader", "256")]
        .map(|(name, bits)| format!("  - id: {name}\n    algorithm: hmac-sha{bits}\n    secret: {SECRET}\n"))
        .concat();
    let config = format!(
        "server:\n    rundir: \"{at}\"\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\ndatabase:\n    storage: \"{at}/db\"\nlog:\n  - target: stderr\n    any: info\nkey:\n{keys}\
         acl:\n  - id: writers\n    key: [bouquet, bouquet512]\n    action: [update, transfer]\nzone:\n  - domain: {ZONE}\n    \
         storage: \"{at}\"\n    file: zone\n    zonefile-load: whole\n    acl: writers\n"
    );
    fs::write(folder.join("knot.conf"), config).unwrap();
    let mut command = program.command();
    command.arg("-c").arg(folder.join("knot.conf"));
    start(command, folder)
}
