//! Lies: deliberate errors of the emulators, so that those who judge them can be judged. A world lies only where its
//! [`Options::lies`](crate::Options) name a lie; no file, rule or control address reaches this.
//!
//! Each emulator lists its lies beside its code; the place that lies asks [`World::lies`] with the same name.

use crate::world::{GreenhouseError, World};
use crate::{cloudflare, dns, factory, hetzner, kube, oci, rescue, s3, tailscale, talos};
use std::collections::BTreeSet;

/// A lie's name, which begins with its emulator's, and what is untrue under it.
pub type Lie = (&'static str, &'static str);

/// Every lie there is.
pub fn lies() -> impl Iterator<Item = Lie> {
    let clouds = [hetzner::LIES, oci::LIES, cloudflare::LIES, s3::LIES, tailscale::LIES];
    clouds.into_iter().chain([dns::LIES, factory::LIES, kube::LIES, rescue::LIES, talos::LIES]).flatten().copied()
}

/// The lies of one world.
pub(crate) fn chosen(names: &[String]) -> Result<BTreeSet<&'static str>, GreenhouseError> {
    let known = |name: &String| {
        let lie = lies().find(|(known, _)| known == name);
        lie.map(|(known, _)| known).ok_or_else(|| GreenhouseError::NoLie(name.clone()))
    };
    names.iter().map(known).collect()
}

impl World {
    /// Whether this world tells that lie.
    pub(crate) fn lies(&self, name: &'static str) -> bool {
        self.with(|state| state.lies.contains(name))
    }
}
