use crate::{Arch, Image, Key};
use serde_json::{Value, json};
use spec::Role;
use std::collections::BTreeMap;

/// Freeform tag keys. They need no tag namespace, so nothing has to be set up in the tenancy first.
pub(super) const CLUSTER: &str = "bouquet.dev/cluster";
const NODE: &str = "bouquet.dev/node";
const ROLE: &str = "bouquet.dev/role";
const ARCH: &str = "bouquet.dev/arch";
const SCHEMATIC: &str = "bouquet.dev/schematic";
const TALOS: &str = "bouquet.dev/talos";
/// Only on images that are ready to boot from: an imported image lacks its shapes and firmware at first.
const BOOTABLE: &str = "bouquet.dev/bootable";

/// Freeform tags, as found.
pub(super) type Tags = BTreeMap<String, String>;

/// The kinds, in the order in which they are deleted.
///
/// Instances hold the subnet (by their VNICs), the subnet holds route table and security list, the route table's rule
/// holds the gateway, everything holds the VCN. Deleting our own route table takes its rules along, so none has to be
/// emptied first.
pub(super) const KINDS: [&str; 8] =
    [INSTANCE, SUBNET, ROUTE_TABLE, SECURITY_LIST, INTERNET_GATEWAY, VCN, IMAGE, BUCKET];
pub(super) const INSTANCE: &str = "instance";
pub(super) const SUBNET: &str = "subnet";
pub(super) const ROUTE_TABLE: &str = "route_table";
pub(super) const SECURITY_LIST: &str = "security_list";
pub(super) const INTERNET_GATEWAY: &str = "internet_gateway";
pub(super) const VCN: &str = "vcn";
pub(super) const IMAGE: &str = "image";
pub(super) const BUCKET: &str = "bucket";

/// [`crate::Cloud::name`].
pub(super) const OCI: &str = "oci";

pub(super) fn key(kind: &str, region: &str, name: impl Into<String>) -> Key {
    Key { cloud: OCI.to_owned(), kind: kind.to_owned(), region: region.to_owned(), name: name.into() }
}

pub(super) fn instance_name(cluster: &str, node: &str) -> String {
    format!("{cluster}-{node}")
}

pub(super) fn bucket_name(cluster: &str) -> String {
    format!("bouquet-images-{cluster}")
}

/// What every image's name begins with.
pub(super) fn image_prefix(cluster: &str) -> String {
    format!("{cluster}-talos-")
}

pub(super) fn image_key(cluster: &str, image: &Image) -> Key {
    let schematic: String = image.schematic.chars().take(12).collect();
    let name = format!("{}{}-{}-{schematic}", image_prefix(cluster), image.talos, image.arch);
    key(IMAGE, &image.region, name)
}

/// Tags of what a cluster's machines share.
pub(super) fn shared(cluster: &str) -> Value {
    json!({ CLUSTER: cluster })
}

pub(super) fn machine(cluster: &str, node: &str, role: Role) -> Value {
    json!({ CLUSTER: cluster, NODE: node, ROLE: role.to_string() })
}

pub(super) fn image(cluster: &str, image: &Image, is_bootable: bool) -> Value {
    let mut tags = json!({
        CLUSTER: cluster,
        ARCH: image.arch.to_string(),
        SCHEMATIC: image.schematic,
        TALOS: image.talos,
    });
    if is_bootable && let Some(tags) = tags.as_object_mut() {
        tags.insert(BOOTABLE.to_owned(), Value::from("true"));
    }
    tags
}

pub(super) fn is_of(tags: &Tags, cluster: &str) -> bool {
    tags.get(CLUSTER).is_some_and(|value| value == cluster)
}

pub(super) fn node_of(tags: &Tags) -> Option<String> {
    tags.get(NODE).cloned()
}

pub(super) fn is_bootable(tags: &Tags) -> bool {
    tags.contains_key(BOOTABLE)
}

/// The part of a machine's tags that [`machine`] writes.
pub(super) fn machine_part(tags: &Tags) -> Value {
    let part = tags.iter().filter(|(key, _)| [CLUSTER, NODE, ROLE].contains(&key.as_str()));
    part.map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect()
}

/// What the tags say an image is an image of.
pub(super) fn image_of(tags: &Tags, region: &str) -> Option<Image> {
    let arch = match tags.get(ARCH)?.as_str() {
        "arm64" => Arch::Arm64,
        "amd64" => Arch::Amd64,
        _ => return None,
    };
    let (schematic, talos) = (tags.get(SCHEMATIC)?.clone(), tags.get(TALOS)?.clone());
    Some(Image { region: region.to_owned(), arch, schematic, talos })
}

/// The region that an OCID says it is of; `asked` where it names none, or only an old three-letter code.
///
/// Where one endpoint serves all regions, this is what tells their resources apart.
pub(super) fn region_of(ocid: &str, asked: &str) -> String {
    // ocid1.<type>.<realm>.[region].<unique>
    match ocid.split('.').nth(3) {
        Some(region) if region.contains('-') && super::config::is_region(region) => region.to_owned(),
        _ => asked.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_read_back_from_its_tags() {
        let image = Image {
            region: "eu-frankfurt-1".into(),
            arch: Arch::Arm64,
            schematic: "ab".repeat(32),
            talos: "1.14.6".into(),
        };
        let tags: Tags = serde_json::from_value(super::image("bouquet", &image, false)).unwrap();
        assert_eq!(image_of(&tags, "eu-frankfurt-1"), Some(image.clone()));
        assert!(!is_bootable(&tags));
        assert_eq!(image_key("bouquet", &image).name, "bouquet-talos-1.14.6-arm64-abababababab");
    }

    #[test]
    fn a_region_comes_from_the_ocid_where_it_names_one() {
        assert_eq!(region_of("ocid1.vcn.oc1.eu-frankfurt-1.aaaa", "x-1"), "eu-frankfurt-1");
        assert_eq!(region_of("ocid1.vcn.oc1.iad.aaaa", "us-ashburn-1"), "us-ashburn-1");
        assert_eq!(region_of("bucket", "us-ashburn-1"), "us-ashburn-1");
    }
}
