//! The kubelet: finds its address, gets itself let in by the API server, and reports every ten seconds.
//!
//! It goes through the cluster endpoint, by name, with the cluster CA and the bootstrap token. On a control plane with
//! KubePrism it may use the API server beside it, as in life. On workers KubePrism's other way, the addresses that
//! discovery knows, is not taken: stricter than life, so that a wrong endpoint shows as one.

use super::boot::Boot;
use super::config::Complete;
use super::subnet::Subnet;
use super::{etcd, node, node_mut, ports, trust};
use crate::handshake;
use crate::kube::{self, ClusterId, NodeReport};
use crate::machine::Arch;
use crate::net::From;
use crate::tailscale;
use crate::world::State;
use std::net::IpAddr;
use wire::{Roots, Route, Target, Tls};

/// `nodeStatusUpdateFrequency`.
const REPORT_S: u64 = 10;
const NO_CNI: &str = "[container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady \
                      message:Network plugin returns error: cni plugin not initialized]";

/// Runs as long as the node does.
pub(super) async fn run(boot: &Boot) -> Option<()> {
    boot.service("kubelet", "Waiting", "Waiting for node IP")?;
    // The configuration of the moment: a better one may come while this waits.
    let look = |state: &State| {
        let complete = node(state, boot.id)?.complete()?;
        Subnet::filter(&complete.node_ip_subnets, &ports::addresses(state, boot.id)).into_iter().next()
    };
    if boot.with(|state| look(state).is_none())? {
        // Once, and never again: Talos's nodeIP controller warns and then waits.
        boot.say("[talos] no suitable node IP found {\"component\": \"controller-runtime\", \"controller\": \"k8s.NodeIPController\"}")?;
    }
    let address = boot.until(look).await?;
    let cluster = boot.stage("kubelet", async {
        boot.service("kubelet", "Preparing", "Running pre state")?;
        boot.takes("kubelet image", 5_000, 9_000).await?;
        boot.serve("kubelet", "Started task kubelet (PID 2101) for container kubelet")?;
        let cluster = admitted(boot).await?;
        boot.takes("kubelet bootstrap", 1_500, 3_000).await?;
        Some(cluster)
    });
    let cluster = cluster.await?;
    report(boot, cluster, address)?;
    boot.stage("node-ready", async {
        // flannel's pod: its image, its init containers, the CNI configuration it writes.
        boot.takes("cni", 5_000, 9_000).await?;
        boot.node(|node| node.cni_due = true)?;
        while !report(boot, cluster, address)? {
            boot.pause(REPORT_S).await?;
        }
        Some(())
    })
    .await?;
    loop {
        boot.pause(REPORT_S).await?;
        report(boot, cluster, address)?;
    }
}

/// Tries until an API server lets the kubelet in.
///
/// Its health endpoint is up all the while: it asks for its certificate in the background. Talos restarts it when what it was
/// started with changes, so the configuration is looked at anew each time.
async fn admitted(boot: &Boot) -> Option<ClusterId> {
    let mut said = String::new();
    let mut pause_s = 1;
    loop {
        let complete = &boot.node(|node| node.complete().cloned())??;
        let local = boot.node(|node| node.kube_api.as_ref().map(|(cluster, _)| *cluster))?;
        let found = match local.filter(|_| complete.kube_prism) {
            Some(cluster) => let_in(boot, complete, boot.id, cluster),
            None => remote(boot, complete).await,
        };
        let why = match found {
            Ok(cluster) => return Some(cluster),
            Err(why) => why,
        };
        if why != said {
            boot.with(|state| {
                let now = state.now();
                if let Some(node) = node_mut(state, boot.id) {
                    node.ready = Err(format!("node is not registered: {why}"));
                    node.service_writes("kubelet", format!("E {now} bootstrap: failed to register the node: {why}"));
                    node.touch();
                }
            })?;
            said = why;
        }
        // The node's own API server coming up ends the wait.
        let here = boot.until(|state| node(state, boot.id)?.kube_api.as_ref().filter(|_| local.is_none()).map(|_| ()));
        tokio::select! {
            biased;
            up = here => up?,
            waited = boot.pause(pause_s) => waited?,
        }
        pause_s = (pause_s * 2).min(10);
    }
}

async fn remote(boot: &Boot, complete: &Complete) -> Result<ClusterId, String> {
    let (host, port) = &complete.endpoint;
    let addresses = boot.world.with(|state| trust::resolve(state, boot.id, host));
    let address = *addresses.first().ok_or_else(|| format!("dial tcp: lookup {host}: no such host"))?;
    let connected = boot.world.connect(From::Machine(boot.id), Route::Direct, &address.to_string(), *port).await;
    let (endpoint, _) = connected.map_err(|error| format!("Get \"https://{host}:{port}\": {error}"))?;
    let roots = Roots::Only(complete.kube_ca.crt.as_deref().map(super::pki::certificates).unwrap_or_default());
    let tls = Tls { server_name: host.clone(), roots, identity: None };
    let target = Target { route: Route::Direct, host: host.clone(), port: *port, tls: Some(tls) };
    handshake::check(&target, endpoint.tls.as_ref(), boot.world.now())
        .map_err(|error| format!("tls: failed to verify certificate: {error}"))?;
    let found = boot.world.with(|state| {
        let there = trust::machine_at(state, address)?;
        let (cluster, _) = node(state, there)?.kube_api.as_ref()?;
        Some((there, *cluster))
    });
    let (there, cluster) = found.ok_or_else(|| "the server could not find the requested resource".to_owned())?;
    let_in(boot, complete, there, cluster)
}

