//! Oracle Cloud Infrastructure.

use crate::asked::nothing_is_left_untried;
use crate::judge::{Judge, world};
use assets::Judgement;

/// Each lie of the emulator, and the part of the judge's that must not let it pass.
const LIES: &[(&str, &str)] = &[
    ("oci-signature-unchecked", "signatures"),
    ("oci-any-key", "signatures"),
    ("oci-unsigned-digest", "signatures"),
    ("oci-digest-unchecked", "signatures"),
    ("oci-skew-forgiven", "signatures"),
    ("oci-pages-end-early", "pages"),
    ("oci-page-repeats", "pages"),
    ("oci-retry-token-ignored", "tokens"),
    ("oci-etag-ignored", "networks"),
    ("oci-full-vcn-deleted", "networks"),
    ("oci-used-subnet-deleted", "instances"),
    ("oci-routed-gateway-deleted", "networks"),
    ("oci-vnic-detached-at-once", "instances"),
    ("oci-work-never-ends", "instances"),
    ("oci-tags-lost", "networks"),
    ("oci-tags-merged", "networks"),
    ("oci-launch-without-size", "instances"),
    ("oci-usage-uncounted", "instances"),
    ("oci-object-overwritten", "storage"),
    ("oci-part-lost", "multipart"),
    ("oci-md5-unchecked", "storage"),
];

#[test]
fn oracles_own_client_is_content_and_notices_every_lie() {
    let Some(judge) = Judge::python("oracle.py", "oci", "Oracle's client on the emulated cloud") else { return };
    let garden = world("oracle", &[]);
    garden.plant_decoys();
    judge.is_content(&garden, &[]);
    nothing_is_left_untried("oci", &garden);
    let count = garden.calls("oci");
    assets::judged(&Judgement {
        protocol: "Oracle Cloud Infrastructure",
        judge: "oci 2.189.0 (Python)",
        covers: &[
            "signatures: key, digest, target, date, what must be signed",
            "identity",
            "limits",
            "pages by opc-next-page",
            "retry tokens",
            "networks, and the one order in which they go",
            "launch, by the composite that waits for the work request",
            "launches that are refused",
            "power, tags, VNICs that lag",
            "objects, conditions, ranges, digests",
            "multipart, by the upload manager and by hand",
            "import of qcow2 and of an archive, and one that fails",
            "what the client repeats: 429, 500",
        ],
        lacks: &["policies", "block volumes", "console histories", "other regions", "pre-authenticated requests"],
        count,
        lies: &judge.catches("oci-", LIES),
    });
}
