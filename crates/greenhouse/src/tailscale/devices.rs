//! Devices, and the part of the API that shows and changes them.

use super::api::{Answer, Caller, Refusal, json_answer, read_json};
use super::login::label;
use super::policy::Party;
use super::{ALNUM, State as Tailnet, is_mesh, stamp};
use crate::net::From;
use crate::world::World;
use axum::extract::{Path, Query, State};
use bytes::Bytes;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wire::Rng;

/// What the tailscale extension of the Talos versions in use reports (cloud-apis C3).
const CLIENT_VERSION: &str = "1.102.3-t5f0c1a2b3-g9d8e7f6a5";

/// Whose a device is.
#[derive(Clone, Debug)]
pub(super) enum Owner {
    /// A login name.
    User(String),
    /// A tagged device has no user and its key does not expire.
    Tags(Vec<String>),
}

/// A device of the tailnet.
pub(super) struct Device {
    /// The legacy id.
    pub id: u64,
    pub node_id: String,
    /// As the node reported it.
    pub hostname: String,
    /// First label of its MagicDNS name.
    pub name: String,
    pub address: Ipv4Addr,
    owner: Owner,
    created: Timestamp,
    expires: Timestamp,
    key_expiry_disabled: bool,
    pub authorized: bool,
    pub ephemeral: bool,
    pub connected: bool,
    pub last_seen: Timestamp,
    pub node_key: String,
    machine_key: String,
    /// What runs it, where it is a part of this world.
    pub from: Option<From>,
    enabled_routes: Vec<String>,
    attributes: Map<String, Value>,
}

impl Device {
    pub(super) fn new(
        id: u64,
        hostname: &str,
        name: String,
        address: Ipv4Addr,
        owner: Owner,
        created: Timestamp,
        draws: &mut Rng,
    ) -> Self {
        let mut key = |prefix: &str| format!("{prefix}:{}", hex::encode(draws.bytes::<32>()));
        Device {
            id,
            node_key: key("nodekey"),
            machine_key: key("mkey"),
            node_id: format!("n{}CNTRL", draws.text(ALNUM, 6)),
            hostname: hostname.to_owned(),
            name,
            address,
            key_expiry_disabled: matches!(owner, Owner::Tags(_)),
            owner,
            created,
            expires: created.saturating_add(SignedDuration::from_hours(24 * 180)).unwrap_or(created),
            authorized: true,
            ephemeral: false,
            connected: false,
            last_seen: created,
            from: None,
            enabled_routes: Vec::new(),
            attributes: Map::new(),
        }
    }

    /// Whether packets reach it.
    pub(super) fn is_reachable(&self) -> bool {
        self.connected && self.authorized
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        !self.key_expiry_disabled && self.expires <= now
    }

    pub(super) fn drop_connection(&mut self, now: Timestamp) {
        if self.connected {
            self.connected = false;
            self.last_seen = now;
        }
    }

    /// Login name of its user; tagged devices have the pseudo-user that the API shows.
    pub(super) fn user(&self) -> &str {
        match &self.owner {
            Owner::User(login) => login,
            Owner::Tags(_) => "tagged-devices",
        }
    }

    pub(super) fn tags(&self) -> &[String] {
        match &self.owner {
            Owner::User(_) => &[],
            Owner::Tags(tags) => tags,
        }
    }

    /// Its mesh addresses; the second holds the first's lower 24 bits, as Tailscale derives it.
    pub(super) fn addresses(&self) -> [IpAddr; 2] {
        let [_, b, c, d] = self.address.octets().map(u16::from);
        let v6 = Ipv6Addr::new(0xfd7a, 0x115c, 0xa1e0, 0xab12, 0x4843, 0xcd96, 0x6200 | b, c << 8 | d);
        [self.address.into(), v6.into()]
    }

    /// It as a policy sees it.
    pub(super) fn party(&self) -> Party {
        let user = match &self.owner {
            Owner::User(login) => Some(login.clone()),
            Owner::Tags(_) => None,
        };
        Party { addresses: self.addresses().to_vec(), user, tags: self.tags().to_vec() }
    }
}

