//! Hetzner Cloud, API v1: one project behind two tokens.
//!
//! A server is an entry of the API and a [`crate::machine::Machine`] behind it; what takes time is an action whose progress can be
//! read. Shapes follow the vendor's OpenAPI document, with the changes up to October 2026.

mod action;
mod answer;
mod catalogue;
mod firewalls;
mod gate;
mod images;
mod input;
mod labels;
mod list;
mod servers;
mod shapes;
mod ssh_keys;

use crate::machine::MachineId;
use crate::world::{Greenhouse, GreenhouseError, State as Everything, World};
use answer::{Answer, Refusal};
use axum::Router;
use axum::extract::State as Handle;
use axum::routing::get;
use input::Query;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use wire::Rng;

/// Lies that the emulator can tell.
pub(crate) const LIES: &[crate::Lie] = &[
    ("hetzner-any-token", "every token is the project's"),
    ("hetzner-readonly-token-writes", "a token that may only read changes things"),
    ("hetzner-page-repeats", "every page is the first"),
    ("hetzner-pages-end-early", "nobody is told of the last page"),
    ("hetzner-selector-of-one-term", "of a label selector only the first term counts"),
    ("hetzner-sort-ignored", "lists are in the order of ids, whatever is asked"),
    ("hetzner-snapshot-never-ends", "the action that makes a snapshot runs for ever"),
    ("hetzner-snapshot-without-labels", "a snapshot does not get its labels"),
    ("hetzner-failure-is-success", "an action that failed says that it went well"),
    ("hetzner-name-twice", "two servers may have one name"),
    ("hetzner-user-data-of-any-length", "user data may be longer than 32 KiB"),
    ("hetzner-used-firewall-deleted", "a firewall that is applied can be deleted"),
    ("hetzner-delete-without-action", "deleting a server answers with nothing"),
    ("hetzner-deleted-server-stays", "a deleted server is still shown"),
    ("hetzner-locked-is-a-conflict", "409 where a server is locked"),
    ("hetzner-rescue-without-password", "the rescue system's password is not said"),
    ("hetzner-size-as-text", "the size of a server's disk is a string"),
];

/// The project behind the tokens.
pub(crate) struct State {
    token: String,
    token_readonly: String,
    rng: Rng,
    bucket: gate::Bucket,
    actions: BTreeMap<u64, action::Action>,
    servers: BTreeMap<u64, servers::Server>,
    firewalls: BTreeMap<u64, firewalls::Firewall>,
    images: BTreeMap<u64, images::Image>,
    ssh_keys: BTreeMap<u64, ssh_keys::SshKey>,
    /// Servers made so far: gives addresses.
    addresses: u32,
}

impl State {
    pub(crate) fn new(rng: &Rng) -> Self {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let token = |label| rng.child(label).text(LETTERS, 64);
        State {
            token: token("token"),
            token_readonly: token("read-only token"),
            rng: rng.child("draws"),
            bucket: gate::Bucket::full(),
            actions: BTreeMap::new(),
            servers: BTreeMap::new(),
            firewalls: BTreeMap::new(),
            images: images::system(),
            ssh_keys: BTreeMap::new(),
            addresses: 0,
        }
    }
}

/// `HCLOUD_TOKEN`, and `HCLOUD_TOKEN_READONLY` to try one that may only read.
pub(crate) fn credentials(state: &Everything) -> Vec<(&'static str, String)> {
    let project = &state.hetzner;
    vec![("HCLOUD_TOKEN", project.token.clone()), ("HCLOUD_TOKEN_READONLY", project.token_readonly.clone())]
}

/// Puts `api.hetzner.cloud` on the internet.
pub(crate) fn mount(world: &World) {
    let api = Router::new()
        .merge(servers::routes())
        .merge(firewalls::routes())
        .merge(images::routes())
        .merge(ssh_keys::routes())
        .merge(catalogue::routes())
        .route("/actions", get(action::several))
        .route("/actions/{id}", get(action::read))
        .route("/volumes", get(|query| nothing(query, "volumes")))
        .route("/load_balancers", get(|query| nothing(query, "load_balancers")))
        .route("/networks", get(|query| nothing(query, "networks")))
        .route("/placement_groups", get(|query| nothing(query, "placement_groups")))
        .route("/primary_ips", get(primary_ips))
        .route("/datacenters", get(gone).post(gone))
        .fallback(unknown)
        .layer(axum::middleware::from_fn_with_state(world.clone(), gate::gate))
        .with_state(world.clone());
    let router = Router::new().nest("/v1", api).fallback(unknown);
    world.with(|state| state.net.mount("api.hetzner.cloud", "hetzner", router));
}

