//! Three real nodes on this machine, by hand.

use anyhow::{Result, bail};
use rig::talos::{Planned, Talos};
use rig::{MACHINES, Options, ROSE, Rig};

/// `up`, `down`, `status` or `run`.
pub fn run(verb: &str) -> Result<()> {
    match verb {
        "up" => {
            let rig = Rig::up(Options { tied: false, talk: say })?;
            println!("KUBECONFIG, on its machines: {}", rig.kubeconfig().display());
        }
        "down" => {
            rig::down()?;
            println!("on this machine: {}", rig::left());
        }
        "status" => status()?,
        "run" => {
            let mut rig = Rig::up(Options { tied: true, talk: say })?;
            let told = rig::story::tell(&mut rig, say);
            rig.down()?;
            println!("on this machine: {}", rig::left());
            told?;
        }
        verb => bail!("`rig {verb}` is not known; there are up, down, status, run"),
    }
    Ok(())
}

/// Three machines that run Talos itself, a control plane and two workers.
pub fn talos(verb: &str) -> Result<()> {
    match verb {
        "up" => {
            let nodes = MACHINES.map(|machine| Planned { machine, control_plane: machine == ROSE });
            let talos = Talos::up(Options { tied: false, talk: say }, &nodes, rig::talos::bundle()?)?;
            println!("TALOSCONFIG={}", talos.talosconfig()?.display());
            println!("HTTPS_PROXY={}", talos.proxy());
            Ok(())
        }
        "down" | "status" => run(verb),
        verb => bail!("`rig {verb} --talos` is not known; there are up, down, status"),
    }
}

fn say(line: &str) {
    println!("{line}");
}

fn status() -> Result<()> {
    println!("on this machine: {}", rig::left());
    let rig = Rig::standing()?;
    println!("memory: {} MiB", rig.memory_mib());
    for node in rig.nodes()? {
        println!("{:<6} {:<9} {}", node.name, if node.ready { "Ready" } else { "NotReady" }, node.internal_ip);
    }
    Ok(())
}
