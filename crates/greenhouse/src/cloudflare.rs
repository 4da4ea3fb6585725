//! Cloudflare: zones, records, batch.
//!
//! ```text
//! token ──api──▶ zone ──▶ records, changed one by one or in a batch that is one transaction
//!                  └──answer──▶ what resolvers hear
//! ```
//!
//! One account on the Free plan with the world's zone and a second one that another token is for. Nothing is proxied
//! for real: a proxied name answers Cloudflare's own addresses, and nobody in this world is behind them.

mod answers;
mod api;
mod batch;
mod filter;
mod record;
mod records;
#[cfg(test)]
mod tests;
mod zone;

use crate::world::{State as Everything, World};
pub(crate) use answers::{End, Said};
use api::{Rate, Token};
use record::Record;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use wire::Rng;
use zone::Zone;

/// Letters of an API token.
const TOKEN_LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-";
/// How long resolvers may keep that a name is not there: the last field of the SOA that Cloudflare serves, in seconds.
pub(crate) const NEGATIVE_TTL_S: u32 = 1800;

/// Lies that the emulator can tell.
pub(crate) const LIES: &[crate::Lie] = &[
    ("cloudflare-deletes-twice", "deleting a record that is not there is a success"),
    ("cloudflare-any-token", "every token is the account's first"),
    ("cloudflare-other-zone", "a token reaches every zone"),
    ("cloudflare-batch-by-halves", "what came before a change that fails stays changed"),
    ("cloudflare-batch-posts-first", "a batch makes records before it deletes any"),
    ("cloudflare-page-repeats", "every page is the first"),
    ("cloudflare-page-short", "the last record of a list is on no page"),
    ("cloudflare-identical-records", "two records may be the same"),
    ("cloudflare-cname-beside-address", "an alias may stand beside addresses"),
    ("cloudflare-any-address", "the content of an A record may be anything"),
    ("cloudflare-any-ttl", "a TTL may be of any length"),
    ("cloudflare-long-comment", "a comment may be of any length"),
    ("cloudflare-patch-drops-comment", "a change that says nothing of the comment removes it"),
    ("cloudflare-put-merges", "a PUT keeps what it does not name"),
    ("cloudflare-names-by-prefix", "a filter by name finds what begins with it"),
    ("cloudflare-names-as-written", "a record shows the name that it was made with"),
];

/// The lies of one world.
type Lies = BTreeSet<&'static str>;

/// The account.
pub(crate) struct State {
    rng: Rng,
    account: String,
    tokens: Vec<Token>,
    zones: Vec<Zone>,
    rate: Rate,
    /// Counts record ids.
    made: u64,
}

impl State {
    pub(crate) fn new(rng: &Rng, zone: &str) -> Self {
        let mut draws = rng.child("account");
        let mut hex_id = || hex::encode(draws.bytes::<16>());
        let (account, ids) = (hex_id(), [hex_id(), hex_id(), hex_id(), hex_id(), hex_id()]);
        let [first, second, first_token, second_token, third_token] = ids;
        let token = |id: String, zone: &str| {
            let text = rng.child(&format!("token {id}")).text(TOKEN_LETTERS, 40);
            Token { id, text, zone: zone.to_owned() }
        };
        let tokens = vec![token(first_token, &first), token(second_token, &second), token(third_token, &first)];
        let other = if zone == "example.net" { "example.org" } else { "example.net" };
        let zones = vec![Zone::new(first, zone), Zone::new(second, other)];
        let mut state = State { rng: rng.clone(), account, tokens, zones, rate: Rate::default(), made: 0 };
        state.plant(zone);
        state
    }

