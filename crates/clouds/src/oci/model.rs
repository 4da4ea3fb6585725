//! Oracle's answers, as far as they are read. Unknown fields are passed over; what Oracle may leave null is optional.

use super::mark::Tags;
use super::rules::Rule;
use serde::{Deserialize, Deserializer};

/// What every listed resource has, and what only this kind has.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed<D> {
    pub id: String,
    #[serde(default)]
    pub display_name: Option<String>,
    #[serde(default)]
    pub lifecycle_state: Option<String>,
    #[serde(default)]
    pub compartment_id: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub freeform_tags: Tags,
    #[serde(flatten)]
    pub detail: D,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Vcn {
    #[serde(default, deserialize_with = "null_is_default")]
    pub cidr_blocks: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InternetGateway {
    pub vcn_id: String,
    #[serde(default)]
    pub is_enabled: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RouteTable {
    pub vcn_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub route_rules: Vec<RouteRule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RouteRule {
    /// Older rules have `cidrBlock` alone.
    #[serde(default)]
    pub destination: Option<String>,
    #[serde(default)]
    pub cidr_block: Option<String>,
    #[serde(default)]
    pub destination_type: Option<String>,
    pub network_entity_id: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecurityList {
    pub vcn_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub ingress_security_rules: Vec<Rule>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub egress_security_rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Subnet {
    pub vcn_id: String,
    pub cidr_block: String,
    #[serde(default)]
    pub route_table_id: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub security_list_ids: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instance {
    pub shape: String,
    #[serde(default)]
    pub shape_config: Option<ShapeConfig>,
    #[serde(default)]
    pub source_details: Option<SourceDetails>,
    #[serde(default)]
    pub launch_options: Option<LaunchOptions>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct LaunchOptions {
    /// `UEFI_64` or `BIOS`.
    #[serde(default)]
    pub firmware: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShapeConfig {
    #[serde(default)]
    pub ocpus: Option<f64>,
    #[serde(default, rename = "memoryInGBs")]
    pub memory_in_gbs: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct SourceDetails {
    #[serde(default, rename = "bootVolumeSizeInGBs")]
    pub boot_volume_size_in_gbs: Option<serde_json::Number>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Image {}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VnicAttachment {
    pub instance_id: String,
    #[serde(default)]
    pub lifecycle_state: Option<String>,
    #[serde(default)]
    pub vnic_id: Option<String>,
    #[serde(default)]
    pub subnet_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PrivateIp {
    pub id: String,
    #[serde(default)]
    pub vnic_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PublicIp {
    #[serde(default)]
    pub ip_address: Option<String>,
    #[serde(default)]
    pub assigned_entity_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct AvailabilityDomain {
    pub name: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RegionSubscription {
    pub region_name: String,
    #[serde(default)]
    pub status: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bucket {
    pub name: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub freeform_tags: Tags,
}

/// Oracle writes null where a list or map is empty, now and then.
pub(super) fn null_is_default<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
