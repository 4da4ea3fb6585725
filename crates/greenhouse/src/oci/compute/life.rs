//! How an instance comes up and goes down, by itself.

use super::super::State;
use super::super::call::Site;
use super::super::network::{PublicIp, release};
use super::super::resource::Lifecycle;
use super::super::{strike, work};
use super::VnicAttachment;
use crate::machine;
use crate::world::State as Everything;
use std::time::Duration;

/// Whether the instance is in this state, and if so puts it into the next.
fn advance(state: &mut Everything, id: &str, from: Lifecycle, to: Lifecycle) -> bool {
    let Some(instance) = state.oci.instances.get_mut(id).filter(|it| it.common.lifecycle == from) else { return false };
    instance.common.enter(to);
    let name = instance.common.name.clone();
    state.note(format_args!("oci instance {name}: {}", to.word()));
    true
}

/// PROVISIONING, STARTING, RUNNING.
pub(super) fn come_up(site: &Site, id: String, work: String) {
    let world = site.world.clone();
    site.world.spawn(async move {
        let name = world.with(|state| state.oci.instances.get(&id).map(|instance| instance.common.name.clone()));
        let name = name.unwrap_or_default();
        let up = world.stage(&name, "oci-launch", async {
            world.delay_between(&format!("oci provision {name}"), 20_000, 40_000).await;
            world.with(|state| {
                work::progress(state, &work, 50);
                advance(state, &id, Lifecycle::Provisioning, Lifecycle::Starting)
            }) && {
                world.delay_between(&format!("oci start {name}"), 3_000, 8_000).await;
                world.with(|state| plugged(state, &id))
            }
        });
        if !up.await {
            let why = "The instance was terminated before it ran";
            world.with(|state| work::fail(state, &work, "InvalidatedLaunch", why));
            return;
        }
        let (machine, lags) = world.with(|state| {
            work::finish(state, &work);
            let lags = strike(state, "no-address", &name);
            if lags.is_none() {
                show_address(state, &id);
            }
            (state.oci.instances.get(&id).and_then(|instance| instance.machine), lags)
        });
        if let Some(machine) = machine {
            machine::power_on(&world, machine);
        }
        if let Some(seconds) = lags {
            world.delay(Duration::from_secs(seconds.parse().unwrap_or(20))).await;
            world.with(|state| show_address(state, &id));
        }
    });
}

/// The instance runs: its VNIC is attached, its machine has its public address.
fn plugged(state: &mut Everything, id: &str) -> bool {
    if !advance(state, id, Lifecycle::Starting, Lifecycle::Running) {
        return false;
    }
    let machine = state.oci.instances.get(id).and_then(|instance| instance.machine);
    let mut public = None;
    for attachment in state.oci.vnic_attachments.values_mut().filter(|attachment| attachment.instance == id) {
        attachment.common.enter(Lifecycle::Attached);
        if let Some(vnic) = state.oci.vnics.get_mut(&attachment.vnic) {
            vnic.common.enter(Lifecycle::Available);
        }
        public = attachment.public.as_ref().and_then(|id| state.oci.public_ips.get(id)).map(PublicIp::address);
    }
    if let Some(machine) = machine.and_then(|id| state.machines.get_mut(&id)) {
        machine.public = public.into_iter().collect();
    }
    true
}

fn show_address(state: &mut Everything, id: &str) {
    let of_instance = |attachment: &&VnicAttachment| attachment.instance == id;
    let public = state.oci.vnic_attachments.values().find(of_instance).and_then(|it| it.public.clone());
    if let Some(public) = public.and_then(|id| state.oci.public_ips.get_mut(&id)) {
        public.show();
    }
}

/// TERMINATING, TERMINATED; then the VNIC lags a little; and after an hour the record is purged.
pub(super) fn take_down(site: &Site, id: String, name: String, work: String, preserves_volume: bool) {
    let world = site.world.clone();
    site.world.spawn(async move {
        let terminate = async {
            world.delay_between(&format!("oci shut down {name}"), 5_000, 15_000).await;
            let machine = world.with(|state| {
                work::progress(state, &work, 40);
                // From here on the machine's end is ours, and nothing that happens by itself.
                state.oci.instances.get_mut(&id).and_then(|instance| instance.machine.take())
            });
            if let Some(machine) = machine {
                machine::destroy(&world, machine);
            }
            world.delay_between(&format!("oci terminate {name}"), 25_000, 45_000).await;
        };
        world.stage(&name, "oci-terminate", terminate).await;
        let stuck = world.with(|state| {
            advance(state, &id, Lifecycle::Terminating, Lifecycle::Terminated);
            drop_volume(&mut state.oci, &id, preserves_volume);
            work::finish(state, &work);
            if state.lies.contains("oci-vnic-detached-at-once") {
                unplug(&mut state.oci, &id);
                return None;
            }
            for attachment in state.oci.vnic_attachments.values_mut().filter(|it| it.instance == id) {
                attachment.common.enter(Lifecycle::Detaching);
            }
            strike(state, "vnic-stuck", &name)
        });
        match stuck {
            Some(seconds) => world.delay(Duration::from_secs(seconds.parse().unwrap_or(900))).await,
            None => world.delay_between(&format!("oci detach {name}"), 5_000, 20_000).await,
        }
        world.with(|state| unplug(&mut state.oci, &id));
        world.delay(Duration::from_hours(1)).await;
        world.with(|state| {
            state.oci.instances.remove(&id);
            state.oci.vnic_attachments.retain(|_, attachment| attachment.instance != id);
        });
    });
}

/// Takes an instance's VNIC away, and its ephemeral address with it.
pub(super) fn unplug(state: &mut State, instance: &str) {
    for attachment in state.vnic_attachments.values_mut().filter(|attachment| attachment.instance == instance) {
        attachment.common.enter(Lifecycle::Detached);
        if let Some(vnic) = state.vnics.remove(&attachment.vnic) {
            release(&mut state.public_ips, &vnic);
        }
    }
}

/// Takes an instance's boot volume away, or only detaches it.
pub(super) fn drop_volume(state: &mut State, instance: &str, preserves: bool) {
    let of_instance: Vec<String> = state
        .boot_volume_attachments
        .values()
        .filter(|attachment| attachment.instance == instance)
        .map(|attachment| attachment.volume.clone())
        .collect();
    state.boot_volume_attachments.retain(|_, attachment| attachment.instance != instance);
    if !preserves {
        state.boot_volumes.retain(|id, _| !of_instance.contains(id));
    }
}
