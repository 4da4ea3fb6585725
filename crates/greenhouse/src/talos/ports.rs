//! What listens on a node's ports, and with which certificate.

use super::config::PemPair;
use super::{Apid, firewall, node, node_mut, pki};
use crate::kube::{self, Published};
use crate::machine::{MachineId, Port};
use crate::net::{ClientAuth, Endpoint, OwnTls, ServerTls, Serves};
use crate::world::{State, World};
use axum::Router;
use jiff::Timestamp;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Server certificates of Talos live a day and are renewed at half their life.
const VALID: Duration = Duration::from_hours(24);

/// An issued certificate and what it was issued for.
pub(super) struct Cached {
    tls: Arc<OwnTls>,
    since: Timestamp,
    names: Vec<String>,
}

/// What listens at `port` for a packet from `source`.
pub(super) fn endpoint(world: &World, state: &mut State, id: MachineId, source: IpAddr, port: u16) -> Port {
    let Some(here) = node(state, id) else { return Port::Filtered };
    if here.config.as_ref().is_some_and(|config| !firewall::admits(config, source, port)) {
        return Port::Filtered;
    }
    let found = match port {
        50_000 => apid_tls(world, state, id).and_then(|tls| {
            let router = node(state, id)?.api.clone();
            Some((tls, Serves::Http(router)))
        }),
        50_001 => node(state, id).filter(|here| here.services.runs("trustd")).map(|_| ()).and_then(|()| {
            // trustd speaks gRPC to Talos nodes alone; they check it and take their certificate in `trust`.
            let tls = certificate(world, state, id, Which::Trustd)?;
            Some((tls, Serves::Http(Router::new())))
        }),
        6_443 => node(state, id).and_then(|here| here.kube_api.clone()).and_then(|(_, router)| {
            let tls = certificate(world, state, id, Which::Kubernetes)?;
            Some((tls, Serves::Http(router)))
        }),
        2_379 | 2_380 => return plain(state, id, port, "etcd"),
        10_250 => return plain(state, id, port, "kubelet"),
        _ => return pods(state, id, port),
    };
    match found {
        Some((tls, serves)) => {
            let name = format!("{}:{port}", name_of(state, id));
            Port::Open(Box::new(Endpoint { name, vendor: "node", tls: Some(ServerTls::Own(tls)), serves }))
        }
        None => Port::Closed,
    }
}

/// A port that pods have published, or one of their host network.
fn pods(state: &mut State, id: MachineId, port: u16) -> Port {
    let Some(found) = kube::published(state, id, port) else { return Port::Closed };
    let name = name_of(state, id);
    if state.faults.strike("node", "ingress-silent", &name).is_some() {
        return Port::Filtered;
    }
    let hangs = state.faults.strike("node", "ingress-hangs", &name).is_some();
    let Published::Open(mut endpoint) = found else { return Port::Closed };
    if hangs {
        endpoint.serves = Serves::Silence;
    }
    if let Some(ServerTls::ByName(names)) = &endpoint.tls
        && state.faults.strike("node", "wrong-certificate", &name).is_some()
    {
        endpoint.tls = Some(ServerTls::Own(names.default.clone()));
    }
    endpoint.name = format!("{name}:{port}");
    Port::Open(endpoint)
}

/// A port that is open while a service runs, and says nothing that anybody here would understand.
fn plain(state: &State, id: MachineId, port: u16, service: &str) -> Port {
    if !node(state, id).is_some_and(|here| here.services.runs(service)) {
        return Port::Closed;
    }
    let name = format!("{}:{port}", name_of(state, id));
    let serves = Serves::Bytes(Arc::new(|_, _| Box::pin(std::future::ready(()))));
    Port::Open(Box::new(Endpoint { name, vendor: "node", tls: None, serves }))
}

fn name_of(state: &State, id: MachineId) -> String {
    let hostname = node(state, id).map(|here| here.hostname.clone()).filter(|name| !name.is_empty());
    hostname.or_else(|| state.machines.get(&id).map(|machine| machine.name.clone())).unwrap_or_default()
}

/// Addresses that the node has on its interfaces, in Talos's order (sort algorithm v1): IPv4 first, by number.
pub(super) fn addresses(state: &State, id: MachineId) -> Vec<IpAddr> {
    let Some(machine) = state.machines.get(&id) else { return Vec::new() };
    // OCI translates: the public address is on no interface.
    let public = machine.public.iter().copied().filter(|_| machine.vendor != "oci");
    let all: Vec<IpAddr> = public.chain(machine.private).chain(node(state, id).and_then(|here| here.mesh)).collect();
    let inner = node(state, id).and_then(|here| here.complete()).map(|complete| &complete.pod_and_service_subnets);
    // What lies in pod or service ranges is taken for the cluster's own, and left out.
    let outer = |address: &IpAddr| !inner.is_some_and(|inner| inner.iter().any(|subnet| subnet.contains(*address)));
    let mut all: Vec<IpAddr> = all.into_iter().filter(outer).collect();
    all.sort_unstable();
    all
}

