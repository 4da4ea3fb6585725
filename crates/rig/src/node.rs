//! A machine of the rig's: its cable, its namespaces, and the programs that make a node of it.

use crate::certificates::{authority, certificate, key};
use crate::control::{kubeconfig, write_kubeconfig};
use crate::failure::{Failure, disk, output};
use crate::host::{below, until_done};
use crate::machine::{Machine, SWITCH, cable, pod_forwarding, pod_links, pod_masquerade, uplink};
use crate::space::{background, feed};
use crate::{Rig, cgroup, settings};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// The file in a machine's own folder, as it is seen from outside and from inside of the machine.
fn setting(machine: Machine, file: &str) -> (PathBuf, PathBuf) {
    (below(format!("nodes/{}/lib/{file}", machine.name)), PathBuf::from("/var/lib").join(file))
}

impl Rig {
    /// Names a machine's network, and lays its cable to the switch.
    pub(crate) fn cable(&self, machine: Machine) -> Result<(), Failure> {
        self.ip(None, &format!("netns add {}", machine.name))?;
        self.ip(Some(SWITCH), &cable(machine.name, &machine.port()))?;
        self.ip(Some(machine.name), &uplink(&machine.public()))
    }

    /// Switches a machine on: namespaces, and containerd in them.
    pub(crate) fn boot(&mut self, machine: Machine) -> Result<(), Failure> {
        const STARTED: Duration = Duration::from_secs(20);
        cgroup::make(machine)?;
        let folder = below(format!("nodes/{}/lib/cni", machine.name));
        disk(&folder, fs::create_dir_all(&folder))?;
        let (network, _) = setting(machine, "cni/10-flannel.conflist");
        disk(&network, fs::write(&network, settings::pod_network(machine).to_string()))?;
        let (outside, inside) = setting(machine, "containerd.toml");
        let tool = |file: &str| self.programs.tool(file);
        disk(&outside, fs::write(&outside, settings::containerd(&tool("usr/sbin/runc"), &tool("usr/lib/cni"))))?;
        let (space, child) = self.keeper.begin_machine(&self.programs, machine.name, include_str!("machine.sh"))?;
        self.bond.bears(child);
        let lead = space.on(&self.programs);
        let arguments = vec!["--config".to_owned(), inside.display().to_string()];
        let log = format!("{}-containerd", machine.name);
        background(lead, &log, &tool("usr/bin/containerd"), &arguments)?;
        until_done(&format!("containerd serves on {}", machine.name), STARTED, &log, || {
            output(self.ctr(machine)?.arg("version")).map(Some)
        })
        .map(drop)
    }

    /// containerd's own client on a machine.
    pub(crate) fn ctr(&self, machine: Machine) -> Result<std::process::Command, Failure> {
        let mut ctr = self.command(machine)?;
        ctr.arg(self.programs.tool("usr/bin/ctr")).args(["--namespace", "k8s.io"]);
        Ok(ctr)
    }

    /// Lays the pod network over the mesh.
    pub(crate) fn lay_pod_network(&self, machine: Machine) -> Result<(), Failure> {
        let on = || self.command(machine);
        feed(on()?.args(["ip", "-batch", "-"]), &pod_links(machine))?;
        feed(on()?.args(["bridge", "-batch", "-"]), &pod_forwarding(machine))?;
        feed(on()?.args(["iptables-restore", "--noflush"]), &pod_masquerade()).map(drop)
    }

    /// Starts the kubelet and kube-proxy.
    pub(crate) fn start_node(&self, machine: Machine) -> Result<(), Failure> {
        let name = machine.name;
        write_kubeconfig(name)?;
        write_kubeconfig("kube-proxy")?;
        let lead = || self.command(machine);
        let (outside, inside) = setting(machine, "kubelet.json");
        let text = settings::kubelet(machine, &authority(), &certificate(name), &key(name));
        disk(&outside, fs::write(&outside, text.to_string()))?;
        let arguments = vec![
            format!("--config={}", inside.display()),
            format!("--kubeconfig={}", kubeconfig(name).display()),
            format!("--hostname-override={name}"),
            format!("--node-ip={}", machine.mesh()),
        ];
        background(lead()?, &format!("{name}-kubelet"), &self.programs.inside("kubelet")?, &arguments)?;
        let (outside, inside) = setting(machine, "kube-proxy.json");
        disk(&outside, fs::write(&outside, settings::kube_proxy(machine, &kubeconfig("kube-proxy")).to_string()))?;
        let arguments = vec![format!("--config={}", inside.display())];
        background(lead()?, &format!("{name}-kube-proxy"), &self.programs.inside("kube-proxy")?, &arguments)
    }

    /// Lines for `ip -batch`, in a network of the rig's.
    pub(crate) fn ip(&self, network: Option<&str>, lines: &str) -> Result<(), Failure> {
        feed(self.keeper.enter(&self.programs, network).args(["ip", "-batch", "-"]), lines).map(drop)
    }
}
