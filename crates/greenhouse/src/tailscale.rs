//! Tailscale: the API v2 and the tailnet itself.
//!
//! ```text
//! credential (API key, OAuth token) ──api──▶ keys · devices · policy
//! auth key ──login──▶ device ──policy──▶ who reaches whom
//! ```
//!
//! A tailnet of one owner. A device belongs to a user or, once tagged, to its tags; its state outlives its
//! connection and goes only when it is deleted. What the policy does not grant does not pass.

mod acl;
mod api;
mod devices;
mod hujson;
mod keys;
mod login;
mod policy;
#[cfg(test)]
mod tests;

pub(crate) use login::{Joined, Registration, disconnected, register, resume};

use crate::machine::MachineId;
use crate::net::From;
use crate::world::{Greenhouse, State as Everything, World};
use api::{AccessToken, OauthClient};
use devices::{Device, Owner};
use jiff::{SignedDuration, Timestamp};
use keys::AuthKey;
use policy::Document;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use wire::Rng;

/// The organisation name of the tailnet, as its general settings page shows it.
const TAILNET: &str = "greenhouse.example.com";
/// The tailnet's owner; the operator's machine is theirs.
const OWNER: &str = "gardener@greenhouse.example.com";
/// A second member, without a role; foreign devices are theirs.
const MEMBER: &str = "visitor@greenhouse.example.com";
/// The tag of the OAuth client that a product is given. It owns the clusters' tags.
const OPERATOR_TAG: &str = "tag:bouquet-operator";
/// The tag of an OAuth client that owns nothing of a cluster's.
const OTHER_TAG: &str = "tag:unrelated";
/// Alphabet of Tailscale's ids and secrets.
const ALNUM: &[u8] = b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Lies that the emulator can tell.
pub(crate) const LIES: &[crate::Lie] = &[
    ("tailscale-any-secret", "an OAuth client needs no right secret"),
    ("tailscale-any-token", "every credential is the owner's"),
    ("tailscale-scopes-ignored", "whoever may do something may do everything"),
    ("tailscale-any-tags", "a key may have any tags"),
    ("tailscale-key-without-tags", "a key does not keep its tags"),
    ("tailscale-key-shown-again", "a key's secret is shown whenever somebody asks"),
    ("tailscale-key-for-ninety-days", "a key lives ninety days, whatever was asked"),
    ("tailscale-deleted-key-stays", "a deleted key is as good as before"),
    ("tailscale-etag-ignored", "a policy is replaced whatever `if-match` says"),
    ("tailscale-any-policy", "every policy is valid"),
    ("tailscale-comments-lost", "the policy comes back without its comments"),
    ("tailscale-deleted-device-stays", "a deleted device is still there"),
    ("tailscale-device-keeps-its-tags", "new tags of a device are not taken"),
    ("tailscale-device-stays-authorised", "a device cannot lose its approval"),
    ("tailscale-key-expiry-stays", "the expiry of a device's key cannot be switched"),
    ("tailscale-routes-lost", "enabled routes are forgotten"),
    ("tailscale-seen-while-connected", "a connected device says when it was last seen"),
    ("tailscale-one-kind-of-id", "devices are found by their old ids only"),
];

/// The tailnet.
pub(crate) struct State {
    rng: Rng,
    /// MagicDNS suffix of the tailnet, `tail….ts.net`.
    suffix: String,
    api_key_id: String,
    api_key: String,
    clients: Vec<OauthClient>,
    tokens: Vec<AccessToken>,
    /// By id.
    keys: BTreeMap<String, AuthKey>,
    /// By legacy id.
    devices: BTreeMap<u64, Device>,
    /// How often a host name has logged in anew.
    logins: BTreeMap<String, u64>,
    policy: Document,
    /// Tailnet setting: new devices wait for an administrator, unless their auth key is pre-approved.
    approval_on: bool,
}

