//! A machine that runs Talos: its cables, its disk, its power.

use super::{MESH_SWITCH, Talos};
use crate::failure::{Failure, disk};
use crate::host::{MARK, below, mark};
use crate::machine::{Machine, SWITCH};
use crate::space::{Space, feed};
use crate::{cgroup, settings};
use base64::Engine as _;
use std::fs;
use std::path::PathBuf;
use wire::Secret;

/// What Tailscale's device carries, in bytes.
const MESH_MTU: u16 = 1280;

/// The folder that stands for a machine's disk.
fn own(machine: Machine) -> PathBuf {
    below(format!("nodes/{}", machine.name))
}

impl Talos {
    /// Names a machine's network and lays its only cable, which stands for its device in the mesh and has Tailscale's name,
    /// for configurations name it. With an address in the wide area too, which nobody answers at, each joining member of etcd
    /// would take minutes: it asks for its promotion at every address that discovery knows, one after the other.
    pub(super) fn cable(&self, machine: Machine) -> Result<(), Failure> {
        let (name, port) = (machine.name, machine.port());
        self.ip(None, &format!("netns add {name}\n"))?;
        let cable = format!(
            "link add {port} mtu {MESH_MTU} type veth peer name tailscale0 mtu {MESH_MTU} netns {name}\n\
             link set {port} master mesh\nlink set {port} up\n"
        );
        self.ip(Some(SWITCH), &cable)?;
        let own = format!(
            "link set lo up\nlink set tailscale0 up\naddress add {}/10 dev tailscale0\nroute add default via {MESH_SWITCH}\n",
            machine.mesh()
        );
        self.ip(Some(name), &own)
    }

    /// Gives a machine power. `user_data` is what its first boot reads; without it, it waits in maintenance mode.
    pub fn start(&mut self, machine: Machine, user_data: Option<&Secret>) -> Result<(), Failure> {
        // Joins the machine's control groups, so that they are what Talos takes for the root of all.
        const SCRIPT: &str = r#"while [ "$1" != exec ]; do echo 0 >"$1/cgroup.procs"; shift; done; "$@""#;
        cgroup::make(machine)?;
        let (own, root) = (own(machine), below("talos"));
        disk(&own, fs::create_dir_all(&own))?;
        self.lay_pod_network(machine)?;
        let mut lead = self.keeper.enter(&self.parts.programs, Some(machine.name));
        lead.args(["sh", "-ec", SCRIPT, "sh"]).args(cgroup::folders_of(machine)).arg("exec");
        lead.arg(below("bin/launcher")).args(["node", machine.name]).arg(root).arg(own);
        lead.env_clear()
            .env(MARK, mark(machine.name))
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("PLATFORM", "container");
        if let Some(config) = user_data {
            lead.env("USERDATA", base64::engine::general_purpose::STANDARD.encode(config.expose()));
        }
        let (_, child) = Space::spawn(machine.name, lead.stdin(std::process::Stdio::null()))?;
        self.bond.bears(child);
        Ok(())
    }

    /// Stands in for flannel, whose image is not to be had: its plugins, and the network that it would configure.
    fn lay_pod_network(&self, machine: Machine) -> Result<(), Failure> {
        let (plugins, networks) = (own(machine).join("opt/cni/bin"), own(machine).join("cni/net.d"));
        disk(&plugins, fs::create_dir_all(&plugins))?;
        disk(&networks, fs::create_dir_all(&networks))?;
        let network = networks.join("10-flannel.conflist");
        disk(&network, fs::write(&network, settings::pod_network(machine).to_string()))?;
        let from = self.parts.programs.folder("containerd")?.join("usr/lib/cni");
        for name in ["bridge", "host-local", "loopback", "portmap"] {
            disk(&from, fs::copy(from.join(name), plugins.join(name)))?;
        }
        Ok(())
    }

    /// Takes its power: everything that ran on it is gone at once.
    pub fn stop(&self, machine: Machine) -> Result<(), Failure> {
        let space =
            Space::of(machine.name).ok_or_else(|| Failure::Nothing(format!("running machine {}", machine.name)))?;
        space.end()?;
        cgroup::remove(Some(machine))
    }

    /// Empties the disk of a machine without power.
    pub fn wipe(&self, machine: Machine) -> Result<(), Failure> {
        let own = own(machine);
        if own.exists() { disk(&own, fs::remove_dir_all(&own)) } else { Ok(()) }
    }

    /// Whether it has power.
    pub fn runs(&self, machine: Machine) -> bool {
        Space::of(machine.name).is_some()
    }

    pub(super) fn ip(&self, network: Option<&str>, lines: &str) -> Result<(), Failure> {
        feed(self.keeper.enter(&self.parts.programs, network).args(["ip", "-batch", "-"]), lines).map(drop)
    }
}