async fn unknown() -> Answer {
    Err(Refusal::new(404, "not_found", "endpoint not found"))
}

/// Gone since 2026-10-01.
async fn gone() -> Answer {
    Err(Refusal::new(410, "deprecated_api_endpoint", "the datacenters endpoint has been removed")
        .with_details(json!({"announcement": "https://docs.hetzner.cloud/changelog"})))
}

/// Kinds that nobody in this world makes.
#[allow(clippy::unused_async, reason = "axum wants futures of handlers")]
async fn nothing(query: Query, kind: &'static str) -> Answer {
    list::page(&query, kind, Vec::new(), &["id", "name", "created"])
}

/// Primary addresses come and go with their servers.
async fn primary_ips(Handle(world): Handle<World>, query: Query) -> Answer {
    let items = world.with(|state| state.hetzner.servers.values().flat_map(shapes::primary_ips).collect());
    list::page(&query, "primary_ips", items, &["id", "name", "created"])
}

/// RFC 3339 in UTC, seconds.
fn stamp(at: Timestamp) -> String {
    let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
    whole.to_string()
}

/// Whether the firewalls applied to this server let TCP from `source` to `port`.
pub(crate) fn admits(state: &Everything, id: MachineId, source: IpAddr, port: u16) -> bool {
    let Some(server) = state.hetzner.servers.values().find(|server| server.machine == Some(id)) else { return false };
    let mut applied = server.firewalls.iter().filter_map(|id| state.hetzner.firewalls.get(id)).peekable();
    applied.peek().is_none() || applied.any(|firewall| firewall.admits_tcp(source, port))
}

/// A machine has got or lost power: its server's status follows.
pub(crate) fn power_changed(state: &mut Everything, id: MachineId, on: bool) {
    if let Some(server) = state.hetzner.servers.values_mut().find(|server| server.machine == Some(id)) {
        server.power(on);
    }
}

/// The server of this machine is no more, and nobody asked.
pub(crate) fn forget(state: &mut Everything, id: MachineId) {
    state.hetzner.servers.retain(|_, server| server.machine != Some(id));
}

/// Makes a `server`, `firewall` or `image` that is not the product's.
pub(crate) fn foreign(world: &World, kind: &str, name: &str) {
    world.with(|state| match kind {
        "server" => servers::foreign(state, name),
        "firewall" => firewalls::foreign(state, name),
        _ => images::foreign(state, name),
    });
}

/// Adds `hetzner_*`.
pub(crate) fn inventory(state: &Everything, kinds: &mut Map<String, Value>) {
    let project = &state.hetzner;
    let still = |mut item: Value| {
        if let Some(fields) = item.as_object_mut() {
            for clock in ["created", "ingoing_traffic", "outgoing_traffic", "backup_window", "created_from"] {
                fields.remove(clock);
            }
            if let Some(image) = fields.get_mut("image").and_then(Value::as_object_mut) {
                image.remove("created");
            }
        }
        item
    };
    let servers = project.servers.values().map(|server| still(shapes::server(state, server)));
    kinds.insert("hetzner_servers".into(), servers.collect());
    let firewalls = project.firewalls.values().map(|firewall| still(firewall.json(state)));
    kinds.insert("hetzner_firewalls".into(), firewalls.collect());
    let images = project.images.values().filter(|image| image.is_snapshot()).map(|image| still(image.json()));
    kinds.insert("hetzner_images".into(), images.collect());
    let ssh_keys = project.ssh_keys.values().map(|key| still(key.json()));
    kinds.insert("hetzner_ssh_keys".into(), ssh_keys.collect());
}

impl Greenhouse {
    /// Makes a snapshot that bears these labels and holds the Factory's image of Talos with these extensions, as if an
    /// earlier run had made it. `talos` without `v`; `arch` is `arm64` or `amd64`.
    pub fn snapshot(
        &self,
        labels: &BTreeMap<String, String>,
        extensions: &[&str],
        talos: &str,
        arch: &str,
    ) -> Result<(), GreenhouseError> {
        self.world.with(|state| images::prebuilt(state, labels, extensions, talos, arch))
    }
}
