//! Machines that run real Talos: its own `machined` as the first process of a machine's namespaces, in container mode.
//!
//! A [`Talos`] is the switch with a registry and a discovery service in it, and up to three machines, each with a cable that
//! stands for its device in the mesh (`tailscale0`; the extension itself is not in a container's image). They boot from the
//! configurations that the product renders, from their user data or pushed to them in maintenance mode. Whoever has an HTTP
//! CONNECT [proxy](Talos::proxy) as the way into the mesh reaches them, as the product does over Tailscale.
//!
//! A container has no disk to write and no kernel of its own: upgrades, reboots by `Reboot`, and what needs a kernel module
//! cannot be had here. `docs/rig.md` has the list.

mod config;
mod node;
mod registry;
mod root;

pub use config::Planned;

use crate::bond::Bond;
use crate::failure::{Failure, disk};
use crate::host::{self, below, now, until};
use crate::machine::SWITCH;
use crate::programs::Programs;
use crate::space::{Space, background};
use crate::{Options, down, needs, strings};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use talos::Bundle;
use wire::{Rng, Secret, Time};

/// The newest Talos that can be built here.
pub const TALOS: &str = "1.13.9";
/// The newest Kubernetes that it takes.
const KUBERNETES: &str = "1.36.3";
/// The etcd that it starts unless told otherwise.
const ETCD: &str = "v3.6.12";
const APID: u16 = 50_000;
const DISCOVERY: u16 = 3000;
/// The switch's own address in the mesh, where the registry and the discovery service are.
const MESH_SWITCH: &str = "100.64.0.254";

/// Where nodes tell each other their addresses.
fn discovery_url() -> String {
    format!("http://{MESH_SWITCH}:{DISCOVERY}")
}

const NAMES: &[&str] = &[
    "containerd",
    "containerd-2",
    "containerd-shim-runc-v2",
    "crane",
    "discovery-service",
    "etcd-3.6",
    "guest",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "launcher",
    "machined",
    "runc",
];

/// The programs that nodes are made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub programs: Programs,
}

impl Parts {
    /// Files of the root file system: place in it, file on this machine.
    fn files(&self) -> Result<Vec<(String, PathBuf)>, Failure> {
        let here = |name: &str| self.programs.here(name).map(Path::to_owned);
        let mut files = vec![
            ("usr/bin/init".to_owned(), here("machined")?),
            ("usr/bin/containerd".to_owned(), here("containerd-2")?),
            ("usr/bin/containerd-shim-runc-v2".to_owned(), here("containerd-shim-runc-v2")?),
            ("usr/bin/runc".to_owned(), here("runc")?),
        ];
        let runc = self.programs.folder("runc")?;
        let loader = if cfg!(target_arch = "aarch64") { "ld-linux-aarch64.so.1" } else { "ld-linux-x86-64.so.2" };
        for library in ["libseccomp.so.2", "libc.so.6", loader] {
            let arch = std::env::consts::ARCH;
            let places = [
                format!("usr/lib/{arch}-linux-gnu"),
                format!("lib/{arch}-linux-gnu"),
                "lib64".to_owned(),
                "lib".to_owned(),
            ];
            let found = places.iter().map(|place| runc.join(place).join(library)).find(|file| file.exists());
            let found = found.ok_or_else(|| Failure::Nothing(format!("{library} beside runc")))?;
            files.push((format!("usr/lib/{library}"), found));
        }
        Ok(files)
    }
}

/// Machines that run Talos, and all that is around them. A tied one is taken down when it is dropped.
#[derive(Debug)]
pub struct Talos {
    parts: Parts,
    keeper: Space,
    bond: Bond,
    nodes: Vec<Planned>,
    bundle: Bundle,
    configs: BTreeMap<&'static str, Secret>,
    proxy: String,
}

/// Looks whether this machine can have Talos nodes; why not, where it cannot.
pub fn ready() -> Result<(), Failure> {
    parts().map(drop)
}

/// A bundle of fresh secrets.
pub fn bundle() -> Result<Bundle, Failure> {
    let unread = |said: String| Failure::Unread { program: "the system", said };
    let rng = &mut Rng::from_entropy().map_err(|error| unread(error.to_string()))?;
    Bundle::generate(rng, Time::system(rng.clone()).now()).map_err(|error| unread(error.to_string()))
}

fn parts() -> Result<Parts, Failure> {
    needs::met(NAMES).map(|programs| Parts { programs })
}

