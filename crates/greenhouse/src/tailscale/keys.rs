//! `/tailnet/-/keys`: auth keys, made, listed, shown, revoked.

use super::api::{Answer, Caller, Refusal, json_answer, read_json};
use super::policy::is_tag;
use super::{ALNUM, State as Tailnet, stamp};
use crate::world::World;
use axum::extract::{Path, Query, State};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The longest an auth key may live, and how long it lives if nothing is said: 90 days.
const EXPIRY_S_MAX: i64 = 90 * 24 * 3600;

/// An auth key. Revoked and used ones stay, invalid.
pub(super) struct AuthKey {
    pub id: String,
    pub secret: String,
    pub description: String,
    pub reusable: bool,
    pub ephemeral: bool,
    pub preauthorized: bool,
    pub tags: Vec<String>,
    pub created: Timestamp,
    pub expires: Timestamp,
    pub revoked: Option<Timestamp>,
    pub used: bool,
    /// Made with the owner's API key and not tagged: theirs alone, else the tailnet's.
    of_owner: bool,
}

impl AuthKey {
    /// Whether a node could log in with it.
    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires > now && (self.reusable || !self.used)
    }

    fn body(&self, now: Timestamp) -> Value {
        let mut body = json!({
            "id": self.id, "keyType": "auth", "description": self.description, "created": stamp(self.created),
            "expires": stamp(self.expires), "expirySeconds": self.expires.duration_since(self.created).as_secs(),
            "capabilities": {"devices": {"create": {
                "reusable": self.reusable, "ephemeral": self.ephemeral, "preauthorized": self.preauthorized,
                "tags": self.tags,
            }}},
            "tags": self.tags,
        });
        if let Some(members) = body.as_object_mut() {
            if !self.is_valid(now) {
                members.insert("invalid".into(), json!(true));
            }
            if let Some(at) = self.revoked {
                members.insert("revoked".into(), json!(stamp(at)));
            }
            if self.of_owner {
                members.insert("userId".into(), json!("u1CNTRL"));
            }
        }
        body
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wanted {
    key_type: Option<String>,
    capabilities: Capabilities,
    expiry_seconds: Option<i64>,
    description: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    devices: DeviceCapabilities,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DeviceCapabilities {
    create: Create,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Create {
    reusable: bool,
    ephemeral: bool,
    preauthorized: bool,
    tags: Option<Vec<String>>,
}

pub(super) async fn create(State(world): State<World>, caller: Caller, body: Bytes) -> Answer {
    caller.needs("auth_keys")?;
    let wanted: Wanted = serde_json::from_value(read_json(&body)?)
        .map_err(|error| Refusal::bad(format!("invalid request body: {error}")))?;
    if wanted.key_type.as_deref().is_some_and(|kind| !matches!(kind, "" | "auth")) {
        return Err(Refusal::bad("unsupported key type"));
    }
    let description = wanted.description.unwrap_or_default();
    // The API's own rule: at most 50 characters, letters, digits, hyphens and spaces.
    let is_plain =
        description.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | ' ' | '_'));
    if description.len() > 50 || !is_plain {
        return Err(Refusal::bad("description must be at most 50 alphanumeric characters, hyphens or spaces"));
    }
    let expiry_s = match wanted.expiry_seconds {
        None | Some(0) => EXPIRY_S_MAX,
        Some(_) if world.lies("tailscale-key-for-ninety-days") => EXPIRY_S_MAX,
        Some(seconds @ 1..=EXPIRY_S_MAX) => seconds,
        Some(_) => return Err(Refusal::bad("expirySeconds must be between 1 second and 90 days")),
    };
    let create = wanted.capabilities.devices.create;
    let tags = create.tags.unwrap_or_default();
    let refused = world.fault("tailscale", "tags-refused", &tags.join(",")).is_some();
    let answer = world.with(|state| {
        let now = state.now();
        let (tailnet, lies) = (&mut state.tailscale, &state.lies);
        let any_tags = lies.contains("tailscale-any-tags");
        if refused || !any_tags && !tailnet.may_hand_out(&caller, &tags) {
            let list = tags.join(" ");
            return Err(Refusal::bad(format!("requested tags [{list}] are invalid or not permitted")));
        }
        let mut draws = tailnet.rng.child(&format!("key {}", tailnet.keys.len()));
        let id = format!("k{}CNTRL", draws.text(ALNUM, 6));
        let secret = format!("tskey-auth-{id}-{}", draws.text(ALNUM, 32));
        let key = AuthKey {
            id: id.clone(),
            secret: secret.clone(),
            description,
            reusable: create.reusable,
            ephemeral: create.ephemeral,
            preauthorized: create.preauthorized,
            of_owner: caller.tags.is_none() && tags.is_empty(),
            tags: if lies.contains("tailscale-key-without-tags") { Vec::new() } else { tags },
            created: now,
            expires: now.saturating_add(SignedDuration::from_secs(expiry_s)).unwrap_or(now),
            revoked: None,
            used: false,
        };
        let mut answer = key.body(now);
        if let Some(members) = answer.as_object_mut() {
            members.insert("key".into(), json!(secret));
        }
        tailnet.keys.insert(id, key);
        Ok(answer)
    });
    json_answer(answer?)
}

impl Tailnet {
    /// Tags must have owners in the policy. An OAuth client hands out its own tags, all of them together
    /// (tailscale/terraform-provider-tailscale#437), or tags that a tag of its own owns, and at least one.
    pub(super) fn may_hand_out(&self, caller: &Caller, tags: &[String]) -> bool {
        let rules = &self.policy.rules;
        let known = tags.iter().all(|tag| is_tag(tag) && rules.tag_owners.contains_key(tag));
        let Some(own) = &caller.tags else { return known };
        let all_own = own.iter().all(|tag| tags.contains(tag)) && tags.iter().all(|tag| own.contains(tag));
        let owned = tags.iter().all(|tag| rules.tag_is_owned_by_tags(tag, own));
        known && !tags.is_empty() && (all_own || owned)
    }
}

/// Active credentials by id and description, no more: details are asked for one by one. Without `all=true` a user's
/// API key sees its user's own.
pub(super) async fn list(
    State(world): State<World>,
    caller: Caller,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    caller.needs("auth_keys:read")?;
    let all = query.get("all").is_some_and(|value| value == "true") || caller.tags.is_some();
    json_answer(world.with(|state| {
        let now = state.now();
        let tailnet = &state.tailscale;
        let auth = tailnet.keys.values().filter(|key| key.is_valid(now) && (all || key.of_owner));
        let mut keys: Vec<Value> = auth.map(|key| json!({"id": key.id, "description": key.description})).collect();
        if all {
            keys.extend(tailnet.clients.iter().map(|client| json!({"id": client.id, "description": "OAuth client"})));
        }
        if caller.tags.is_none() {
            keys.push(json!({"id": tailnet.api_key_id, "description": "API access token", "userId": "u1CNTRL"}));
        }
        json!({"keys": keys})
    }))
}

pub(super) async fn show(State(world): State<World>, caller: Caller, Path((_, id)): Path<(String, String)>) -> Answer {
    caller.needs("auth_keys:read")?;
    json_answer(world.with(|state| {
        let tailnet = &state.tailscale;
        if let Some(key) = tailnet.keys.get(&id) {
            let mut body = key.body(state.now());
            if let Some(members) = body.as_object_mut().filter(|_| state.lies.contains("tailscale-key-shown-again")) {
                members.insert("key".into(), json!(key.secret));
            }
            return Ok(body);
        }
        if let Some(client) = tailnet.clients.iter().find(|client| client.id == id) {
            let (scopes, tags, created) = (&client.scopes, &client.tags, stamp(client.created));
            return Ok(json!({"id": id, "keyType": "client", "created": created, "scopes": scopes, "tags": tags}));
        }
        let is_api_key = id == tailnet.api_key_id;
        is_api_key.then(|| json!({"id": id, "keyType": "api", "userId": "u1CNTRL"})).ok_or_else(Refusal::not_found)
    })?)
}

pub(super) async fn revoke(
    State(world): State<World>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
) -> Answer {
    caller.needs("auth_keys")?;
    world.with(|state| {
        let now = state.now();
        let revoked = Some(now).filter(|_| !state.lies.contains("tailscale-deleted-key-stays"));
        let key = state.tailscale.keys.get_mut(&id).filter(|key| key.revoked.is_none());
        key.map(|key| key.revoked = revoked).ok_or_else(Refusal::not_found)
    })?;
    json_answer(json!({}))
}
