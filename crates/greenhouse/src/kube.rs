//! A Kubernetes API, as far as the product and the nodes need one. One store for each etcd cluster.
//!
//! Behind the API server stand the controllers that make a cluster's own life visible: the node lifecycle (silence,
//! taints), DaemonSets, Deployments, a scheduler, EndpointSlices, the eviction of pods, and just enough kubelet for pods to start
//! and stop. Containers whose image has a [`Program`](crate::Program) run it; any other pod is Running because its node lives and
//! time has passed.
//!
//! ```text
//!  request ─▶ api: who (auth), what (resource) ─▶ objects: create, update, patch, delete ─▶ store ─▶ watch
//!                                                                                             │ wake
//!  NodeReport ─▶ nodes: Node, Lease, silence ────────────────────────▶ store ◀── workloads ◀──┘
//! ```
//!
//! Objects are read by their types ([`schema`]), get their defaults, have their fields' owners noted ([`owners`]), are
//! validated as far as anybody here looks, and are stored. Clients may define kinds of their own ([`custom`]).
//!
//! Not here: most of what the real server validates, answers in protobuf, webhooks, quotas.

mod api;
mod ask;
mod auth;
mod birth;
mod custom;
mod decode;
mod defaults;
mod deletion;
mod discovery;
mod evict;
mod fields;
mod lies;
mod list;
mod lone;
mod network;
mod nodes;
mod objects;
mod openapi;
mod owners;
mod patch;
mod pods;
mod prepare;
mod protobuf;
mod quantity;
mod read;
mod refusal;
mod resource;
mod review;
mod roles;
mod schema;
mod select;
mod store;
mod subresources;
mod table;
#[cfg(test)]
mod tests;
mod tokens;
mod typed;
mod validate;
mod watch;
mod workloads;

pub(crate) use lies::LIES;
pub use lone::{LoneHandle, LoneKubernetes};
pub(crate) use network::{Found, Place, Published, Way, is_cut_off, look_up, open_door, published, way};

use crate::machine::MachineId;
use crate::program::Programs;
use crate::world::{State as Everything, World};
use axum::Router;
use jiff::Timestamp;
use pods::containers::Running;
use resource::{RESOURCES, Resource, find};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use store::{Key, Store};

/// Names a Kubernetes cluster: the etcd cluster that holds it.
pub(crate) type ClusterId = u64;

/// Every etcd cluster's store.
pub(crate) struct State {
    clusters: BTreeMap<ClusterId, Cluster>,
    /// What containers do, by image.
    programs: Programs,
}

impl State {
    pub(crate) fn new(programs: Programs) -> Self {
        State { clusters: BTreeMap::new(), programs }
    }
}

struct Cluster {
    version: String,
    /// Whether etcd has a quorum.
    available: bool,
    store: Store,
    kubelets: BTreeMap<String, Kubelet>,
    /// Whether the controllers are already on their way.
    waking: bool,
    /// Kinds that clients have defined, each with the revision that the server remembers it from.
    customs: Vec<(&'static Resource, u64)>,
    /// Whether controllers run at all.
    controlled: bool,
    /// Pods, by uid, that a kubelet is starting or stopping.
    busy: BTreeSet<String>,
    programs: Programs,
    /// Pods whose containers have programs, by uid, while they run.
    running: BTreeMap<String, Running>,
    /// The authority of the API's certificate, PEM; empty if nobody has said.
    root_ca: String,
    /// Signs service accounts' tokens.
    signer: [u8; 32],
}

impl Cluster {
    /// The machine of a node, and the boot in which its kubelet was heard last.
    fn machine(&self, node: &str) -> Option<(MachineId, u64)> {
        self.kubelets.get(node)?.machine
    }

