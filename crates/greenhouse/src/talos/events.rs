//! The event stream of a node: a ring that clients tail and follow.

use super::Node;
use super::proto::machine as wire;
use std::collections::VecDeque;

/// As many as Talos keeps.
const KEPT: usize = 1000;

/// What has happened on a node, oldest first.
#[derive(Default)]
pub(super) struct Events {
    ring: VecDeque<(u64, wire::Event)>,
    next: u64,
}

impl Events {
    /// Events from number `from` on, and the number to ask from next.
    pub(super) fn since(&self, from: u64) -> (Vec<wire::Event>, u64) {
        let found = self.ring.iter().filter(|(number, _)| *number >= from).map(|(_, event)| event.clone());
        (found.collect(), self.next)
    }

    /// The number to start from for the last `tail` events; all for a negative one.
    pub(super) fn tail(&self, tail: i32) -> u64 {
        match u64::try_from(tail) {
            Ok(tail) => self.next.saturating_sub(tail),
            Err(_) => 0,
        }
    }
}

impl Node {
    /// Publishes an event. `actor` is the id that a call was answered with, or empty.
    pub(super) fn publish(&mut self, name: &str, message: &impl prost::Message, actor: &str) {
        let number = self.events.next;
        self.events.next += 1;
        let data = prost_types::Any { type_url: format!("talos/runtime/{name}"), value: message.encode_to_vec() };
        // Ids sort by time in life (xid); here by number.
        let id = format!("{number:020}");
        let event = wire::Event { metadata: None, data: Some(data), id, actor_id: actor.to_owned() };
        self.events.ring.push_back((number, event));
        if self.events.ring.len() > KEPT {
            self.events.ring.pop_front();
        }
        self.touch();
    }
}
