//! An S3 server, as Hetzner Object Storage is one.

use crate::world::{State as Everything, World};
use serde_json::{Map, Value};
use wire::Rng;

/// Buckets and their objects.
pub(crate) struct State {}

impl State {
    pub(crate) fn new(_rng: &Rng) -> Self {
        State {}
    }
}

/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`.
pub(crate) fn credentials(_state: &Everything) -> Vec<(&'static str, String)> {
    Vec::new()
}

/// Puts `{fsn1,nbg1,hel1}.your-objectstorage.com` on the internet.
pub(crate) fn mount(_world: &World) {}

/// Adds `s3_buckets`.
pub(crate) fn inventory(_state: &Everything, _kinds: &mut Map<String, Value>) {}