    /// The addresses that nodes have reported as their own.
    fn node_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let nodes = find("", "v1", "nodes").into_iter().flat_map(|nodes| self.store.list(nodes, ""));
        let addresses = nodes.flat_map(|(_, node)| node["status"]["addresses"].as_array().into_iter().flatten());
        addresses.filter(|at| at["type"] == "InternalIP").filter_map(|at| at["address"].as_str()?.parse().ok())
    }

    /// Every resource that is served.
    fn resources(&self) -> Vec<&'static Resource> {
        RESOURCES.iter().chain(self.customs.iter().map(|(resource, _)| *resource)).collect()
    }

    /// The resource of this name, and since which revision the server remembers its objects.
    fn resource(&self, group: &str, version: &str, plural: &str) -> Option<(&'static Resource, u64)> {
        let is_it =
            |at: &&(&'static Resource, u64)| at.0.group == group && at.0.version == version && at.0.plural == plural;
        let custom = self.customs.iter().find(is_it).copied();
        find(group, version, plural).map(|resource| (resource, 0)).or(custom)
    }

    fn has_group(&self, group: &str, version: &str) -> bool {
        self.resources().iter().any(|at| at.group == group && at.version == version)
    }
}

/// What the cluster remembers of a node's kubelet.
struct Kubelet {
    machine: Option<(MachineId, u64)>,
    /// The boot in which it registered: a kubelet registers once, so a Node deleted since stays deleted.
    boot_id: String,
    heard: Timestamp,
    /// When it last wrote the whole status.
    published: Timestamp,
    /// Whether the lifecycle controller has given it up.
    silent: bool,
    /// Whether somebody waits for its silence.
    watched: bool,
    /// Whether its machine has lost power since it was last heard: it begins nothing, however lately that was.
    off: bool,
}

