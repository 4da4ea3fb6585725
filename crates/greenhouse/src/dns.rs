//! Names: the zone's authority, and each party's caching resolver, which also remembers what is not there.

use crate::net::From;
use crate::world::State as Everything;
use std::net::IpAddr;

/// The resolvers' caches.
#[derive(Default)]
pub(crate) struct State {}

/// Resolves a name as `from`'s resolver would; empty if there is no such name.
pub(crate) fn resolve(_state: &mut Everything, _from: From, _name: &str) -> Vec<IpAddr> {
    Vec::new()
}
