//! Machines: power, disk, firmware, addresses, and whatever the bytes on the disk make of them.

use crate::net::{Endpoint, From};
use crate::rescue;
use crate::talos;
use crate::world::{State, World};
use crate::{dns, kube};
use crate::{hetzner, oci};
use bytes::Bytes;
use std::net::IpAddr;
use std::time::Duration;

/// A machine's number in this world.
pub(crate) type MachineId = u64;

/// Processor architectures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arch {
    Arm64,
    Amd64,
}

/// What a machine's firmware boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Firmware {
    Uefi,
    Bios,
}

/// A machine, as its cloud built it.
pub(crate) struct Machine {
    /// `hetzner`, `oci`: who owns it and decides its firewall.
    pub vendor: &'static str,
    /// The name in the vendor's listing.
    pub name: String,
    /// The vendor's id, as metadata services show it.
    pub vendor_id: String,
    pub arch: Arch,
    pub firmware: Firmware,
    pub cores: u32,
    pub memory_mib: u64,
    pub disk_gib: u64,
    pub region: String,
    pub public: Vec<IpAddr>,
    pub private: Option<IpAddr>,
    /// As the vendor's metadata service would hand it out: the bytes given at creation, untouched.
    pub user_data: Option<Bytes>,
    /// The first bytes of the system disk; the rest is zero.
    pub disk: Bytes,
    /// Set by the vendor: the next boot goes into the rescue system.
    pub rescue: Option<rescue::Armed>,
    pub power: bool,
    /// Counts boots, so that what an earlier boot started finds out that it is over.
    pub boot: u64,
    pub os: Os,
    /// What came out of the serial console.
    pub console: Vec<String>,
}

/// What runs on a machine.
pub(crate) enum Os {
    /// No power.
    Off,
    /// Firmware and boot loader, or stuck there.
    Firmware,
    /// The vendor's rescue system.
    Rescue(rescue::Running),
    /// Talos, in whatever stage.
    Talos(Box<talos::Node>),
}

/// What is at a port of a machine.
pub(crate) enum Port {
    Open(Box<Endpoint>),
    Closed,
    /// The machine's own firewall drops it, or nothing runs there at all.
    Filtered,
}

/// The machine with this server or node name.
pub(crate) fn named(state: &State, name: &str) -> Option<MachineId> {
    let by_name = state.machines.iter().find(|(_, machine)| machine.name == name);
    let by_node = || {
        state.machines.iter().find(|(_, machine)| match &machine.os {
            Os::Talos(node) => node.hostname() == name,
            _ => machine.name.ends_with(&format!("-{name}")),
        })
    };
    by_name.or_else(by_node).map(|(id, _)| *id)
}

/// What fault rules call a machine: its node's host name once that has one, else the server's.
pub(crate) fn known_as(state: &State, id: MachineId) -> String {
    let Some(machine) = state.machines.get(&id) else { return String::new() };
    match &machine.os {
        Os::Talos(node) if !node.hostname().is_empty() => node.hostname().to_owned(),
        _ => machine.name.clone(),
    }
}

/// The machine with this public address.
pub(crate) fn at(state: &State, address: IpAddr) -> Option<MachineId> {
    state.machines.iter().find(|(_, machine)| machine.public.contains(&address)).map(|(id, _)| *id)
}

/// Whether the vendor's firewall lets TCP from `source` to `port` of this machine.
pub(crate) fn admits(state: &State, id: MachineId, source: IpAddr, port: u16) -> bool {
    match state.machines.get(&id).map(|machine| machine.vendor) {
        Some("hetzner") => hetzner::admits(state, id, source, port),
        Some("oci") => oci::admits(state, id, source, port),
        _ => true,
    }
}

/// One way between two places: the same site 1 ms, else tens.
pub(crate) fn latency(state: &State, from: From, to: MachineId) -> Duration {
    let region = |id: &MachineId| state.machines.get(id).map(|machine| machine.region.as_str());
    let ms = match from {
        From::Operator => 25,
        From::Machine(id) if region(&id) == region(&to) => 1,
        From::Machine(_) => 12,
    };
    Duration::from_millis(ms)
}

