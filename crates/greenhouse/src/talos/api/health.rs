//! Server-side health checks: upstream's list (`pkg/cluster/check`), asked from this control plane of every node, each
//! repeated until it holds or the caller's time is over.

use super::super::proto::cluster::cluster_service_server::ClusterService;
use super::super::proto::cluster::{HealthCheckProgress, HealthCheckRequest};
use super::super::{Node, Stage, etcd, node, ports, services, trust};
use super::{Answers, Api};
use crate::kube;
use crate::machine::MachineId;
use crate::net::{From, Peer};
use crate::world::State;
use futures::stream::StreamExt as _;
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;
use tonic::{Request, Response, Status};
use tower::ServiceExt as _;
use wire::Route;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// The nodes that are looked at, each by the address that it is asked at.
#[derive(Clone, Default)]
struct Cluster {
    control_planes: Vec<IpAddr>,
    workers: Vec<IpAddr>,
    /// Whatever addresses discovery knows of control planes; a node that the caller named has the one.
    known: BTreeSet<IpAddr>,
}

impl Cluster {
    fn all(&self) -> impl Iterator<Item = IpAddr> {
        self.control_planes.iter().chain(&self.workers).copied()
    }
}

/// What a check looks at, taken anew each time.
struct Seen<'a> {
    cluster: &'a Cluster,
    /// Who answers at an address; none where nobody does.
    reached: BTreeMap<IpAddr, MachineId>,
    /// `items` of what the Kubernetes API lists; `Err` is why it does not.
    nodes: Result<Vec<Value>, String>,
    own: MachineId,
}

type Check = fn(&State, &Seen<'_>) -> Result<(), String>;

/// In upstream's order.
const CHECKS: &[(&str, Check)] = &[
    ("etcd to be healthy", |state, seen| service_is_well(state, seen, "etcd")),
    ("etcd members to be consistent across nodes", |_, seen| reachable(seen, &seen.cluster.control_planes)),
    ("etcd members to be control plane nodes", members_are_control_planes),
    ("apid to be ready", |_, seen| reachable(seen, &seen.cluster.all().collect::<Vec<_>>())),
    ("all nodes memory sizes", memory),
    ("all nodes disk sizes", disks),
    ("no diagnostics", diagnostics),
    ("kubelet to be healthy", |state, seen| service_is_well(state, seen, "kubelet")),
    ("all nodes to finish boot sequence", booted),
    ("all k8s nodes to report", reported),
    ("all control plane static pods to be running", static_pods),
    ("all control plane components to be ready", static_pods),
    ("all k8s nodes to report ready", ready),
    ("all k8s nodes to report schedulable", schedulable),
];

#[tonic::async_trait]
impl ClusterService for Api {
    type HealthCheckStream = Answers<HealthCheckProgress>;

    async fn health_check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::HealthCheckStream>, Status> {
        self.needs_control_plane("cluster health check")?;
        let request = request.into_inner();
        let named = request.cluster_info.unwrap_or_default();
        let read = |list: Vec<String>| list.iter().map(|text| text.parse()).collect::<Result<Vec<IpAddr>, _>>();
        let lists = read(named.control_plane_nodes).and_then(|some| Ok((some, read(named.worker_nodes)?)));
        let (control_planes, workers) = lists.map_err(|error| Status::unknown(error.to_string()))?;
        let cluster = if control_planes.is_empty() && workers.is_empty() {
            self.look(|state| discovered(state, self.boot.id))?
        } else {
            Cluster { known: control_planes.iter().copied().collect(), control_planes, workers }
        };
        let limit = request.wait_timeout.and_then(|limit| Duration::try_from(limit).ok()).unwrap_or_default();
        let (tell, told) = futures::channel::mpsc::unbounded();
        let here = self.clone();
        self.boot.spawn(async move {
            let lines = tell.clone();
            let checks = here.check(&cluster, &lines);
            let over = tokio::select! {
                biased;
                found = checks => found,
                () = here.boot.world.delay(limit) => Err(Status::deadline_exceeded("context deadline exceeded")),
            };
            if let Err(status) = over {
                // Nobody listens any more: then nobody needs to know.
                let _gone = tell.unbounded_send(Err(status));
            }
            Some(())
        });
        Ok(Response::new(told.boxed()))
    }
}

type Lines = futures::channel::mpsc::UnboundedSender<Result<HealthCheckProgress, Status>>;

impl Api {
    async fn check(&self, cluster: &Cluster, lines: &Lines) -> Result<(), Status> {
        let say = |message: String| {
            let line = HealthCheckProgress { metadata: None, message };
            lines.unbounded_send(Ok(line)).map_err(|_| Status::cancelled("context canceled"))
        };
        let addresses: Vec<String> = cluster.all().map(|address| format!("{:?}", address.to_string())).collect();
        say(format!("discovered nodes: [{}]", addresses.join(" ")))?;
        for (name, check) in CHECKS {
            say(format!("waiting for {name}: ..."))?;
            let mut said = String::new();
            loop {
                let seen = self.see(cluster).await?;
                match self.look(|state| check(state, &seen))? {
                    Ok(()) => break,
                    Err(why) if why == said => {}
                    Err(why) => {
                        say(format!("waiting for {name}: {why}"))?;
                        said = why;
                    }
                }
                self.boot.world.delay(EVERY).await;
            }
            say(format!("waiting for {name}: OK"))?;
        }
        Ok(())
    }

    async fn see<'a>(&self, cluster: &'a Cluster) -> Result<Seen<'a>, Status> {
        let own = self.boot.id;
        let mut reached = BTreeMap::new();
        for address in cluster.all() {
            let host = address.to_string();
            let dialled = self.boot.world.connect(From::Machine(own), Route::Direct, &host, 50_000);
            let machine = if self.look(|state| ports::all_addresses(state, own).contains(&address))? {
                Some(own)
            } else {
                dialled.await.ok().and_then(|(_, peer)| Some(peer.to?.0))
            };
            if let Some(machine) = machine {
                reached.insert(address, machine);
            }
        }
        Ok(Seen { cluster, reached, nodes: self.kubernetes_nodes().await, own })
    }

    /// Asks this control plane's own Kubernetes API, as the check's client does.
    async fn kubernetes_nodes(&self) -> Result<Vec<Value>, String> {
        let (_, admin) = self.kubernetes_admin().map_err(|status| status.message().to_owned())?;
        let id = self.look(|state| node(state, self.boot.id).and_then(|node| Some(node.kube_api.as_ref()?.0)));
        let Ok(Some(cluster)) = id else { return Err("dial tcp 127.0.0.1:7445: connect: connection refused".into()) };
        let mut request = http::Request::new(axum::body::Body::empty());
        *request.uri_mut() = http::Uri::from_static("/api/v1/nodes");
        request.extensions_mut().insert(Peer {
            address: IpAddr::from([127, 0, 0, 1]),
            from: From::Machine(self.boot.id),
            to: None,
            certificates: Some(admin.chain),
        });
        let Ok(answer) = kube::router(&self.boot.world, cluster).oneshot(request).await;
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        let list: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        list.get("items").and_then(Value::as_array).cloned().ok_or_else(|| list.to_string())
    }
}

