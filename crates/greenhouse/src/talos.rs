//! A Talos node: boots from bytes, joins what its configuration says, and answers the machine API.
//!
//! ```text
//!  disk bytes ─▶ loader ─▶ source (STATE | user data | maintenance) ─▶ Config ─▶ stages of a boot
//!                                                                         │
//!      mesh (ext-tailscale) · trust (apid's certificate) · etcd · kubelet: one task each, waiting for the others
//!                                                                         │
//!                                   api (50000) · ports (6443, 50001, …) answer from the Node they made
//! ```
//!
//! A [`Node`] lives from power-on to power-off; what outlives it is the [`Disk`], kept by machine in [`State`], and
//! the etcd clusters. Nothing here knows who wrote a configuration: a wrong certificate, token, name or address shows
//! as it would in life, in service states, on the console, and as a port that does not answer.

mod api;
mod boot;
mod config;
mod etcd;
mod events;
mod firewall;
mod kubelet;
mod loader;
mod maintenance;
mod mesh;
mod pki;
mod ports;
mod power;
mod proto;
mod services;
mod source;
mod subnet;
mod trust;

#[cfg(test)]
pub(crate) mod tests;

use crate::factory::DiskImage;
use crate::kube::ClusterId;
use crate::machine::{MachineId, Port};
use crate::world::{State as Everything, World};
use axum::Router;
use bytes::Bytes;
use config::Config;
use events::Events;
use jiff::Timestamp;
use services::Services;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// What its nodes can be made to say that is not so.
pub(crate) const LIES: &[crate::Lie] = &[
    ("talos-apply-forgets", "a configuration is accepted and not kept"),
    ("talos-boot-id-kept", "the boot id of a machine never changes"),
    ("talos-bootstrap-twice", "a member's machine can be bootstrapped again"),
    ("talos-bootstrap-worker", "a worker accepts to be bootstrapped"),
    ("talos-dead-silent", "of several nodes, those that do not answer are left out of the reply"),
    ("talos-dry-run-applies", "a dry run is carried out"),
    ("talos-etcd-nameless", "etcd members have no names"),
    ("talos-member-homeless", "cluster members have no addresses"),
    ("talos-node-unnamed", "replies of several nodes do not say whose they are"),
    ("talos-pull-anything", "an image that does not exist is pulled"),
    ("talos-reader-resets", "a reader may reset a node"),
    ("talos-service-missing", "the kubelet is not among the services"),
    ("talos-snapshot-bare", "etcd's snapshot ends without its hash"),
    ("talos-staged-now", "a staged configuration takes effect at once"),
    ("talos-try-stays", "a tried configuration is never rolled back"),
    ("talos-version-old", "every node says that it runs Talos 1.13.0"),
    ("talos-watch-unflushed", "a watch never says that it has told all that is there"),
];

/// What Talos has left on disks, and the etcd clusters that live on them.
#[derive(Default)]
pub(crate) struct State {
    disks: BTreeMap<MachineId, Disk>,
    etcd: BTreeMap<u64, etcd::Cluster>,
}

/// What a system disk holds beside the image it was written with.
struct Disk {
    /// The image's bytes: a disk that has been written anew has none of the rest.
    written: Bytes,
    /// The system that boots, the one before it, and whether a boot of the new one is still to come.
    system: DiskImage,
    previous: Option<DiskImage>,
    /// STATE: the configuration.
    config: Option<Bytes>,
    /// EPHEMERAL: tailscaled's state.
    node_key: Option<String>,
    /// EPHEMERAL: etcd's data directory.
    etcd: Option<etcd::Membership>,
}

/// What `runtime.MachineStage` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Booting,
    Maintenance,
    Running,
    Rebooting,
    ShuttingDown,
    Resetting,
    Upgrading,
}

/// Who may ask what on port 50000.
enum Apid {
    /// Not up, or a worker that no control plane has given a certificate yet.
    Down,
    /// Anybody, little.
    Maintenance(Arc<crate::net::OwnTls>),
    /// Certificates of the machine CA. Issued anew when the node's names change or half its life is over.
    Up { issuer: config::PemPair, tls: Option<ports::Cached> },
}

