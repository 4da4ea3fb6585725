//! The cluster's network, as a pod on a node has it: CoreDNS, kube-proxy, flannel, portmap.
//!
//! Names and services are what the API holds now: that a node which is cut off from it routes by what it knew is left out.

use super::pods::containers::Running;
use super::resource::find;
use super::store::Key;
use super::{Cluster, ClusterId, cluster, cluster_mut, evict, pods};
use crate::machine::{self, MachineId};
use crate::net::{Endpoint, From, POD, Peer, ServerTls, Serves};
use crate::program::Seat;
use crate::world::State;
use crate::{tailscale, talos};
use axum::Router;
use serde_json::Value;
use std::net::IpAddr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// flannel's VXLAN port on Linux.
const VXLAN: u16 = 4789;

/// One start of a container, by name.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub cluster: ClusterId,
    /// The pod's uid.
    pub uid: String,
    pub container: String,
    /// Which start of the container.
    pub start: u64,
}

/// What a container listens with on a port of its pod.
pub(super) struct Door {
    pub container: String,
    pub tls: Option<ServerTls>,
    pub router: Router,
    pub over: CancellationToken,
}

/// What a pod's resolver says of a name.
pub(crate) enum Found {
    Address(IpAddr),
    NoSuchName,
    /// No name server answers.
    Silence,
    /// Not the cluster's: the node's own resolver is asked.
    Elsewhere,
}

/// Where a pod's packets to an address end.
pub(crate) enum Way {
    Open(Box<Endpoint>, Peer, Duration),
    Refused,
    Void,
    /// They leave with the node's address, for this one.
    Out(IpAddr, u16),
}

/// Whether a fault keeps a machine from every API server.
pub(crate) fn is_cut_off(state: &State, id: MachineId) -> bool {
    state.faults.stands("node", "no-api", &machine::known_as(state, id))
}

/// Opens a door, unless that start of the container is over.
pub(crate) fn open_door(state: &mut State, place: &Place, port: u16, tls: Option<ServerTls>, router: Router) {
    let running = cluster_mut(state, place.cluster).and_then(|cluster| cluster.running.get_mut(&place.uid));
    let Some(running) = running else { return };
    let Some(over) = running.over(&place.container, place.start) else { return };
    running.doors.insert(port, Door { container: place.container.clone(), tls, router, over });
}

