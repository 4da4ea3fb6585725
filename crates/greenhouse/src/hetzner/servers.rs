//! Servers, from create to delete.

use super::action::{self, ActionId};
use super::answer::{Answer, Refusal, created, no_content, ok};
use super::catalogue::{self, ServerType};
use super::input::{self, Id, Input, Query};
use super::{images, list, shapes};
use crate::machine::{self, Firmware, Machine, MachineId, Os};
use crate::rescue;
use crate::world::{State as Everything, World};
use axum::Router;
use axum::extract::State as Handle;
use axum::routing::{get, post};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// User data may be this long (ksail#5015).
const USER_DATA_BYTES_MAX: usize = 32_768;

pub(super) struct Server {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) kind: &'static ServerType,
    pub(super) location: &'static str,
    pub(super) image: Option<u64>,
    pub(super) firewalls: Vec<u64>,
    pub(super) ipv4: Option<Ipv4Addr>,
    /// First address of its /64.
    pub(super) ipv6: Option<Ipv6Addr>,
    pub(super) status: &'static str,
    pub(super) locked: bool,
    /// Set until the next boot.
    pub(super) rescue: Option<Vec<String>>,
    pub(super) machine: Option<MachineId>,
    pub(super) created: Timestamp,
}

impl Server {
    /// Follows its machine's power.
    pub(super) fn power(&mut self, on: bool) {
        if self.status != "deleting" {
            self.status = if on { "running" } else { "off" };
        }
        if on {
            self.rescue = None;
        }
    }
}

pub(super) fn routes() -> Router<World> {
    Router::new()
        .route("/servers", get(all).post(create))
        .route(
            "/servers/actions",
            get(|Handle(world): Handle<World>, query: Query| async move { action::of(&world, "server", None, &query) }),
        )
        .route("/servers/{id}", get(read).put(update).delete(delete))
        .route("/servers/{id}/actions", get(actions))
        .route("/servers/{id}/actions/{command}", get(action::read_of).post(act))
        .route("/servers/{id}/metrics", post(super::unknown))
}

async fn all(Handle(world): Handle<World>, query: Query) -> Answer {
    const STATUSES: &[&str] = &["initializing", "starting", "running", "stopping", "off", "deleting"];
    let items: Vec<Value> =
        world.with(|state| state.hetzner.servers.values().map(|one| shapes::server(state, one)).collect());
    let fits = |item: &Value| query.wants("status", STATUSES, item["status"].as_str().unwrap_or_default());
    list::page(&query, "servers", items.into_iter().filter(fits).collect(), &["id", "name", "created"])
}

async fn actions(Handle(world): Handle<World>, Id(id): Id, query: Query) -> Answer {
    action::of(&world, "server", Some(id), &query)
}

fn needed(state: &Everything, id: u64) -> Result<&Server, Refusal> {
    state.hetzner.servers.get(&id).ok_or_else(|| Refusal::not_found("server", id))
}

async fn read(Handle(world): Handle<World>, Id(id): Id) -> Answer {
    world.with(|state| ok(json!({"server": shapes::server(state, needed(state, id)?)})))
}

async fn update(Handle(world): Handle<World>, Id(id): Id, input: Input) -> Answer {
    input.only(&["name", "labels"])?;
    let (name, labels) = (input.text("name")?.map(str::to_owned), input.labels()?);
    locked_by_fault(&world, id)?;
    world.with(|state| {
        let taken = |server: &Server| server.id != id && Some(&server.name) == name.as_ref();
        if state.hetzner.servers.values().any(taken) {
            return Err(Refusal::uniqueness("server name is already used", "name"));
        }
        let server = state.hetzner.servers.get_mut(&id).ok_or_else(|| Refusal::not_found("server", id))?;
        server.name = name.unwrap_or_else(|| server.name.clone());
        server.labels = labels.unwrap_or_else(|| server.labels.clone());
        ok(json!({"server": shapes::server(state, needed(state, id)?)}))
    })
}