impl State {
    pub(crate) fn new(rng: &Rng, operator: &str, began: Timestamp) -> Self {
        let mut draws = rng.child("tailnet");
        let id = |draws: &mut Rng| format!("k{}CNTRL", draws.text(ALNUM, 6));
        let suffix = format!("tail{}.ts.net", draws.text(b"0123456789abcdef", 6));
        let client = |draws: &mut Rng, tag: &str| {
            let id = id(draws);
            let secret = format!("tskey-client-{id}-{}", draws.text(ALNUM, 32));
            let scopes = ["auth_keys", "devices:core", "policy_file:read"].map(str::to_owned).to_vec();
            OauthClient { id, secret, scopes, tags: vec![tag.to_owned()], created: began }
        };
        let clients = vec![client(&mut draws, OPERATOR_TAG), client(&mut draws, OTHER_TAG)];
        let api_key_id = id(&mut draws);
        let api_key = format!("tskey-api-{api_key_id}-{}", draws.text(ALNUM, 32));
        let mut state = State {
            rng: rng.clone(),
            suffix,
            api_key_id,
            api_key,
            clients,
            tokens: Vec::new(),
            keys: BTreeMap::new(),
            devices: BTreeMap::new(),
            logins: BTreeMap::new(),
            policy: Document::untouched(&["bouquet".to_owned()]),
            approval_on: false,
        };
        let created = began.saturating_sub(SignedDuration::from_hours(24 * 40)).unwrap_or(began);
        let id = state.add_device(operator, Owner::User(OWNER.to_owned()), created);
        if let Some(device) = state.devices.get_mut(&id) {
            device.from = Some(From::Operator);
            device.connected = true;
        }
        state
    }

    fn device_of(&self, from: From) -> Option<&Device> {
        self.devices.values().find(|device| device.from == Some(from) && device.is_reachable())
    }

    fn device_at(&self, address: IpAddr) -> Option<&Device> {
        self.devices.values().find(|device| IpAddr::V4(device.address) == address && device.is_reachable())
    }

    /// Ephemeral devices vanish some time (half an hour to an hour in life) after their connection was lost.
    fn sweep(&mut self, now: Timestamp) {
        self.devices.retain(|_, device| {
            let gone = now.duration_since(device.last_seen) > SignedDuration::from_mins(45);
            !(device.ephemeral && !device.connected && gone)
        });
        self.tokens.retain(|token| token.expires > now);
    }
}

/// `TAILSCALE_OAUTH_CLIENT_ID`, `TAILSCALE_OAUTH_CLIENT_SECRET`, `TAILSCALE_TAILNET`. Under names ending in `_OTHER`:
/// an OAuth client whose tag owns no cluster's tag, and an API key of the tailnet's owner.
pub(crate) fn credentials(state: &Everything) -> Vec<(&'static str, String)> {
    let tailnet = &state.tailscale;
    let mut all = vec![("TAILSCALE_TAILNET", TAILNET.to_owned()), ("TAILSCALE_API_KEY_OTHER", tailnet.api_key.clone())];
    let names = [
        ("TAILSCALE_OAUTH_CLIENT_ID", "TAILSCALE_OAUTH_CLIENT_SECRET"),
        ("TAILSCALE_OAUTH_CLIENT_ID_OTHER", "TAILSCALE_OAUTH_CLIENT_SECRET_OTHER"),
    ];
    for ((id, secret), client) in names.into_iter().zip(&tailnet.clients) {
        all.push((id, client.id.clone()));
        all.push((secret, client.secret.clone()));
    }
    all
}

/// Puts `api.tailscale.com` on the internet.
pub(crate) fn mount(world: &World) {
    let router = api::router(world);
    world.with(|state| state.net.mount("api.tailscale.com", "tailscale", router));
}

/// Whether this is an address of the mesh (100.64.0.0/10).
pub(crate) fn is_mesh(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if u32::from(v4) & 0xffc0_0000 == 0x6440_0000)
}

/// The mesh address of somebody, if it is on the tailnet and connected.
pub(crate) fn address_of(state: &Everything, from: From) -> Option<IpAddr> {
    state.tailscale.device_of(from).map(|device| IpAddr::V4(device.address))
}

/// The connected machine with this mesh address.
pub(crate) fn machine_at(state: &Everything, address: IpAddr) -> Option<MachineId> {
    match state.tailscale.device_at(address)?.from? {
        From::Machine(machine) => Some(machine),
        From::Operator => None,
    }
}

