//! Cloudflare.

use crate::asked::nothing_is_left_untried;
use crate::judge::{Judge, world};
use assets::Judgement;

/// Each lie of the emulator, and the part of the judge's that must not let it pass.
const LIES: &[(&str, &str)] = &[
    ("cloudflare-deletes-twice", "records"),
    ("cloudflare-any-token", "tokens"),
    ("cloudflare-other-zone", "tokens"),
    ("cloudflare-batch-by-halves", "batches"),
    ("cloudflare-batch-posts-first", "batches"),
    ("cloudflare-page-repeats", "lists"),
    ("cloudflare-page-short", "lists"),
    ("cloudflare-identical-records", "invalid"),
    ("cloudflare-cname-beside-address", "invalid"),
    ("cloudflare-any-address", "invalid"),
    ("cloudflare-any-ttl", "invalid"),
    ("cloudflare-long-comment", "invalid"),
    ("cloudflare-patch-drops-comment", "changes"),
    ("cloudflare-put-merges", "changes"),
    ("cloudflare-names-by-prefix", "lists"),
    ("cloudflare-names-as-written", "records"),
];

#[test]
fn cloudflares_own_client_is_content_and_notices_every_lie() {
    let what = "Cloudflare's client on the emulated zones";
    let Some(judge) = Judge::python("flare.py", "cloudflare", what) else { return };
    let garden = world("cloudflare", &[]);
    let before = garden.inventory();
    judge.is_content(&garden, &[]);
    assert_eq!(garden.inventory(), before, "what it made it has deleted");
    nothing_is_left_untried("cloudflare", &garden);
    let count = garden.calls("cloudflare");
    assets::judged(&Judgement {
        protocol: "Cloudflare",
        judge: "cloudflare 5.9.0 (Python)",
        covers: &[
            "tokens and other people's zones",
            "zones",
            "records of every kind in use",
            "PATCH and PUT",
            "filters, order, pages",
            "batches, all or nothing",
            "what is refused: twins, CNAME beside addresses, contents, TTLs, comments, tags",
            "what the client repeats: 429, 500, 503",
        ],
        lacks: &["import and export", "DNSSEC", "paid plans' quotas", "the rate limit's window"],
        count,
        lies: &judge.catches("cloudflare-", LIES),
    });
}
