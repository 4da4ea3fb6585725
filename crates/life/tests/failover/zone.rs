//! The zone that the watcher writes, and who keeps it.

use super::manifests::{KEY, ZONE};
use rig::{INTERNET_ADDRESS, Rig};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A zone that is kept on the rig's internet for as long as this lives.
pub struct Zone {
    /// Who answers for it, as the internet's namespace sees it.
    pub server: SocketAddr,
    /// The watcher's `provider`.
    pub provider: String,
    /// What its keeper listens on beside: the watcher's control probe.
    pub anchor: SocketAddr,
    /// Where it is a cloud.
    pub cloud: Option<Cloud>,
    pub child: Child,
    pub folder: PathBuf,
}

/// How the watcher's pods reach a cloud that is on the rig's internet.
pub struct Cloud {
    /// Its name, which pods find at [`INTERNET_ADDRESS`].
    pub host: &'static str,
    /// PEM; whom its certificate is from.
    pub authority: String,
    pub token: String,
}

impl Zone {
    /// BIND, which takes RFC 2136.
    pub fn bind(rig: &Rig, what: &str) -> Option<Self> {
        let named = assets::needed("named", what)?;
        let folder = folder();
        write_bind(&folder);
        let mut command = inside(rig, &named.command());
        command.args(["-f", "-g", "-n", "1", "-c"]).arg(folder.join("named.conf"));
        let server: SocketAddr = format!("{INTERNET_ADDRESS}:53").parse().unwrap();
        let provider = format!("rfc2136: {{ server: '{server}', keyFile: /etc/bouquet-watcher/tsig.key }}");
        Some(Zone { server, provider, anchor: server, cloud: None, child: start(command, &folder), folder })
    }

    /// What its keeper has written.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

/// A place for its files.
pub fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("bouquet-failover-{}", std::process::id()));
    fs::create_dir_all(folder.join("db")).unwrap();
    folder
}

/// Starts its keeper.
pub fn start(mut command: Command, folder: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// A program's command, in the namespace of the internet.
pub fn inside(rig: &Rig, program: &Command) -> Command {
    let mut inside = rig.internet();
    inside.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        if let Some(value) = value {
            inside.env(name, value);
        }
    }
    inside
}

fn write_bind(folder: &Path) {
    let at = folder.display();
    let zone = format!(
        "$TTL 60\n@ SOA ns.{ZONE}. gardener.{ZONE}. 1 3600 600 86400 60\n@ NS ns.{ZONE}.\nns A {INTERNET_ADDRESS}\nmail A 192.0.2.25\n"
    );
    fs::write(folder.join("zone"), zone).unwrap();
    let config = format!(
        "options {{ directory \"{at}\"; listen-on port 53 {{ {INTERNET_ADDRESS}; }}; listen-on-v6 {{ none; }}; pid-file none; \
         session-keyfile \"{at}/session\"; managed-keys-directory \"{at}/db\"; recursion no; dnssec-validation no; notify no; \
         allow-transfer {{ key bouquet; }}; }};\ncontrols {{ }};\nkey \"bouquet\" {{ algorithm hmac-sha256; secret \"{KEY}\"; }};\n\
         zone \"{ZONE}\" {{ type primary; file \"zone\"; update-policy {{ grant bouquet zonesub ANY; }}; }};\n"
    );
    fs::write(folder.join("named.conf"), config).unwrap();
}

impl Drop for Zone {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
