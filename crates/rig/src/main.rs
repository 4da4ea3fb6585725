//! The rig by hand: `rig up|down|status|run [--talos]`, which `cargo xtask rig` starts.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks on its terminal")]

use bouquet_rig::talos::{Planned, Talos, bundle};
use bouquet_rig::{Failure, MACHINES, Options, ROSE, Rig, down, left, story};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "rig up        three real nodes Ready
rig status    what there is of it on this machine
rig down      takes everything away, also what a rig that was cut off has left
rig run       up, the whole story with its times, down
rig up --talos   three machines that run Talos itself
rig image FOLDER ARCHIVE   the watcher's image from the sources in FOLDER";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ended = match words.as_slice() {
        ["up"] => up(),
        ["up", "--talos"] => talos(),
        ["down"] => down().map(|()| told()),
        ["status"] => status(),
        ["run"] => run(),
        ["image", folder, archive] => image(Path::new(folder), Path::new(archive)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn up() -> Result<(), Failure> {
    let rig = Rig::up(Options { tied: false, talk: say })?;
    println!("KUBECONFIG, on its machines: {}", rig.kubeconfig().display());
    Ok(())
}

/// A control plane and two workers.
fn talos() -> Result<(), Failure> {
    let nodes = MACHINES.map(|machine| Planned { machine, control_plane: machine == ROSE });
    let talos = Talos::up(Options { tied: false, talk: say }, &nodes, bundle()?)?;
    println!("TALOSCONFIG={}", talos.talosconfig()?.display());
    println!("HTTPS_PROXY={}", talos.proxy());
    Ok(())
}

fn image(sources: &Path, archive: &Path) -> Result<(), Failure> {
    let image = bouquet_rig::own::watcher(sources, "dist")?;
    bouquet_rig::image::write(std::slice::from_ref(&image), archive)?;
    println!("{}  {}", archive.display(), image.name);
    Ok(())
}

fn status() -> Result<(), Failure> {
    told();
    let rig = Rig::standing()?;
    println!("memory: {} MiB", rig.memory_mib());
    for node in rig.nodes()? {
        println!("{:<6} {:<9} {}", node.name, if node.ready { "Ready" } else { "NotReady" }, node.internal_ip);
    }
    Ok(())
}

fn run() -> Result<(), Failure> {
    let mut rig = Rig::up(Options { tied: true, talk: say })?;
    let ended = story::tell(&mut rig, say);
    rig.down()?;
    told();
    ended.map(drop)
}

fn told() {
    println!("on this machine: {}", left());
}

fn say(line: &str) {
    println!("{line}");
}
