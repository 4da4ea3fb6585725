//! Boot volumes, and which instance each belongs to.

use super::super::State;
use super::super::call::{Call, Site};
use super::super::reply::{Answer, Refusal};
use super::super::resource::{Common, Lifecycle, Naming, Resource, shelved};
use super::Instance;
use crate::world::State as Everything;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde_json::{Value, json};

/// An instance's system disk.
pub(crate) struct BootVolume {
    pub(in crate::oci) common: Common,
    availability_domain: String,
    image: String,
    size_gib: u64,
    vpus: u64,
}

impl Resource for BootVolume {
    const KIND: &'static str = "bootvolume";
    shelved!(boot_volumes);

    fn fields(&self, _state: &State) -> Value {
        json!({
            "availabilityDomain": self.availability_domain,
            "imageId": self.image,
            "sizeInGBs": self.size_gib,
            "sizeInMBs": self.size_gib * 1024,
            "vpusPerGB": self.vpus,
            "isHydrated": true,
            "isAutoTuneEnabled": false,
            "volumeGroupId": null,
            "kmsKeyId": null,
        })
    }
}

/// An instance's hold on its boot volume.
pub(crate) struct BootVolumeAttachment {
    pub(super) common: Common,
    availability_domain: String,
    pub(super) instance: String,
    pub(super) volume: String,
}

impl Resource for BootVolumeAttachment {
    const KIND: &'static str = "bootvolumeattachment";
    const LACKS: &'static [&'static str] = &["freeformTags", "definedTags", "systemTags"];
    shelved!(boot_volume_attachments);

    fn fields(&self, _state: &State) -> Value {
        json!({
            "availabilityDomain": self.availability_domain,
            "instanceId": self.instance,
            "bootVolumeId": self.volume,
            "isPvEncryptionInTransitEnabled": false,
            "encryptionInTransitType": "NONE",
        })
    }
}

/// Makes the boot volume of a new instance.
pub(super) fn attach_new(state: &mut Everything, site: &Site, instance: &Instance) -> Result<(), Refusal> {
    let naming = |name: String| Naming {
        compartment_id: Some(instance.common.compartment.clone()),
        display_name: Some(name),
        ..Naming::default()
    };
    let named = naming(format!("{} (Boot Volume)", instance.common.name));
    let common = Common::new(state, site.region.name, BootVolume::KIND, named, Lifecycle::Available)?;
    let volume = common.id.clone();
    let held = naming("Remote boot attachment for instance".into());
    let attached = Common::new(state, site.region.name, BootVolumeAttachment::KIND, held, Lifecycle::Attached)?;
    let availability_domain = instance.availability_domain.clone();
    let attachment = BootVolumeAttachment {
        common: attached,
        availability_domain: availability_domain.clone(),
        instance: instance.common.id.clone(),
        volume: volume.clone(),
    };
    let (size_gib, vpus) = (instance.boot_volume_gib, instance.boot_volume_vpus);
    let boot_volume = BootVolume { common, availability_domain, image: instance.image.clone(), size_gib, vpus };
    state.oci.boot_volumes.insert(volume, boot_volume);
    state.oci.boot_volume_attachments.insert(attachment.common.id.clone(), attachment);
    Ok(())
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/20160918/bootVolumes", get(list))
        .route("/20160918/bootVolumes/{id}", get(read).delete(delete))
        .route("/20160918/bootVolumeAttachments", get(list_attachments))
        .route("/20160918/bootVolumeAttachments/{id}", get(read_attachment))
}

async fn list(call: Call) -> Answer {
    let domain = call.query("availabilityDomain");
    call.list::<BootVolume>(|volume| domain.is_none_or(|domain| domain == volume.availability_domain))
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<BootVolume>(&id)
}

async fn delete(Path(id): Path<String>, call: Call) -> Answer {
    call.delete::<BootVolume>(&id, |_, state| {
        match state.boot_volume_attachments.values().find(|attachment| attachment.volume == id) {
            None => Ok(()),
            Some(held) => {
                Err(Refusal::conflict(format!("The boot volume {id} is attached to the instance {}", held.instance)))
            }
        }
    })
}

async fn list_attachments(call: Call) -> Answer {
    let domain = call.required("availabilityDomain")?;
    let (instance, volume) = (call.query("instanceId"), call.query("bootVolumeId"));
    call.list::<BootVolumeAttachment>(|attachment| {
        domain == attachment.availability_domain
            && instance.is_none_or(|id| id == attachment.instance)
            && volume.is_none_or(|id| id == attachment.volume)
    })
}

async fn read_attachment(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<BootVolumeAttachment>(&id)
}
