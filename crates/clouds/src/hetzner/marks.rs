//! The labels by which bouquet knows its own, and the names it gives.

use super::types::Labels;
use crate::{Arch, Image, Key};

pub(super) const CLUSTER: &str = "bouquet.dev/cluster";
pub(super) const NODE: &str = "bouquet.dev/node";
pub(super) const ROLE: &str = "bouquet.dev/role";
const ARCH: &str = "bouquet.dev/arch";
const TALOS: &str = "bouquet.dev/talos";
/// A schematic id has 64 digits and a label's value at most 63, so the two halves are kept apart.
const SCHEMATIC: &str = "bouquet.dev/schematic";
const SCHEMATIC_REST: &str = "bouquet.dev/schematic-rest";
const SCHEMATIC_HALF: usize = 32;

/// The role of the temporary machine and key that an image is made with.
pub(super) const BUILDER: &str = "builder";

/// Labels of what the whole cluster shares.
pub(super) fn shared(cluster: &str) -> Labels {
    Labels::from([(CLUSTER.to_owned(), cluster.to_owned())])
}

/// Labels of a machine.
pub(super) fn machine(cluster: &str, node: &str, role: &str) -> Labels {
    let mut labels = shared(cluster);
    labels.extend([(NODE.to_owned(), node.to_owned()), (ROLE.to_owned(), role.to_owned())]);
    labels
}

/// Labels of what an image is made with.
pub(super) fn builder(cluster: &str) -> Labels {
    let mut labels = shared(cluster);
    labels.insert(ROLE.to_owned(), BUILDER.to_owned());
    labels
}

/// Labels of a snapshot; [`image_of`] reads them.
pub(super) fn image(cluster: &str, image: &Image) -> Labels {
    let mut labels = shared(cluster);
    let (half, rest) = image.schematic.split_at_checked(SCHEMATIC_HALF).unwrap_or((&image.schematic, ""));
    labels.extend(
        [
            (ROLE, "image".to_owned()),
            (ARCH, image.arch.to_string()),
            (TALOS, image.talos.clone()),
            (SCHEMATIC, half.to_owned()),
            (SCHEMATIC_REST, rest.to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    labels
}

/// What a snapshot with these labels is an image of.
pub(super) fn image_of(labels: &Labels) -> Option<Image> {
    let arch = match labels.get(ARCH)?.as_str() {
        "arm64" => Arch::Arm64,
        "amd64" => Arch::Amd64,
        _ => return None,
    };
    let rest = labels.get(SCHEMATIC_REST).map_or("", String::as_str);
    let schematic = format!("{}{rest}", labels.get(SCHEMATIC)?);
    Some(Image { region: String::new(), arch, schematic, talos: labels.get(TALOS)?.clone() })
}

/// Whether the labels are this cluster's mark.
pub(super) fn ours(labels: &Labels, cluster: &str) -> bool {
    labels.get(CLUSTER).is_some_and(|value| value == cluster)
}

/// Whether a label is part of the mark, which is what a plan compares. What the engine records beside it is not.
pub(super) fn is_mark(label: &str) -> bool {
    [CLUSTER, NODE, ROLE, ARCH, TALOS, SCHEMATIC, SCHEMATIC_REST].contains(&label)
}

/// The mark alone.
pub(super) fn only(labels: &Labels) -> Labels {
    labels.iter().filter(|(key, _)| is_mark(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A key of this cloud.
pub(super) fn key(kind: &str, region: &str, name: impl Into<String>) -> Key {
    Key { cloud: super::NAME.to_owned(), kind: kind.to_owned(), region: region.to_owned(), name: name.into() }
}

/// The one firewall of a cluster's nodes.
pub(super) fn firewall_key(cluster: &str) -> Key {
    key("firewall", "", format!("{cluster}-nodes"))
}

/// A snapshot has a description where others have a name; this is both. Images have no region at Hetzner.
pub(super) fn image_key(cluster: &str, image: &Image) -> Key {
    let schematic = image.schematic.get(..12).unwrap_or(&image.schematic);
    key("image", "", format!("{cluster}-talos-{}-{}-{schematic}", image.talos, image.arch))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn an_image() -> Image {
        let schematic = "613e1592b2da41ae5e265e8789429f22e121aab91cb4deb6bc3c0b6262961245".to_owned();
        Image { region: String::new(), arch: Arch::Arm64, schematic, talos: "1.14.6".to_owned() }
    }

    #[test]
    fn an_image_is_known_again_by_labels_that_hetzner_accepts() {
        let labels = image("bouquet", &an_image());
        assert_eq!(image_of(&labels), Some(an_image()));
        assert!(labels.values().all(|value| value.len() <= 63));
        assert!(ours(&labels, "bouquet") && !ours(&labels, "bouquet-two"));
    }
}