/// What CoreDNS says of a name, with the search domains of a pod's `resolv.conf`.
pub(crate) fn look_up(state: &State, seat: &Seat, name: &str) -> Found {
    if !seat.cluster_names {
        return Found::Elsewhere;
    }
    let Some(cluster) = cluster(state, seat.cluster) else { return Found::Silence };
    let servers = pods::list(&cluster.store, "kube-system")
        .filter(|(_, pod)| pod["metadata"]["labels"]["k8s-app"] == "kube-dns" && evict::is_ready(pod));
    let answers = |pod: &Value| {
        let machine = cluster.machine(pods::node_of(pod));
        machine.is_some_and(|(id, boot)| machine::is_boot(state, id, boot) && is_joined(state, cluster, seat, id))
    };
    if !servers.into_iter().any(|(_, pod)| answers(pod)) {
        return Found::Silence;
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let local = name.strip_suffix(".cluster.local").unwrap_or(&name);
    let labels: Vec<&str> = local.split('.').collect();
    let (service, namespace) = match labels.as_slice() {
        [service] if local == name => (*service, seat.namespace.as_str()),
        [service, namespace] if local == name => (*service, *namespace),
        [service, namespace, "svc"] => (*service, *namespace),
        _ if local == name => return Found::Elsewhere,
        _ => return Found::NoSuchName,
    };
    let found = find("", "v1", "services")
        .and_then(|services| cluster.store.get(&Key::new(services, namespace, service)))
        .and_then(|service| service["spec"]["clusterIP"].as_str()?.parse().ok());
    match found {
        Some(address) => Found::Address(address),
        // The search list ends with the name as it stands.
        None if local == name && labels.len() < 3 => Found::Elsewhere,
        None => Found::NoSuchName,
    }
}

/// Where a connection from a pod to an address leads.
pub(crate) fn way(state: &mut State, seat: &Seat, to: IpAddr, port: u16) -> Way {
    let Some(cluster) = cluster(state, seat.cluster) else { return Way::Void };
    let (to, port) = match service_at(cluster, to, port) {
        None => (to, port),
        Some(Service::Api) => match api_server(state, seat) {
            Some(address) => return Way::Out(address, 6443),
            None => return Way::Refused,
        },
        // kube-proxy rejects what has no endpoint.
        Some(Service::Pods(endpoints)) => match draw(state, seat, &endpoints) {
            Some(endpoint) => endpoint,
            None => return Way::Refused,
        },
    };
    let Some(cluster) = super::cluster(state, seat.cluster) else { return Way::Void };
    let Some(running) = cluster.running.values().find(|at| !at.host_network && at.address == to) else {
        return if in_pod_range(cluster, to) { without_program(state, cluster, seat, to) } else { Way::Out(to, port) };
    };
    let (there, boot) = running.machine;
    let found = door(running, port);
    let is_joined = machine::is_boot(state, there, boot) && is_joined(state, cluster, seat, there);
    if !is_joined || there != seat.machine && is_mesh_lost(state, seat.machine, there) {
        return Way::Void;
    }
    let Some(endpoint) = found else { return Way::Refused };
    let from = From::Machine(seat.machine);
    let peer = Peer { address: seat.address, from, to: Some((there, boot)), certificates: None };
    Way::Open(Box::new(endpoint), peer, machine::latency(state, from, there))
}

fn door(running: &Running, port: u16) -> Option<Endpoint> {
    let door = running.doors.get(&port)?;
    Some(Endpoint {
        name: format!("{}:{port}", running.key.name),
        vendor: POD,
        tls: door.tls.clone(),
        serves: Serves::Door(door.router.clone(), door.over.clone()),
    })
}

/// What listens at a port of a pod, for the kubelet's probes.
pub(super) fn door_of(cluster: &Cluster, uid: &str, port: u16) -> Option<(Endpoint, (MachineId, u64))> {
    let running = cluster.running.get(uid)?;
    Some((door(running, port)?, running.machine))
}

/// A port of a machine that pods have published, or of their host network.
pub(crate) enum Published {
    Open(Box<Endpoint>),
    /// It leads to a pod where nothing listens.
    Shut,
}

/// What pods have at a port of a machine, if anything.
pub(crate) fn published(state: &State, id: MachineId, port: u16) -> Option<Published> {
    let here = |running: &&Running| running.machine.0 == id;
    let all = || state.kube.clusters.values().flat_map(|cluster| cluster.running.values()).filter(here);
    let mapped = all().find_map(|running| {
        let (_, inside) = running.host_ports.iter().find(|(outside, _)| *outside == port)?;
        Some(door(running, *inside).map_or(Published::Shut, |endpoint| Published::Open(Box::new(endpoint))))
    });
    let on_host = || {
        let endpoint = all().filter(|running| running.host_network).find_map(|running| door(running, port))?;
        Some(Published::Open(Box::new(endpoint)))
    };
    mapped.or_else(on_host)
}

enum Service {
    Api,
    Pods(Vec<(IpAddr, u16)>),
}

/// The service with this address, and its ready endpoints behind the port.
fn service_at(cluster: &Cluster, to: IpAddr, port: u16) -> Option<Service> {
    let address = to.to_string();
    let services = find("", "v1", "services")?;
    let (key, service) = cluster.store.list(services, "").find(|(_, at)| at["spec"]["clusterIP"] == *address)?;
    if key.namespace == "default" && key.name == "kubernetes" {
        return Some(if port == 443 { Service::Api } else { Service::Pods(Vec::new()) });
    }
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let Some(wanted) = ports.into_iter().find(|at| at["port"] == port) else { return Some(Service::Pods(Vec::new())) };
    let name = wanted["name"].as_str().unwrap_or_default();
    let slices = find("discovery.k8s.io", "v1", "endpointslices")?;
    let slices = cluster
        .store
        .list(slices, &key.namespace)
        .filter(|(_, slice)| slice["metadata"]["labels"]["kubernetes.io/service-name"] == *key.name);
    let mut endpoints = Vec::new();
    for (_, slice) in slices {
        let ports = slice["ports"].as_array().into_iter().flatten();
        let port = ports.into_iter().find(|at| at["name"].as_str().unwrap_or_default() == name);
        let Some(port) = port.and_then(|at| u16::try_from(at["port"].as_u64()?).ok()) else { continue };
        let ready = slice["endpoints"].as_array().into_iter().flatten().filter(|at| at["conditions"]["ready"] == true);
        endpoints.extend(ready.filter_map(|at| Some((at["addresses"][0].as_str()?.parse().ok()?, port))));
    }
    Some(Service::Pods(endpoints))
}

/// iptables' random pick.
fn draw<T: Copy>(state: &mut State, seat: &Seat, all: &[T]) -> Option<T> {
    let most = u64::try_from(all.len()).ok()?.checked_sub(1)?;
    let number = state.next_id();
    let at = state.rng().child(&format!("kube-proxy {} {number}", seat.label)).between(0, most);
    all.get(usize::try_from(at).ok()?).copied()
}

/// An API server, of those that live; without any, where one was last.
fn api_server(state: &mut State, seat: &Seat) -> Option<IpAddr> {
    let all = talos::api_servers(state, seat.cluster);
    let alive: Vec<IpAddr> = all.iter().filter(|(_, lives)| *lives).map(|(address, _)| *address).collect();
    draw(state, seat, &alive).or_else(|| all.first().map(|(address, _)| *address))
}

fn in_pod_range(cluster: &Cluster, to: IpAddr) -> bool {
    let IpAddr::V4(to) = to else { return false };
    let nodes = find("", "v1", "nodes").into_iter().flat_map(|nodes| cluster.store.list(nodes, ""));
    let prefix =
        format!("{}.", to.to_string().rsplit_once('.').map(|(prefix, _)| prefix.to_owned()).unwrap_or_default());
    nodes.into_iter().any(|(_, node)| node["spec"]["podCIDR"].as_str().is_some_and(|range| range.starts_with(&prefix)))
}

/// A pod that runs nothing listens nowhere, while its machine runs; an address that no pod has leads nowhere.
fn without_program(state: &State, cluster: &Cluster, seat: &Seat, to: IpAddr) -> Way {
    let address = to.to_string();
    let pod = pods::list(&cluster.store, "").find(|(_, pod)| pod["status"]["podIP"] == *address);
    let machine = pod.and_then(|(_, pod)| cluster.machine(pods::node_of(pod)));
    let answers = |(id, boot)| machine::is_boot(state, id, boot) && is_joined(state, cluster, seat, id);
    if machine.is_some_and(answers) { Way::Refused } else { Way::Void }
}

/// Whether pods of the seat's node reach pods of another: VXLAN between the addresses that the nodes have reported.
fn is_joined(state: &State, cluster: &Cluster, seat: &Seat, there: MachineId) -> bool {
    if seat.machine == there {
        return true;
    }
    let over_mesh = cluster.node_addresses().any(tailscale::is_mesh);
    if !over_mesh {
        return true;
    }
    let address = |id| tailscale::address_of(state, From::Machine(id));
    let (Some(from), Some(to)) = (address(seat.machine), address(there)) else { return false };
    tailscale::machine_at(state, to) == Some(there) && tailscale::admits(state, from, to, VXLAN)
}

fn is_mesh_lost(state: &mut State, from: MachineId, to: MachineId) -> bool {
    let (from, to) = (machine::known_as(state, from), machine::known_as(state, to));
    state.faults.strike("node", "no-mesh", &format!("{from}:{to}")).is_some()
}
