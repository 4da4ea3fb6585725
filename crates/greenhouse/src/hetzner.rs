//! Hetzner Cloud, API v1.

use crate::machine::MachineId;
use crate::world::{State as Everything, World};
use serde_json::{Map, Value};
use std::net::IpAddr;
use wire::Rng;

/// The project behind the token.
pub(crate) struct State {}

impl State {
    pub(crate) fn new(_rng: &Rng) -> Self {
        State {}
    }
}

/// `HCLOUD_TOKEN`.
pub(crate) fn credentials(_state: &Everything) -> Vec<(&'static str, String)> {
    Vec::new()
}

/// Puts `api.hetzner.cloud` on the internet.
pub(crate) fn mount(_world: &World) {}

/// Whether the firewalls applied to this server let TCP from `source` to `port`.
pub(crate) fn admits(_state: &Everything, _id: MachineId, _source: IpAddr, _port: u16) -> bool {
    true
}

/// A machine has got or lost power: its server's status follows.
pub(crate) fn power_changed(_state: &mut Everything, _id: MachineId, _on: bool) {}

/// The server of this machine is no more, and nobody asked.
pub(crate) fn forget(_state: &mut Everything, _id: MachineId) {}

/// Makes a `server`, `firewall` or `image` that is not the product's.
pub(crate) fn foreign(_world: &World, _kind: &str, _name: &str) {}

/// Adds `hetzner_*`.
pub(crate) fn inventory(_state: &Everything, _kinds: &mut Map<String, Value>) {}
