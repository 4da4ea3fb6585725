//! What the tenancy's lists would show, for `inventory`.

use super::State;
use super::network::NetworkSecurityGroup;
use super::resource::{Lifecycle, Resource, shown};
use crate::world::State as Everything;
use serde_json::{Map, Value, json};

/// Adds `oci_*`. What is TERMINATED or DELETED, and what the vendor gives to all, is left out.
pub(crate) fn inventory(state: &Everything, kinds: &mut Map<String, Value>) {
    let oci = &state.oci;
    let mut add = |kind: &str, all: Vec<Value>| drop(kinds.insert(format!("oci_{kind}"), Value::Array(all)));
    add("boot_volumes", all(oci, &oci.boot_volumes));
    add("buckets", buckets(oci));
    add("console_histories", all(oci, &oci.console_histories));
    add("image_capability_schemas", all(oci, &oci.capability_schemas));
    add("images", all(oci, &oci.images));
    add("instances", all(oci, &oci.instances));
    add("internet_gateways", all(oci, &oci.internet_gateways));
    add("network_security_groups", groups(oci));
    add("objects", objects(oci));
    add("public_ips", all(oci, &oci.public_ips));
    add("route_tables", all(oci, &oci.route_tables));
    add("security_lists", all(oci, &oci.security_lists));
    add("subnets", all(oci, &oci.subnets));
    add("vcns", all(oci, &oci.vcns));
    add("vnics", all(oci, &oci.vnics));
}

/// Everything on a shelf; OCIDs sort by creation.
fn all<R: Resource>(state: &State, shelf: &std::collections::BTreeMap<String, R>) -> Vec<Value> {
    let is_listed = |resource: &&R| {
        let common = resource.common();
        !common.compartment.is_empty() && !matches!(common.lifecycle, Lifecycle::Terminated | Lifecycle::Deleted)
    };
    shelf.values().filter(is_listed).map(|resource| timeless(shown(resource, state))).collect()
}

fn timeless(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.shift_remove("timeCreated");
        // What nobody named is named after the time it was made at.
        if fields.get("displayName").and_then(Value::as_str).is_some_and(has_a_date) {
            fields.shift_remove("displayName");
        }
    }
    value
}

/// `publicip20261123080000`: letters, then fourteen digits.
fn has_a_date(name: &str) -> bool {
    let digits = name.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    digits.len() < name.len() && digits.len() == 14 && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn groups(state: &State) -> Vec<Value> {
    let rules = |id: &str| -> Vec<Value> {
        let group = state.network_security_groups.get(id);
        group.into_iter().flat_map(NetworkSecurityGroup::rules_shown).map(timeless).collect()
    };
    let mut groups = all(state, &state.network_security_groups);
    for group in &mut groups {
        let id = group["id"].as_str().unwrap_or_default().to_owned();
        group["securityRules"] = Value::Array(rules(&id));
    }
    groups
}

fn buckets(state: &State) -> Vec<Value> {
    let shown = state.buckets.values().map(|bucket| {
        json!({"id": bucket.name, "name": bucket.name, "compartmentId": bucket.compartment, "freeformTags": bucket.freeform})
    });
    shown.collect()
}

fn objects(state: &State) -> Vec<Value> {
    let of_bucket = state.buckets.values().flat_map(|bucket| {
        bucket
            .objects
            .iter()
            .map(|(name, object)| json!({"id": format!("{}/{name}", bucket.name), "size": object.bytes.len()}))
    });
    of_bucket.collect()
}
