//! Firewalls: rules, and the servers they are applied to.

use super::answer::{Answer, Refusal, created, no_content, ok};
use super::input::{Id, Input, Query};
use super::{action, list, stamp};
use crate::world::{State as Everything, World};
use axum::Router;
use axum::extract::State as Handle;
use axum::routing::{get, post};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(super) struct Firewall {
    id: u64,
    pub(super) name: String,
    labels: BTreeMap<String, String>,
    rules: Vec<Rule>,
    created: Timestamp,
}

#[derive(Clone)]
struct Rule {
    inbound: bool,
    protocol: String,
    port: Option<String>,
    source_ips: Vec<String>,
    destination_ips: Vec<String>,
    description: Option<String>,
}

impl Firewall {
    pub(super) fn json(&self, state: &Everything) -> Value {
        let applied = state.hetzner.servers.values().filter(|server| server.firewalls.contains(&self.id));
        let applied: Vec<Value> =
            applied.map(|server| json!({"type": "server", "server": {"id": server.id}})).collect();
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|rule| {
                json!({
                    "direction": if rule.inbound { "in" } else { "out" }, "protocol": rule.protocol, "port": rule.port,
                    "source_ips": rule.source_ips, "destination_ips": rule.destination_ips,
                    "description": rule.description,
                })
            })
            .collect();
        json!({
            "id": self.id, "name": self.name, "labels": self.labels, "created": stamp(self.created), "rules": rules,
            "applied_to": applied,
        })
    }

    /// Whether a rule lets TCP in. Firewalls drop what no rule lets in.
    pub(super) fn admits_tcp(&self, source: IpAddr, port: u16) -> bool {
        self.rules.iter().any(|rule| {
            let in_port = rule.port.as_deref().is_some_and(|ports| holds(ports, port));
            rule.inbound && rule.protocol == "tcp" && in_port && rule.source_ips.iter().any(|net| contains(net, source))
        })
    }
}

/// `80`, `8000-9000`, `any`.
fn holds(ports: &str, port: u16) -> bool {
    match ports.split_once('-') {
        Some((low, high)) => {
            let bounds = (low.trim().parse::<u16>(), high.trim().parse::<u16>());
            matches!(bounds, (Ok(low), Ok(high)) if (low..=high).contains(&port))
        }
        None => ports == "any" || ports.parse() == Ok(port),
    }
}

fn split(net: &str) -> Option<(IpAddr, u8)> {
    let (base, bits) = net.split_once('/')?;
    let (base, bits): (IpAddr, u8) = (base.parse().ok()?, bits.parse().ok()?);
    (bits <= if base.is_ipv4() { 32 } else { 128 }).then_some((base, bits))
}

fn contains(net: &str, address: IpAddr) -> bool {
    match (split(net), address) {
        (Some((IpAddr::V4(base), bits)), IpAddr::V4(address)) => {
            let shift = 32 - u32::from(bits);
            u32::from(base).checked_shr(shift).unwrap_or(0) == u32::from(address).checked_shr(shift).unwrap_or(0)
        }
        (Some((IpAddr::V6(base), bits)), IpAddr::V6(address)) => {
            let shift = 128 - u32::from(bits);
            u128::from(base).checked_shr(shift).unwrap_or(0) == u128::from(address).checked_shr(shift).unwrap_or(0)
        }
        _ => false,
    }
}

pub(super) fn routes() -> Router<World> {
    Router::new()
        .route("/firewalls", get(all).post(create))
        .route("/firewalls/{id}", get(read).put(update).delete(delete))
        .route("/firewalls/{id}/actions", get(actions))
        .route("/firewalls/{id}/actions/set_rules", post(set_rules))
        .route("/firewalls/{id}/actions/apply_to_resources", post(apply))
        .route("/firewalls/{id}/actions/remove_from_resources", post(remove))
}

