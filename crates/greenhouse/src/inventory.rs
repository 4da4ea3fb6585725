//! What the vendors' APIs would list, as one JSON object that equal worlds give equally.

use crate::world::State;
use crate::{cloudflare, hetzner, oci, s3, tailscale};
use serde_json::{Map, Value};

/// Kind → array sorted by id. Each vendor adds its kinds, named `VENDOR_KIND` (`hetzner_servers`).
pub(crate) fn take(state: &State) -> Value {
    let mut kinds = Map::new();
    hetzner::inventory(state, &mut kinds);
    oci::inventory(state, &mut kinds);
    tailscale::inventory(state, &mut kinds);
    cloudflare::inventory(state, &mut kinds);
    s3::inventory(state, &mut kinds);
    Value::Object(kinds)
}
