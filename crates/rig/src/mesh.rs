//! The mesh: headscale at the switch, a real `tailscaled` with its kernel device on every machine.

use crate::failure::{Failure, disk, output};
use crate::host::{below, until};
use crate::machine::{Machine, SWITCH, SWITCH_ADDRESS};
use crate::space::background;
use crate::{Rig, settings, strings};
use std::fs;
use std::process::Command;
use std::time::Duration;

const STARTED: Duration = Duration::from_secs(30);

impl Rig {
    fn headscale(&self, arguments: &[&str]) -> Result<Command, Failure> {
        let mut headscale = self.keeper.enter(&self.programs, Some(SWITCH));
        headscale.arg(self.programs.inside("headscale")?).arg("--config").arg(below("headscale/config.json"));
        headscale.args(arguments);
        Ok(headscale)
    }

    /// Starts the coordination server.
    pub(crate) fn start_headscale(&self) -> Result<(), Failure> {
        let folder = below("headscale");
        disk(&folder, fs::create_dir_all(&folder))?;
        let config = folder.join("config.json");
        disk(&config, fs::write(&config, settings::headscale(&folder).to_string()))?;
        let lead = self.keeper.enter(&self.programs, Some(SWITCH));
        let arguments = vec!["--config".into(), config.display().to_string(), "serve".into()];
        background(lead, "headscale", &self.programs.inside("headscale")?, &arguments)
    }

    /// A key that any number of machines may join with.
    pub(crate) fn join_key(&self) -> Result<String, Failure> {
        until("headscale has a user", STARTED, || output(&mut self.headscale(&["users", "create", "rig"])?).map(Some))?;
        let made = ["preauthkeys", "create", "--user", "1", "--reusable", "--expiration", "24h", "--output", "json"];
        let said = output(&mut self.headscale(&made)?)?;
        let parsed: Option<serde_json::Value> = serde_json::from_str(&said).ok();
        let key = parsed.as_ref().and_then(|value| value.get("key")?.as_str());
        key.map(str::to_owned).ok_or(Failure::Unread { program: "headscale", said })
    }

    /// Starts a machine's `tailscaled`.
    pub(crate) fn start_tailscaled(&self, machine: Machine) -> Result<(), Failure> {
        let mut lead = self.command(machine)?;
        // The relay has no certificate; and nobody is told what happened here.
        lead.args(["env", "TS_DEBUG_USE_DERP_HTTP=1", "TS_NO_LOGS_NO_SUPPORT=true"]);
        let arguments = strings(&[
            "--tun=tailscale0",
            "--port=41641",
            "--state=/var/lib/tailscale/tailscaled.state",
            "--socket=/run/tailscale/tailscaled.sock",
        ]);
        background(lead, &format!("{}-tailscaled", machine.name), &self.programs.inside("tailscaled")?, &arguments)
    }

    /// Takes a machine into the mesh, and waits until it has its address; without a key, one that has been in it before.
    pub(crate) fn join(&self, machine: Machine, key: Option<&str>) -> Result<(), Failure> {
        let tailscale = || -> Result<Command, Failure> {
            let mut tailscale = self.command(machine)?;
            tailscale.arg(self.programs.inside("tailscale")?).arg("--socket=/run/tailscale/tailscaled.sock");
            Ok(tailscale)
        };
        if let Some(key) = key {
            let up = || {
                let mut up = tailscale()?;
                up.args(["up", "--accept-dns=false", "--netfilter-mode=off", "--timeout=20s"]);
                up.arg(format!("--login-server=http://{SWITCH_ADDRESS}:8080")).arg(format!("--auth-key={key}"));
                output(up.arg(format!("--hostname={}", machine.name))).map(Some)
            };
            until(&format!("{} has joined the mesh", machine.name), STARTED, up)?;
        }
        until(&format!("{} has the mesh address {}", machine.name, machine.mesh()), STARTED, || {
            let said = output(tailscale()?.args(["ip", "-4"]))?;
            Ok((said.trim() == machine.mesh()).then_some(()))
        })
    }
}