/// The bootstrap token is one that the cluster knows, or the API server answers 401.
fn let_in(boot: &Boot, complete: &Complete, there: u64, cluster: ClusterId) -> Result<ClusterId, String> {
    let right = boot
        .world
        .with(|state| etcd::of(state, there).is_some_and(|(etcd, _)| etcd.bootstrap_token == complete.bootstrap_token));
    if right { Ok(cluster) } else { Err("Unauthorized".into()) }
}

/// Reports the node if an API server can be reached; whether the node is ready.
fn report(boot: &Boot, cluster: ClusterId, address: IpAddr) -> Option<bool> {
    boot.with(|state| {
        let ready = readiness(state, boot.id, cluster, address);
        let is_ready = ready.is_ok();
        if let Some(node) = node_mut(state, boot.id).filter(|node| node.ready != ready) {
            node.ready = ready;
            node.publish_status();
            let (name, ready) = (node.hostname.clone(), node.ready.clone());
            state.note(format_args!("node {name}: {}", ready.map_or("not ready", |()| "ready")));
        }
        let is_served = served(state, cluster) && !kube::is_cut_off(state, boot.id);
        let told = is_served.then(|| describe(state, boot.id, address)).flatten();
        if let Some(told) = told {
            kube::kubelet_reports(&boot.world, state, cluster, &told);
        }
        is_ready
    })
}

/// Whether some control plane answers for the cluster.
fn served(state: &State, cluster: ClusterId) -> bool {
    let mut machines = state.machines.keys();
    super::has_quorum(state, cluster)
        && machines.any(|id| {
            node(state, *id).and_then(|node| node.kube_api.as_ref()).is_some_and(|(served, _)| *served == cluster)
        })
}

/// Whether the node's network works, as far as this world knows pods.
///
/// On a mesh address flannel must be told to use the mesh's interface. In life it would take the default route's and
/// pods would not reach each other across nodes; here, where no packets fly between pods, the node says so instead.
fn readiness(state: &State, id: u64, cluster: ClusterId, address: IpAddr) -> Result<(), String> {
    let here = node(state, id).filter(|node| node.cni_due).ok_or(NO_CNI)?;
    let etcd = state.talos.etcd.values().find(|etcd| etcd.kube == cluster).ok_or(NO_CNI)?;
    let arguments = etcd.flannel.as_ref().ok_or(NO_CNI)?;
    let on_mesh = arguments.iter().any(|argument| argument == "--iface=tailscale0");
    if on_mesh && here.mesh.is_none() {
        return Err(format!("{NO_CNI}: flannel: failed to find the interface tailscale0"));
    }
    if tailscale::is_mesh(address) && !on_mesh {
        return Err(format!(
            "{NO_CNI}: flannel uses the default route's interface, the node's address is on tailscale0"
        ));
    }
    Ok(())
}

/// What the kubelet tells, from the configuration as it is now.
fn describe(state: &State, id: u64, address: IpAddr) -> Option<NodeReport> {
    let machine = state.machines.get(&id)?;
    let here = node(state, id)?;
    let complete = here.complete()?;
    let mut labels = complete.labels.clone();
    let mut taints = Vec::new();
    let arch = match machine.arch {
        Arch::Arm64 => "arm64",
        Arch::Amd64 => "amd64",
    };
    for (key, value) in [
        ("kubernetes.io/hostname", here.hostname.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", arch),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", arch),
    ] {
        labels.insert(key.into(), value.into());
    }
    if complete.control_plane {
        labels.insert("node-role.kubernetes.io/control-plane".into(), String::new());
        if !complete.schedulable {
            taints.push(("node-role.kubernetes.io/control-plane".into(), String::new(), "NoSchedule".into()));
        }
    }
    Some(NodeReport {
        name: here.hostname.clone(),
        addresses: vec![("InternalIP", address.to_string()), ("Hostname", here.hostname.clone())],
        labels,
        taints,
        kubelet: complete.kubelet.clone(),
        os_image: format!("Talos (v{})", here.system.talos),
        arch,
        // Set by a cloud controller manager, which nobody has installed.
        provider_id: None,
        cores: machine.cores,
        memory_mib: machine.memory_mib,
        boot_id: here.boot_id.clone(),
        machine: Some((id, machine.boot)),
        control_plane: complete.control_plane,
        ready: here.ready.clone(),
    })
}
