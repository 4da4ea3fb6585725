//! Sequences that end a boot: reboot, shutdown, reset. They run by themselves; the call that asked has its answer.

use super::boot::Boot;
use super::proto::common::Error;
use super::proto::machine::{PhaseEvent, SequenceEvent, TaskEvent};
use super::{Stage, etcd, node_mut};
use crate::machine;
use bytes::Bytes;

/// What ends a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sequence {
    Reboot,
    Shutdown,
    /// Leave etcd first; what to wipe; whether to start again.
    Reset {
        graceful: bool,
        wipe: Wipe,
        reboot: bool,
    },
}

/// Which partitions are wiped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wipe {
    /// The whole disk, boot loader included: nothing boots from it any more.
    pub all: bool,
    pub state: bool,
    pub ephemeral: bool,
}

impl Sequence {
    fn word(self) -> &'static str {
        match self {
            Sequence::Reboot => "reboot",
            Sequence::Shutdown => "shutdown",
            Sequence::Reset { .. } => "reset",
        }
    }

    fn stage(self) -> Stage {
        match self {
            Sequence::Reboot => Stage::Rebooting,
            Sequence::Shutdown => Stage::ShuttingDown,
            Sequence::Reset { .. } => Stage::Resetting,
        }
    }
}

/// Starts a sequence. One at a time: a clash shows only as an event, as in life.
pub(super) fn begin(boot: &Boot, sequence: Sequence, actor: &str) {
    let word = sequence.word().to_owned();
    let free = boot.node(|node| {
        let free = !std::mem::replace(&mut node.locked, true);
        let error = (!free).then(|| Error { code: 1, message: "locked".into() });
        // START is 1; NOOP, 0, carries the error.
        let event = SequenceEvent { sequence: word, action: i32::from(free), error };
        node.publish("machine.SequenceEvent", &event, actor);
        if free {
            node.set_stage(sequence.stage());
        }
        free
    });
    if free == Some(true) {
        let (here, actor) = (boot.clone(), actor.to_owned());
        boot.spawn(async move { run(&here, sequence, &actor).await });
    }
}

async fn run(boot: &Boot, sequence: Sequence, actor: &str) -> Option<()> {
    let word = sequence.word();
    boot.say(format!("[talos] {word} sequence: started"))?;
    phase(boot, "cleanup", actor, 0)?;
    if let Sequence::Reset { graceful: true, .. } = sequence {
        boot.takes("leave etcd", 1_000, 2_000).await?;
        boot.with(|state| leave_etcd(state, boot.id))?;
    }
    task(boot, "stopAllServices", actor)?;
    // Pods get their grace period, services are stopped, volumes unmounted.
    boot.takes("stop services", 3_000, 7_000).await?;
    phase(boot, "cleanup", actor, 1)?;
    boot.with(|state| {
        if let Sequence::Reset { wipe, .. } = sequence {
            erase(state, boot.id, wipe);
        }
        machine::console(state, boot.id, format!("[talos] {word} sequence: done"));
    })?;
    // What is booted next boots by itself: this task must not be waited for by what it ends.
    match sequence {
        Sequence::Reboot | Sequence::Reset { reboot: true, .. } => machine::power_cycle(&boot.world, boot.id),
        Sequence::Shutdown | Sequence::Reset { .. } => machine::power_off(&boot.world, boot.id),
    }
    Some(())
}

fn phase(boot: &Boot, name: &str, actor: &str, action: i32) -> Option<()> {
    let event = PhaseEvent { phase: name.to_owned(), action };
    boot.node(|node| node.publish("machine.PhaseEvent", &event, actor))
}

fn task(boot: &Boot, name: &str, actor: &str) -> Option<()> {
    let event = TaskEvent { task: name.to_owned(), action: 0 };
    boot.node(|node| node.publish("machine.TaskEvent", &event, actor))
}

/// Takes the machine's member out of its cluster and empties its data directory.
pub(super) fn leave_etcd(state: &mut crate::world::State, id: machine::MachineId) {
    let membership = etcd::of(state, id).map(|(_, membership)| membership);
    if let Some(membership) = membership
        && let Some(cluster) = state.talos.etcd.get_mut(&membership.cluster)
    {
        cluster.remove(membership.member);
    }
    etcd::tell_kubernetes(state);
    if let Some(disk) = state.talos.disks.get_mut(&id) {
        disk.etcd = None;
    }
    let now = state.now();
    if let Some(node) = node_mut(state, id) {
        node.kube_api = None;
        node.service("etcd", "Finished", "Service finished successfully", now);
    }
}

fn erase(state: &mut crate::world::State, id: machine::MachineId, wipe: Wipe) {
    if let Some(disk) = state.talos.disks.get_mut(&id) {
        if wipe.state || wipe.all {
            disk.config = None;
        }
        if wipe.ephemeral || wipe.all {
            disk.node_key = None;
            disk.etcd = None;
        }
    }
    if let Some(machine) = state.machines.get_mut(&id).filter(|_| wipe.all) {
        machine.disk = Bytes::new();
    }
}
