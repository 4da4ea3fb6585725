//! What an image is imported from: a bare qcow2, or an `.oci` archive of a qcow2 and `image_metadata.json`.
//!
//! The archive is a tar, gzipped or not; its metadata has the fields that the vendor's own export and its `ocne` tool
//! write. `imageCapabilityData` is null, an object `{"capabilities": {…}}`, that inner object, or its JSON as a string.

use super::images::Firmware;
use crate::factory::qcow2_to_raw;
use bytes::Bytes;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::io::Read;

/// The largest entry that is unpacked.
const ENTRY_BYTES_MAX: u64 = 256 << 20;
const METADATA_NAME: &str = "image_metadata.json";
const MODES: &[&str] = &["NATIVE", "EMULATED", "PARAVIRTUALIZED", "CUSTOM"];
const NETWORKS: &[&str] = &["E1000", "VFIO", "PARAVIRTUALIZED"];
const VOLUMES: &[&str] = &["ISCSI", "SCSI", "IDE", "VFIO", "PARAVIRTUALIZED"];

/// An image that can be started.
#[derive(Debug)]
pub(super) struct Imported {
    pub disk: Bytes,
    /// What the archive says, if it was one.
    pub described: Option<Described>,
}

/// What `image_metadata.json` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub firmware: Firmware,
    pub launch_mode: String,
    pub operating_system: Option<String>,
    pub operating_system_version: Option<String>,
    /// Names of shapes.
    pub shapes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ImageMetadata {
    version: u8,
    external_launch_options: ExternalLaunchOptions,
    #[serde(default)]
    image_capability_data: Value,
    image_caps_format_version: Option<String>,
    operating_system: Option<String>,
    operating_system_version: Option<String>,
    additional_metadata: Option<AdditionalMetadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExternalLaunchOptions {
    firmware: String,
    network_type: String,
    boot_volume_type: String,
    remote_data_volume_type: String,
    local_data_volume_type: String,
    launch_options_source: String,
    #[serde(rename = "pvAttachmentVersion")]
    _pv_attachment_version: Option<u8>,
    #[serde(rename = "pvEncryptionInTransitEnabled")]
    _pv_encryption_in_transit_enabled: Option<bool>,
    #[serde(rename = "consistentVolumeNamingEnabled")]
    _consistent_volume_naming_enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AdditionalMetadata {
    #[serde(rename = "sourcePublicImageId")]
    _source_public_image_id: Option<String>,
    #[serde(default)]
    shape_compatibilities: Vec<Compatibility>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Compatibility {
    internal_shape_name: String,
    #[serde(rename = "ocpuConstraints")]
    _ocpu_constraints: Option<Value>,
    #[serde(rename = "memoryConstraints")]
    _memory_constraints: Option<Value>,
}

/// Reads what an import finds in its object; the error is what the work request says.
pub(super) fn open(object: &[u8], source_type: Option<&str>) -> Result<Imported, String> {
    if source_type == Some("VMDK") {
        return Err("The source image could not be read as VMDK".into());
    }
    if let Some(raw) = qcow2_to_raw(object) {
        return Ok(Imported { disk: Bytes::from(raw), described: None });
    }
    let broken = |what: &str| format!("The source image is neither a QCOW2 image nor an OCI archive: {what}");
    let unpacked = if object.starts_with(&[0x1f, 0x8b]) { gunzip(object) } else { Some(object.to_vec()) };
    let unpacked = unpacked.ok_or_else(|| broken("bad gzip data"))?;
    let Entries { metadata, qcow2 } = entries(&unpacked).map_err(|error| broken(&error))?;
    let metadata = metadata.ok_or_else(|| broken("no image_metadata.json"))?;
    let qcow2 = qcow2.ok_or_else(|| broken("no QCOW2 image"))?;
    let described = describe(&metadata)?;
    let raw = qcow2_to_raw(&qcow2).ok_or_else(|| broken("the QCOW2 image is damaged"))?;
    Ok(Imported { disk: Bytes::from(raw), described: Some(described) })
}

fn gunzip(packed: &[u8]) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    GzDecoder::new(packed).take(2 * ENTRY_BYTES_MAX).read_to_end(&mut unpacked).ok()?;
    Some(unpacked)
}

/// What an archive holds of use.
#[derive(Default)]
struct Entries {
    metadata: Option<Vec<u8>>,
    qcow2: Option<Vec<u8>>,
}

fn entries(unpacked: &[u8]) -> Result<Entries, String> {
    let mut found = Entries::default();
    let mut archive = tar::Archive::new(unpacked);
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        let path = entry.path().map_err(|error| error.to_string())?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let slot = if name == METADATA_NAME {
            &mut found.metadata
        } else if name.to_ascii_lowercase().ends_with(".qcow2") {
            &mut found.qcow2
        } else {
            continue;
        };
        let mut bytes = Vec::new();
        entry.take(ENTRY_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if slot.replace(bytes).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(found)
}

fn describe(metadata: &[u8]) -> Result<Described, String> {
    let wrong = |what: String| format!("image_metadata.json is invalid: {what}");
    let metadata: ImageMetadata = serde_json::from_slice(metadata).map_err(|error| wrong(error.to_string()))?;
    let options = &metadata.external_launch_options;
    if metadata.version != 2 {
        return Err(wrong(format!("version {}", metadata.version)));
    }
    let checked = [
        (&options.launch_options_source, MODES),
        (&options.network_type, NETWORKS),
        (&options.boot_volume_type, VOLUMES),
        (&options.remote_data_volume_type, VOLUMES),
        (&options.local_data_volume_type, VOLUMES),
    ];
    if let Some((word, _)) = checked.into_iter().find(|(word, known)| !known.contains(&word.as_str())) {
        return Err(wrong(format!("unknown launch option {word}")));
    }
    let outside = Firmware::of(&options.firmware).map_err(|_| wrong(format!("firmware {}", options.firmware)))?;
    let capabilities = capabilities(metadata.image_capability_data).map_err(wrong)?;
    if !capabilities.is_empty() && metadata.image_caps_format_version.as_deref() == Some("") {
        return Err(wrong("imageCapsFormatVersion is empty".into()));
    }
    let firmware = capabilities.get("Compute.Firmware").and_then(|it| it.get("defaultValue")).and_then(Value::as_str);
    let firmware =
        firmware.map_or(Ok(outside), |word| Firmware::of(word).map_err(|_| wrong(format!("firmware {word}"))));
    let shapes = metadata.additional_metadata.map(|it| it.shape_compatibilities).unwrap_or_default();
    Ok(Described {
        firmware: firmware?,
        launch_mode: options.launch_options_source.clone(),
        operating_system: metadata.operating_system,
        operating_system_version: metadata.operating_system_version,
        shapes: shapes.into_iter().map(|shape| shape.internal_shape_name).collect(),
    })
}

fn capabilities(data: Value) -> Result<Map<String, Value>, String> {
    match data {
        Value::Null => Ok(Map::new()),
        Value::String(text) if text.is_empty() => Ok(Map::new()),
        Value::String(text) => serde_json::from_str(&text).map_err(|error| error.to_string()).and_then(capabilities),
        Value::Object(mut fields) => match fields.remove("capabilities") {
            Some(inner) => capabilities(inner),
            None => Ok(fields),
        },
        other => Err(format!("imageCapabilityData {other}")),
    }
}
