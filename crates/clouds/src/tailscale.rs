//! The tailnet's control server: Tailscale's API v2, which Headscale serves too.
//!
//! bouquet reads devices and the policy, mints one key a launch and takes it back, and deletes devices of its own. It
//! refuses to write the policy: [`Tailnet::check`] prints what is missing in it instead.

mod check;
mod token;

use crate::rest::{Ask, Rest, silent_refusal, why_of_status};
use crate::{Error, Finding, Settings, Why};
use serde::Deserialize;
use serde_json::json;
use std::net::IpAddr;
use token::{Credential, Tokens};
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
        let credential = match (
            settings.variable("TAILSCALE_OAUTH_CLIENT_ID"),
            settings.variable("TAILSCALE_OAUTH_CLIENT_SECRET"),
        ) {
            (Some(id), Some(secret)) => Credential::OAuth { id, secret },
            (Some(_), None) => Credential::OAuth {
                id: settings.needed("TAILSCALE_OAUTH_CLIENT_ID")?,
                secret: settings.needed("TAILSCALE_OAUTH_CLIENT_SECRET")?,
            },
            _ => Credential::ApiKey(settings.variable("TAILSCALE_API_KEY").ok_or_else(|| {
                let message = "neither it nor TAILSCALE_API_KEY is set".to_owned();
                crate::rest::refused("TAILSCALE_OAUTH_CLIENT_ID", Why::Unauthenticated, message)
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
        self.rest.clone().authorized("TAILSCALE_API_KEY", &Secret::new(format!("Bearer {}", token.expose())))
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v2/tailnet/{}/{rest}", crate::rest::escaped(&self.name))
    }

    /// Every device. One answer: the API has no pages for it.
    pub async fn devices(&self, line: &Line) -> Result<Vec<Device>, Error> {
        let ask = Ask::get("tailscale GET /tailnet/{}/devices", self.path("devices?fields=all"));
        let all: Devices = line.send(self.authorized(line).await?.json(ask)?).await?;
        Ok(all.devices.into_iter().map(Device::from).collect())
    }

    /// Deletes a device: it is logged out, and its name is free.
    pub async fn delete_device(&self, line: &Line, id: &str) -> Result<(), Error> {
        let ask = Ask::delete("tailscale DELETE /device/{id}", format!("/api/v2/device/{}", crate::rest::escaped(id)));
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

    /// Takes a key back.
    pub async fn delete_key(&self, line: &Line, id: &str) -> Result<(), Error> {
        let path = self.path(&format!("keys/{}", crate::rest::escaped(id)));
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
    #[serde(default, deserialize_with = "crate::rest::or_default")]
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
        }
    }
}

#[derive(Deserialize)]
struct Keys {
    #[serde(default, deserialize_with = "crate::rest::or_default")]
    keys: Vec<RawKey>,
}

#[derive(Deserialize)]
struct RawKey {
    id: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    invalid: bool,
}

impl From<RawKey> for AuthKey {
    fn from(raw: RawKey) -> Self {
        AuthKey { id: raw.id, description: raw.description, invalid: raw.invalid }
    }
}

#[derive(Deserialize)]
struct Minted {
    id: String,
    key: String,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// Tailscale has no codes: `{"message": …}` and the status are all there is.
fn sort(call: &'static str, answer: &Answer) -> Error {
    let Ok(Refusal { message }) = serde_json::from_slice(&answer.body) else { return silent_refusal(call, answer) };
    let why = if message.contains("requested tags") { Why::Forbidden } else { why_of_status(answer) };
    Error { call, why, vendor_code: Some(answer.status.as_u16().to_string()), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::tests::answer;

    #[test]
    fn a_device_is_read_whatever_the_server_leaves_out() {
        let text = r#"{"devices": [{"id": "1", "nodeId": "n1", "hostname": "rose", "name": "rose.tail1.ts.net",
            "addresses": ["100.64.0.2", "fd7a:115c:a1e0::2"], "connectedToControl": true, "lastSeen": null,
            "tags": ["tag:bouquet-bouquet"], "authorized": true}, {"id": "2", "hostname": "x", "name": "x", "tags": null}]}"#;
        let all: Devices = serde_json::from_str(text).unwrap();
        let all: Vec<Device> = all.devices.into_iter().map(Device::from).collect();
        assert_eq!((all[0].id.as_str(), all[0].connected), ("n1", Some(true)));
        assert_eq!((all[1].id.as_str(), all[1].connected, all[1].addresses.len()), ("2", None, 0));
    }

    #[test]
    fn tags_that_are_not_permitted_are_the_users_to_mend() {
        let text = r#"{"message": "requested tags [tag:bouquet-x] are invalid or not permitted"}"#;
        assert_eq!(sort("k", &answer(400, text)).why, Why::Forbidden);
        assert_eq!(sort("k", &answer(404, r#"{"message": "no"}"#)).why, Why::NotFound);
        assert_eq!(sort("k", &answer(502, "<html>")).why, Why::Trouble);
    }
}