impl Tailnet {
    /// The MagicDNS name.
    pub(super) fn fqdn(&self, device: &Device) -> String {
        format!("{}.{}", device.name, self.suffix)
    }

    fn body(&self, device: &Device, all: bool) -> Value {
        let mut body = json!({
            "addresses": device.addresses(), "id": device.id.to_string(), "nodeId": device.node_id,
            "user": device.user(), "name": self.fqdn(device), "hostname": device.hostname,
            "clientVersion": CLIENT_VERSION, "updateAvailable": false, "os": "linux",
            "created": stamp(device.created), "connectedToControl": device.connected,
            "keyExpiryDisabled": device.key_expiry_disabled, "expires": stamp(device.expires),
            "authorized": device.authorized, "isExternal": false, "isEphemeral": device.ephemeral,
            "multipleConnections": false, "machineKey": device.machine_key, "nodeKey": device.node_key,
            "blocksIncomingConnections": false, "tailnetLockKey": "", "tailnetLockError": "", "sshEnabled": false,
        });
        let Some(members) = body.as_object_mut() else { return body };
        if !device.connected {
            members.insert("lastSeen".into(), json!(stamp(device.last_seen)));
        }
        if !device.tags().is_empty() {
            members.insert("tags".into(), json!(device.tags()));
        }
        if all {
            members.insert("enabledRoutes".into(), json!(device.enabled_routes));
            members.insert("advertisedRoutes".into(), json!([]));
            members.insert("clientConnectivity".into(), connectivity());
            members.insert("distro".into(), json!({"name": "talos", "version": "", "codeName": ""}));
        }
        body
    }

    /// Devices by legacy or node id.
    fn find(&mut self, id: &str) -> Result<&mut Device, Refusal> {
        let found = self.devices.values_mut().find(|device| device.node_id == id || device.id.to_string() == id);
        found.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "no device found with the given id"))
    }
}

fn connectivity() -> Value {
    json!({
        "endpoints": [], "derp": "", "mappingVariesByDestIP": false,
        "latency": {"Frankfurt": {"preferred": true, "latencyMs": 4.2}},
        "clientSupports": {
            "hairPinning": false, "ipv6": true, "pcp": false, "pmp": false, "udp": true, "upnp": false,
        },
    })
}

fn wants_all(query: &BTreeMap<String, String>) -> bool {
    query.get("fields").is_some_and(|fields| fields.split(',').any(|field| field == "all"))
}

/// Query parameters other than `fields` filter by an attribute; a list matches where it holds one of the values.
pub(super) async fn list(
    State(world): State<World>,
    caller: Caller,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    caller.needs("devices:core:read")?;
    let all = wants_all(&query.iter().cloned().collect());
    let mut filters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (key, value) in query.iter().filter(|(key, _)| key != "fields") {
        filters.entry(key).or_default().push(value);
    }
    let matches = |device: &Value| {
        filters.iter().all(|(key, wanted)| match device.get(*key) {
            Some(Value::Array(items)) => {
                items.iter().any(|item| item.as_str().is_some_and(|text| wanted.contains(&text)))
            }
            Some(Value::String(text)) => wanted.contains(&text.as_str()),
            Some(other) => wanted.contains(&other.to_string().as_str()),
            None => false,
        })
    };
    json_answer(world.with(|state| {
        let tailnet = &state.tailscale;
        let seen = state.lies.contains("tailscale-seen-while-connected");
        let devices = tailnet.devices.values().map(|device| {
            let mut body = tailnet.body(device, all);
            if let Some(members) = body.as_object_mut().filter(|_| seen) {
                members.insert("lastSeen".into(), json!(stamp(device.last_seen)));
            }
            body
        });
        json!({"devices": devices.filter(matches).collect::<Vec<_>>()})
    }))
}

type At = Path<BTreeMap<String, String>>;

/// The id in the path.
fn id(path: &At) -> &str {
    path.get("device").map_or("", String::as_str)
}

