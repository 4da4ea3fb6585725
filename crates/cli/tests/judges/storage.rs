//! Hetzner's object storage.

use crate::judge::{Judge, world};
use assets::Judgement;

/// Each lie of the emulator, and the part of the judge's that must not let it pass.
const LIES: &[(&str, &str)] = &[
    ("s3-signature-unchecked", "signatures"),
    ("s3-skew-forgiven", "signatures"),
    ("s3-expired-url", "presigned"),
    ("s3-digest-unchecked", "signatures"),
    ("s3-checksum-unchecked", "checksums"),
    ("s3-checksum-lost", "checksums"),
    ("s3-range-off-by-one", "ranges"),
    ("s3-put-overwrites", "conditions"),
    ("s3-put-anyhow", "conditions"),
    ("s3-pages-end-early", "listings"),
    ("s3-page-repeats", "listings"),
    ("s3-delimiter-ignored", "listings"),
    ("s3-etag-of-the-whole", "multipart"),
    ("s3-parts-unordered", "multipart"),
    ("s3-small-parts", "multipart"),
    ("s3-copy-without-metadata", "objects"),
    ("s3-last-key-kept", "listings"),
    ("s3-full-bucket-deleted", "buckets"),
];

#[test]
fn amazons_client_keeps_backups_in_the_object_storage_and_notices_every_lie() {
    let what = "Amazon's client on the emulated object storage";
    let Some(judge) = Judge::python("storage.py", "boto3", what) else { return };
    let garden = world("storage", &[]);
    let before = garden.inventory();
    judge.is_content(&garden, &[]);
    assert_eq!(garden.inventory(), before, "what it made it has deleted");
    let count = garden.calls("s3");
    assert_eq!(garden.stop(), Some(0));
    assets::judged(&Judgement {
        protocol: "S3",
        judge: "boto3 1.44.5 (Python)",
        covers: &[
            "buckets",
            "put, get, head, copy, delete",
            "ranges",
            "conditional reads and writes",
            "checksums (CRC32, CRC32C, SHA-1, SHA-256; in headers and in trailers)",
            "both listings, delimiters, pages",
            "deleting many",
            "multipart, by hand and by the transfer manager",
            "presigned URLs",
            "signatures, clock skew, digests",
            "what is refused: versions, locations, other people's names",
            "what the client repeats: 500, 503",
        ],
        lacks: &[
            "virtual-host addressing",
            "chunks that are signed",
            "CRC64-NVME by the client",
            "lifecycle, policies, locks",
        ],
        count,
        lies: &judge.catches("s3-", LIES),
    });
}
