//! Image capability schemas: what an image's instances may be launched with. There is one global schema with one
//! version, and at most one schema of its own for each image.

use super::super::State;
use super::super::call::{Call, Site, need};
use super::super::reply::{Answer, Refusal, document};
use super::super::resource::{Common, Lifecycle, Naming, Resource, shelved};
use super::Image;
use super::images::Firmware;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Map, Value, json};

const CREATE: &[&str] = &[
    "compartmentId",
    "computeGlobalImageCapabilitySchemaVersionName",
    "imageId",
    "freeformTags",
    "displayName",
    "definedTags",
    "schemaData",
];
const UPDATE: &[&str] = &["displayName", "freeformTags", "definedTags", "schemaData"];
/// The global schema's one version; versions are named by UUIDs.
const VERSION: &str = "34dd2cea-aff2-4f45-b8f6-1cb5290bfab2";
const FIRMWARE: &str = "Compute.Firmware";

/// The capabilities of one image.
pub(crate) struct CapabilitySchema {
    common: Common,
    pub(super) image: String,
    data: Map<String, Value>,
}

impl Resource for CapabilitySchema {
    const KIND: &'static str = "computeimgcapschema";
    const LACKS: &'static [&'static str] = &["systemTags"];
    const SUMMARY_LACKS: &'static [&'static str] =
        &["systemTags", "lifecycleState", "computeGlobalImageCapabilitySchemaId"];
    shelved!(capability_schemas);

    fn fields(&self, state: &State) -> Value {
        json!({
            "computeGlobalImageCapabilitySchemaId": state.global_schema(),
            "computeGlobalImageCapabilitySchemaVersionName": VERSION,
            "imageId": self.image,
            "schemaData": self.data,
        })
    }
}

impl CapabilitySchema {
    /// Firmware that instances may have, and which they have if nothing is said.
    pub(super) fn firmware(&self) -> Option<(Vec<Firmware>, Firmware)> {
        let descriptor = self.data.get(FIRMWARE)?;
        let values = descriptor.get("values")?.as_array()?.iter();
        let values: Vec<Firmware> = values.filter_map(|word| Firmware::of(word.as_str()?).ok()).collect();
        let default = descriptor.get("defaultValue").and_then(Value::as_str).and_then(|word| Firmware::of(word).ok());
        let default = default.or_else(|| values.first().copied())?;
        Some((values, default))
    }
}

impl State {
    /// The OCID of the global schema, which belongs to no region.
    fn global_schema(&self) -> String {
        self.ocid("computeglobalimgcapschema", "", 0)
    }
}

/// All capabilities there are, a subset of the vendor's; see "Editing Image Capabilities for Custom Images".
fn global() -> Value {
    let words = |values: &[&str], default: &str| json!({"descriptorType": "enumstring", "source": "GLOBAL", "values": values, "defaultValue": default});
    let flag = |default: bool| json!({"descriptorType": "boolean", "source": "GLOBAL", "defaultValue": default});
    let volumes = ["ISCSI", "SCSI", "IDE", "PARAVIRTUALIZED"];
    json!({
        FIRMWARE: words(&["BIOS", "UEFI_64"], "UEFI_64"),
        "Compute.LaunchMode": words(&["NATIVE", "EMULATED", "VFIO", "PARAVIRTUALIZED", "CUSTOM"], "PARAVIRTUALIZED"),
        "Compute.SecureBoot": flag(false),
        "Compute.AMD_SecureEncryptedVirtualization": flag(false),
        "Network.AttachmentType": words(&["VFIO", "PARAVIRTUALIZED", "E1000"], "PARAVIRTUALIZED"),
        "Network.IPv6Only": flag(false),
        "Storage.BootVolumeType": words(&volumes, "PARAVIRTUALIZED"),
        "Storage.LocalDataVolumeType": words(&volumes, "PARAVIRTUALIZED"),
        "Storage.RemoteDataVolumeType": words(&volumes, "PARAVIRTUALIZED"),
        "Storage.ConsistentVolumeNaming": flag(true),
        "Storage.ParaVirtualization.AttachmentVersion": {
            "descriptorType": "enuminteger", "source": "GLOBAL", "values": [1, 2], "defaultValue": 2,
        },
        "Storage.ParaVirtualization.EncryptionInTransit": flag(true),
        "Storage.Iscsi.MultipathDeviceSupported": flag(false),
    })
}

