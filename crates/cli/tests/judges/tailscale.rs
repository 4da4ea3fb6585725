//! Tailscale.

use crate::asked::nothing_is_left_untried;
use crate::judge::{Judge, world};
use assets::Judgement;

/// Each lie of the emulator, and the part of the judge's that must not let it pass.
const LIES: &[(&str, &str)] = &[
    ("tailscale-any-secret", "credentials"),
    ("tailscale-any-token", "credentials"),
    ("tailscale-scopes-ignored", "policy"),
    ("tailscale-any-tags", "keys"),
    ("tailscale-key-without-tags", "keys"),
    ("tailscale-key-shown-again", "keys"),
    ("tailscale-key-for-ninety-days", "keys"),
    ("tailscale-deleted-key-stays", "keys"),
    ("tailscale-etag-ignored", "policy"),
    ("tailscale-any-policy", "policy"),
    ("tailscale-comments-lost", "policy"),
    ("tailscale-deleted-device-stays", "devices"),
    ("tailscale-device-keeps-its-tags", "devices"),
    ("tailscale-device-stays-authorised", "devices"),
    ("tailscale-key-expiry-stays", "devices"),
    ("tailscale-routes-lost", "devices"),
    ("tailscale-seen-while-connected", "devices"),
    ("tailscale-one-kind-of-id", "devices"),
];

#[test]
fn tailscales_own_client_is_content_and_notices_every_lie() {
    let Some(judge) = Judge::tailnet("Tailscale's client on the emulated tailnet") else { return };
    let garden = world("tailnet", &[]);
    judge.is_content(&garden, &[]);
    nothing_is_left_untried("tailscale", &garden);
    let count = garden.calls("tailscale");
    assets::judged(&Judgement {
        protocol: "Tailscale API",
        judge: "tailscale.com/client/tailscale/v2 2.9.0 (Go)",
        covers: &[
            "API keys and OAuth client credentials, scopes",
            "auth keys: create with tags, list, show once, expiry, delete",
            "devices: list, get by both ids, tags, approval, name, address, key expiry, routes, delete",
            "policy: parsed and raw, validate, set, ETag",
            "tailnet settings",
            "errors",
        ],
        lacks: &["what a node says when it logs in", "DNS, webhooks, logging, users' invitations", "rate limits"],
        count,
        lies: &judge.catches("tailscale-", LIES),
    });
}
