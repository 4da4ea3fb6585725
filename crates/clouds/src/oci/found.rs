//! Pure: what a listed resource is to a cluster.

use super::mark::{
    self, BUCKET, IMAGE, INSTANCE, INTERNET_GATEWAY, ROUTE_TABLE, SECURITY_LIST, SUBNET, Tags, VCN, key,
};
use super::model::{
    Bucket, Image, Instance, InternetGateway, Listed, RouteTable, SecurityList, ShapeConfig, Subnet, Vcn,
};
use super::rules;
use crate::{Found, State};
use serde_json::{Map, Value, json};
use spec::{CloudPlace, Size};
use std::collections::BTreeMap;

/// Names by id, so that a spec can name what Oracle refers to by OCID. An id that is not in it stays an id, which no
/// wanted spec has.
pub(super) type Names = BTreeMap<String, String>;

/// What tells one kind from another in a listing.
pub(super) trait Detail {
    const KIND: &'static str;
    /// Comparable with what [`super::wanted`] writes.
    fn spec(&self, names: &Names) -> Value;
}

fn named(id: &str, names: &Names) -> Value {
    Value::from(names.get(id).map_or(id, String::as_str))
}

impl Detail for Vcn {
    const KIND: &'static str = VCN;
    fn spec(&self, _: &Names) -> Value {
        json!({"cidrBlocks": self.cidr_blocks})
    }
}

impl Detail for InternetGateway {
    const KIND: &'static str = INTERNET_GATEWAY;
    fn spec(&self, names: &Names) -> Value {
        json!({"vcnId": named(&self.vcn_id, names), "isEnabled": self.is_enabled.unwrap_or(true)})
    }
}

impl Detail for RouteTable {
    const KIND: &'static str = ROUTE_TABLE;
    fn spec(&self, names: &Names) -> Value {
        let rules = self.route_rules.iter().map(|rule| {
            json!({
                "destination": rule.destination.as_ref().or(rule.cidr_block.as_ref()),
                "destinationType": rule.destination_type.as_deref().unwrap_or("CIDR_BLOCK"),
                "networkEntityId": named(&rule.network_entity_id, names),
            })
        });
        json!({"vcnId": named(&self.vcn_id, names), "routeRules": rules.collect::<Vec<_>>()})
    }
}

impl Detail for SecurityList {
    const KIND: &'static str = SECURITY_LIST;
    fn spec(&self, names: &Names) -> Value {
        json!({
            "vcnId": named(&self.vcn_id, names),
            "ingressSecurityRules": rules::canonical(self.ingress_security_rules.clone()),
            "egressSecurityRules": rules::canonical(self.egress_security_rules.clone()),
        })
    }
}

impl Detail for Subnet {
    const KIND: &'static str = SUBNET;
    fn spec(&self, names: &Names) -> Value {
        let mut lists: Vec<Value> = self.security_list_ids.iter().map(|id| named(id, names)).collect();
        lists.sort_by_key(ToString::to_string);
        json!({
            "vcnId": named(&self.vcn_id, names),
            "cidrBlock": self.cidr_block,
            "routeTableId": self.route_table_id.as_deref().map(|id| named(id, names)),
            "securityListIds": lists,
        })
    }
}

impl Detail for Instance {
    const KIND: &'static str = INSTANCE;
    /// The subnet is the VNIC's to know: [`super::find`] adds it.
    fn spec(&self, _: &Names) -> Value {
        let mut spec = Map::new();
        spec.insert("shape".to_owned(), json!(self.shape));
        if let Some(ShapeConfig { ocpus: Some(ocpus), memory_in_gbs: Some(memory) }) = &self.shape_config {
            let config = json!({"ocpus": whole(*ocpus), "memoryInGBs": whole(*memory)});
            spec.insert("shapeConfig".to_owned(), config);
        }
        if let Some(size) = self.source_details.as_ref().and_then(|source| source.boot_volume_size_in_gbs.clone()) {
            spec.insert("bootVolumeSizeInGBs".to_owned(), Value::Number(size));
        }
        Value::Object(spec)
    }
}