/// Each element must be a global one, narrowed: its values among the global ones, its default among its values.
fn checked(data: &Map<String, Value>) -> Result<(), Refusal> {
    let global = global();
    for (name, descriptor) in data {
        let wrong = |what: &str| Refusal::invalid(format!("schemaData {name} is invalid: {what}"));
        let known = global.get(name).ok_or_else(|| wrong("not in the global schema"))?;
        if descriptor["descriptorType"] != known["descriptorType"] {
            return Err(wrong("wrong descriptorType"));
        }
        if !matches!(descriptor["source"].as_str(), Some("GLOBAL" | "IMAGE")) {
            return Err(wrong("source must be GLOBAL or IMAGE"));
        }
        let Some(of_global) = known["values"].as_array() else { continue };
        let values = descriptor["values"].as_array().ok_or_else(|| wrong("no values"))?;
        let default = &descriptor["defaultValue"];
        if values.is_empty() || !values.iter().all(|value| of_global.contains(value)) {
            return Err(wrong("values are not a subset of the global ones"));
        }
        if !default.is_null() && !values.contains(default) {
            return Err(wrong("defaultValue is not one of values"));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(flatten)]
    naming: Naming,
    compute_global_image_capability_schema_version_name: Option<String>,
    image_id: Option<String>,
    schema_data: Option<Map<String, Value>>,
}

pub(super) fn routes() -> Router<Site> {
    let global = "/20160918/computeGlobalImageCapabilitySchemas";
    Router::new()
        .route(global, get(list_global))
        .route(&format!("{global}/{{id}}"), get(read_global))
        .route(&format!("{global}/{{id}}/versions"), get(list_versions))
        .route(&format!("{global}/{{id}}/versions/{{version}}"), get(read_version))
        .route("/20160918/computeImageCapabilitySchemas", get(list).post(create))
        .route("/20160918/computeImageCapabilitySchemas/{id}", get(read).put(update).delete(delete))
}

const GLOBAL_NAME: &str = "Global Image Capability Schema";
const GLOBAL_CREATED: &str = "2020-09-22T00:00:00Z";

fn shown_global(id: &str) -> Value {
    json!({
        "id": id, "compartmentId": null, "currentVersionName": VERSION, "displayName": GLOBAL_NAME,
        "freeformTags": {}, "definedTags": {}, "timeCreated": GLOBAL_CREATED,
    })
}

fn shown_version(id: &str) -> Value {
    json!({
        "name": VERSION, "computeGlobalImageCapabilitySchemaId": id, "displayName": GLOBAL_NAME,
        "timeCreated": GLOBAL_CREATED, "schemaData": global(),
    })
}

fn global_id(call: &Call, wanted: &str) -> Result<String, Refusal> {
    let id = call.site.world.with(|state| state.oci.global_schema());
    if id == wanted { Ok(id) } else { Err(Refusal::not_found()) }
}

async fn list_global(call: Call) -> Answer {
    let id = call.site.world.with(|state| state.oci.global_schema());
    call.page(vec![shown_global(&id)])
}

async fn read_global(Path(id): Path<String>, call: Call) -> Answer {
    Ok(document(&shown_global(&global_id(&call, &id)?)))
}

async fn list_versions(Path(id): Path<String>, call: Call) -> Answer {
    let mut version = shown_version(&global_id(&call, &id)?);
    if let Value::Object(fields) = &mut version {
        fields.retain(|name, _| name != "schemaData");
    }
    call.page(vec![version])
}

async fn read_version(Path((id, version)): Path<(String, String)>, call: Call) -> Answer {
    let id = global_id(&call, &id)?;
    if version == VERSION { Ok(document(&shown_version(&id))) } else { Err(Refusal::not_found()) }
}

async fn list(call: Call) -> Answer {
    let image = call.query("imageId");
    call.list::<CapabilitySchema>(|schema| image.is_none_or(|id| id == schema.image))
}

async fn create(call: Call) -> Answer {
    let details: Details = call.details(CREATE)?;
    let version = details.compute_global_image_capability_schema_version_name;
    if need(version, "computeGlobalImageCapabilitySchemaVersionName")? != VERSION {
        return Err(Refusal::not_found());
    }
    let image = need(details.image_id, "imageId")?;
    let data = need(details.schema_data, "schemaData")?;
    checked(&data)?;
    let created = call.create(|state| {
        let found = call.site.find::<Image>(&state.oci, &image)?;
        if found.is_platform {
            return Err(Refusal::not_found());
        }
        if state.oci.capability_schemas.values().any(|schema| schema.image == image) {
            return Err(Refusal::conflict(format!("The image {image} already has an image capability schema")));
        }
        let (region, kind) = (call.site.region.name, CapabilitySchema::KIND);
        let common = Common::new(state, region, kind, details.naming, Lifecycle::Active)?;
        Ok(CapabilitySchema { common, image, data })
    })?;
    call.show::<CapabilitySchema>(created.id())
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<CapabilitySchema>(&id)
}

async fn update(Path(id): Path<String>, call: Call) -> Answer {
    let details: Details = call.details(UPDATE)?;
    if let Some(data) = &details.schema_data {
        checked(data)?;
    }
    call.change::<CapabilitySchema>(&id, |state| {
        let schema = call.site.find_mut::<CapabilitySchema>(&mut state.oci, &id)?;
        schema.data = details.schema_data.unwrap_or_else(|| std::mem::take(&mut schema.data));
        schema.common.update(details.naming)
    })
}

async fn delete(Path(id): Path<String>, call: Call) -> Answer {
    call.delete::<CapabilitySchema>(&id, |_, _| Ok(()))
}