/// Without a list: what discovery knows, each node by its first address, whether or not that can be reached.
fn discovered(state: &State, own: MachineId) -> Cluster {
    let mut cluster = Cluster::default();
    for id in [own].into_iter().chain(trust::members(state, own)) {
        let addresses = ports::all_addresses(state, id);
        let Some(first) = addresses.first().copied() else { continue };
        if node(state, id).is_some_and(Node::is_control_plane) {
            cluster.control_planes.push(first);
            cluster.known.extend(addresses);
        } else {
            cluster.workers.push(first);
        }
    }
    cluster
}

/// Many errors as one, as upstream's `multierror` writes them.
fn together(errors: &[String]) -> Result<(), String> {
    if errors.is_empty() {
        return Ok(());
    }
    let plural = if errors.len() == 1 { "error" } else { "errors" };
    Err(format!("{} {plural} occurred:\n\t* {}\n\n", errors.len(), errors.join("\n\t* ")))
}

fn reachable(seen: &Seen<'_>, addresses: &[IpAddr]) -> Result<(), String> {
    let silent = addresses.iter().filter(|address| !seen.reached.contains_key(address)).map(|address| {
        let why = format!("transport: Error while dialing: dial tcp {address}:50000: i/o timeout");
        format!("{address}: rpc error: code = Unavailable desc = connection error: desc = {why:?}")
    });
    together(&silent.collect::<Vec<_>>())
}

