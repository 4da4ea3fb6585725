//! Images: the vendor's own, and those that the tenancy imported.

use super::super::State;
use super::super::call::{Call, Site, need};
use super::super::reply::{Answer, Refusal, document, nothing};
use super::super::resource::{Common, Lifecycle, Naming, Resource, shelved};
use super::shapes::{SHAPES, Shape};
use super::{CapabilitySchema, import};
use crate::machine::{self, Arch};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const UPDATE: &[&str] = &["definedTags", "displayName", "freeformTags", "operatingSystem", "operatingSystemVersion"];
/// The vendor's own images: name, operating system, version, architecture.
const PLATFORM: &[(&str, &str, &str, Arch)] = &[
    ("Oracle-Linux-9.6-2026.10.31-0", "Oracle Linux", "9", Arch::Amd64),
    ("Oracle-Linux-9.6-aarch64-2026.10.31-0", "Oracle Linux", "9", Arch::Arm64),
    ("Canonical-Ubuntu-24.04-2026.10.28-0", "Canonical Ubuntu", "24.04", Arch::Amd64),
    ("Canonical-Ubuntu-24.04-aarch64-2026.10.28-0", "Canonical Ubuntu", "24.04", Arch::Arm64),
];

/// What an image's instances start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Firmware {
    Bios,
    Uefi,
}

impl Firmware {
    pub(super) fn of(word: &str) -> Result<Self, Refusal> {
        match word {
            "BIOS" => Ok(Firmware::Bios),
            "UEFI_64" => Ok(Firmware::Uefi),
            other => Err(Refusal::invalid(format!("firmware {other} is invalid"))),
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Firmware::Bios => "BIOS",
            Firmware::Uefi => "UEFI_64",
        }
    }

    pub(super) fn of_machine(self) -> machine::Firmware {
        match self {
            Firmware::Bios => machine::Firmware::Bios,
            Firmware::Uefi => machine::Firmware::Uefi,
        }
    }
}

/// What machines are made from.
pub(crate) struct Image {
    pub(in crate::oci) common: Common,
    pub(super) operating_system: String,
    pub(super) operating_system_version: String,
    pub(super) launch_mode: String,
    pub(super) firmware: Firmware,
    /// Names of the shapes that it may be launched on.
    pub(super) shapes: BTreeSet<String>,
    /// The raw disk.
    pub(super) disk: Bytes,
    pub(super) size_mib: u64,
    /// The vendor's own: shown to all, changed by nobody.
    pub(in crate::oci) is_platform: bool,
}

impl Resource for Image {
    const KIND: &'static str = "image";
    const LACKS: &'static [&'static str] = &["systemTags"];
    shelved!(images);

    fn fields(&self, _state: &State) -> Value {
        json!({
            "baseImageId": null,
            "createImageAllowed": true,
            "launchMode": self.launch_mode,
            "launchOptions": self.launch_options(self.firmware),
            "operatingSystem": self.operating_system,
            "operatingSystemVersion": self.operating_system_version,
            "agentFeatures": null,
            "listingType": null,
            "sizeInMBs": self.size_mib,
            "billableSizeInGBs": self.size_mib.div_ceil(1024),
        })
    }
}

impl Image {
    pub(super) fn launch_options(&self, firmware: Firmware) -> Value {
        let kind = if self.launch_mode == "EMULATED" { "IDE" } else { "PARAVIRTUALIZED" };
        json!({
            "bootVolumeType": kind,
            "firmware": firmware.word(),
            "networkType": if kind == "IDE" { "E1000" } else { kind },
            "remoteDataVolumeType": kind,
            "isPvEncryptionInTransitEnabled": false,
            "isConsistentVolumeNamingEnabled": false,
        })
    }

    /// The firmware of an instance: what its launch says, if the image's capabilities have it; else their default; else
    /// the image's own.
    pub(super) fn firmware_at_launch(&self, state: &State, wanted: Option<Firmware>) -> Result<Firmware, Refusal> {
        let schema = state.capability_schemas.values().find(|schema| schema.image == self.common.id);
        let Some((values, default)) = schema.and_then(CapabilitySchema::firmware) else {
            return Ok(wanted.unwrap_or(self.firmware));
        };
        match wanted {
            None => Ok(default),
            Some(wanted) if values.contains(&wanted) => Ok(wanted),
            Some(other) => Err(Refusal::invalid(format!(
                "firmware {} is not among the capabilities of image {}",
                other.word(),
                self.common.id
            ))),
        }
    }
}

