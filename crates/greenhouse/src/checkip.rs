//! `checkip.amazonaws.com`: answers with the address that a call comes from, as text with a line feed.

use crate::net::Peer;
use crate::world::World;
use axum::routing::get;
use axum::{Extension, Router};

/// Puts it on the internet.
pub(crate) fn mount(world: &World) {
    let router =
        Router::new().route("/", get(|Extension(peer): Extension<Peer>| async move { format!("{}\n", peer.address) }));
    world.with(|state| state.net.mount("checkip.amazonaws.com", "checkip", router));
}
