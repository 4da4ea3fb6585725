//! The tailnet's control server: Tailscale's API v2, which Headscale serves too.
//!
//! bouquet reads devices and the policy, mints one key a launch and takes it back, and deletes devices of its own. It
//! refuses to write the policy: [`Tailnet::check`] prints what is missing in it instead.

mod check;
mod policy;
#[cfg(test)]
mod tests;
mod token;

use crate::rest::{Ask, Rest, escaped, refused, silent_refusal, why_of_status};
use crate::{Error, Finding, Settings, Why};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::net::IpAddr;
use token::{API_KEY, CLIENT_ID, CLIENT_SECRET, Credential, Tokens};
use wire::{Answer, Line, Secret};

/// Where Tailscale's API is, without a path.
pub const ENDPOINT: &str = "https://api.tailscale.com";
const BUCKET: &str = "tailscale";
const VARIABLE: &str = "TAILSCALE_BASE_URL";

/// A tailnet, as its administrator.
pub struct Tailnet {
    rest: Rest,
    name: String,
    tokens: Tokens,
}

/// A device on the tailnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// `nodeId`.
    pub id: String,
    /// The host name that it gave itself.
    pub hostname: String,
    /// Its name on the tailnet, fully qualified.
    pub name: String,
    /// Mesh addresses.
    pub addresses: Vec<IpAddr>,
    /// `tag:…`
    pub tags: Vec<String>,
    /// Whether it is connected now; `None` where the server does not say (Headscale before 0.30).
    pub connected: Option<bool>,
    /// Whether it may talk to the others.
    pub authorized: bool,
    /// When it first joined.
    pub created: Option<Timestamp>,
    /// When it was last connected; `None` while it is.
    pub last_seen: Option<Timestamp>,
    /// When its key runs out and it falls off the tailnet; `None` where that is switched off, as it is for tagged
    /// devices.
    pub expires: Option<Timestamp>,
}

/// A key that devices join with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthKey {
    /// Id.
    pub id: String,
    /// What it says it is for.
    pub description: String,
    /// Used up, revoked or expired.
    pub invalid: bool,
    /// What devices that join with it are tagged with, where the list tells it.
    pub tags: Vec<String>,
    /// When it runs out.
    pub expires: Option<Timestamp>,
}

/// A key that has just been made; its secret is told this once.
#[derive(Clone, Debug)]
pub struct MintedKey {
    /// Id.
    pub id: String,
    /// What the device shows.
    pub secret: Secret,
}

impl Tailnet {
    /// From `TAILSCALE_OAUTH_CLIENT_ID` and `TAILSCALE_OAUTH_CLIENT_SECRET`, else `TAILSCALE_API_KEY`; `TAILSCALE_TAILNET`
    /// (default `-`, the credential's own) and `TAILSCALE_BASE_URL`.
    pub fn from_settings(settings: &dyn Settings) -> Result<Self, Error> {
        let endpoint = settings.endpoint(VARIABLE, ENDPOINT)?;
        let credential = match (settings.variable(CLIENT_ID), settings.variable(CLIENT_SECRET)) {
            (Some(id), Some(secret)) => Credential::OAuth { id, secret },
            // Half of a pair is a mistake, whatever else is set.
            (Some(_), None) | (None, Some(_)) => {
                Credential::OAuth { id: settings.needed(CLIENT_ID)?, secret: settings.needed(CLIENT_SECRET)? }
            }
            (None, None) => Credential::ApiKey(settings.variable(API_KEY).ok_or_else(|| {
                refused(CLIENT_ID, Why::Unauthenticated, format!("neither it and {CLIENT_SECRET} nor {API_KEY} is set"))
            })?),
        };
        let name = settings.variable("TAILSCALE_TAILNET").map_or_else(|| "-".to_owned(), |name| name.expose().into());
        Self::new(credential, name, &endpoint)
    }

    fn new(credential: Credential, name: String, endpoint: &http::Uri) -> Result<Self, Error> {
        let rest = Rest::new(BUCKET, VARIABLE, endpoint, sort)?;
        Ok(Tailnet { rest, name, tokens: Tokens::new(credential) })
    }

    async fn authorized(&self, line: &Line) -> Result<Rest, Error> {
        let token = self.tokens.bearer(line, &self.rest).await?;
        self.rest.clone().authorized(self.tokens.variable(), &Secret::new(format!("Bearer {}", token.expose())))
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v2/tailnet/{}/{rest}", escaped(&self.name))
    }

    /// Every device. One answer: the API has no pages for it.
    pub async fn devices(&self, line: &Line) -> Result<Vec<Device>, Error> {
        let ask = Ask::get("tailscale GET /tailnet/{}/devices", self.path("devices?fields=all"));
        let all: Devices = line.send(self.authorized(line).await?.json(ask)?).await?;
        Ok(all.devices.into_iter().map(Device::from).collect())
    }

    /// Deletes a device: it is logged out, and its name is free.
    pub async fn delete_device(&self, line: &Line, id: &str) -> Result<(), Error> {
        let ask = Ask::delete("tailscale DELETE /device/{id}", format!("/api/v2/device/{}", escaped(id)));
        line.send(self.authorized(line).await?.unit(ask)?).await
    }

    /// Every active key, whoever made it: ids and descriptions, which is all that the list tells.
    pub async fn keys(&self, line: &Line) -> Result<Vec<AuthKey>, Error> {
        let ask = Ask::get("tailscale GET /tailnet/{}/keys", self.path("keys?all=true"));
        let all: Keys = line.send(self.authorized(line).await?.json(ask)?).await?;
        Ok(all.keys.into_iter().map(AuthKey::from).collect())
    }