impl Talos {
    /// Lays the network and the registry, without a machine that has power. The bundle is what all configurations have in
    /// common.
    pub fn lay(options: Options, nodes: &[Planned], bundle: Bundle) -> Result<Self, Failure> {
        let parts = parts()?;
        let lock = host::lock()?;
        down()?;
        let begun = now();
        let reached = |what: &str| (options.talk)(&format!("{:5.1} s  {what}", begun.elapsed().as_secs_f32()));
        for folder in ["logs", "images"].map(below) {
            disk(&folder, fs::create_dir_all(&folder))?;
        }
        parts.programs.lay()?;
        let launcher = below("bin/launcher");
        disk(&launcher, fs::copy(parts.programs.here("launcher")?, &launcher))?;
        root::lay(&parts, &below("talos"))?;
        let configs = config::render(nodes, &bundle)?;
        let (keeper, child) = Space::begin(&parts.programs, options.tied)?;
        let bond = Bond::new(child, options.tied.then_some(lock));
        let mut talos = Self { parts, keeper, bond, nodes: nodes.to_vec(), bundle, configs, proxy: String::new() };
        talos.ip(None, &format!("netns add {SWITCH}\n"))?;
        let mesh = "link set lo up\nlink add mesh type bridge\nlink set mesh up\n";
        talos.ip(Some(SWITCH), &format!("{mesh}address add {MESH_SWITCH}/10 dev mesh\n"))?;
        for node in nodes {
            talos.cable(node.machine)?;
        }
        talos.proxy = talos.open_door()?;
        talos.start_discovery()?;
        registry::start(&talos.parts, talos.keeper)?;
        registry::fill(&talos.parts, talos.keeper, &registry::of_nodes(&talos.parts)?)?;
        reached("a network with a registry");
        Ok(talos)
    }

    /// The same, and gives all machines power and their configurations. Returns when their APIs listen.
    pub fn up(options: Options, nodes: &[Planned], bundle: Bundle) -> Result<Self, Failure> {
        let begun = now();
        let mut talos = Self::lay(options, nodes, bundle)?;
        for node in nodes {
            let config = talos.config(node.machine).cloned();
            talos.start(node.machine, config.as_ref())?;
        }
        registry::fill(&talos.parts, talos.keeper, &registry::of_control_planes(&talos.parts)?)?;
        for node in nodes {
            talos.until_listening(node.machine)?;
        }
        (options.talk)(&format!("{:5.1} s  {} Talos nodes answer", begun.elapsed().as_secs_f32(), nodes.len()));
        Ok(talos)
    }

    /// Takes all of it down.
    pub fn down(mut self) -> Result<(), Failure> {
        self.bond.end()
    }

    /// What the machine's user data was or would be.
    pub fn config(&self, machine: crate::Machine) -> Option<&Secret> {
        self.configs.get(machine.name)
    }

    /// The cluster's secrets.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Writes the administrator's talosconfig into the rig's folder.
    pub fn talosconfig(&self) -> Result<PathBuf, Failure> {
        const VALID: Duration = Duration::from_hours(24);
        let unread = |said: String| Failure::Unread { program: "the bundle", said };
        let mut rng = Rng::from_entropy().map_err(|error| unread(error.to_string()))?;
        let now = Time::system(rng.clone()).now();
        let admin = talos::talos_client(&self.bundle, talos::Role::Admin, now, VALID, &mut rng)
            .map_err(|error| unread(error.to_string()))?;
        let addresses: Vec<String> = self.nodes.iter().map(|node| node.machine.mesh()).collect();
        let text = talos::talosconfig("bouquet", &self.bundle, &admin, &addresses, &addresses);
        let file = below("talosconfig");
        disk(&file, fs::write(&file, text.expose()))?;
        Ok(file)
    }

    /// The way into the mesh: an HTTP CONNECT proxy, as `BOUQUET_MESH_PROXY` takes it.
    pub fn proxy(&self) -> String {
        format!("http://{}", self.proxy)
    }

    /// Waits until the machine API listens on a machine.
    pub fn until_listening(&self, machine: crate::Machine) -> Result<(), Failure> {
        const STARTED: Duration = Duration::from_secs(90);
        let place = format!("{}:{APID}", machine.mesh());
        until(&format!("the API of {} listens", machine.name), STARTED, || {
            Ok(self.connects(&place).unwrap_or(false).then_some(()))
        })
    }

    fn connects(&self, place: &str) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(&self.proxy)?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        write!(stream, "CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer.ends_with(b"200"))
    }

    fn start_discovery(&self) -> Result<(), Failure> {
        let program = self.parts.programs.inside("discovery-service")?;
        let address = format!("{MESH_SWITCH}:{DISCOVERY}");
        let arguments = strings(&["-addr", &address, "-landing-addr=", "-metrics-addr=", "-snapshots-enabled=false"]);
        background(self.keeper.enter(&self.parts.programs, Some(SWITCH)), "discovery", &program, &arguments)
    }

    fn open_door(&self) -> Result<String, Failure> {
        let lead = self.keeper.enter(&self.parts.programs, None);
        let network = format!("/run/netns/{SWITCH}");
        background(lead, "door", &below("bin/launcher"), &strings(&["door", &network]))?;
        let log = below("logs/door.log");
        until("the way into the mesh is open", Duration::from_secs(10), || {
            let said = disk(&log, fs::read_to_string(&log))?;
            Ok(said.lines().next().filter(|_| said.ends_with('\n')).map(str::to_owned))
        })
    }
}
