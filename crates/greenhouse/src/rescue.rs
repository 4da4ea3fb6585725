//! Hetzner's rescue system: an SSH server with a shell that knows what image writers need.
//!
//! A machine that is armed boots into it once. First nothing answers (firmware, network boot), then port 22 is refused
//! while Debian comes up, then sshd takes root by key or password. What a shell does to `/dev/sda` is done to the
//! machine's disk; what it fetches comes over the world's network, as from that machine.
//!
//! ```text
//! ssh: sessions, exec ──▶ syntax: bash's grammar, without loops ──▶ shell: pipelines, redirections ──▶ programs
//! ```

mod disk;
mod fetch;
mod programs;
mod shell;
mod ssh;
mod syntax;

use crate::machine::{self, MachineId, Os, Port};
use crate::net::{Endpoint, Serves};
use crate::world::{State, World};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The next boot goes into the rescue system, with these keys.
pub(crate) struct Armed {
    /// Public keys, OpenSSH format.
    pub authorized_keys: Vec<String>,
    /// Root's password.
    pub root_password: String,
}

/// A rescue system that runs.
pub(crate) struct Running {
    boot: u64,
    access: Arc<Armed>,
    /// Whether sshd listens by now.
    is_up: bool,
    /// The RAM disk.
    files: BTreeMap<String, Bytes>,
}

/// Lies that the emulator can tell.
pub(crate) const LIES: &[crate::Lie] = &[
    ("rescue-any-key", "root is let in with every key"),
    ("rescue-host-key-changes", "each connection meets another host key"),
    ("rescue-status-swallowed", "every command ends with status 0"),
    ("rescue-stderr-as-stdout", "what a command says on stderr arrives as stdout"),
    ("rescue-input-loses-its-end", "the last byte of each packet of input is lost"),
    ("rescue-errexit-ignored", "`set -e` does nothing"),
    ("rescue-pipefail-ignored", "`set -o pipefail` does nothing"),
    ("rescue-nounset-ignored", "`set -u` does nothing"),
    ("rescue-quotes-split", "a quoted variable is split into words"),
    ("rescue-append-overwrites", "`>>` empties the file first"),
    ("rescue-dd-one-block-less", "`dd count=N` copies N - 1 blocks"),
    ("rescue-dd-skip-ignored", "`dd skip=N` reads from the start"),
    ("rescue-dd-shifted", "`dd` to the disk begins a sector late"),
    ("rescue-dd-tail-lost", "`dd` does not write a last block that is not full"),
    ("rescue-unpack-forgives", "an archive that is cut or broken unpacks with status 0"),
    ("rescue-wget-404-is-success", "`wget` ends with status 0 where the server refuses"),
];

/// How long sshd stays away if a fault rule says so without a figure: G7 of the failure modes is minutes.
const REFUSED_S: u64 = 120;

/// What listens on the rescue system.
pub(crate) fn endpoint(world: &World, state: &State, id: MachineId, port: u16) -> Port {
    let Some((machine, running)) = running(state, id) else { return Port::Filtered };
    if port != 22 || !running.is_up {
        return Port::Closed;
    }
    let (world, boot, access) = (world.clone(), running.boot, running.access.clone());
    let serves = Serves::Bytes(Arc::new(move |stream, _| {
        let (world, access) = (world.clone(), access.clone());
        Box::pin(async move { ssh::serve(world, id, boot, access, stream).await })
    }));
    Port::Open(Box::new(Endpoint { name: format!("{}:22", machine.name), vendor: "node", tls: None, serves }))
}

/// Boots into the rescue system: 8 to 14 s until the kernel has the network, 12 to 40 s more until sshd listens.
pub(crate) async fn boot(world: &World, id: MachineId, boot: u64) {
    let armed = world.with(|state| {
        let machine = state.machines.get_mut(&id)?;
        Some((machine.name.clone(), machine.rescue.take()?))
    });
    let Some((name, armed)) = armed else { return };
    let coming_up = async {
        world.delay_between(&format!("rescue kernel {name} {boot}"), 8_000, 14_000).await;
        world.with(|state| {
            if machine::is_boot(state, id, boot) {
                state.note(format_args!("machine {name}: rescue system"));
                let running = Running { boot, access: Arc::new(armed), is_up: false, files: BTreeMap::new() };
                set(state, id, running);
            }
        });
        world.delay_between(&format!("rescue sshd {name} {boot}"), 12_000, 40_000).await;
        if let Some(seconds) = world.fault("hetzner", "rescue-refused", &name) {
            world.delay(Duration::from_secs(seconds.parse().unwrap_or(REFUSED_S))).await;
        }
    };
    world.stage(&name, "rescue-boot", coming_up).await;
    world.with(|state| {
        if let Some(running) = running_mut(state, id).filter(|running| running.boot == boot) {
            running.is_up = true;
        }
    });
}

fn set(state: &mut State, id: MachineId, running: Running) {
    if let Some(machine) = state.machines.get_mut(&id) {
        machine.os = Os::Rescue(running);
    }
}

fn running(state: &State, id: MachineId) -> Option<(&machine::Machine, &Running)> {
    let machine = state.machines.get(&id)?;
    match &machine.os {
        Os::Rescue(running) => Some((machine, running)),
        _ => None,
    }
}

fn running_mut(state: &mut State, id: MachineId) -> Option<&mut Running> {
    match &mut state.machines.get_mut(&id)?.os {
        Os::Rescue(running) => Some(running),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