pub(super) async fn show(
    State(world): State<World>,
    caller: Caller,
    path: At,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    caller.needs("devices:core:read")?;
    json_answer(world.with(|state| {
        let id = id(&path);
        if state.lies.contains("tailscale-one-kind-of-id") && id.starts_with('n') {
            return Err(Refusal::not_found());
        }
        let id = state.tailscale.find(id)?.id;
        let tailnet = &state.tailscale;
        let device = tailnet.devices.get(&id).ok_or_else(Refusal::not_found)?;
        Ok(tailnet.body(device, wants_all(&query)))
    })?)
}

/// The node is logged out at once; it comes back only with a new auth key.
pub(super) async fn delete(State(world): State<World>, caller: Caller, path: At) -> Answer {
    caller.needs("devices:core")?;
    world.with(|state| {
        let id = state.tailscale.find(id(&path))?.id;
        let stays = state.lies.contains("tailscale-deleted-device-stays");
        if let Some(device) = (!stays).then(|| state.tailscale.devices.remove(&id)).flatten() {
            state.note(format_args!("tailnet: {} deleted", device.name));
        }
        Ok::<_, Refusal>(())
    })?;
    json_answer(json!({}))
}

/// Changes a device by a body that must hold what `change` looks for.
fn change(
    world: &World,
    path: &At,
    body: &Bytes,
    work: impl FnOnce(&mut Device, &Value) -> Result<(), Refusal>,
) -> Answer {
    let wanted = read_json(body)?;
    world.with(|state| work(state.tailscale.find(id(path))?, &wanted))?;
    json_answer(json!({}))
}

fn flag(wanted: &Value, name: &str) -> Result<bool, Refusal> {
    let flag = wanted.get(name).and_then(Value::as_bool);
    flag.ok_or_else(|| Refusal::bad(format!("{name} must be a boolean")))
}

fn texts(wanted: &Value, name: &str) -> Result<Vec<String>, Refusal> {
    let list = wanted.get(name).filter(|list| !list.is_null()).cloned().unwrap_or_else(|| json!([]));
    serde_json::from_value(list).map_err(|_| Refusal::bad(format!("{name} must be a list of strings")))
}

pub(super) async fn authorize(State(world): State<World>, caller: Caller, path: At, body: Bytes) -> Answer {
    caller.needs("devices:core")?;
    let stays = world.lies("tailscale-device-stays-authorised");
    change(&world, &path, &body, |device, wanted| {
        device.authorized = flag(wanted, "authorized")? || stays;
        Ok(())
    })
}

pub(super) async fn change_key(State(world): State<World>, caller: Caller, path: At, body: Bytes) -> Answer {
    caller.needs("devices:core")?;
    let stays = world.lies("tailscale-key-expiry-stays");
    change(&world, &path, &body, |device, wanted| {
        let disabled = flag(wanted, "keyExpiryDisabled")?;
        device.key_expiry_disabled = if stays { device.key_expiry_disabled } else { disabled };
        Ok(())
    })
}

pub(super) async fn expire(State(world): State<World>, caller: Caller, path: At) -> Answer {
    caller.needs("devices:core")?;
    world.with(|state| {
        let now = state.now();
        let device = state.tailscale.find(id(&path))?;
        (device.expires, device.key_expiry_disabled) = (now, false);
        device.drop_connection(now);
        Ok::<_, Refusal>(())
    })?;
    json_answer(json!({}))
}

/// Takes a label or a full name; an empty name goes back to the host's own.
pub(super) async fn rename(State(world): State<World>, caller: Caller, path: At, body: Bytes) -> Answer {
    caller.needs("devices:core")?;
    let wanted = read_json(&body)?;
    let name = wanted.get("name").and_then(Value::as_str).ok_or_else(|| Refusal::bad("name must be a string"))?;
    world.with(|state| {
        let device = state.tailscale.find(id(&path))?;
        let (id, name) = (device.id, label(if name.is_empty() { &device.hostname } else { name }));
        if state.tailscale.devices.values().any(|other| other.id != id && other.name == name) {
            return Err(Refusal::bad(format!("name {name:?} is already in use")));
        }
        state.tailscale.devices.entry(id).and_modify(|device| device.name = name);
        Ok(())
    })?;
    json_answer(json!({}))
}

