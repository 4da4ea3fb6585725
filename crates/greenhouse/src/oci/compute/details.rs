//! What a launch asks for.

use super::super::call::{Call, need, read};
use super::super::network::NewVnic;
use super::super::region::FAULT_DOMAINS;
use super::super::reply::Refusal;
use super::super::resource::Naming;
use super::images::Firmware;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const LAUNCH: &[&str] = &[
    "availabilityDomain",
    "capacityReservationId",
    "compartmentId",
    "createVnicDetails",
    "dedicatedVmHostId",
    "definedTags",
    "securityAttributes",
    "displayName",
    "extendedMetadata",
    "faultDomain",
    "clusterPlacementGroupId",
    "freeformTags",
    "computeClusterId",
    "hostnameLabel",
    "imageId",
    "ipxeScript",
    "launchOptions",
    "instanceOptions",
    "availabilityConfig",
    "preemptibleInstanceConfig",
    "metadata",
    "agentConfig",
    "shape",
    "shapeConfig",
    "sourceDetails",
    "subnetId",
    "launchVolumeAttachments",
    "isPvEncryptionInTransitEnabled",
    "platformConfig",
    "placementConstraintDetails",
    "isAIEnterpriseEnabled",
    "instanceConfigurationId",
    "licensingConfigs",
];
const VNIC: &[&str] = &[
    "assignIpv6Ip",
    "assignPublicIp",
    "assignPrivateDnsRecord",
    "definedTags",
    "displayName",
    "freeformTags",
    "securityAttributes",
    "hostnameLabel",
    "ipv6AddressIpv6SubnetCidrPairDetails",
    "subnetCidr",
    "nsgIds",
    "privateIp",
    "privateIpId",
    "skipSourceDestCheck",
    "subnetId",
    "vlanId",
];
const SHAPE_CONFIG: &[&str] = &[
    "ocpus",
    "vcpus",
    "memoryInGBs",
    "baselineOcpuUtilization",
    "nvmes",
    "resourceManagement",
    "localVolumeSizeInGBs",
];
const SOURCE: &[&str] = &[
    "sourceType",
    "bootVolumeSizeInGBs",
    "imageId",
    "kmsKeyId",
    "bootVolumeVpusPerGB",
    "instanceSourceImageFilterDetails",
];
/// `metadata` and `extendedMetadata` together, as JSON.
const METADATA_BYTES_MAX: usize = 32_000;
/// Sizes a boot volume may have, in GB.
pub(super) const BOOT_VOLUME_GIB: std::ops::RangeInclusive<u64> = 50..=32_768;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LaunchDetails {
    #[serde(flatten)]
    naming: Naming,
    availability_domain: Option<String>,
    fault_domain: Option<String>,
    shape: Option<String>,
    shape_config: Option<Value>,
    source_details: Option<Value>,
    image_id: Option<String>,
    create_vnic_details: Option<Value>,
    subnet_id: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
    extended_metadata: Option<Map<String, Value>>,
    launch_options: Option<Map<String, Value>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShapeConfig {
    pub(super) ocpus: Option<f64>,
    #[serde(rename = "memoryInGBs")]
    pub(super) memory_gib: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceDetails {
    pub(super) source_type: Option<String>,
    pub(super) image_id: Option<String>,
    #[serde(rename = "bootVolumeSizeInGBs")]
    pub(super) size_gib: Option<u64>,
    #[serde(rename = "bootVolumeVpusPerGB")]
    pub(super) vpus: Option<u64>,
}

/// A launch that has been understood, before it is known whether it can be had.
pub(super) struct Wanted {
    pub(super) naming: Naming,
    pub(super) availability_domain: String,
    pub(super) fault_domain: String,
    pub(super) shape: String,
    pub(super) config: ShapeConfig,
    pub(super) source: SourceDetails,
    pub(super) image: String,
    pub(super) vnic: NewVnic,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) extended_metadata: Map<String, Value>,
    pub(super) firmware: Option<Firmware>,
    pub(super) launch_options: Map<String, Value>,
}

/// A part of the body that may be absent or null.
fn optional<T: Default + serde::de::DeserializeOwned>(value: Option<Value>, known: &[&str]) -> Result<T, Refusal> {
    value.filter(|value| !value.is_null()).map_or_else(|| Ok(T::default()), |value| read(value, known))
}

/// Reads a launch; what hangs on the state of the world is not checked here.
pub(super) fn understand(call: &Call) -> Result<Wanted, Refusal> {
    let details: LaunchDetails = call.details(LAUNCH)?;
    let source: SourceDetails = optional(details.source_details, SOURCE)?;
    match source.source_type.as_deref() {
        None | Some("image") => {}
        Some("bootVolume") => return Err(Refusal::not_implemented("Launching from a boot volume")),
        Some(_) => return Err(Refusal::unreadable()),
    }
    let image = source.image_id.clone().or(details.image_id);
    let mut vnic: NewVnic = optional(details.create_vnic_details, VNIC)?;
    vnic.subnet_id = vnic.subnet_id.or(details.subnet_id);
    let launch_options = details.launch_options.unwrap_or_default();
    let firmware = launch_options.get("firmware").filter(|value| !value.is_null());
    let firmware = firmware.map(|word| Firmware::of(word.as_str().unwrap_or_default())).transpose()?;
    let fault_domain = details.fault_domain.unwrap_or_else(|| FAULT_DOMAINS.concat());
    let fault_domain = match FAULT_DOMAINS.iter().find(|known| fault_domain.starts_with(**known)) {
        Some(known) => (*known).to_owned(),
        None => return Err(Refusal::invalid(format!("faultDomain {fault_domain} is invalid"))),
    };
    let (metadata, extended_metadata) =
        (details.metadata.unwrap_or_default(), details.extended_metadata.unwrap_or_default());
    check_metadata(&metadata, &extended_metadata)?;
    Ok(Wanted {
        naming: details.naming,
        availability_domain: need(details.availability_domain, "availabilityDomain")?,
        fault_domain,
        shape: need(details.shape, "shape")?,
        config: optional(details.shape_config, SHAPE_CONFIG)?,
        source,
        image: need(image, "sourceDetails.imageId")?,
        vnic,
        metadata,
        extended_metadata,
        firmware,
        launch_options,
    })
}

/// Not too long, and user data that cloud-init could decode.
pub(super) fn check_metadata(
    metadata: &BTreeMap<String, String>,
    extended: &Map<String, Value>,
) -> Result<(), Refusal> {
    let length = |value: Value| if value.as_object().is_some_and(Map::is_empty) { 0 } else { value.to_string().len() };
    let total = length(json!(metadata)) + length(json!(extended));
    if total > METADATA_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "The combined size of metadata and extendedMetadata is {total} bytes, more than {METADATA_BYTES_MAX}"
        )));
    }
    match metadata.get("user_data").map(|text| STANDARD.decode(text)) {
        Some(Err(_)) => Err(Refusal::invalid("Instance metadata user_data must be base64 encoded")),
        _ => Ok(()),
    }
}