fn each<'a>(
    state: &'a State,
    seen: &'a Seen<'_>,
    addresses: impl Iterator<Item = IpAddr> + 'a,
) -> impl Iterator<Item = (IpAddr, MachineId, &'a Node)> + 'a {
    addresses.filter_map(move |address| {
        let id = *seen.reached.get(&address)?;
        Some((address, id, node(state, id)?))
    })
}

fn service_is_well(state: &State, seen: &Seen<'_>, service: &str) -> Result<(), String> {
    reachable(seen, &seen.cluster.control_planes)?;
    let trouble = each(state, seen, seen.cluster.control_planes.iter().copied()).filter_map(|(address, _, node)| {
        match node.services.get(service) {
            None => Some(format!("{address}: service {service:?} not found")),
            Some(found) if found.state != "Running" => Some(format!(
                "{address}: service {service:?} not in expected state \"Running\": current state [{}] {}",
                found.state,
                found.last_event()
            )),
            Some(found) if found.healthy != Some(true) => Some(format!("{address}: service is not healthy: {service}")),
            Some(_) => None,
        }
    });
    together(&trouble.collect::<Vec<_>>())
}

fn members_are_control_planes(state: &State, seen: &Seen<'_>) -> Result<(), String> {
    let Some((cluster, _)) = etcd::of(state, seen.own) else { return Err("etcd is not running".into()) };
    let members: Vec<IpAddr> = cluster.members.values().map(|member| member.address).collect();
    let known = &seen.cluster.known;
    if members.iter().all(|member| known.contains(member)) {
        return Ok(());
    }
    let quoted = |list: &mut dyn Iterator<Item = &IpAddr>| {
        list.map(|address| format!("{:?}", address.to_string())).collect::<Vec<_>>().join(" ")
    };
    let (members, known) = (quoted(&mut members.iter()), quoted(&mut known.iter()));
    Err(format!("etcd member ips [{members}] are not subset of control plane node ips [{known}]"))
}

/// Talos's minimum, less what the kernel keeps: `pkg/minimal`.
fn memory(state: &State, seen: &Seen<'_>) -> Result<(), String> {
    let trouble = each(state, seen, seen.cluster.all()).filter_map(|(address, id, node)| {
        let minimum_mib = if node.is_control_plane() { 1_698 } else { 874 };
        let actual_mib = state.machines.get(&id)?.memory_mib * 97 / 100;
        (actual_mib < minimum_mib).then(|| {
            format!(
                "node {:?} does not meet memory requirements: expected at least {minimum_mib} MiB, actual {actual_mib} MiB",
                address.to_string()
            )
        })
    });
    together(&trouble.collect::<Vec<_>>())
}

fn disks(state: &State, seen: &Seen<'_>) -> Result<(), String> {
    let trouble = each(state, seen, seen.cluster.all()).filter_map(|(address, id, _)| {
        let gib = state.machines.get(&id)?.disk_gib;
        (gib < 6).then(|| format!("ephemeral partition is too small on node {:?}", address.to_string()))
    });
    together(&trouble.collect::<Vec<_>>())
}

fn diagnostics(state: &State, seen: &Seen<'_>) -> Result<(), String> {
    let trouble = each(state, seen, seen.cluster.all()).filter_map(|(address, id, _)| {
        let found = super::resources::has_diagnostics(state, id);
        found.map(|problem| format!("active diagnostics: {address}: {problem}"))
    });
    together(&trouble.collect::<Vec<_>>())
}

fn booted(state: &State, seen: &Seen<'_>) -> Result<(), String> {
    reachable(seen, &seen.cluster.all().collect::<Vec<_>>())?;
    let trouble = each(state, seen, seen.cluster.all()).filter_map(|(address, _, node)| {
        let unmet = services::unmet(node);
        if node.stage != Stage::Running {
            return Some(format!("{address}: event not seen yet: stage {}", node.stage.word()));
        }
        unmet.first().map(|(name, reason)| format!("{address}: {name}: {reason}"))
    });
    together(&trouble.collect::<Vec<_>>())
}

fn static_pods(state: &State, seen: &Seen<'_>) -> Result<(), String> {
    let without =
        each(state, seen, seen.cluster.control_planes.iter().copied()).filter(|(.., node)| node.kube_api.is_none());
    let pods = "[kube-system/kube-apiserver kube-system/kube-controller-manager kube-system/kube-scheduler]";
    together(&without.map(|(address, ..)| format!("missing static pods on node {address}: {pods}")).collect::<Vec<_>>())
}

fn name(node: &Value) -> &str {
    node.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn kubernetes<'a>(seen: &'a Seen<'_>) -> Result<&'a Vec<Value>, String> {
    seen.nodes.as_ref().map_err(Clone::clone)
}

fn reported(_: &State, seen: &Seen<'_>) -> Result<(), String> {
    let nodes = kubernetes(seen)?;
    let addresses = nodes.iter().filter_map(|node| node.pointer("/status/addresses").and_then(Value::as_array));
    let known: BTreeSet<&str> =
        addresses.flatten().filter_map(|address| address.get("address").and_then(Value::as_str)).collect();
    let missing: Vec<String> = seen
        .cluster
        .all()
        .map(|address| address.to_string())
        .filter(|address| !known.contains(address.as_str()))
        .collect();
    if !missing.is_empty() {
        return Err(format!("can't find expected node with IPs {missing:?}"));
    }
    let (expected, found) = (seen.cluster.all().count(), nodes.len());
    if found == expected { Ok(()) } else { Err(format!("unexpected nodes: {found}, expected {expected}")) }
}

fn ready(_: &State, seen: &Seen<'_>) -> Result<(), String> {
    let is_ready = |node: &&Value| {
        let conditions = node.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
        conditions.filter(|found| found["type"] == "Ready").all(|found| found["status"] == "True")
    };
    let not: Vec<&str> = kubernetes(seen)?.iter().filter(|node| !is_ready(node)).map(name).collect();
    if not.is_empty() { Ok(()) } else { Err(format!("some nodes are not ready: [{}]", not.join(" "))) }
}

fn schedulable(_: &State, seen: &Seen<'_>) -> Result<(), String> {
    let cordoned = |node: &&Value| node.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
    let not: Vec<&str> = kubernetes(seen)?.iter().filter(cordoned).map(name).collect();
    if not.is_empty() { Ok(()) } else { Err(format!("some nodes are not schedulable: [{}]", not.join(" "))) }
}
