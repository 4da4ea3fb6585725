//! Oracle Cloud Infrastructure: identity, network, compute, object storage, work requests.

use crate::machine::MachineId;
use crate::world::{State as Everything, World};
use serde_json::{Map, Value};
use std::net::IpAddr;
use wire::Rng;

/// The tenancy.
pub(crate) struct State {}

impl State {
    pub(crate) fn new(_rng: &Rng) -> Self {
        State {}
    }
}

/// `OCI_CONFIG` (the text of `~/.oci/config`) and `OCI_KEY` (PEM).
pub(crate) fn credentials(_state: &Everything) -> Vec<(&'static str, String)> {
    Vec::new()
}

/// Puts the services' hosts on the internet.
pub(crate) fn mount(_world: &World) {}

/// Whether security lists and groups let TCP from `source` to `port` of this instance.
pub(crate) fn admits(_state: &Everything, _id: MachineId, _source: IpAddr, _port: u16) -> bool {
    true
}

/// A machine has got or lost power: its instance's state follows.
pub(crate) fn power_changed(_state: &mut Everything, _id: MachineId, _on: bool) {}

/// The instance of this machine is no more, and nobody asked.
pub(crate) fn forget(_state: &mut Everything, _id: MachineId) {}

/// Makes a VCN that is not the product's.
pub(crate) fn foreign(_world: &World, _name: &str) {}

/// Adds `oci_*`.
pub(crate) fn inventory(_state: &Everything, _kinds: &mut Map<String, Value>) {}
