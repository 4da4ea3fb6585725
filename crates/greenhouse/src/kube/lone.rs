//! A Kubernetes API that belongs to no machine, for those who judge the API alone.

use super::{ClusterId, NodeReport, cluster_mut, create_bare, router};
use crate::net::{ClientAuth, Endpoint, OwnTls, ServerTls, Serves};
use crate::world::{Greenhouse, World};
use std::sync::Arc;
use std::time::Duration;

/// How a lone API is reached and what stands behind it.
#[derive(Clone, Debug)]
pub struct LoneKubernetes {
    /// Its name on the simulated internet; port 6443.
    pub host: String,
    /// Kubernetes version, without `v`.
    pub version: String,
    /// The server's certificates, DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The server's key, PKCS#8 DER.
    pub key: Vec<u8>,
    /// Whose client certificates it believes, DER.
    pub client_ca: Vec<u8>,
    /// Nodes with a living kubelet each. With none, no controller runs either: a bare API server beside its etcd.
    pub nodes: Vec<String>,
}

/// A handle on a lone API, for what no client can ask of it.
#[derive(Clone)]
pub struct LoneHandle {
    world: World,
    id: ClusterId,
}

impl LoneHandle {
    /// Forgets the past, as a compaction of etcd does: older revisions are refused as expired.
    pub fn compact(&self) {
        self.world.with(|state| {
            if let Some(cluster) = cluster_mut(state, self.id) {
                cluster.store.compact();
            }
        });
    }
}

impl Greenhouse {
    /// Puts a Kubernetes API on the simulated internet. A served world's proxy leads to it too.
    pub fn kubernetes(&self, wanted: &LoneKubernetes) -> LoneHandle {
        let world = &self.world;
        let is_bare = wanted.nodes.is_empty();
        let id = world.with(|state| {
            if is_bare { create_bare(state, &wanted.version) } else { super::create(state, &wanted.version) }
        });
        let tls = OwnTls {
            chain: wanted.chain.clone(),
            key: wanted.key.clone(),
            clients: ClientAuth::Optional(vec![wanted.client_ca.clone()]),
        };
        let endpoint = Endpoint {
            name: format!("{}:6443", wanted.host),
            vendor: "node",
            tls: Some(ServerTls::Own(Arc::new(tls))),
            serves: Serves::Http(router(world, id)),
        };
        world.with(|state| state.net.alias(&wanted.host, 6443, endpoint));
        for (at, name) in wanted.nodes.iter().enumerate() {
            let (living, report) = (world.clone(), report(name, at, &wanted.version));
            world.spawn(async move {
                loop {
                    living.with(|state| super::kubelet_reports(&living, state, id, &report));
                    living.time().sleep(Duration::from_secs(10)).await;
                }
            });
        }
        LoneHandle { world: world.clone(), id }
    }
}

fn report(name: &str, at: usize, version: &str) -> NodeReport {
    NodeReport {
        name: name.to_owned(),
        addresses: vec![("InternalIP", format!("100.64.0.{}", at + 1)), ("Hostname", name.to_owned())],
        labels: [].into(),
        taints: Vec::new(),
        kubelet: version.to_owned(),
        os_image: "Talos (v1.14.6)".into(),
        arch: "arm64",
        provider_id: None,
        cores: 2,
        memory_mib: 4096,
        boot_id: format!("boot-of-{name}"),
        machine: None,
        control_plane: at == 0,
        ready: Ok(()),
    }
}