/// The node's operating system while it runs.
pub(crate) struct Node {
    boot_id: String,
    /// The system that was booted.
    system: DiskImage,
    stage: Stage,
    /// The active configuration.
    config: Option<Arc<Config>>,
    /// Goes up with each configuration, as the resource's version does.
    config_version: u64,
    hostname: String,
    mesh: Option<IpAddr>,
    services: Services,
    events: Events,
    apid: Apid,
    /// The machine API, whatever it may answer just now.
    api: Router,
    /// Bootstrap has been asked for.
    bootstrap: bool,
    /// The Kubernetes cluster whose objects the snapshot holds that was uploaded for a bootstrap, if one was, and it is whole.
    snapshot: Option<ClusterId>,
    /// The cluster that the bootstrap brings back.
    recovered: Option<ClusterId>,
    /// The Kubernetes API on 6443, once its static pod runs.
    kube_api: Option<(ClusterId, Router)>,
    kube_tls: Option<ports::Cached>,
    /// Why the kubelet's node is not ready.
    ready: Result<(), String>,
    /// The CNI plugin has had time to install itself.
    cni_due: bool,
    /// A sequence runs that excludes others.
    locked: bool,
    started: Timestamp,
    changed: watch::Sender<u64>,
}

impl Node {
    /// Its host name as configured; empty before that.
    pub(crate) fn hostname(&self) -> &str {
        &self.hostname
    }

    /// Wakes whoever waits for this node.
    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn complete(&self) -> Option<&config::Complete> {
        self.config.as_ref()?.complete.as_ref()
    }

    fn is_control_plane(&self) -> bool {
        self.complete().is_some_and(|complete| complete.control_plane)
    }
}

/// The Talos node that runs on a machine, if one does.
fn node(state: &Everything, id: MachineId) -> Option<&Node> {
    match &state.machines.get(&id)?.os {
        crate::machine::Os::Talos(node) => Some(node),
        _ => None,
    }
}

fn node_mut(state: &mut Everything, id: MachineId) -> Option<&mut Node> {
    match &mut state.machines.get_mut(&id)?.os {
        crate::machine::Os::Talos(node) => Some(node),
        _ => None,
    }
}

/// What listens on the node: 50000, 50001, 6443, 80, 443 …, through its own ingress firewall.
pub(crate) fn endpoint(world: &World, state: &mut Everything, id: MachineId, source: IpAddr, port: u16) -> Port {
    ports::endpoint(world, state, id, source, port)
}

/// Boots what is on the disk.
pub(crate) async fn boot(world: &World, id: MachineId, boot: u64) {
    let boot = boot::Boot::new(world.clone(), id, boot);
    // `None` is a boot that ended early: power lost, or nothing there to boot.
    let _ended = boot::run(&boot).await;
}

/// The machine has lost power: its etcd member, mesh connection and kubelet stop answering.
pub(crate) fn lost(state: &mut Everything, id: MachineId) {
    etcd::lost(state, id);
    crate::tailscale::disconnected(state, id);
}

/// Whether a majority of the voters of this Kubernetes cluster's etcd is alive, without which its API hangs.
pub(crate) fn has_quorum(state: &Everything, cluster: ClusterId) -> bool {
    state.talos.etcd.values().any(|etcd| etcd.kube == cluster && etcd.has_quorum())
}

/// Where the API servers of a Kubernetes cluster are, and whether each of them answers.
pub(crate) fn api_servers(state: &Everything, cluster: ClusterId) -> Vec<(IpAddr, bool)> {
    let etcd = state.talos.etcd.values().filter(|etcd| etcd.kube == cluster);
    let serves = |id| node(state, id).is_some_and(|node| node.kube_api.is_some());
    etcd.flat_map(|etcd| etcd.members.values()).map(|member| (member.address, serves(member.machine))).collect()
}

/// A certificate that nobody vouches for, for a year: chain and key, DER and PKCS#8.
pub(crate) fn self_signed(
    common_name: &str,
    name: String,
    rng: &mut wire::Rng,
    now: Timestamp,
) -> Option<(Vec<Vec<u8>>, Vec<u8>)> {
    let valid = std::time::Duration::from_hours(365 * 24);
    let wanted =
        pki::Wanted { common_name, organization: None, names: vec![name], addresses: Vec::new(), server: true, valid };
    pki::self_signed(&wanted, rng, now).map(|made| (made.chain, made.key))
}