    /// What a zone in use holds before bouquet comes: somebody's site and mail.
    fn plant(&mut self, zone: &str) {
        let long_ago = "2025-03-14T09:26:53Z".parse().unwrap_or_default();
        let drafts = [
            json!({"type": "A", "name": "@", "content": "198.51.100.80", "proxied": true}),
            json!({"type": "CNAME", "name": "www", "content": zone, "proxied": true}),
            json!({"type": "MX", "name": "@", "content": "mail.example.org", "priority": 10}),
            json!({"type": "TXT", "name": "@", "content": "\"v=spf1 include:mail.example.org -all\""}),
        ];
        for draft in drafts {
            let id = self.record_id();
            if let Some(zone) = self.zones.first_mut() {
                let record = Record::read(&draft, None, &zone.name, id, long_ago, &Lies::new());
                let _planted = record.and_then(|record| zone.insert(record, &Lies::new()));
            }
        }
    }

    fn record_id(&mut self) -> String {
        self.made += 1;
        hex::encode(self.rng.child(&format!("record {}", self.made)).bytes::<16>())
    }
}

/// `CLOUDFLARE_API_TOKEN`; under `CLOUDFLARE_API_TOKEN_OTHER` a token that is for another zone, under
/// `BOUQUET_WATCHER_DNS_TOKEN` a second one for the first.
pub(crate) fn credentials(state: &Everything) -> Vec<(&'static str, String)> {
    let names = ["CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_TOKEN_OTHER", "BOUQUET_WATCHER_DNS_TOKEN"];
    names.into_iter().zip(state.cloudflare.tokens.iter().map(|token| token.text.clone())).collect()
}

/// Puts `api.cloudflare.com` on the internet.
pub(crate) fn mount(world: &World) {
    let router = api::router(world);
    world.with(|state| state.net.mount("api.cloudflare.com", "cloudflare", router));
}

/// What the name servers of the account's zones say of a name; `None` if it is in none of them.
pub(crate) fn answer(state: &Everything, name: &str, kind: u16) -> Option<Said> {
    answers::answer(&state.cloudflare.zones, name, kind)
}

/// Whether a name has no records of its own.
pub(crate) fn is_wild(state: &Everything, name: &str) -> bool {
    let mut records = state.cloudflare.zones.iter().flat_map(|zone| zone.records.values());
    records.all(|record| record.name != name) && state.cloudflare.zones.iter().all(|zone| zone.name != name)
}

/// Makes an A record that is not the product's.
pub(crate) fn foreign(world: &World, name: &str) {
    world.with(|state| {
        let now = state.now();
        let id = state.cloudflare.record_id();
        let draft = json!({"type": "A", "name": name, "content": "198.51.100.99", "ttl": 300});
        let Some(zone) = state.cloudflare.zones.first_mut() else { return };
        let made = Record::read(&draft, None, &zone.name, id, now, &Lies::new())
            .and_then(|record| zone.insert(record, &Lies::new()));
        let how = if made.is_ok() { "foreign record" } else { "no room for a foreign record" };
        state.note(format_args!("dns: {how} {name}"));
    });
}

/// Makes a TXT record that is not the product's.
#[cfg(test)]
pub(crate) fn foreign_text(state: &mut Everything, name: &str, text: &str) {
    let (now, id) = (state.now(), state.cloudflare.record_id());
    let draft = json!({"type": "TXT", "name": name, "content": text});
    let zone = state.cloudflare.zones.first_mut().unwrap();
    let truthful = Lies::default();
    Record::read(&draft, None, &zone.name, id, now, &truthful)
        .and_then(|record| zone.insert(record, &truthful))
        .ok()
        .unwrap();
}

/// Adds `cloudflare_records`, without times.
pub(crate) fn inventory(state: &Everything, kinds: &mut Map<String, Value>) {
    let mut records: Vec<&Record> = state.cloudflare.zones.iter().flat_map(|zone| zone.records.values()).collect();
    records.sort_by(|a, b| a.id.cmp(&b.id));
    let shown = records.into_iter().map(|record| {
        json!({
            "id": record.id, "name": record.name, "type": record.kind, "content": record.content, "ttl": record.ttl,
            "proxied": record.proxied, "comment": record.comment,
        })
    });
    kinds.insert("cloudflare_records".into(), shown.collect());
}
