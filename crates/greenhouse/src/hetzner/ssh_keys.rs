//! Public keys, for the rescue system.

use super::answer::{Answer, Refusal, created, no_content, ok};
use super::input::{Id, Input, Query};
use super::{list, stamp};
use crate::world::World;
use axum::Router;
use axum::extract::State as Handle;
use axum::routing::get;
use base64::Engine;
use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) struct SshKey {
    id: u64,
    pub(super) name: String,
    fingerprint: String,
    pub(super) public_key: String,
    labels: BTreeMap<String, String>,
    created: Timestamp,
}

impl SshKey {
    pub(super) fn json(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "fingerprint": self.fingerprint, "public_key": self.public_key,
            "labels": self.labels, "created": stamp(self.created),
        })
    }
}

pub(super) fn routes() -> Router<World> {
    Router::new()
        .route("/ssh_keys", get(all).post(create))
        .route("/ssh_keys/{id}", get(read).put(update).delete(delete))
}

async fn all(Handle(world): Handle<World>, query: Query) -> Answer {
    let items = world.with(|state| state.hetzner.ssh_keys.values().map(SshKey::json).collect::<Vec<_>>());
    let wanted = query.one("fingerprint").map(str::to_owned);
    let fits = |item: &Value| wanted.as_deref().is_none_or(|print| item["fingerprint"] == print);
    list::page(&query, "ssh_keys", items.into_iter().filter(fits).collect(), &["id", "name"])
}

/// MD5 of the key's blob, as OpenSSH writes it; `None` if it is no public key.
fn fingerprint(public_key: &str) -> Option<String> {
    let mut words = public_key.split_whitespace();
    let kind = words.next().filter(|kind| kind.starts_with("ssh-") || kind.starts_with("ecdsa-"))?;
    let blob = base64::engine::general_purpose::STANDARD.decode(words.next()?).ok()?;
    let named = blob.get(4..4 + kind.len()) == Some(kind.as_bytes());
    named.then(|| Md5::digest(&blob).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
}

async fn create(Handle(world): Handle<World>, input: Input) -> Answer {
    input.only(&["name", "public_key", "labels"])?;
    let name = input.needed_text("name")?.to_owned();
    let public_key = input.needed_text("public_key")?.to_owned();
    let labels = input.labels()?.unwrap_or_default();
    let fingerprint = fingerprint(&public_key).ok_or_else(|| Refusal::field("public_key", "invalid public key"))?;
    world.with(|state| {
        if state.hetzner.ssh_keys.values().any(|key| key.name == name) {
            return Err(Refusal::uniqueness("SSH key name is already used", "name"));
        }
        if state.hetzner.ssh_keys.values().any(|key| key.fingerprint == fingerprint) {
            return Err(Refusal::uniqueness("SSH key with the same fingerprint already exists", "public_key"));
        }
        let (id, created_at) = (state.next_id(), state.now());
        let key = SshKey { id, name, fingerprint, public_key, labels, created: created_at };
        let shown = key.json();
        state.hetzner.ssh_keys.insert(id, key);
        created(json!({"ssh_key": shown}))
    })
}

async fn read(Handle(world): Handle<World>, Id(id): Id) -> Answer {
    match world.with(|state| state.hetzner.ssh_keys.get(&id).map(SshKey::json)) {
        Some(key) => ok(json!({"ssh_key": key})),
        None => Err(Refusal::not_found("ssh_key", id)),
    }
}

async fn update(Handle(world): Handle<World>, Id(id): Id, input: Input) -> Answer {
    input.only(&["name", "labels"])?;
    let (name, labels) = (input.text("name")?.map(str::to_owned), input.labels()?);
    world.with(|state| {
        let key = state.hetzner.ssh_keys.get_mut(&id).ok_or_else(|| Refusal::not_found("ssh_key", id))?;
        key.name = name.unwrap_or_else(|| key.name.clone());
        key.labels = labels.unwrap_or_else(|| key.labels.clone());
        ok(json!({"ssh_key": key.json()}))
    })
}

async fn delete(Handle(world): Handle<World>, Id(id): Id) -> Answer {
    match world.with(|state| state.hetzner.ssh_keys.remove(&id)) {
        Some(_) => no_content(),
        None => Err(Refusal::not_found("ssh_key", id)),
    }
}
