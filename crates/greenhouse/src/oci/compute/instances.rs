//! Instances: their record, and the calls on those that exist.

use super::super::State;
use super::super::call::{Call, Site, need};
use super::super::reply::{Answer, Refusal, nothing, with_header};
use super::super::resource::{Common, Lifecycle, Naming, Resource, shelved};
use super::super::work;
use super::shapes::Shape;
use super::{details, launch, life};
use crate::machine::{self, MachineId};
use crate::world::State as Everything;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const UPDATE: &[&str] = &[
    "isAIEnterpriseEnabled",
    "capacityReservationId",
    "definedTags",
    "securityAttributes",
    "displayName",
    "freeformTags",
    "agentConfig",
    "metadata",
    "extendedMetadata",
    "shape",
    "shapeConfig",
    "sourceDetails",
    "updateOperationConstraint",
    "instanceOptions",
    "faultDomain",
    "launchOptions",
    "availabilityConfig",
    "timeMaintenanceRebootDue",
    "dedicatedVmHostId",
    "platformConfig",
    "licensingConfigs",
];

/// A machine as the tenancy sees it.
pub(crate) struct Instance {
    pub(in crate::oci) common: Common,
    pub(in crate::oci) availability_domain: String,
    pub(super) fault_domain: String,
    pub(in crate::oci) shape: &'static Shape,
    pub(in crate::oci) ocpus: f64,
    pub(in crate::oci) memory_gib: f64,
    pub(super) image: String,
    pub(super) boot_volume_gib: u64,
    pub(super) boot_volume_vpus: u64,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) extended_metadata: Map<String, Value>,
    pub(super) launch_mode: String,
    pub(super) launch_options: Value,
    pub(super) region: &'static str,
    /// The machine behind it, until termination takes it.
    pub(in crate::oci) machine: Option<MachineId>,
}

impl Resource for Instance {
    const KIND: &'static str = "instance";
    shelved!(instances);

    fn fields(&self, _state: &State) -> Value {
        json!({
            "availabilityDomain": self.availability_domain,
            "faultDomain": self.fault_domain,
            "region": self.region,
            "shape": self.shape.name,
            "shapeConfig": {
                "ocpus": self.ocpus,
                "vcpus": self.shape.vcpus(self.ocpus),
                "memoryInGBs": self.memory_gib,
                "processorDescription": self.shape.processor,
                "networkingBandwidthInGbps": self.ocpus,
                "maxVnicAttachments": 2,
            },
            "imageId": self.image,
            "sourceDetails": {
                "sourceType": "image",
                "imageId": self.image,
                "bootVolumeSizeInGBs": self.boot_volume_gib,
                "bootVolumeVpusPerGB": self.boot_volume_vpus,
                "kmsKeyId": null,
            },
            "metadata": self.metadata,
            "extendedMetadata": self.extended_metadata,
            "launchMode": self.launch_mode,
            "launchOptions": self.launch_options,
            "instanceOptions": {"areLegacyImdsEndpointsDisabled": false},
            "availabilityConfig": {"isLiveMigrationPreferred": null, "recoveryAction": "RESTORE_INSTANCE"},
        })
    }
}

/// The instance of this machine.
fn of_machine(state: &mut State, id: MachineId) -> Option<&mut Instance> {
    state.instances.values_mut().find(|instance| instance.machine == Some(id))
}

/// The machine has got or lost power.
pub(in crate::oci) fn power_changed(state: &mut Everything, id: MachineId, on: bool) {
    let Some(instance) = of_machine(&mut state.oci, id) else { return };
    let to = if on { Lifecycle::Running } else { Lifecycle::Stopped };
    let follows = matches!(
        instance.common.lifecycle,
        Lifecycle::Starting | Lifecycle::Running | Lifecycle::Stopping | Lifecycle::Stopped
    );
    if follows && instance.common.lifecycle != to {
        instance.common.enter(to);
        let name = instance.common.name.clone();
        state.note(format_args!("oci instance {name}: {}", to.word()));
    }
}

/// The machine is gone: the instance is TERMINATED, and what hung on it is gone too.
pub(in crate::oci) fn has_ended(state: &mut Everything, id: MachineId) {
    let Some(instance) = of_machine(&mut state.oci, id) else { return };
    instance.machine = None;
    instance.common.enter(Lifecycle::Terminated);
    let id = instance.common.id.clone();
    life::unplug(&mut state.oci, &id);
    life::drop_volume(&mut state.oci, &id, false);
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/20160918/instances", get(list).post(launch::launch))
        .route("/20160918/instances/{id}", get(read).put(update).post(act).delete(terminate))
}

async fn list(call: Call) -> Answer {
    let domain = call.query("availabilityDomain");
    call.list::<Instance>(|instance| domain.is_none_or(|domain| domain == instance.availability_domain))
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<Instance>(&id)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(flatten)]
    naming: Naming,
    metadata: Option<BTreeMap<String, String>>,
    extended_metadata: Option<Map<String, Value>>,
    shape: Option<String>,
    shape_config: Option<Value>,
}