    /// Makes a key for one login of one machine that is to stay: single-use, pre-authorised, tagged, not ephemeral.
    /// A minted key whose answer was lost expires by itself and is listed until then.
    pub async fn mint_key(
        &self,
        line: &Line,
        tags: &[String],
        description: &str,
        expiry_s: u64,
    ) -> Result<MintedKey, Error> {
        let body = json!({
            "capabilities": { "devices": { "create": {
                "reusable": false, "ephemeral": false, "preauthorized": true, "tags": tags,
            } } },
            "expirySeconds": expiry_s,
            "description": description,
        });
        let ask = || Ask::create("tailscale POST /tailnet/{}/keys", self.path("keys"), body.clone());
        let rest = self.authorized(line).await?;
        let minted: Minted = match line.send(rest.json(ask())?).await {
            // Two keys do no harm: the lost one is in the list, and goes with the others of its node.
            Err(error) if error.why == Why::Trouble => line.send(rest.json(ask())?).await?,
            other => other?,
        };
        Ok(MintedKey { id: minted.id, secret: Secret::new(minted.key) })
    }

    /// One key, also one that is used up, revoked or expired.
    pub async fn key(&self, line: &Line, id: &str) -> Result<AuthKey, Error> {
        let path = self.path(&format!("keys/{}", escaped(id)));
        let ask = Ask::get("tailscale GET /tailnet/{}/keys/{id}", path);
        let key: RawKey = line.send(self.authorized(line).await?.json(ask)?).await?;
        Ok(key.into())
    }

    /// Takes a key back.
    pub async fn delete_key(&self, line: &Line, id: &str) -> Result<(), Error> {
        let path = self.path(&format!("keys/{}", escaped(id)));
        let ask = Ask::delete("tailscale DELETE /tailnet/{}/keys/{id}", path);
        line.send(self.authorized(line).await?.unit(ask)?).await
    }

    /// The policy, as the server writes it (HuJSON).
    async fn policy(&self, line: &Line) -> Result<String, Error> {
        let ask = Ask::get("tailscale GET /tailnet/{}/acl", self.path("acl"));
        let read = |_: &'static str, answer: &Answer| Ok(String::from_utf8_lossy(&answer.body).into_owned());
        line.send(self.authorized(line).await?.call(ask, read)?).await
    }

    /// Whether the credential is good and the policy lets the cluster's nodes be what they must; see `docs/accounts.md`.
    pub async fn check(&self, line: &Line, cluster: &str) -> Vec<Finding> {
        check::check(self, line, cluster).await
    }
}

#[derive(Deserialize)]
struct Devices {
    // May be `null`, must be there: what is read as "no devices" has consequences.
    #[serde(deserialize_with = "crate::rest::or_default")]
    devices: Vec<RawDevice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDevice {
    node_id: Option<String>,
    id: String,
    hostname: String,
    name: String,
    #[serde(default, deserialize_with = "crate::rest::or_default")]
    addresses: Vec<IpAddr>,
    #[serde(default, deserialize_with = "crate::rest::or_default")]
    tags: Vec<String>,
    connected_to_control: Option<bool>,
    #[serde(default)]
    authorized: bool,
    #[serde(default)]
    key_expiry_disabled: bool,
    #[serde(default, deserialize_with = "moment")]
    created: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    last_seen: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    expires: Option<Timestamp>,
}

/// Tailscale writes a time that there is not as `null`, as `""`, or as the year 1.
fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = Option::deserialize(from)?;
    let moment = text.and_then(|text| text.parse().ok());
    Ok(moment.filter(|moment| *moment > Timestamp::UNIX_EPOCH))
}

impl From<RawDevice> for Device {
    fn from(raw: RawDevice) -> Self {
        Device {
            id: raw.node_id.filter(|id| !id.is_empty()).unwrap_or(raw.id),
            hostname: raw.hostname,
            name: raw.name,
            addresses: raw.addresses,
            tags: raw.tags,
            connected: raw.connected_to_control,
            authorized: raw.authorized,
            created: raw.created,
            last_seen: raw.last_seen,
            expires: raw.expires.filter(|_| !raw.key_expiry_disabled),
        }
    }
}

#[derive(Deserialize)]
struct Keys {
    #[serde(deserialize_with = "crate::rest::or_default")]
    keys: Vec<RawKey>,
}

#[derive(Deserialize)]
struct RawKey {
    id: String,
    #[serde(default, deserialize_with = "crate::rest::or_default")]
    description: String,
    #[serde(default)]
    invalid: bool,
    #[serde(default, deserialize_with = "moment")]
    expires: Option<Timestamp>,
    /// `{"devices": {"create": {"tags": […]}}}`; absent for what is no auth key, and in lists of some servers.
    #[serde(default)]
    capabilities: Value,
}

impl From<RawKey> for AuthKey {
    fn from(raw: RawKey) -> Self {
        let tags = raw.capabilities.pointer("/devices/create/tags").and_then(Value::as_array);
        let tags = tags.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        AuthKey { id: raw.id, description: raw.description, invalid: raw.invalid, tags, expires: raw.expires }
    }
}

#[derive(Deserialize)]
struct Minted {
    id: String,
    key: String,
}

/// Tailscale says `message`; Headscale also writes problem details (RFC 7807).
#[derive(Deserialize)]
struct Refusal {
    #[serde(alias = "detail")]
    message: String,
}

/// Tailscale has no codes: its words and the status are all there is.
fn sort(call: &'static str, answer: &Answer) -> Error {
    let Ok(Refusal { message }) = serde_json::from_slice(&answer.body) else { return silent_refusal(call, answer) };
    let why = if message.contains("requested tags") { Why::Forbidden } else { why_of_status(answer) };
    Error { call, why, vendor_code: Some(answer.status.as_u16().to_string()), message }
}