async fn all(Handle(world): Handle<World>, query: Query) -> Answer {
    let items = world.with(|state| state.hetzner.firewalls.values().map(|one| one.json(state)).collect());
    list::page(&query, "firewalls", items, &["id", "name", "created"])
}

async fn actions(Handle(world): Handle<World>, Id(id): Id, query: Query) -> Answer {
    action::of(&world, "firewall", Some(id), &query)
}

fn rules(input: &Input) -> Result<Vec<Rule>, Refusal> {
    let items = input.list("rules")?;
    if items.len() > 50 {
        return Err(Refusal::field("rules", "at most 50 rules"));
    }
    items.iter().map(rule).collect()
}

fn rule(value: &Value) -> Result<Rule, Refusal> {
    let wrong = |reason: &str| Refusal::field("rules", reason);
    let Value::Object(fields) = value else { return Err(wrong("must be objects")) };
    let rule = Input(fields.clone());
    rule.only(&["direction", "protocol", "port", "source_ips", "destination_ips", "description"])?;
    let inbound = match rule.needed_text("direction")? {
        "in" => true,
        "out" => false,
        _ => return Err(wrong("direction must be in or out")),
    };
    let protocol = rule.needed_text("protocol")?.to_owned();
    if !["tcp", "udp", "icmp", "esp", "gre"].contains(&protocol.as_str()) {
        return Err(wrong("unknown protocol"));
    }
    let port = rule.text("port")?.map(str::to_owned);
    if matches!(protocol.as_str(), "tcp" | "udp") != port.is_some() {
        return Err(wrong("a port is needed for tcp and udp, and for these only"));
    }
    let nets = |name: &str| -> Result<Vec<String>, Refusal> {
        let list =
            rule.list(name)?.iter().map(|net| net.as_str().map(str::to_owned).ok_or_else(|| wrong("must be CIDRs")));
        let list = list.collect::<Result<Vec<_>, _>>()?;
        if list.iter().all(|net| split(net).is_some()) { Ok(list) } else { Err(wrong("must be CIDRs")) }
    };
    let (source_ips, destination_ips) = (nets("source_ips")?, nets("destination_ips")?);
    if inbound && source_ips.is_empty() {
        return Err(wrong("source_ips are needed for direction in"));
    }
    let description = rule.text("description")?.map(str::to_owned);
    Ok(Rule { inbound, protocol, port, source_ips, destination_ips, description })
}

/// Ids of the servers that `apply_to` or `remove_from` names.
fn targets(input: &Input, field: &str) -> Result<Vec<u64>, Refusal> {
    let each = input.list(field)?.iter().map(|item| match item["type"].as_str() {
        Some("server") => item["server"]["id"].as_u64().ok_or_else(|| Refusal::field(field, "server needs an id")),
        _ => Err(Refusal::field(field, "only servers are known here")),
    });
    each.collect()
}

async fn create(Handle(world): Handle<World>, input: Input) -> Answer {
    input.only(&["name", "labels", "rules", "apply_to"])?;
    let name = input.needed_text("name")?.to_owned();
    let (labels, rules, apply_to) = (input.labels()?.unwrap_or_default(), rules(&input)?, targets(&input, "apply_to")?);
    world.with(|state| {
        if state.hetzner.firewalls.values().any(|firewall| firewall.name == name) {
            return Err(Refusal::uniqueness("firewall name is already used", "name"));
        }
        let id = state.next_id();
        let firewall = Firewall { id, name, labels, rules, created: state.now() };
        state.hetzner.firewalls.insert(id, firewall);
        let made = attach(state, id, &apply_to, true)?;
        let set = action::instant(state, "set_firewall_rules", &[("firewall", id)]);
        let mut ids = vec![set];
        ids.extend(made);
        let shown = state.hetzner.firewalls.get(&id).map(|firewall| firewall.json(state));
        let actions = action::all_shown(state, &ids);
        created(json!({"firewall": shown, "actions": actions}))
    })
}