/// Addresses as others may know them: interfaces and what the platform reports from outside.
pub(super) fn all_addresses(state: &State, id: MachineId) -> Vec<IpAddr> {
    let mut all = addresses(state, id);
    let public = state.machines.get(&id).map(|machine| machine.public.clone()).unwrap_or_default();
    all.extend(public.into_iter().filter(|address| !all.contains(address)).collect::<Vec<_>>());
    all
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Apid,
    Trustd,
    Kubernetes,
}

fn apid_tls(world: &World, state: &mut State, id: MachineId) -> Option<Arc<OwnTls>> {
    match &node(state, id)?.apid {
        Apid::Down => None,
        Apid::Maintenance(tls) => Some(tls.clone()),
        Apid::Up { .. } => certificate(world, state, id, Which::Apid),
    }
}

/// The certificate in use, issued anew where it is due; `None` if the authority in the configuration cannot issue.
fn certificate(world: &World, state: &mut State, id: MachineId, which: Which) -> Option<Arc<OwnTls>> {
    let now = state.now();
    let (names, issuer, clients) = wanted(state, id, which)?;
    let here = node(state, id)?;
    let cached = match (&here.apid, which) {
        (Apid::Up { tls, .. }, Which::Apid) => tls.as_ref(),
        (_, Which::Kubernetes) => here.kube_tls.as_ref(),
        _ => None,
    };
    let half = jiff::SignedDuration::from_hours(12);
    if let Some(cached) = cached.filter(|cached| cached.names == names && now.duration_since(cached.since) < half) {
        return Some(cached.tls.clone());
    }
    let (addresses, dns) = split(&names);
    let asked = pki::Wanted {
        common_name: if which == Which::Kubernetes { "kube-apiserver" } else { &here.hostname },
        organization: None,
        names: dns,
        addresses,
        server: true,
        valid: VALID,
    };
    let mut rng = world.rng(&format!("certificate {id} {} {}", which as u8, now.as_second()));
    let made = pki::issue(&issuer, &asked, &mut rng, now)?;
    let tls = Arc::new(OwnTls { chain: made.chain, key: made.key, clients });
    let fresh = Cached { tls: tls.clone(), since: now, names };
    match (&mut node_mut(state, id)?.apid, which) {
        (Apid::Up { tls, .. }, Which::Apid) => *tls = Some(fresh),
        (_, Which::Kubernetes) => node_mut(state, id)?.kube_tls = Some(fresh),
        _ => {}
    }
    Some(tls)
}

/// Names and addresses for a certificate, who issues it, and whom its bearer believes.
fn wanted(state: &State, id: MachineId, which: Which) -> Option<(Vec<String>, PemPair, ClientAuth)> {
    let here = node(state, id)?;
    let complete = here.complete()?;
    let mut names: Vec<String> = all_addresses(state, id).iter().map(IpAddr::to_string).collect();
    names.extend([Ipv4Addr::LOCALHOST.to_string(), here.hostname.clone()]);
    let certificates = |pair: &PemPair| pair.crt.as_deref().map(pki::certificates).unwrap_or_default();
    match which {
        Which::Apid | Which::Trustd => {
            names.extend(complete.cert_sans.iter().cloned());
            let mut authorities = certificates(&complete.ca);
            authorities.extend(complete.accepted_cas.iter().flat_map(|pem| pki::certificates(pem)));
            match &here.apid {
                Apid::Up { issuer, .. } if which == Which::Apid => {
                    Some((names, issuer.clone(), ClientAuth::Required(authorities)))
                }
                _ => Some((names, complete.ca.clone(), ClientAuth::Nobody)),
            }
        }
        Which::Kubernetes => {
            names.push(complete.endpoint.0.clone());
            names.extend(complete.api_sans.iter().cloned());
            names
                .extend(["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"].map(str::to_owned));
            names.push("kubernetes.default.svc.cluster.local".into());
            // The first address of the service range, as pods know the API.
            names.push("10.96.0.1".into());
            Some((names, complete.kube_ca.clone(), ClientAuth::Optional(certificates(&complete.kube_ca))))
        }
    }
}

fn split(names: &[String]) -> (Vec<IpAddr>, Vec<String>) {
    let addresses = names.iter().filter_map(|name| name.parse().ok()).collect();
    let dns = names.iter().filter(|name| !name.is_empty() && name.parse::<IpAddr>().is_err()).cloned().collect();
    (addresses, dns)
}
