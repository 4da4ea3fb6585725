//! Hetzner's rescue system: an SSH server with a shell that knows what image writers need.

use crate::machine::{MachineId, Port};
use crate::world::{State, World};

/// The next boot goes into the rescue system, with these keys.
pub(crate) struct Armed {
    /// Public keys, OpenSSH format.
    pub authorized_keys: Vec<String>,
}

/// A rescue system that runs.
pub(crate) struct Running {}

/// What listens on the rescue system.
pub(crate) fn endpoint(_world: &World, _state: &State, _id: MachineId, _port: u16) -> Port {
    Port::Closed
}

/// Boots into the rescue system.
pub(crate) async fn boot(_world: &World, _id: MachineId, _boot: u64) {}