fn locked_by_fault(world: &World, id: u64) -> Result<(), Refusal> {
    let name = world.with(|state| state.hetzner.servers.get(&id).map(|server| server.name.clone()));
    match name.and_then(|name| world.fault("hetzner", "locked", &name)) {
        Some(_) if world.lies("hetzner-locked-is-a-conflict") => {
            Err(Refusal::new(409, "conflict", "cannot perform operation because server is locked"))
        }
        Some(_) => Err(Refusal::locked()),
        None => Ok(()),
    }
}

/// What a create asks for, checked as far as it can be without the state.
struct Order {
    name: String,
    kind: &'static ServerType,
    location: &'static str,
    image: String,
    user_data: Option<Bytes>,
    labels: BTreeMap<String, String>,
    firewalls: Vec<u64>,
    start: bool,
    ipv4: bool,
    ipv6: bool,
    has_key: bool,
}

const FIELDS: &[&str] = &[
    "name",
    "server_type",
    "image",
    "location",
    "start_after_create",
    "ssh_keys",
    "volumes",
    "networks",
    "firewalls",
    "user_data",
    "labels",
    "automount",
    "placement_group",
    "public_net",
];

fn order(world: &World, input: &Input) -> Result<Order, Refusal> {
    input.only(FIELDS)?;
    let name = input.needed_text("name")?.to_owned();
    let is_label = |part: &str| {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        part.len() <= 63
            && edge(part.bytes().next())
            && edge(part.bytes().last())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !name.split('.').all(is_label) {
        return Err(Refusal::field("name", "must be a valid hostname"));
    }
    let kind = input.reference("server_type")?.unwrap_or_default();
    let kind = catalogue::server_type(&kind).ok_or_else(|| Refusal::field("server_type", "server_type not found"))?;
    let location = input.reference("location")?.unwrap_or_else(|| "fsn1".into());
    let location =
        catalogue::location_name(&location).ok_or_else(|| Refusal::field("location", "location not found"))?;
    let image = input.reference("image")?.ok_or_else(|| Refusal::field("image", "Missing data for required field."))?;
    let user_data = input.text("user_data")?.map(|text| Bytes::copy_from_slice(text.as_bytes()));
    let is_long = user_data.as_ref().is_some_and(|data| data.len() > USER_DATA_BYTES_MAX);
    if is_long && !world.lies("hetzner-user-data-of-any-length") {
        return Err(Refusal::field("user_data", "Length must be between 0 and 32768."));
    }
    let firewalls = input
        .list("firewalls")?
        .iter()
        .map(|item| item["firewall"].as_u64().ok_or_else(|| Refusal::field("firewalls", "firewall must be an ID")));
    let public = input.object("public_net")?;
    public.only(&["enable_ipv4", "enable_ipv6", "ipv4", "ipv6"])?;
    Ok(Order {
        name,
        kind,
        location,
        image,
        user_data,
        labels: input.labels()?.unwrap_or_default(),
        firewalls: firewalls.collect::<Result<_, _>>()?,
        start: input.flag("start_after_create", true)?,
        ipv4: public.flag("enable_ipv4", true)?,
        ipv6: public.flag("enable_ipv6", true)?,
        has_key: !input.list("ssh_keys")?.is_empty(),
    })
}

/// Stock, quotas and whatever else says no before anything is made.
fn refused(world: &World, order: &Order) -> Result<(), Refusal> {
    let struck = |effect: &str| {
        world.fault("hetzner", effect, order.kind.name).or_else(|| world.fault("hetzner", effect, order.location))
    };
    if struck("no-capacity").is_some() {
        return Err(Refusal::new(412, "resource_unavailable", "error during placement"));
    }
    if world.fault("hetzner", "location-disabled", order.location).is_some() {
        return Err(Refusal::new(412, "resource_unavailable", "server location disabled"));
    }
    if world.fault("hetzner", "quota", "server").is_some() {
        let details = json!({"limits": [{"name": "server_limit"}]});
        return Err(Refusal::new(403, "resource_limit_exceeded", "server limit exceeded").with_details(details));
    }
    Ok(())
}

async fn create(Handle(world): Handle<World>, input: Input) -> Answer {
    let order = order(&world, &input)?;
    refused(&world, &order)?;
    let ends_in_error = world.fault("hetzner", "action-error", &order.name).is_some();
    let ends_locked = world.fault("hetzner", "action-locked", &order.name).is_some();
    let never_boots = world.fault("hetzner", "no-boot", &order.name).is_some();
    let (start, has_key) = (order.start, order.has_key);
    let (id, making, starting, shown) = world.with(|state| {
        let id = place(state, order, never_boots)?;
        let making = action::begin(state, "create_server", &[("server", id)]);
        let starting = start.then(|| action::begin(state, "start_server", &[("server", id)]));
        let shown = shapes::server(state, needed(state, id)?);
        Ok::<_, Refusal>((id, making, starting, shown))
    })?;
    let later = world.clone();
    let end = match (ends_in_error, ends_locked) {
        (true, _) => Err(("unknown_error", "unknown error")),
        (_, true) => Err(("locked", "server is locked")),
        _ => Ok(()),
    };
    world.spawn(async move { come_up(&later, id, making, starting, end).await });
    let password = if has_key { Value::Null } else { json!("zXkFkqvbm9uLwP") };
    let (action, next) = world.with(|state| {
        let next: Vec<ActionId> = starting.into_iter().collect();
        (action::shown(state, making), action::all_shown(state, &next))
    });
    created(json!({"server": shown, "action": action, "next_actions": next, "root_password": password}))
}

/// Enters the server and builds its machine, still without power.
fn place(state: &mut Everything, order: Order, never_boots: bool) -> Result<u64, Refusal> {
    let is_taken = state.hetzner.servers.values().any(|server| server.name == order.name);
    if is_taken && !state.lies.contains("hetzner-name-twice") {
        return Err(Refusal::uniqueness("server name is already used", "name"));
    }
    if !catalogue::is_sold(order.kind, order.location) {
        return Err(Refusal::invalid("unsupported location for server type"));
    }
    let image = state.hetzner.images.values().find(|image| image.is(&order.image, order.kind.arch));
    let Some(image) = image.filter(|image| image.available) else {
        return Err(Refusal::field("image", "image not found"));
    };
    if image.arch != order.kind.arch {
        return Err(Refusal::invalid("image architecture does not match server type architecture"));
    }
    if image.disk_gib > order.kind.disk_gib {
        return Err(Refusal::invalid("image disk is bigger than server type disk"));
    }
    let (image, disk) = (image.id, if never_boots { Bytes::new() } else { image.disk.clone() });
    if let Some(missing) = order.firewalls.iter().find(|id| !state.hetzner.firewalls.contains_key(id)) {
        return Err(Refusal::new(422, "firewall_resource_not_found", format!("firewall {missing} not found")));
    }
    let (id, machine, created) = (state.next_id(), state.next_id(), state.now());
    let (ipv4, ipv6) = addresses(state, order.location);
    let (ipv4, ipv6) = (order.ipv4.then_some(ipv4), order.ipv6.then_some(ipv6));
    let host = ipv6.map(|net| IpAddr::V6(Ipv6Addr::from(u128::from(net) | 1)));
    let built = Machine {
        vendor: "hetzner",
        name: order.name.clone(),
        vendor_id: id.to_string(),
        arch: order.kind.arch,
        firmware: Firmware::Uefi,
        cores: order.kind.cores,
        memory_mib: order.kind.memory_gib << 10,
        disk_gib: order.kind.disk_gib,
        region: order.location.to_owned(),
        public: ipv4.map(IpAddr::V4).into_iter().chain(host).collect(),
        private: None,
        user_data: order.user_data,
        disk,
        rescue: None,
        power: false,
        boot: 0,
        os: Os::Off,
        console: Vec::new(),
    };
    state.machines.insert(machine, built);
    let server = Server {
        id,
        name: order.name,
        labels: order.labels,
        kind: order.kind,
        location: order.location,
        image: Some(image),
        firewalls: order.firewalls,
        ipv4,
        ipv6,
        status: "initializing",
        locked: true,
        rescue: None,
        machine: Some(machine),
        created,
    };
    state.hetzner.servers.insert(id, server);
    Ok(id)
}

/// A public address in a range of the location, and a /64.
fn addresses(state: &mut Everything, location: &str) -> (Ipv4Addr, Ipv6Addr) {
    state.hetzner.addresses += 1;
    let number = state.hetzner.addresses;
    let net: [u8; 2] = match location {
        "fsn1" => [49, 12],
        "nbg1" => [78, 46],
        "hel1" => [65, 108],
        _ => [5, 161],
    };
    let [.., high, low] = number.to_be_bytes();
    let ipv4 = Ipv4Addr::new(net[0], net[1], high, low);
    (ipv4, Ipv6Addr::new(0x2a01, 0x4f9, 0xc010, u16::from_be_bytes([high, low]), 0, 0, 0, 0))
}

/// What happens by itself after a create: building takes 8 to 16 s, then the machine gets power.
async fn come_up(
    world: &World,
    id: u64,
    making: ActionId,
    starting: Option<ActionId>,
    end: Result<(), (&'static str, &'static str)>,
) {
    let name = world.with(|state| state.hetzner.servers.get(&id).map(|server| server.name.clone()));
    let Some(name) = name else { return };
    let label = format!("create {name}");
    let build = action::run(world, making, &label, 8_000, 16_000);
    world.stage(&name, "server-create", build).await;
    let failed = end.is_err_and(|(code, _)| code == "unknown_error");
    let machine = world.with(|state| {
        action::finish(state, making, end);
        let server = state.hetzner.servers.get_mut(&id)?;
        server.locked = false;
        if failed || starting.is_none() {
            server.status = "off";
            if let (Some(starting), true) = (starting, failed) {
                action::finish(state, starting, Err(("action_failed", "server could not be started")));
            }
            return None;
        }
        server.status = "starting";
        server.machine
    });
    if let (Some(machine), Some(starting)) = (machine, starting) {
        machine::power_on(world, machine);
        action::run(world, starting, &format!("start {name}"), 1_000, 2_000).await;
        world.with(|state| {
            started(state, id, machine);
            action::finish(state, starting, Ok(()));
        });
    }
}

/// A server runs as soon as it has been started: that its machine's firmware is only now at work is none of the API's
/// business.
fn started(state: &mut Everything, id: u64, machine: MachineId) {
    let has_power = state.machines.get(&machine).is_some_and(|machine| machine.power);
    if let Some(server) = state.hetzner.servers.get_mut(&id).filter(|_| has_power) {
        server.power(true);
    }
}

async fn delete(Handle(world): Handle<World>, Id(id): Id) -> Answer {
    locked_by_fault(&world, id)?;
    let (going, machine) = world.with(|state| {
        let server = state.hetzner.servers.get_mut(&id).ok_or_else(|| Refusal::not_found("server", id))?;
        server.status = "deleting";
        let machine = server.machine;
        Ok::<_, Refusal>((action::begin(state, "delete_server", &[("server", id)]), machine))
    })?;
    if let Some(machine) = machine {
        machine::power_off(&world, machine);
    }
    let later = world.clone();
    world.spawn(async move {
        later.delay_between(&format!("delete {id}"), 1_000, 3_000).await;
        later.with(|state| {
            if !state.lies.contains("hetzner-deleted-server-stays") {
                state.hetzner.servers.remove(&id);
            }
            if let Some(machine) = machine {
                state.machines.remove(&machine);
            }
            action::finish(state, going, Ok(()));
        });
    });
    if world.lies("hetzner-delete-without-action") {
        return no_content();
    }
    ok(json!({"action": world.with(|state| action::shown(state, going))}))
}

async fn act(
    Handle(world): Handle<World>,
    axum::extract::Path((id, command)): axum::extract::Path<(u64, String)>,
    input: Input,
) -> Answer {
    let (machine, name) = world.with(|state| {
        let server = needed(state, id)?;
        if server.locked {
            return Err(Refusal::locked());
        }
        Ok((server.machine, server.name.clone()))
    })?;
    locked_by_fault(&world, id)?;
    let Some(machine) = machine else { return Err(Refusal::not_found("server", id)) };
    match command.as_str() {
        "poweron" | "poweroff" | "shutdown" | "reboot" | "reset" => power(&world, id, machine, &command),
        "enable_rescue" => enable_rescue(&world, id, machine, &input),
        "disable_rescue" => world.with(|state| {
            set_rescue(state, id, machine, None, "");
            one_action(state, "disable_rescue", id)
        }),
        "create_image" => create_image(&world, id, machine, &name, &input),
        "change_type" => change_type(&world, id, machine, &input),
        _ => Err(Refusal::new(404, "not_found", "endpoint not found")),
    }
}

fn one_action(state: &mut Everything, command: &'static str, id: u64) -> Answer {
    let done = action::instant(state, command, &[("server", id)]);
    created(json!({"action": action::shown(state, done)}))
}

fn power(world: &World, id: u64, machine: MachineId, command: &str) -> Answer {
    let name = match command {
        "poweron" => "start_server",
        "poweroff" => "stop_server",
        "shutdown" => "shutdown_server",
        "reboot" => "reboot_server",
        _ => "reset_server",
    };
    let going = world.with(|state| {
        if let (Some(server), "poweron") = (state.hetzner.servers.get_mut(&id), command)
            && server.status == "off"
        {
            server.status = "starting";
        }
        action::begin(state, name, &[("server", id)])
    });
    let (later, command) = (world.clone(), command.to_owned());
    world.spawn(async move {
        let ms = if command == "shutdown" { (3_000, 8_000) } else { (500, 1_500) };
        action::run(&later, going, &format!("{command} {id}"), ms.0, ms.1).await;
        match command.as_str() {
            "poweron" => machine::power_on(&later, machine),
            "poweroff" | "shutdown" => machine::power_off(&later, machine),
            _ => machine::power_cycle(&later, machine),
        }
        later.with(|state| {
            if command == "poweron" {
                started(state, id, machine);
            }
            action::finish(state, going, Ok(()));
        });
    });
    created(json!({"action": world.with(|state| action::shown(state, going))}))
}

fn set_rescue(state: &mut Everything, id: u64, machine: MachineId, keys: Option<Vec<String>>, password: &str) {
    if let Some(machine) = state.machines.get_mut(&machine) {
        let armed = |authorized_keys| rescue::Armed { authorized_keys, root_password: password.to_owned() };
        machine.rescue = keys.clone().map(armed);
    }
    if let Some(server) = state.hetzner.servers.get_mut(&id) {
        server.rescue = keys;
    }
}

fn enable_rescue(world: &World, id: u64, machine: MachineId, input: &Input) -> Answer {
    input.only(&["type", "ssh_keys"])?;
    if input.text("type")?.is_some_and(|kind| kind != "linux64") {
        return Err(Refusal::field("type", "must be linux64"));
    }
    let wanted = input.list("ssh_keys")?.iter().map(|item| input::as_reference("ssh_keys", item));
    let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
    world.with(|state| {
        let mut keys = Vec::new();
        for reference in &wanted {
            let known = state
                .hetzner
                .ssh_keys
                .iter()
                .find(|(key, one)| key.to_string() == *reference || one.name == *reference);
            let (_, key) = known.ok_or_else(|| Refusal::field("ssh_keys", format!("SSH key {reference} not found")))?;
            keys.push(key.public_key.clone());
        }
        let password: String = hex::encode(state.rng().bytes::<8>());
        set_rescue(state, id, machine, Some(keys), &password);
        let done = action::instant(state, "enable_rescue", &[("server", id)]);
        let password = Some(password).filter(|_| !state.lies.contains("hetzner-rescue-without-password"));
        created(json!({"action": action::shown(state, done), "root_password": password}))
    })
}

fn create_image(world: &World, id: u64, machine: MachineId, name: &str, input: &Input) -> Answer {
    input.only(&["type", "description", "labels"])?;
    if input.text("type")?.unwrap_or("snapshot") != "snapshot" {
        return Err(Refusal::field("type", "only snapshots are made here"));
    }
    let description = input.text("description")?.unwrap_or("snapshot").to_owned();
    let labels = input.labels()?.filter(|_| !world.lies("hetzner-snapshot-without-labels")).unwrap_or_default();
    let (image, going, shown) = world.with(|state| {
        let (disk, arch, disk_gib) = match state.machines.get(&machine) {
            Some(machine) => (machine.disk.clone(), machine.arch, machine.disk_gib),
            None => return Err(Refusal::not_found("server", id)),
        };
        let created_from = Some((id, name.to_owned()));
        let draft = images::Draft { description, labels, arch, disk, disk_gib, created_from, available: false };
        let image = images::add(state, draft);
        let going = action::begin(state, "create_image", &[("server", id), ("image", image)]);
        let shown = state.hetzner.images.get(&image).map(images::Image::json);
        Ok((image, going, shown))
    })?;
    let (later, subject) = (world.clone(), name.to_owned());
    world.spawn(async move {
        // Snapshots of a disk that is nearly empty: one to two and a half minutes.
        let label = format!("snapshot {subject}");
        let taking = action::run(&later, going, &label, 60_000, 150_000);
        later.stage(&subject, "snapshot", taking).await;
        later.with(|state| {
            if let Some(image) = state.hetzner.images.get_mut(&image) {
                image.available = true;
            }
            action::finish(state, going, Ok(()));
        });
    });
    created(json!({"image": shown, "action": world.with(|state| action::shown(state, going))}))
}

fn change_type(world: &World, id: u64, machine: MachineId, input: &Input) -> Answer {
    input.only(&["server_type", "upgrade_disk"])?;
    let wanted = input.reference("server_type")?.unwrap_or_default();
    let kind = catalogue::server_type(&wanted).ok_or_else(|| Refusal::field("server_type", "server_type not found"))?;
    world.with(|state| {
        let server = state.hetzner.servers.get_mut(&id).ok_or_else(|| Refusal::not_found("server", id))?;
        if server.status != "off" {
            return Err(Refusal::new(422, "server_not_stopped", "server must be stopped"));
        }
        if server.kind.arch != kind.arch {
            return Err(Refusal::invalid("server type architecture does not match"));
        }
        server.kind = kind;
        if let Some(machine) = state.machines.get_mut(&machine) {
            (machine.cores, machine.memory_mib) = (kind.cores, kind.memory_gib << 10);
        }
        one_action(state, "change_server_type", id)
    })
}

pub(super) fn foreign(state: &mut Everything, name: &str) {
    let Some(kind) = catalogue::server_type("cx23") else { return };
    let (id, created) = (state.next_id(), state.now());
    let (ipv4, ipv6) = addresses(state, "nbg1");
    let server = Server {
        id,
        name: name.to_owned(),
        labels: BTreeMap::from([("owner".to_owned(), "somebody".to_owned())]),
        kind,
        location: "nbg1",
        image: None,
        firewalls: Vec::new(),
        ipv4: Some(ipv4),
        ipv6: Some(ipv6),
        status: "running",
        locked: false,
        rescue: None,
        machine: None,
        created,
    };
    state.hetzner.servers.insert(id, server);
}
