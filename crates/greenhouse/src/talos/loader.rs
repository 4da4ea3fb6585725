//! Firmware and boot loader: whether what is on the disk starts on this machine at all.

use super::Disk;
use super::boot::Boot;
use crate::factory::DiskImage;
use crate::machine::{self, Arch, Firmware, Machine};
use crate::world::State;

/// The system to boot; `None` if the machine stays in its firmware, which its console then shows.
pub(super) fn load(boot: &Boot) -> Option<DiskImage> {
    let (vendor, name) = boot.with(|state| {
        let machine = state.machines.get(&boot.id)?;
        Some((machine.vendor, machine.name.clone()))
    })??;
    // RUNNING in the vendor's eyes, and nothing more ever comes: seen on OCI with images that its firmware rejects.
    if boot.world.fault(vendor, "no-boot", &name).is_some() {
        boot.with(|state| shell(state, boot.id, "BdsDxe: failed to load Boot0001 \"UEFI Disk\": Not Found"))?;
        return None;
    }
    boot.with(|state| {
        let found = state.machines.get(&boot.id).map(bootable)?;
        match found {
            Ok(image) => Some(installed(state, boot.id, image)),
            Err(why) => {
                shell(state, boot.id, why);
                None
            }
        }
    })?
}

fn bootable(machine: &Machine) -> Result<DiskImage, &'static str> {
    let Some(image) = DiskImage::on(&machine.disk) else {
        return Err(match machine.firmware {
            Firmware::Uefi => "BdsDxe: No bootable option or device was found.",
            Firmware::Bios => "Boot failed: not a bootable disk",
        });
    };
    if image.arch != machine.arch {
        // A UEFI of one architecture does not run the other's boot loader.
        return Err("BdsDxe: failed to load Boot0001 \"UEFI Disk\": Unsupported");
    }
    // amd64 images carry GRUB for BIOS beside systemd-boot; there is no BIOS on arm64 that could start its images.
    if machine.firmware == Firmware::Bios && image.arch == Arch::Arm64 {
        return Err("Boot failed: not a bootable disk");
    }
    Ok(image)
}

fn shell(state: &mut State, id: machine::MachineId, why: &str) {
    machine::console(state, id, why);
    let uefi = state.machines.get(&id).is_some_and(|machine| machine.firmware == Firmware::Uefi);
    if uefi {
        machine::console(state, id, "UEFI Interactive Shell v2.2");
        machine::console(state, id, "Shell> ");
    } else {
        machine::console(state, id, "No bootable device.");
    }
}

/// The system that the disk holds now: the image's, unless Talos has upgraded itself since it was written.
fn installed(state: &mut State, id: machine::MachineId, image: DiskImage) -> DiskImage {
    let written = state.machines.get(&id).map(|machine| machine.disk.clone()).unwrap_or_default();
    // The very same bytes, not equal ones: whoever writes the same image again has wiped what was there.
    let same = |disk: &&Disk| disk.written.as_ptr() == written.as_ptr() && disk.written.len() == written.len();
    let known = state.talos.disks.get(&id).filter(same);
    if let Some(disk) = known {
        return disk.system.clone();
    }
    let fresh = Disk { written, system: image.clone(), previous: None, config: None, node_key: None, etcd: None };
    state.talos.disks.insert(id, fresh);
    image
}
