//! A real cluster of real nodes on one machine: rose, lily and tulip.
//!
//! A [`Machine`] is a bundle of namespaces with its own containerd, kubelet and kube-proxy; a switch joins them by cables to
//! a wide area, in which a client sits too; real Tailscale joins them to a mesh; pods reach each other by VXLAN over that.
//! The control plane runs on rose. A [`Rig`] is all of it: it is brought [up](Rig::up), machines are [cut](Rig::cut) off,
//! [killed](Rig::kill) and brought back, programs are [frozen](Rig::freeze), and it is taken [down](Rig::down).
//!
//! What it makes outside of its namespaces is a state folder and control groups, and both bear its name. It refuses to touch
//! an address that is not inside of them, a process that is not its own, and the settings of the kernel they all share; and
//! there is one rig a machine. `docs/rig.md` says how it is used and what it is made of.

mod bond;
mod certificates;
mod cgroup;
mod control;
mod failure;
mod host;
pub mod image;
mod machine;
mod mesh;
mod needs;
mod node;
pub mod own;
mod programs;
mod settings;
mod space;
mod state;
pub mod story;
pub mod talos;
mod trouble;
mod work;

pub use failure::Failure;
pub use machine::{LILY, MACHINES, Machine, ROSE, SWITCH_ADDRESS as INTERNET_ADDRESS, TULIP};
pub use state::{Left, Node, left};
pub use work::Answer;

use bond::Bond;
use failure::disk;
use host::{below, now};
use machine::{CLIENT, SWITCH};
use programs::Programs;
use space::Space;
use std::fs;
use std::path::{Path, PathBuf};

/// How a rig is brought up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether it ends with the process that brought it up, however that ends; else it stands until it is taken down.
    pub tied: bool,
    /// Told what has been reached, one line each.
    pub talk: fn(&str),
}

/// Three nodes, and all that is around them. A tied one is taken down when it is dropped.
#[derive(Debug)]
pub struct Rig {
    programs: Programs,
    keeper: Space,
    bond: Bond,
}

/// Looks whether this machine can have a rig; why not, where it cannot.
pub fn ready() -> Result<(), Failure> {
    needs::met(programs::NAMES).map(drop)
}

impl Rig {
    /// Brings three nodes up, and returns when all are Ready. What an earlier rig has left is taken down before.
    pub fn up(options: Options) -> Result<Self, Failure> {
        let programs = needs::met(programs::NAMES)?;
        let lock = host::lock()?;
        down()?;
        let begun = now();
        let reached = |what: &str| (options.talk)(&format!("{:5.1} s  {what}", begun.elapsed().as_secs_f32()));
        for folder in ["logs", "images"].map(below) {
            disk(&folder, fs::create_dir_all(&folder))?;
        }
        programs.lay()?;
        certificates::make()?;
        let (keeper, child) = Space::begin(&programs, options.tied)?;
        let bond = Bond::new(child, options.tied.then_some(lock));
        let mut rig = Self { programs, keeper, bond };
        rig.lay_switch()?;
        rig.start_headscale()?;
        for machine in MACHINES {
            rig.cable(machine)?;
            rig.boot(machine)?;
        }
        reached("three machines with containerd");
        rig.start_api()?;
        rig.join_mesh()?;
        reached("a mesh of three");
        rig.import(&rig.base_images()?)?;
        control::write_kubeconfig("admin")?;
        rig.start_controllers()?;
        reached("the API and its controllers");
        for machine in MACHINES {
            rig.start_node(machine)?;
        }
        rig.apply(include_str!("../manifests/coredns.yaml"))?;
        rig.until_ready(&MACHINES)?;
        reached("three nodes Ready");
        Ok(rig)
    }

    /// The rig that stands on this machine, whoever brought it up.
    pub fn standing() -> Result<Self, Failure> {
        let keeper = Space::of(host::KEEPER).ok_or_else(|| Failure::Nothing("rig on this machine".into()))?;
        Ok(Self { programs: Programs::find()?, keeper, bond: Bond::default() })
    }

    /// Takes the rig down, as [`down`] does.
    pub fn down(mut self) -> Result<(), Failure> {
        self.bond.end()
    }

    /// The administrator's kubeconfig. Its server is an address of the mesh: it is of use on a machine of the rig's only.
    pub fn kubeconfig(&self) -> PathBuf {
        control::kubeconfig("admin")
    }

    fn lay_switch(&self) -> Result<(), Failure> {
        self.ip(None, &format!("netns add {SWITCH}\nnetns add {CLIENT}\n"))?;
        self.ip(Some(SWITCH), &machine::switch_links())?;
        self.ip(Some(CLIENT), &machine::client_links())
    }

    fn join_mesh(&self) -> Result<(), Failure> {
        for machine in MACHINES {
            self.start_tailscaled(machine)?;
        }
        let key = self.join_key()?;
        for machine in MACHINES {
            self.join(machine, Some(&key))?;
            self.lay_pod_network(machine)?;
        }
        Ok(())
    }

    fn base_images(&self) -> Result<PathBuf, Failure> {
        let pause = self.image(settings::PAUSE, "guest", &["/guest", "pause"])?;
        let coredns = self.image("bouquet.test/coredns:1.14.7", "coredns", &["/coredns"])?;
        self.archive("base", &[pause, coredns])
    }
}

/// Takes down whatever a rig has left on this machine, also one that was cut off: its processes, and with them its namespaces
/// and mounts; its control groups; its folder. Does nothing where there is nothing.
pub fn down() -> Result<(), Failure> {
    while let Some(keeper) = Space::of(host::KEEPER) {
        keeper.end()?;
    }
    cgroup::remove(None)?;
    let root = Path::new(host::ROOT);
    // Behind a mount is somebody else's folder.
    if let Some(mount) = state::mounts().into_iter().next() {
        return Err(Failure::Mounted(mount));
    }
    if root.exists() { disk(root, fs::remove_dir_all(root)) } else { Ok(()) }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