pub(super) async fn retag(State(world): State<World>, caller: Caller, path: At, body: Bytes) -> Answer {
    caller.needs("devices:core")?;
    let tags = texts(&read_json(&body)?, "tags")?;
    world.with(|state| {
        let id = state.tailscale.find(id(&path))?.id;
        if !state.tailscale.may_hand_out(&caller, &tags) {
            let list = tags.join(" ");
            return Err(Refusal::bad(format!("requested tags [{list}] are invalid or not permitted")));
        }
        if state.lies.contains("tailscale-device-keeps-its-tags") {
            return Ok(());
        }
        state.tailscale.devices.entry(id).and_modify(|device| {
            device.key_expiry_disabled |= !tags.is_empty();
            device.owner = if tags.is_empty() { Owner::User(super::OWNER.to_owned()) } else { Owner::Tags(tags) };
        });
        Ok(())
    })?;
    json_answer(json!({}))
}

pub(super) async fn readdress(State(world): State<World>, caller: Caller, path: At, body: Bytes) -> Answer {
    caller.needs("devices:core")?;
    let wanted = read_json(&body)?;
    let wrong = || Refusal::bad("ipv4 must be a free address in 100.64.0.0/10");
    let address: Ipv4Addr =
        wanted.get("ipv4").and_then(Value::as_str).and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    world.with(|state| {
        let id = state.tailscale.find(id(&path))?.id;
        let taken = state.tailscale.devices.values().any(|other| other.id != id && other.address == address);
        if taken || !is_mesh(address.into()) {
            return Err(wrong());
        }
        state.tailscale.devices.entry(id).and_modify(|device| device.address = address);
        Ok(())
    })?;
    json_answer(json!({}))
}

pub(super) async fn routes(State(world): State<World>, caller: Caller, path: At) -> Answer {
    caller.needs("devices:routes:read")?;
    let enabled = world.with(|state| Ok::<_, Refusal>(state.tailscale.find(id(&path))?.enabled_routes.clone()))?;
    json_answer(json!({"advertisedRoutes": [], "enabledRoutes": enabled}))
}

pub(super) async fn enable_routes(State(world): State<World>, caller: Caller, path: At, body: Bytes) -> Answer {
    caller.needs("devices:routes")?;
    let routes = texts(&read_json(&body)?, "routes")?;
    world.with(|state| {
        let kept = if state.lies.contains("tailscale-routes-lost") { Vec::new() } else { routes.clone() };
        state.tailscale.find(id(&path))?.enabled_routes = kept;
        Ok::<_, Refusal>(())
    })?;
    json_answer(json!({"advertisedRoutes": [], "enabledRoutes": routes}))
}

pub(super) async fn attributes(State(world): State<World>, caller: Caller, path: At) -> Answer {
    caller.needs("devices:posture_attributes:read")?;
    let attributes = world.with(|state| Ok::<_, Refusal>(state.tailscale.find(id(&path))?.attributes.clone()))?;
    json_answer(json!({"attributes": attributes, "expiries": {}}))
}

pub(super) async fn set_attribute(State(world): State<World>, caller: Caller, path: At, body: Bytes) -> Answer {
    caller.needs("devices:posture_attributes")?;
    let name = path.get("name").cloned().unwrap_or_default();
    if !name.starts_with("custom:") {
        return Err(Refusal::bad("only attributes in the custom: namespace can be set"));
    }
    change(&world, &path, &body, |device, wanted| {
        let value = wanted.get("value").filter(|value| !value.is_object() && !value.is_array() && !value.is_null());
        let value = value.ok_or_else(|| Refusal::bad("value must be a string, number or boolean"))?;
        device.attributes.insert(name, value.clone());
        Ok(())
    })
}

pub(super) async fn clear_attribute(State(world): State<World>, caller: Caller, path: At) -> Answer {
    caller.needs("devices:posture_attributes")?;
    let name = path.get("name").cloned().unwrap_or_default();
    change(&world, &path, &Bytes::new(), |device, _| {
        device.attributes.shift_remove(&name);
        Ok(())
    })
}
