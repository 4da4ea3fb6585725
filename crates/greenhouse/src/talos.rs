//! A Talos node: boots from bytes, joins what its configuration says, and answers the machine API.

use crate::machine::{MachineId, Port};
use crate::world::{State, World};
use std::net::IpAddr;

/// The node's operating system while it runs.
pub(crate) struct Node {}

impl Node {
    /// Its host name as configured; empty before that.
    pub(crate) fn hostname(&self) -> &str {
        ""
    }
}

/// What listens on the node: 50000, 50001, 6443, 80, 443 …, through its own ingress firewall.
pub(crate) fn endpoint(_world: &World, _state: &mut State, _id: MachineId, _source: IpAddr, _port: u16) -> Port {
    Port::Closed
}

/// Boots what is on the disk.
pub(crate) async fn boot(_world: &World, _id: MachineId, _boot: u64) {}

/// The machine has lost power: its etcd member, mesh connection and kubelet stop answering.
pub(crate) fn lost(_state: &mut State, _id: MachineId) {}