impl Detail for Image {
    const KIND: &'static str = IMAGE;
    fn spec(&self, _: &Names) -> Value {
        json!({})
    }
}

/// Oracle writes sizes as 4.0; the cluster file as 4.
#[allow(clippy::cast_possible_truncation, reason = "guarded: whole and small")]
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e9 { json!(number as i64) } else { json!(number) }
}

/// What `listed` is to `cluster`: `None` if it is gone, or nobody's concern.
pub(super) fn found<D: Detail>(listed: &Listed<D>, cluster: &str, asked: &str, names: &Names) -> Option<Found> {
    let name = listed.display_name.as_deref().unwrap_or_default();
    let ours = mark::is_of(&listed.freeform_tags, cluster);
    if !ours && !would_be(D::KIND, name, cluster) {
        return None;
    }
    let lifecycle = listed.lifecycle_state.as_deref().unwrap_or("AVAILABLE");
    let state = state(D::KIND, lifecycle, &listed.freeform_tags)?;
    let mut spec = listed.detail.spec(names);
    if let (INSTANCE, Some(spec)) = (D::KIND, spec.as_object_mut()) {
        spec.insert("freeformTags".to_owned(), mark::machine_part(&listed.freeform_tags));
    }
    Some(Found {
        key: key(D::KIND, &mark::region_of(&listed.id, asked), name),
        id: listed.id.clone(),
        ours,
        node: mark::node_of(&listed.freeform_tags).filter(|_| ours),
        state,
        left_behind: false,
        place: machine_place(D::KIND, &mark::region_of(&listed.id, asked), &spec),
        spec,
        addresses: Vec::new(),
        labels: listed.freeform_tags.clone(),
    })
}

/// Where an instance is and what it is, as the cluster file would say it.
fn machine_place(kind: &str, region: &str, spec: &Value) -> Option<CloudPlace> {
    if kind != INSTANCE {
        return None;
    }
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let config = &spec["shapeConfig"];
    let size = || {
        let (cpus, memory_gib) = (number(&config["ocpus"])?, number(&config["memoryInGBs"])?);
        Some(Size { cpus, memory_gib, disk_gib: number(&spec["bootVolumeSizeInGBs"]).unwrap_or(0) })
    };
    let machine = spec["shape"].as_str()?.to_owned();
    Some(CloudPlace { cloud: mark::OCI.to_owned(), region: region.to_owned(), machine, size: size() })
}

/// The same for buckets, which have neither id nor state: the name is unique in the tenancy's namespace and region.
pub(super) fn found_bucket(bucket: &Bucket, cluster: &str, region: &str) -> Option<Found> {
    let ours = mark::is_of(&bucket.freeform_tags, cluster);
    (ours || bucket.name == mark::bucket_name(cluster)).then(|| Found {
        key: key(BUCKET, region, bucket.name.clone()),
        id: bucket.name.clone(),
        ours,
        node: None,
        left_behind: false,
        place: None,
        state: State::Ready,
        spec: json!({}),
        addresses: Vec::new(),
        labels: bucket.freeform_tags.clone(),
    })
}

/// Whether a resource of this name would be taken for the cluster's own.
fn would_be(kind: &str, name: &str, cluster: &str) -> bool {
    match kind {
        INSTANCE => name.strip_prefix(cluster).is_some_and(|rest| rest.starts_with('-')),
        IMAGE => name.starts_with(&mark::image_prefix(cluster)),
        _ => name == cluster,
    }
}

fn state(kind: &str, lifecycle: &str, tags: &Tags) -> Option<State> {
    Some(match (kind, lifecycle) {
        (_, "TERMINATED" | "DELETED") => return None,
        (_, "TERMINATING") => State::Leaving,
        (INSTANCE, "STOPPED") => State::Off,
        (IMAGE, "AVAILABLE") if !mark::is_bootable(tags) => State::Pending,
        (IMAGE, "DISABLED") => State::Broken("the image is disabled".to_owned()),
        (INSTANCE, "RUNNING") | (IMAGE, "EXPORTING") | (_, "AVAILABLE") => State::Ready,
        _ => State::Pending,
    })
}