/// What the tailnet's own resolver says of a MagicDNS name, whole or without the tailnet's suffix. Only the operator's machine asks it: nodes keep their
/// clouds' resolvers (`TS_ACCEPT_DNS` is off unless set).
pub(crate) fn magic_dns(state: &Everything, from: From, name: &str) -> Option<IpAddr> {
    let tailnet = &state.tailscale;
    let label = match name.strip_suffix(&tailnet.suffix) {
        Some(label) => label.strip_suffix('.')?,
        None => Some(name).filter(|name| !name.contains('.'))?,
    };
    if from != From::Operator {
        return None;
    }
    tailnet.device_of(from)?;
    tailnet.devices.values().find(|device| device.name == label).map(|device| IpAddr::V4(device.address))
}

/// Whether the tailnet policy lets TCP from one mesh address to a port of another.
pub(crate) fn admits(state: &Everything, source: IpAddr, to: IpAddr, port: u16) -> bool {
    let tailnet = &state.tailscale;
    let (Some(from), Some(to)) = (tailnet.device_at(source), tailnet.device_at(to)) else { return false };
    // A node's packets to its own address never leave it.
    from.id == to.id || tailnet.policy.rules.admits(&from.party(), &to.party(), port)
}

/// Makes a device that is not the product's: a member's own machine, switched on.
pub(crate) fn foreign(world: &World, name: &str) {
    world.with(|state| {
        let now = state.now();
        let id = state.tailscale.add_device(name, Owner::User(MEMBER.to_owned()), now);
        if let Some(device) = state.tailscale.devices.get_mut(&id) {
            device.connected = true;
        }
        state.note(format_args!("tailnet: foreign device {name}"));
    });
}

/// Adds `tailscale_devices` and `tailscale_keys`: what is listed, without what clocks and connections change.
pub(crate) fn inventory(state: &Everything, kinds: &mut Map<String, Value>) {
    let tailnet = &state.tailscale;
    let devices = tailnet.devices.values().map(|device| {
        json!({
            "id": device.id.to_string(), "nodeId": device.node_id, "name": tailnet.fqdn(device),
            "hostname": device.hostname, "addresses": device.addresses(), "user": device.user(),
            "tags": device.tags(), "authorized": device.authorized,
        })
    });
    let keys = tailnet
        .keys
        .values()
        .filter(|key| key.is_valid(state.now()))
        .map(|key| json!({"id": key.id, "description": key.description, "tags": key.tags}));
    kinds.insert("tailscale_devices".into(), devices.collect());
    kinds.insert("tailscale_keys".into(), keys.collect());
}

impl Greenhouse {
    /// Adds `tag:bouquet-CLUSTER` to the tailnet policy, as an administrator who prepares for that cluster would: its
    /// owners, administrators' access to it, and its access to itself. The mission's cluster `bouquet` has it already.
    pub fn allow_cluster(&self, cluster: &str) {
        self.world.with(|state| state.tailscale.policy.allow_cluster(cluster));
    }

    /// Replaces the tailnet policy as an administrator would; the error is what the policy editor would show.
    pub fn set_tailnet_policy(&self, text: &str) -> Result<(), String> {
        let document = Document::read(text).map_err(|refusal| refusal.message)?;
        self.world.with(|state| state.tailscale.policy = document);
        Ok(())
    }
}

/// RFC 3339 to the second, as the API writes times.
fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A free address of the mesh for `label`, outside the ranges that Tailscale keeps for itself and ChromeOS.
fn free_address(state: &State, label: &str) -> Ipv4Addr {
    let mut draws = state.rng.child(&format!("address {label}"));
    loop {
        let host = u32::try_from(draws.below(1 << 22)).unwrap_or(0);
        let address = Ipv4Addr::from(0x6440_0000 | host);
        let reserved = matches!(address.octets(), [100, 100, _, _] | [100, 115, 92 | 93, _] | [_, _, _, 0 | 255]);
        if !reserved && state.devices.values().all(|device| device.address != address) {
            return address;
        }
    }
}