/// The vendor's images in a region, as `(OCID, image)`; `ocid` makes the id of a number.
pub(in crate::oci) fn platform_images(ocid: impl Fn(u64) -> String) -> Vec<(String, Image)> {
    let made = |(order, (name, os, version, arch)): (u64, &(&str, &str, &str, Arch))| {
        let id = ocid(order);
        let shapes = SHAPES.iter().filter(|shape| shape.arch == *arch).map(|shape| shape.name.to_owned()).collect();
        let created = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(498_000);
        let image = Image {
            common: Common::of_vendor(id.clone(), name, created, order),
            operating_system: (*os).to_owned(),
            operating_system_version: (*version).to_owned(),
            launch_mode: "NATIVE".into(),
            firmware: Firmware::Uefi,
            shapes,
            disk: Bytes::from_static(b"not Talos"),
            size_mib: 47_694,
            is_platform: true,
        };
        (id, image)
    };
    (1..).zip(PLATFORM).map(made).collect()
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/20160918/images", get(list).post(import::create))
        .route("/20160918/images/{id}", get(read).put(update).delete(delete))
        .route("/20160918/images/{id}/shapes", get(list_shapes))
        .route("/20160918/images/{id}/shapes/{shape}", get(read_shape).put(add_shape).delete(remove_shape))
}

async fn list(call: Call) -> Answer {
    let (os, version) = (call.query("operatingSystem"), call.query("operatingSystemVersion"));
    let shape = call.query("shape");
    call.list::<Image>(|image| {
        os.is_none_or(|os| os == image.operating_system)
            && version.is_none_or(|version| version == image.operating_system_version)
            && shape.is_none_or(|shape| image.shapes.contains(shape))
    })
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<Image>(&id)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(flatten)]
    naming: Naming,
    operating_system: Option<String>,
    operating_system_version: Option<String>,
}

/// An image of the tenancy's own.
fn own<'a>(call: &Call, state: &'a mut State, id: &str) -> Result<&'a mut Image, Refusal> {
    let image = call.site.find_mut::<Image>(state, id)?;
    if image.is_platform { Err(Refusal::not_found()) } else { Ok(image) }
}

async fn update(Path(id): Path<String>, call: Call) -> Answer {
    let details: Details = call.details(UPDATE)?;
    call.change::<Image>(&id, |state| {
        let image = own(&call, &mut state.oci, &id)?;
        image.operating_system = details.operating_system.unwrap_or_else(|| image.operating_system.clone());
        image.operating_system_version =
            details.operating_system_version.unwrap_or_else(|| image.operating_system_version.clone());
        image.common.update(details.naming)
    })
}

async fn delete(Path(id): Path<String>, call: Call) -> Answer {
    call.site.world.with(|state| {
        let image = own(&call, &mut state.oci, &id)?;
        call.check_match(&image.common.etag())?;
        if image.common.lifecycle != Lifecycle::Available {
            let word = image.common.lifecycle.word();
            return Err(Refusal::incorrect_state(format!("The image {id} is in state {word} and cannot be deleted")));
        }
        state.oci.images.remove(&id);
        state.oci.capability_schemas.retain(|_, schema| schema.image != id);
        Ok(nothing())
    })
}

fn compatibility(image: &str, shape: &str) -> Value {
    json!({"imageId": image, "shape": shape, "memoryConstraints": null, "ocpuConstraints": null})
}

async fn list_shapes(Path(id): Path<String>, call: Call) -> Answer {
    let shapes = call.site.world.with(|state| {
        let image = call.site.find::<Image>(&state.oci, &id)?;
        Ok(image.shapes.iter().map(|shape| compatibility(&id, shape)).collect())
    })?;
    call.page(shapes)
}

async fn read_shape(Path((id, shape)): Path<(String, String)>, call: Call) -> Answer {
    call.site.world.with(|state| {
        let image = call.site.find::<Image>(&state.oci, &id)?;
        if image.shapes.contains(&shape) {
            Ok(document(&compatibility(&id, &shape)))
        } else {
            Err(Refusal::not_found())
        }
    })
}

async fn add_shape(Path((id, shape)): Path<(String, String)>, call: Call) -> Answer {
    // The body is optional and holds constraints only.
    if !call.body.is_empty() {
        let _: Value = call.details(&["memoryConstraints", "ocpuConstraints"])?;
    }
    let shape = need(Shape::named(&shape), "shape").map_err(|_| Refusal::not_found())?;
    call.site.world.with(|state| {
        let image = own(&call, &mut state.oci, &id)?;
        if image.common.lifecycle != Lifecycle::Available {
            let word = image.common.lifecycle.word();
            return Err(Refusal::incorrect_state(format!("The image {id} is in state {word}")));
        }
        image.shapes.insert(shape.name.to_owned());
        image.common.touch();
        Ok(document(&compatibility(&id, shape.name)))
    })
}

async fn remove_shape(Path((id, shape)): Path<(String, String)>, call: Call) -> Answer {
    call.site.world.with(|state| {
        let image = own(&call, &mut state.oci, &id)?;
        if !image.shapes.remove(&shape) {
            return Err(Refusal::not_found());
        }
        image.common.touch();
        Ok(nothing())
    })
}
