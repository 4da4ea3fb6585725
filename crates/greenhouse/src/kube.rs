//! A Kubernetes API, as far as the product and the nodes need one. One store for each etcd cluster.

use crate::world::{State as Everything, World};
use axum::Router;
use std::collections::BTreeMap;

/// Names a Kubernetes cluster: the etcd cluster that holds it.
pub(crate) type ClusterId = u64;

/// Every etcd cluster's store.
#[derive(Default)]
pub(crate) struct State {}

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
    pub control_plane: bool,
    /// `Err`: why the node is not ready, as its Ready condition says it.
    pub ready: Result<(), String>,
}

/// Makes an empty cluster of this Kubernetes version (without `v`), as a first start of the API server does.
pub(crate) fn create(state: &mut Everything, _version: &str) -> ClusterId {
    state.next_id()
}

/// The API of a cluster. Who asks is in the requests' [`crate::net::Peer`]: CN is the user, O the groups.
pub(crate) fn router(_world: &World, _cluster: ClusterId) -> Router {
    Router::new()
}

/// A kubelet's heartbeat: registers the node or updates its status. To be called at least every 10 s while it lives;
/// a node that is silent for 50 s becomes Unknown, as the node lifecycle controller would say.
pub(crate) fn kubelet_reports(_world: &World, _state: &mut Everything, _cluster: ClusterId, _report: &NodeReport) {}
