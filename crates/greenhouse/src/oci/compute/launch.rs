//! Whether a launch can be had, and what it makes.

use super::super::call::{Call, Site};
use super::super::crud::Created;
use super::super::network::{PublicIp, Vnic, plug};
use super::super::reply::{Answer, Refusal, with_header};
use super::super::resource::{Common, Lifecycle, Naming, Resource};
use super::super::{strike, work};
use super::details::{BOOT_VOLUME_GIB, Wanted, understand};
use super::images::Firmware;
use super::instances::Instance;
use super::life::come_up;
use super::shapes::Shape;
use super::volumes::attach_new;
use super::{Image, VnicAttachment};
use crate::machine::{Machine, Os};
use crate::world::State as Everything;
use bytes::Bytes;
use serde_json::Value;
use std::net::IpAddr;

pub(super) async fn launch(call: Call) -> Answer {
    let wanted = understand(&call)?;
    let mut work = None;
    let created = call.create(|state| {
        let instance = admit(&call, state, wanted)?;
        let (id, compartment) = (&instance.common.id, &instance.common.compartment);
        work = Some(work::open(state, &call.site, compartment, "LaunchInstance", ("CREATED", "instance", id)));
        Ok(instance)
    })?;
    let answer = call.show::<Instance>(created.id())?;
    let (Created::New(id), Some(work)) = (created, work) else { return Ok(answer) };
    let answer = with_header(answer, "opc-work-request-id", &work);
    come_up(&call.site, id, work);
    Ok(answer)
}

/// Makes the record, the machine without power, the VNIC and the boot volume; or says why they cannot be had.
fn admit(call: &Call, state: &mut Everything, wanted: Wanted) -> Result<Instance, Refusal> {
    let site = &call.site;
    if !state.oci.has_domain(site.region, &wanted.availability_domain) {
        return Err(Refusal::invalid(format!("availabilityDomain {} is invalid", wanted.availability_domain)));
    }
    let absent = |name: &str| {
        let message = format!("shape {name} not found");
        Refusal::new(http::StatusCode::NOT_FOUND, "NotAuthorizedOrNotFound", message)
    };
    let shape = Shape::named(&wanted.shape).ok_or_else(|| absent(&wanted.shape))?;
    if strike(state, "shape-not-found", shape.name).is_some() {
        return Err(absent(shape.name));
    }
    let ocpus = wanted.config.ocpus.or_else(|| call.lies("oci-launch-without-size").then_some(1.0));
    let (ocpus, memory_gib) = shape.size(ocpus, wanted.config.memory_gib)?;
    let size_gib = wanted.source.size_gib.unwrap_or(*BOOT_VOLUME_GIB.start());
    if !BOOT_VOLUME_GIB.contains(&size_gib) {
        return Err(Refusal::invalid(format!("bootVolumeSizeInGBs {size_gib} must be between 50 and 32768")));
    }
    let not_valid = || Refusal::invalid(format!("Shape {} is not valid for image {}.", shape.name, wanted.image));
    let struck = strike(state, "image-shape", shape.name).is_some();
    let image = site.find::<Image>(&state.oci, &wanted.image)?;
    if struck || !image.shapes.contains(shape.name) {
        return Err(not_valid());
    }
    if image.common.lifecycle != Lifecycle::Available {
        return Err(Refusal::incorrect_state(format!("The image {} is not available", wanted.image)));
    }
    let firmware = image.firmware_at_launch(&state.oci, wanted.firmware)?;
    let (disk, launch_mode) = (image.disk.clone(), image.launch_mode.clone());
    let mut launch_options = image.launch_options(firmware);
    if let Value::Object(options) = &mut launch_options {
        options.extend(wanted.launch_options.into_iter().filter(|(_, value)| !value.is_null()));
    }
    check_limits(state, site, shape, (ocpus, memory_gib), &wanted.availability_domain)?;
    let common = Common::new(state, site.region.name, Instance::KIND, wanted.naming, Lifecycle::Provisioning)?;
    let (vnic, wants_public) = plug(site, state, &common, &wanted.availability_domain, wanted.vnic)?;
    if strike(state, "no-capacity", shape.name).is_some() {
        return Err(Refusal::new(http::StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "Out of host capacity."));
    }
    let mut instance = Instance {
        common,
        availability_domain: wanted.availability_domain,
        fault_domain: wanted.fault_domain,
        shape,
        ocpus,
        memory_gib,
        image: wanted.image,
        boot_volume_gib: size_gib,
        boot_volume_vpus: wanted.source.vpus.unwrap_or(10),
        metadata: wanted.metadata,
        extended_metadata: wanted.extended_metadata,
        launch_mode,
        launch_options,
        region: site.region.name,
        machine: None,
    };
    instance.machine = Some(build(state, &instance, &vnic, firmware, disk));
    attach(state, site, &instance, vnic, wants_public)?;
    attach_new(state, site, &instance)?;
    Ok(instance)
}