async fn update(Path(id): Path<String>, call: Call) -> Answer {
    let details: Details = call.details(UPDATE)?;
    if details.shape.is_some() || details.shape_config.is_some() {
        return Err(Refusal::not_implemented("Resizing an instance"));
    }
    call.change::<Instance>(&id, |state| {
        let instance = call.site.find_mut::<Instance>(&mut state.oci, &id)?;
        check_alive(instance)?;
        let metadata = details.metadata.unwrap_or_else(|| instance.metadata.clone());
        let extended = details.extended_metadata.unwrap_or_else(|| instance.extended_metadata.clone());
        // Set at launch and never changed after (UpdateInstance, `metadata`).
        for fixed in ["user_data", "ssh_authorized_keys"] {
            if metadata.get(fixed) != instance.metadata.get(fixed) {
                return Err(Refusal::invalid(format!("{fixed} cannot be changed after launch")));
            }
        }
        details::check_metadata(&metadata, &extended)?;
        (instance.metadata, instance.extended_metadata) = (metadata, extended);
        instance.common.update(details.naming)
    })
}

fn check_alive(instance: &Instance) -> Result<(), Refusal> {
    let word = instance.common.lifecycle.word();
    match instance.common.lifecycle {
        Lifecycle::Terminating | Lifecycle::Terminated => Err(Refusal::incorrect_state(format!(
            "The instance {} is in state {word}, which does not allow this operation",
            instance.common.id
        ))),
        _ => Ok(()),
    }
}

/// How long actions take, in milliseconds: a cut, a shutdown that the guest is asked for, a start.
const CUT_MS: (u64, u64) = (5_000, 10_000);
const SHUTDOWN_MS: (u64, u64) = (20_000, 60_000);
const START_MS: (u64, u64) = (10_000, 20_000);

async fn act(Path(id): Path<String>, call: Call) -> Answer {
    let action = call.required("action")?.to_owned();
    let (from, then, wait) = match action.as_str() {
        "START" => (Lifecycle::Stopped, Lifecycle::Starting, START_MS),
        "STOP" => (Lifecycle::Running, Lifecycle::Stopping, CUT_MS),
        "SOFTSTOP" => (Lifecycle::Running, Lifecycle::Stopping, SHUTDOWN_MS),
        "RESET" => (Lifecycle::Running, Lifecycle::Running, CUT_MS),
        "SOFTRESET" => (Lifecycle::Running, Lifecycle::Running, SHUTDOWN_MS),
        other => return Err(Refusal::invalid(format!("action {other} is invalid"))),
    };
    call.change::<Instance>(&id, |state| {
        let instance = call.site.find_mut::<Instance>(&mut state.oci, &id)?;
        check_alive(instance)?;
        // Asking for what already is does nothing.
        if matches!((action.as_str(), instance.common.lifecycle), ("START", Lifecycle::Running))
            || (action.ends_with("STOP") && instance.common.lifecycle == Lifecycle::Stopped)
        {
            return Ok(());
        }
        if instance.common.lifecycle != from {
            let word = instance.common.lifecycle.word();
            return Err(Refusal::incorrect_state(format!(
                "The instance {id} is in state {word}, {action} is impossible"
            )));
        }
        let (name, machine) = (instance.common.name.clone(), need(instance.machine, "machine")?);
        instance.common.enter(then);
        let world = call.site.world.clone();
        let id = id.clone();
        call.site.world.spawn(async move {
            world.delay_between(&format!("oci {action} {name}"), wait.0, wait.1).await;
            let still = |state: &mut Everything| {
                state.oci.instances.get(&id).is_some_and(|instance| instance.common.lifecycle == then)
            };
            if !world.with(still) {
                return;
            }
            match action.as_str() {
                "START" => machine::power_on(&world, machine),
                "STOP" | "SOFTSTOP" => machine::power_off(&world, machine),
                _ => machine::power_cycle(&world, machine),
            }
        });
        Ok(())
    })
}

async fn terminate(Path(id): Path<String>, call: Call) -> Answer {
    let preserves_volume = match call.query("preserveBootVolume") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(Refusal::invalid(format!("preserveBootVolume {other} is invalid"))),
    };
    let begun = call.site.world.with(|state| {
        let instance = call.site.find_mut::<Instance>(&mut state.oci, &id)?;
        call.check_match(&instance.common.etag())?;
        check_alive(instance)?;
        instance.common.enter(Lifecycle::Terminating);
        let (name, compartment) = (instance.common.name.clone(), instance.common.compartment.clone());
        state.note(format_args!("oci instance {name}: TERMINATING"));
        let work = work::open(state, &call.site, &compartment, "TerminateInstance", ("DELETED", "instance", &id));
        Ok((name, work))
    })?;
    let (name, work) = begun;
    let answer = with_header(nothing(), "opc-work-request-id", &work);
    life::take_down(&call.site, id, name, work, preserves_volume);
    Ok(answer)
}
