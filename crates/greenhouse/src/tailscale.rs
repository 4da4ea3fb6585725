//! Tailscale: the API v2 and the tailnet itself.

use crate::machine::MachineId;
use crate::net::From;
use crate::world::{State as Everything, World};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::net::{IpAddr, Ipv4Addr};
use wire::Rng;

/// The tailnet.
pub(crate) struct State {}

impl State {
    pub(crate) fn new(_rng: &Rng, _operator: &str, _began: Timestamp) -> Self {
        State {}
    }
}

/// What a node's tailscaled sends to the control server at first login.
pub(crate) struct Registration<'a> {
    pub auth_key: &'a str,
    pub hostname: &'a str,
    pub machine: MachineId,
}

/// What the control server answers.
pub(crate) struct Joined {
    /// The node's state, to be kept on its disk: what it shows when it comes back after a reboot.
    pub node_key: String,
    pub address: Ipv4Addr,
    /// The name it got: the host name, or `host-1` if that was taken.
    pub name: String,
}

/// `TAILSCALE_OAUTH_CLIENT_ID`, `TAILSCALE_OAUTH_CLIENT_SECRET`, `TAILSCALE_TAILNET`.
pub(crate) fn credentials(_state: &Everything) -> Vec<(&'static str, String)> {
    Vec::new()
}

/// Puts `api.tailscale.com` on the internet.
pub(crate) fn mount(_world: &World) {}

/// Whether this is an address of the mesh (100.64.0.0/10).
pub(crate) fn is_mesh(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if u32::from(v4) & 0xffc0_0000 == 0x6440_0000)
}

/// First login with an auth key. The error is the text that tailscaled logs.
pub(crate) fn register(_state: &mut Everything, _what: &Registration<'_>) -> Result<Joined, String> {
    Err("not up".into())
}

/// Comes back after a reboot with the state it kept. The error is the text that tailscaled logs.
pub(crate) fn resume(_state: &mut Everything, _node_key: &str, _machine: MachineId) -> Result<Joined, String> {
    Err("not up".into())
}

/// The machine has lost its connection to the control server.
pub(crate) fn disconnected(_state: &mut Everything, _machine: MachineId) {}

/// The mesh address of somebody, if it is on the tailnet and connected.
pub(crate) fn address_of(_state: &Everything, _from: From) -> Option<IpAddr> {
    None
}

/// The connected machine with this mesh address.
pub(crate) fn machine_at(_state: &Everything, _address: IpAddr) -> Option<MachineId> {
    None
}

/// Whether the tailnet policy lets TCP from one mesh address to a port of another.
pub(crate) fn admits(_state: &Everything, _source: IpAddr, _to: IpAddr, _port: u16) -> bool {
    false
}

/// Makes a device that is not the product's.
pub(crate) fn foreign(_world: &World, _name: &str) {}

/// Adds `tailscale_*`.
pub(crate) fn inventory(_state: &Everything, _kinds: &mut Map<String, Value>) {}