/// Cores and gigabytes of this shape's family in one availability domain, of what is not terminated.
fn check_limits(
    state: &mut Everything,
    site: &Site,
    shape: &Shape,
    (ocpus, memory_gib): (f64, f64),
    domain: &str,
) -> Result<(), Refusal> {
    let [cores, memory] = shape.limits;
    if strike(state, "limit-exceeded", shape.name).is_some() {
        return Err(Refusal::limit(&[cores, memory]));
    }
    let (used_cores, used_memory) = (state.oci.used(site, cores, domain), state.oci.used(site, memory, domain));
    #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
    let over = |limit: &str, used: f64, more: f64| used + more > state.oci.limit(limit) as f64;
    let mut names = Vec::new();
    if over(cores, used_cores, ocpus) {
        names.push(cores);
    }
    if memory != cores && over(memory, used_memory, memory_gib) {
        names.push(memory);
    }
    if names.is_empty() { Ok(()) } else { Err(Refusal::limit(&names)) }
}

fn build(state: &mut Everything, instance: &Instance, vnic: &Vnic, firmware: Firmware, disk: Bytes) -> u64 {
    let id = state.next_id();
    // Whole and small: checked against the shape's bounds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 1760 GiB")]
    let memory_mib = (instance.memory_gib * 1024.0) as u64;
    let machine = Machine {
        vendor: "oci",
        name: instance.common.name.clone(),
        vendor_id: instance.common.id.clone(),
        arch: instance.shape.arch,
        firmware: firmware.of_machine(),
        cores: instance.shape.vcpus(instance.ocpus),
        memory_mib,
        disk_gib: instance.boot_volume_gib,
        region: instance.region.to_owned(),
        public: Vec::new(),
        private: Some(IpAddr::V4(vnic.address)),
        user_data: instance.metadata.get("user_data").map(|text| Bytes::from(text.clone())),
        disk,
        rescue: None,
        power: false,
        boot: 0,
        os: Os::Off,
        console: Vec::new(),
    };
    state.machines.insert(id, machine);
    id
}

fn attach(
    state: &mut Everything,
    site: &Site,
    instance: &Instance,
    vnic: Vnic,
    wants_public: bool,
) -> Result<(), Refusal> {
    let naming = Naming { compartment_id: Some(instance.common.compartment.clone()), ..Naming::default() };
    let common = Common::new(state, site.region.name, VnicAttachment::KIND, naming, Lifecycle::Attaching)?;
    let (vnic_id, subnet) = (vnic.common.id.clone(), vnic.subnet.clone());
    state.oci.vnics.insert(vnic_id.clone(), vnic);
    let public = if wants_public { Some(PublicIp::assign(site, state, &vnic_id)?) } else { None };
    let attachment = VnicAttachment {
        instance: instance.common.id.clone(),
        availability_domain: instance.availability_domain.clone(),
        vnic: vnic_id,
        subnet,
        public,
        common,
    };
    state.oci.vnic_attachments.insert(attachment.common.id.clone(), attachment);
    Ok(())
}