fn attach(state: &mut Everything, id: u64, servers: &[u64], on: bool) -> Result<Vec<action::ActionId>, Refusal> {
    let mut made = Vec::new();
    for server in servers {
        let Some(found) = state.hetzner.servers.get_mut(server) else {
            return Err(Refusal::new(404, "firewall_resource_not_found", "firewall resource not found"));
        };
        if on == found.firewalls.contains(&id) {
            let code = if on { "firewall_already_applied" } else { "firewall_resource_not_found" };
            return Err(Refusal::new(422, code, "the firewall is applied already, or is not"));
        }
        if on {
            found.firewalls.push(id);
        } else {
            found.firewalls.retain(|other| *other != id);
        }
        let command = if on { "apply_firewall" } else { "remove_firewall" };
        made.push(action::instant(state, command, &[("firewall", id), ("server", *server)]));
    }
    Ok(made)
}

fn needed(state: &Everything, id: u64) -> Result<&Firewall, Refusal> {
    state.hetzner.firewalls.get(&id).ok_or_else(|| Refusal::not_found("firewall", id))
}

async fn read(Handle(world): Handle<World>, Id(id): Id) -> Answer {
    world.with(|state| ok(json!({"firewall": needed(state, id)?.json(state)})))
}

async fn update(Handle(world): Handle<World>, Id(id): Id, input: Input) -> Answer {
    input.only(&["name", "labels"])?;
    let (name, labels) = (input.text("name")?.map(str::to_owned), input.labels()?);
    world.with(|state| {
        let firewall = state.hetzner.firewalls.get_mut(&id).ok_or_else(|| Refusal::not_found("firewall", id))?;
        firewall.name = name.unwrap_or_else(|| firewall.name.clone());
        firewall.labels = labels.unwrap_or_else(|| firewall.labels.clone());
        ok(json!({"firewall": needed(state, id)?.json(state)}))
    })
}

async fn delete(Handle(world): Handle<World>, Id(id): Id) -> Answer {
    let lagging = world.fault("hetzner", "in-use", "firewall").is_some();
    world.with(|state| {
        needed(state, id)?;
        let in_use = state.hetzner.servers.values().any(|server| server.firewalls.contains(&id));
        if (in_use || lagging) && !state.lies.contains("hetzner-used-firewall-deleted") {
            return Err(Refusal::new(422, "resource_in_use", format!("firewall with ID '{id}' is still in use")));
        }
        state.hetzner.firewalls.remove(&id);
        no_content()
    })
}

async fn set_rules(Handle(world): Handle<World>, Id(id): Id, input: Input) -> Answer {
    input.only(&["rules"])?;
    let rules = rules(&input)?;
    world.with(|state| {
        let firewall = state.hetzner.firewalls.get_mut(&id).ok_or_else(|| Refusal::not_found("firewall", id))?;
        firewall.rules = rules;
        let set = action::instant(state, "set_firewall_rules", &[("firewall", id)]);
        created(json!({"actions": action::all_shown(state, &[set])}))
    })
}

async fn apply(Handle(world): Handle<World>, Id(id): Id, input: Input) -> Answer {
    input.only(&["apply_to"])?;
    change(&world, id, &targets(&input, "apply_to")?, true)
}

async fn remove(Handle(world): Handle<World>, Id(id): Id, input: Input) -> Answer {
    input.only(&["remove_from"])?;
    change(&world, id, &targets(&input, "remove_from")?, false)
}

fn change(world: &World, id: u64, servers: &[u64], on: bool) -> Answer {
    world.with(|state| {
        needed(state, id)?;
        let made = attach(state, id, servers, on)?;
        created(json!({"actions": action::all_shown(state, &made)}))
    })
}

pub(super) fn foreign(state: &mut Everything, name: &str) {
    let (id, created) = (state.next_id(), state.now());
    let labels = BTreeMap::from([("owner".to_owned(), "somebody".to_owned())]);
    let firewall = Firewall { id, name: name.to_owned(), labels, rules: Vec::new(), created };
    state.hetzner.firewalls.insert(id, firewall);
}
