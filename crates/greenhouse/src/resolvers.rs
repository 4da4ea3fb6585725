//! The public resolvers that programs knock at to see whether the internet is there: 1.1.1.1 and 9.9.9.9, on port 443.
//!
//! They are there and speak HTTPS; what they resolve over it is not here: names of this world are asked elsewhere ([`crate::dns`]).

use crate::world::World;
use axum::Router;
use axum::http::StatusCode;

/// Where they are.
const ADDRESSES: [&str; 2] = ["1.1.1.1", "9.9.9.9"];

/// Puts them on the internet.
pub(crate) fn mount(world: &World) {
    let router = || Router::new().fallback(async || StatusCode::NOT_FOUND);
    world.with(|state| ADDRESSES.iter().for_each(|address| state.net.mount(address, "resolver", router())));
}