/// What a kubelet tells the API about its node.
#[derive(Clone, Debug)]
pub(crate) struct NodeReport {
    pub name: String,
    /// `InternalIP`, `ExternalIP`, `Hostname` → address.
    pub addresses: Vec<(&'static str, String)>,
    pub labels: BTreeMap<String, String>,
    /// `key`, `value`, `effect`.
    pub taints: Vec<(String, String, String)>,
    /// Without `v`.
    pub kubelet: String,
    /// `Talos (v1.14.6)`.
    pub os_image: String,
    /// `arm64`, `amd64`.
    pub arch: &'static str,
    pub provider_id: Option<String>,
    pub cores: u32,
    pub memory_mib: u64,
    pub boot_id: String,
    /// Where it runs, and in which boot; none for nodes that are nothing but reports. Programs run on machines.
    pub machine: Option<(MachineId, u64)>,
    pub control_plane: bool,
    /// `Err`: why the node is not ready, as its Ready condition says it.
    pub ready: Result<(), String>,
}

/// Makes an empty cluster of this Kubernetes version (without `v`), as a first start of the API server does.
pub(crate) fn create(state: &mut Everything, version: &str) -> ClusterId {
    let id = create_bare(state, version);
    let now = state.now();
    if let Some(cluster) = cluster_mut(state, id) {
        birth::fill(&mut cluster.store, version, now);
        cluster.controlled = true;
    }
    id
}

/// An API server and its etcd, without controllers and what they and Talos put into a new cluster.
fn create_bare(state: &mut Everything, version: &str) -> ClusterId {
    let id = state.next_id();
    let rng = state.rng().child(&format!("kubernetes {id}"));
    let signer = rng.child("service accounts").bytes();
    let mut store = Store::new(rng);
    birth::bare(&mut store, state.now());
    let cluster = Cluster {
        version: version.to_owned(),
        available: true,
        store,
        kubelets: BTreeMap::new(),
        waking: false,
        customs: Vec::new(),
        controlled: false,
        busy: BTreeSet::new(),
        programs: state.kube.programs.clone(),
        running: BTreeMap::new(),
        root_ca: String::new(),
        signer,
    };
    state.kube.clusters.insert(id, cluster);
    id
}

/// Tells a cluster the authority of its API's certificate, PEM, which pods are given.
pub(crate) fn set_root_ca(state: &mut Everything, id: ClusterId, pem: &str) {
    let Some(cluster) = cluster_mut(state, id) else { return };
    pem.clone_into(&mut cluster.root_ca);
    let maps = find("", "v1", "configmaps").into_iter().flat_map(|maps| cluster.store.list(maps, ""));
    let maps: Vec<Key> = maps.filter(|(key, _)| key.name == "kube-root-ca.crt").map(|(key, _)| key.clone()).collect();
    for key in maps {
        let Some(map) = cluster.store.get(&key) else { continue };
        let mut map = (**map).clone();
        map["data"] = serde_json::json!({"ca.crt": pem});
        cluster.store.put(&key, map);
    }
}

/// A machine has lost power: its containers are no more, without having been asked.
pub(crate) fn lost(state: &mut Everything, id: MachineId) {
    for cluster in state.kube.clusters.values_mut() {
        let here = cluster.running.iter().filter(|(_, running)| running.machine.0 == id);
        let here: Vec<String> = here.map(|(uid, _)| uid.clone()).collect();
        for uid in here {
            pods::containers::kill(cluster, &uid);
        }
        let of_machine = |kubelet: &&mut Kubelet| kubelet.machine.is_some_and(|(machine, _)| machine == id);
        cluster.kubelets.values_mut().filter(of_machine).for_each(|kubelet| kubelet.off = true);
    }
}

/// The world ends: no container runs on.
pub(crate) fn end(state: &mut Everything) {
    for cluster in state.kube.clusters.values_mut() {
        let all: Vec<String> = cluster.running.keys().cloned().collect();
        for uid in all {
            pods::containers::kill(cluster, &uid);
        }
    }
}

/// Ends the containers of pods on a node whose names begin so, as a crash would; whether there were any.
pub(crate) fn crash(state: &mut Everything, machine: MachineId, prefix: &str) -> bool {
    let all = state.kube.clusters.values().flat_map(|cluster| cluster.running.values());
    let hit = all.filter(|running| running.machine.0 == machine && running.key.name.starts_with(prefix));
    hit.map(Running::crash).count() > 0
}

/// The API of a cluster. Who asks is in the requests' [`crate::net::Peer`]: CN is the user, O the groups.
pub(crate) fn router(world: &World, id: ClusterId) -> Router {
    let world = world.clone();
    Router::new().fallback(move |request: axum::extract::Request| api::answer(world.clone(), id, request))
}

/// A kubelet's heartbeat: registers the node or updates its status. To be called at least every 10 s while it lives;
/// a node that is silent for 50 s becomes Unknown, as the node lifecycle controller would say.
pub(crate) fn kubelet_reports(world: &World, state: &mut Everything, id: ClusterId, report: &NodeReport) {
    nodes::report(world, state, id, report);
}

/// Whether etcd has a quorum and an API server runs. Without it requests end in the etcd client's timeout, heartbeats
/// are lost, and nobody judges nodes; when it comes back, every node has its full grace again.
pub(crate) fn set_available(state: &mut Everything, id: ClusterId, available: bool) {
    let now = state.now();
    let Some(cluster) = cluster_mut(state, id).filter(|cluster| cluster.available != available) else { return };
    cluster.available = available;
    if available {
        for kubelet in cluster.kubelets.values_mut().filter(|kubelet| !kubelet.silent) {
            kubelet.heard = now;
        }
    }
    state.note(format_args!("kubernetes: etcd {}", if available { "has a quorum" } else { "has no quorum" }));
}

fn cluster(state: &Everything, id: ClusterId) -> Option<&Cluster> {
    state.kube.clusters.get(&id)
}

fn cluster_mut(state: &mut Everything, id: ClusterId) -> Option<&mut Cluster> {
    state.kube.clusters.get_mut(&id)
}
