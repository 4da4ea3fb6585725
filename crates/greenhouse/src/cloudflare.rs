//! Cloudflare: zones, records, batch.

use crate::world::{State as Everything, World};
use serde_json::{Map, Value};
use std::net::IpAddr;
use wire::Rng;

/// The account.
pub(crate) struct State {}

impl State {
    pub(crate) fn new(_rng: &Rng, _zone: &str) -> Self {
        State {}
    }
}

/// What an authoritative server says of a name.
pub(crate) enum Authority {
    /// Addresses with their TTL in seconds; CNAMEs are followed inside the zone.
    Addresses(Vec<IpAddr>, u32),
    /// No such name; resolvers keep that for so many seconds.
    NoSuchName(u32),
    /// Not a zone of this account.
    NotHere,
}

/// `CLOUDFLARE_API_TOKEN`.
pub(crate) fn credentials(_state: &Everything) -> Vec<(&'static str, String)> {
    Vec::new()
}

/// Puts `api.cloudflare.com` on the internet.
pub(crate) fn mount(_world: &World) {}

/// Answers for the account's zones.
pub(crate) fn authority(_state: &Everything, _name: &str) -> Authority {
    Authority::NotHere
}

/// Makes an A record that is not the product's.
pub(crate) fn foreign(_world: &World, _name: &str) {}

/// Adds `cloudflare_*`.
pub(crate) fn inventory(_state: &Everything, _kinds: &mut Map<String, Value>) {}
