//! How long each thing may take before it is called broken. Generous: each is several times what it takes in life.

use std::time::Duration;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// A cloud's own change of state: a subnet available, a server gone. OCI lets a VNIC lag for a quarter of an hour.
pub(crate) const RESOURCE: Duration = minutes(30);
/// From launch to the node's appearance on the tailnet.
pub(crate) const JOIN: Duration = minutes(12);
/// A machine in maintenance mode that should answer.
pub(crate) const INTRODUCE: Duration = minutes(10);
/// From bootstrap to etcd running.
pub(crate) const BOOTSTRAP: Duration = minutes(10);
/// From there to a Ready node.
pub(crate) const READY: Duration = minutes(15);
/// An add-on's objects that an API server which has only just started should take.
pub(crate) const INSTALL: Duration = minutes(5);
/// From an add-on's objects to its pods being ready: images are pulled.
pub(crate) const ROLLOUT: Duration = minutes(10);
/// The watcher's end; its pods have half a minute for it.
pub(crate) const STOP: Duration = minutes(1);
/// Evicting what runs on a node.
pub(crate) const DRAIN: Duration = minutes(10);
/// A node that resets itself.
pub(crate) const RESET: Duration = minutes(5);
/// A configuration that should take effect, on a node whose API may not be up yet.
pub(crate) const CONFIGURE: Duration = minutes(10);
