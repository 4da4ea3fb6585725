//! What clouds are known to have. Catalogues change faster than releases of bouquet, so that only the cloud's name is
//! binding: a region or machine that is missing here is a warning with the nearest name, never an error.

use crate::cluster::CloudPlace;
use std::ops::RangeInclusive;

/// One cloud, as far as it can be known without asking it. A new cloud is one more entry of [`CLOUDS`].
pub(crate) struct Catalogue {
    pub(crate) cloud: &'static str,
    pub(crate) regions: &'static [&'static str],
    pub(crate) machines: &'static [&'static str],
    /// Whether backups can lie there.
    pub(crate) object_storage: bool,
    /// Its name at Talos's Image Factory.
    pub(crate) platform: &'static str,
    /// Whether a machine type has an Arm processor; all others are amd64.
    pub(crate) is_arm: fn(&str) -> bool,
    /// Whether the machine type leaves cores and memory open.
    pub(crate) is_flexible: fn(&str) -> bool,
}

pub(crate) const CLOUDS: &[Catalogue] = &[
    Catalogue {
        cloud: "hetzner",
        regions: &["fsn1", "nbg1", "hel1", "ash", "hil", "sin"],
        machines: HETZNER_MACHINES,
        object_storage: true,
        platform: "hcloud",
        is_arm: |machine| machine.starts_with("cax"),
        is_flexible: |_| false,
    },
    Catalogue {
        cloud: "oci",
        regions: OCI_REGIONS,
        machines: OCI_MACHINES,
        object_storage: true,
        platform: "oracle",
        // Ampere shapes: VM.Standard.A1.Flex, VM.Standard.A2.Flex, BM.Standard.A1.160.
        is_arm: |machine| machine.split('.').any(|part| matches!(part, "A1" | "A2" | "A4")),
        is_flexible: |machine| machine.ends_with(".Flex"),
    },
];

/// The word that stands for a machine of the owner's own.
pub(crate) const ADDRESS: &str = "address";

pub(crate) fn find(cloud: &str) -> Option<&'static Catalogue> {
    CLOUDS.iter().find(|known| known.cloud == cloud)
}

/// The most that a flexible shape takes.
pub(crate) struct Limits {
    pub(crate) cpus: u32,
    pub(crate) memory_gib_per_cpu: u32,
    pub(crate) memory_gib: u32,
}

/// Limits of the shape, if they are known: docs.oracle.com, "Compute Shapes", flexible shapes.
pub(crate) fn limits(place: &CloudPlace) -> Option<Limits> {
    (place.cloud == "oci" && place.machine == OCI_A1).then_some(Limits {
        cpus: 80,
        memory_gib_per_cpu: 64,
        memory_gib: 512,
    })
}

/// Sizes of a system disk in GiB, where the user chooses it. OCI: docs.oracle.com, "Boot Volumes", custom sizes.
pub(crate) fn disk_gib(place: &CloudPlace) -> Option<RangeInclusive<u32>> {
    (place.cloud == "oci").then_some(50..=32_768)
}

/// The Arm shape that Always Free is about.
pub(crate) const OCI_A1: &str = "VM.Standard.A1.Flex";

/// docs.hetzner.com, "Server types"; the first stands in messages, retired types stay listed, last, while machines of them run.
const HETZNER_MACHINES: &[&str] = &[
    "cpx22", "cpx12", "cpx32", "cpx42", "cpx52", "cpx62", "cax11", "cax21", "cax31", "cax41", "cx23", "cx33", "cx43",
    "cx53", "ccx13", "ccx23", "ccx33", "ccx43", "ccx53", "ccx63", "cpx11", "cpx21", "cpx31", "cpx41", "cpx51", "cx22",
    "cx32", "cx42", "cx52",
];

/// Shapes with enough memory for a node, of the generations that can be ordered.
const OCI_MACHINES: &[&str] = &[
    OCI_A1,
    "VM.Standard.A2.Flex",
    "VM.Standard.E3.Flex",
    "VM.Standard.E4.Flex",
    "VM.Standard.E5.Flex",
    "VM.Standard.E6.Flex",
    "VM.Standard3.Flex",
    "VM.Optimized3.Flex",
    "VM.DenseIO.E4.Flex",
    "VM.DenseIO.E5.Flex",
    "VM.Standard.E2.1.Micro",
    "VM.Standard2.1",
    "VM.Standard2.2",
    "VM.Standard2.4",
    "VM.Standard2.8",
    "VM.Standard2.16",
    "VM.Standard2.24",
];

/// The commercial realm's regions.
const OCI_REGIONS: &[&str] = &[
    "af-casablanca-1",
    "af-johannesburg-1",
    "ap-batam-1",
    "ap-chuncheon-1",
    "ap-hyderabad-1",
    "ap-melbourne-1",
    "ap-mumbai-1",
    "ap-osaka-1",
    "ap-seoul-1",
    "ap-singapore-1",
    "ap-singapore-2",
    "ap-sydney-1",
    "ap-tokyo-1",
    "ca-montreal-1",
    "ca-toronto-1",
    "eu-amsterdam-1",
    "eu-frankfurt-1",
    "eu-madrid-1",
    "eu-marseille-1",
    "eu-milan-1",
    "eu-paris-1",
    "eu-stockholm-1",
    "eu-turin-1",
    "eu-zurich-1",
    "il-jerusalem-1",
    "me-abudhabi-1",
    "me-dubai-1",
    "me-jeddah-1",
    "me-riyadh-1",
    "mx-monterrey-1",
    "mx-queretaro-1",
    "sa-bogota-1",
    "sa-santiago-1",
    "sa-saopaulo-1",
    "sa-valparaiso-1",
    "sa-vinhedo-1",
    "uk-cardiff-1",
    "uk-london-1",
    "us-ashburn-1",
    "us-chicago-1",
    "us-phoenix-1",
    "us-sanjose-1",
];