/// What listens at `port` of the machine, for a packet from `source`.
pub(crate) fn endpoint(world: &World, state: &mut State, id: MachineId, source: IpAddr, port: u16) -> Port {
    let Some(machine) = state.machines.get(&id) else { return Port::Filtered };
    match &machine.os {
        Os::Off | Os::Firmware => Port::Filtered,
        Os::Rescue(_) => rescue::endpoint(world, state, id, port),
        Os::Talos(_) => talos::endpoint(world, state, id, source, port),
    }
}

/// Gives the machine power and lets it boot. Does nothing if it has power.
pub(crate) fn power_on(world: &World, id: MachineId) {
    let boot = world.with(|state| {
        let machine = state.machines.get_mut(&id).filter(|machine| !machine.power)?;
        machine.power = true;
        machine.boot += 1;
        machine.os = Os::Firmware;
        machine.console.clear();
        let (name, boot) = (machine.name.clone(), machine.boot);
        state.note(format_args!("machine {name}: power on"));
        Some(boot)
    });
    if let Some(boot) = boot {
        let world_of_boot = world.clone();
        world.spawn(async move { boot_machine(&world_of_boot, id, boot).await });
    }
}

/// Takes the machine's power at once. Does nothing if it has none.
pub(crate) fn power_off(world: &World, id: MachineId) {
    world.with(|state| {
        let Some(machine) = state.machines.get_mut(&id).filter(|machine| machine.power) else { return };
        machine.power = false;
        machine.boot += 1;
        machine.os = Os::Off;
        let name = machine.name.clone();
        state.note(format_args!("machine {name}: power off"));
        talos::lost(state, id);
        kube::lost(state, id);
        dns::forget(state, From::Machine(id));
        hetzner::power_changed(state, id, false);
        oci::power_changed(state, id, false);
    });
}

/// Off and on again: what firmware and a reboot from within do. Its vendor sees it run all the while.
pub(crate) fn power_cycle(world: &World, id: MachineId) {
    power_off(world, id);
    power_on(world, id);
    world.with(|state| {
        hetzner::power_changed(state, id, true);
        oci::power_changed(state, id, true);
    });
}

/// The machine is gone, behind everybody's back: its vendor lists it no longer.
pub(crate) fn destroy(world: &World, id: MachineId) {
    power_off(world, id);
    world.with(|state| {
        hetzner::forget(state, id);
        oci::forget(state, id);
        state.machines.remove(&id);
    });
}

/// Whether boot number `boot` of the machine is still the running one.
pub(crate) fn is_boot(state: &State, id: MachineId, boot: u64) -> bool {
    state.machines.get(&id).is_some_and(|machine| machine.power && machine.boot == boot)
}

/// Writes a line on the serial console.
pub(crate) fn console(state: &mut State, id: MachineId, line: impl Into<String>) {
    if let Some(machine) = state.machines.get_mut(&id) {
        machine.console.push(line.into());
    }
}

async fn boot_machine(world: &World, id: MachineId, boot: u64) {
    // Firmware and boot loader of a cloud machine: 4 to 7 s.
    let name = world.with(|state| state.machines.get(&id).map(|machine| machine.name.clone())).unwrap_or_default();
    world.stage(&name, "firmware", world.delay_between(&format!("firmware {id} {boot}"), 4_000, 7_000)).await;
    let into_rescue = world.with(|state| {
        if !is_boot(state, id, boot) {
            return None;
        }
        hetzner::power_changed(state, id, true);
        oci::power_changed(state, id, true);
        Some(state.machines.get(&id).is_some_and(|machine| machine.rescue.is_some()))
    });
    match into_rescue {
        Some(true) => rescue::boot(world, id, boot).await,
        Some(false) => talos::boot(world, id, boot).await,
        None => {}
    }
}
