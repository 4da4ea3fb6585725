//! What the nodes are told: configurations as the product renders them, with what a container and a world without an
//! internet need patched over them.

use super::registry;
use crate::failure::Failure;
use crate::machine::Machine;
use std::collections::BTreeMap;
use std::net::IpAddr;
use talos::{Bundle, NodeInput, Platform, endpoint_host};
use wire::Secret;

/// A node that is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The machine.
    pub machine: Machine,
    /// Whether it holds etcd and the Kubernetes API.
    pub control_plane: bool,
}

/// The cluster file that configurations are rendered from. `talos` is the version that runs, Kubernetes the newest that it
/// takes; where the file says that nodes are does not matter.
fn file(nodes: &[Planned]) -> String {
    let lines = nodes.iter().map(|node| {
        let role = if node.control_plane { "control-plane" } else { "worker" };
        format!("  {}: {{ role: {role}, on: hetzner/hel1/cax11 }}\n", node.machine.name)
    });
    let (talos, kubernetes) = (super::TALOS, super::KUBERNETES);
    format!("cluster: bouquet\ntalos: {talos}\nkubernetes: {kubernetes}\nnodes:\n{}", lines.collect::<String>())
}

/// There is one registry, which has no images but those of nodes and control planes, and a discovery service of our own. The kernel here may have
/// control groups of version 1 only, each hierarchy a mount that Talos's own mount of their folder leaves out.
fn patch() -> String {
    format!(
        "machine:
  kubelet:
    extraConfig:
      failCgroupV1: false
      evictionHard: {{ memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1% }}
      imageGCHighThresholdPercent: 100
    extraMounts:
      - destination: /sys/fs/cgroup
        type: bind
        source: /sys/fs/cgroup
        options: [rbind, rw]
  registries:
    mirrors:
      \"*\":
        endpoints: [\"{}\"]
        skipFallback: true
cluster:
  network:
    cni:
      name: none
      flannel:
        $patch: delete
  coreDNS:
    disabled: true
  proxy:
    disabled: true
  discovery:
    registries:
      service:
        endpoint: {}
",
        registry::url(),
        super::discovery_url(),
    )
}

/// Every node's configuration, by name.
pub(super) fn render(nodes: &[Planned], bundle: &Bundle) -> Result<BTreeMap<&'static str, Secret>, Failure> {
    let unfit = |why: String| Failure::Unread { program: "the rig's own cluster file", said: why };
    let reading = spec::read(&file(nodes));
    let cluster = reading.cluster.ok_or_else(|| unfit(format!("{:?}", reading.faults)))?;
    let cluster = spec::Cluster { patches: vec![patch()], ..cluster };
    let endpoint = endpoint_host(&cluster);
    let first =
        nodes.iter().find(|node| node.control_plane).and_then(|node| node.machine.mesh().parse::<IpAddr>().ok());
    let static_hosts = first.map(|address| (address, vec![endpoint.clone()])).into_iter().collect();
    let mesh = talos::Mesh::default();
    let rendered = nodes.iter().map(|node| {
        let input = NodeInput {
            cluster: &cluster,
            node: node.machine.name,
            platform: Platform::Hcloud,
            bundle,
            auth_key: None,
            mesh: &mesh,
            endpoint: &endpoint,
            static_hosts: &static_hosts,
            cert_sans: &[],
            installer: None,
        };
        let text = talos::render(&input).map_err(|error| unfit(error.to_string()))?;
        Ok((node.machine.name, text))
    });
    rendered.collect()
}
