//! Hetzner Cloud.

use crate::answers;
use crate::asked::nothing_is_left_untried;
use crate::judge::{Judge, world};
use assets::Judgement;
use std::path::Path;

/// Each lie of the emulator, and the part of the judge's that must not let it pass.
const LIES: &[(&str, &str)] = &[
    ("hetzner-any-token", "tokens"),
    ("hetzner-readonly-token-writes", "tokens"),
    ("hetzner-page-repeats", "lists"),
    ("hetzner-pages-end-early", "lists"),
    ("hetzner-selector-of-one-term", "lists"),
    ("hetzner-sort-ignored", "lists"),
    ("hetzner-snapshot-never-ends", "snapshots"),
    ("hetzner-snapshot-without-labels", "snapshots"),
    ("hetzner-failure-is-success", "failures"),
    ("hetzner-name-twice", "orders"),
    ("hetzner-user-data-of-any-length", "orders"),
    ("hetzner-used-firewall-deleted", "firewalls"),
    ("hetzner-delete-without-action", "servers"),
    ("hetzner-deleted-server-stays", "servers"),
    ("hetzner-locked-is-a-conflict", "failures"),
    ("hetzner-rescue-without-password", "rescue"),
    ("hetzner-size-as-text", "servers"),
];

/// Whether every answer had the shape that the vendor's documents say.
fn shapes(noted: &Path) -> Result<(), String> {
    let faults = answers::faults(&answers::noted(noted));
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

#[test]
fn hetzners_own_client_is_content_and_notices_every_lie() {
    let Some(judge) = Judge::python("hetzner.py", "hcloud", "Hetzner's client on the emulated cloud") else { return };
    let judge = judge.with_second_look(shapes);
    let garden = world("hetzner", &[]);
    garden.plant_decoys();
    let before = garden.inventory();
    judge.is_content(&garden, &[]);
    assert_eq!(garden.inventory(), before, "what it made it has deleted");
    nothing_is_left_untried("hetzner", &garden);
    let count = garden.calls("hetzner");
    assets::judged(&Judgement {
        protocol: "Hetzner Cloud",
        judge: "hcloud 2.27.0 (Python)",
        covers: &[
            "tokens",
            "catalogue and prices",
            "pages, selectors, sorting",
            "SSH keys",
            "firewalls and what they are applied to",
            "servers: create, power, change of type, delete",
            "orders that are refused",
            "snapshots",
            "rescue system",
            "actions that end well, badly, or never",
            "stock, quotas, locks",
            "what the client repeats: 429, 409, 502",
        ],
        lacks: &[
            "networks, volumes, load balancers, floating and primary addresses of their own",
            "protection",
            "ISOs",
        ],
        count,
        lies: &judge.catches("hetzner-", LIES),
    });
}
