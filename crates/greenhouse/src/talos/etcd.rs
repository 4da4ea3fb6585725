//! etcd: who is a member of which cluster, and how a control plane becomes one.

use super::boot::Boot;
use super::config::Complete;
use super::subnet::Subnet;
use super::{node, node_mut, pki, ports, trust};
use crate::kube::{self, ClusterId};
use crate::machine::{self, MachineId};
use crate::net::From;
use crate::world::State;
use std::collections::BTreeMap;
use std::net::IpAddr;
use wire::Route;

/// An etcd cluster. It exists as long as a disk holds a part of it.
pub(super) struct Cluster {
    pub members: BTreeMap<u64, Member>,
    /// The Kubernetes cluster whose objects it holds.
    pub kube: ClusterId,
    pub leader: u64,
    pub term: u64,
    /// Joiners must show a certificate of the same authority.
    ca: Option<Vec<u8>>,
    /// What kubelets must show to be let in: the bootstrap token that the first control plane wrote.
    pub bootstrap_token: String,
    /// flannel's arguments, as the manifests of the first control plane had them; `None` without flannel.
    pub flannel: Option<Vec<String>>,
}

/// A member of an etcd cluster.
pub(super) struct Member {
    pub machine: MachineId,
    pub hostname: String,
    pub address: IpAddr,
    pub learner: bool,
    pub alive: bool,
}

/// What a data directory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Membership {
    pub cluster: u64,
    pub member: u64,
}

impl Member {
    /// Its address as URLs write it.
    pub(super) fn url_host(&self) -> String {
        match self.address {
            IpAddr::V6(address) => format!("[{address}]"),
            IpAddr::V4(address) => address.to_string(),
        }
    }
}

impl Cluster {
    /// Whether more than half of the voters are alive.
    pub(super) fn has_quorum(&self) -> bool {
        let voters = self.members.values().filter(|member| !member.learner).count();
        let alive = self.members.values().filter(|member| !member.learner && member.alive).count();
        alive * 2 > voters
    }

    /// Another voter leads if the leader cannot.
    fn elect(&mut self) {
        let fit = |member: &&Member| member.alive && !member.learner;
        if self.members.get(&self.leader).as_ref().is_some_and(fit) || !self.has_quorum() {
            return;
        }
        if let Some((id, _)) = self.members.iter().find(|(_, member)| fit(member)) {
            self.leader = *id;
            self.term += 1;
        }
    }

    /// Takes a member out.
    pub(super) fn remove(&mut self, member: u64) -> Option<Member> {
        let gone = self.members.remove(&member);
        self.elect();
        gone
    }

    /// Gives the lead to another voter; its host name.
    pub(super) fn forfeit(&mut self) -> Option<String> {
        let leader = self.leader;
        let other = self.members.iter().find(|(id, member)| **id != leader && member.alive && !member.learner);
        let (id, name) = other.map(|(id, member)| (*id, member.hostname.clone()))?;
        self.leader = id;
        self.term += 1;
        Some(name)
    }
}

/// The machine's etcd has stopped answering.
pub(super) fn lost(state: &mut State, id: MachineId) {
    for cluster in state.talos.etcd.values_mut() {
        for member in cluster.members.values_mut().filter(|member| member.machine == id) {
            member.alive = false;
        }
        cluster.elect();
    }
    tell_kubernetes(state);
}

/// Kubernetes serves as long as its etcd has a quorum.
pub(super) fn tell_kubernetes(state: &mut State) {
    let quora: Vec<(ClusterId, bool)> =
        state.talos.etcd.values().map(|cluster| (cluster.kube, cluster.has_quorum())).collect();
    for (kube, has_quorum) in quora {
        kube::set_available(state, kube, has_quorum);
    }
}

/// The cluster that this machine's data directory belongs to, if it is still a member of it.
pub(super) fn of(state: &State, id: MachineId) -> Option<(&Cluster, Membership)> {
    let membership = state.talos.disks.get(&id)?.etcd?;
    let cluster = state.talos.etcd.get(&membership.cluster)?;
    cluster.members.contains_key(&membership.member).then_some((cluster, membership))
}

/// The life of a control plane's etcd service, up to the Kubernetes API that stands on it.
pub(super) async fn run(boot: &Boot) -> Option<()> {
    let complete = boot.node(|node| node.complete().cloned())??;
    if !complete.control_plane {
        return Some(());
    }
    boot.service("etcd", "Waiting", "Waiting for etcd spec")?;
    // No address in the advertised subnets: Talos waits, without a word.
    let address = boot
        .until(|state| Subnet::filter(&complete.etcd_subnets, &ports::addresses(state, boot.id)).into_iter().next());
    let address = address.await?;
    boot.service("etcd", "Preparing", "Running pre state")?;
    boot.takes("etcd image", 3_000, 6_000).await?;
    let kept = boot.with(|state| state.talos.disks.get(&boot.id).and_then(|disk| disk.etcd))?;
    let membership = match kept {
        Some(membership) => membership,
        None => enter(boot, &complete, address).await?,
    };
    boot.stage("etcd", start(boot, membership, address)).await?;
    boot.stage("kubernetes-api", serve_kubernetes(boot, membership)).await
}

/// Waits for `Bootstrap`, or for a cluster to join, whichever comes first.
async fn enter(boot: &Boot, complete: &Complete, address: IpAddr) -> Option<Membership> {
    boot.say("[talos] etcd is waiting to join the cluster, if this node is the first node in the cluster, please run `talosctl bootstrap`")?;
    loop {
        let asked = boot.until(|state| node(state, boot.id)?.bootstrap.then_some(()));
        let asked = tokio::select! {
            biased;
            asked = asked => { asked?; true }
            waited = boot.pause(5) => { waited?; false }
        };
        if asked {
            return bootstrap(boot, complete, address);
        }
        if let Some(membership) = join(boot, complete, address).await? {
            return Some(membership);
        }
    }
}

fn bootstrap(boot: &Boot, complete: &Complete, address: IpAddr) -> Option<Membership> {
    let member_id = boot.world.rng(&format!("etcd member {} first", boot.id)).next_u64();
    boot.service("etcd", "Finished", "Bootstrap requested")?;
    boot.service("etcd", "Starting", "Starting service")?;
    boot.with(|state| {
        let recovered = node_mut(state, boot.id).and_then(|node| node.recovered.take());
        let kube = recovered.unwrap_or_else(|| kube::create(state, &complete.kubernetes));
        let root_ca = complete.kube_ca.crt.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        kube::set_root_ca(state, kube, &root_ca);
        // What was there before the snapshot was put back is nobody's any more.
        state.talos.etcd.retain(|_, cluster| cluster.kube != kube);
        let hostname = node(state, boot.id).map(|node| node.hostname.clone()).unwrap_or_default();
        let id = state.next_id();
        let member = Member { machine: boot.id, hostname: hostname.clone(), address, learner: false, alive: false };
        let cluster = Cluster {
            members: BTreeMap::from([(member_id, member)]),
            kube,
            leader: member_id,
            term: 2,
            ca: complete.etcd_ca.crt.clone(),
            bootstrap_token: complete.bootstrap_token.clone(),
            flannel: (complete.cni == "flannel").then(|| complete.flannel_args.clone()),
        };
        state.talos.etcd.insert(id, cluster);
        state.note(format_args!("node {hostname}: etcd bootstrapped"));
        keep(state, boot.id, Membership { cluster: id, member: member_id })
    })
}

fn keep(state: &mut State, id: MachineId, membership: Membership) -> Membership {
    if let Some(disk) = state.talos.disks.get_mut(&id) {
        disk.etcd = Some(membership);
    }
    membership
}

/// Joins through a control plane that discovery or the endpoint knows, if one serves etcd, has quorum and no learner.
async fn join(boot: &Boot, complete: &Complete, address: IpAddr) -> Option<Option<Membership>> {
    let peers = boot.with(|state| {
        let mut others = trust::members(state, boot.id);
        let by_name = trust::resolve(state, boot.id, &complete.endpoint.0);
        others.extend(by_name.into_iter().filter_map(|address| trust::machine_at(state, address)));
        others.retain(|other| *other != boot.id);
        let found = others.into_iter().filter_map(|other| {
            let (cluster, membership) = of(state, other)?;
            let member = cluster.members.get(&membership.member).filter(|member| member.alive && !member.learner)?;
            Some((membership.cluster, member.address))
        });
        found.collect::<Vec<_>>()
    })?;
    for (cluster, peer) in peers {
        let dialled = boot.world.connect(From::Machine(boot.id), Route::Direct, &peer.to_string(), 2_379).await;
        boot.with(|_| ())?;
        if dialled.is_err() {
            continue;
        }
        let member_id = boot.world.rng(&format!("etcd member {} {cluster}", boot.id)).next_u64();
        let joined = boot.with(|state| {
            let hostname = node(state, boot.id)?.hostname.clone();
            let found = state.talos.etcd.get_mut(&cluster)?;
            let fit = found.has_quorum() && !found.members.values().any(|member| member.learner);
            if !fit || found.ca != complete.etcd_ca.crt {
                return None;
            }
            // A member of the same name is one that this machine replaces.
            let stale: Vec<u64> =
                found.members.iter().filter(|(_, member)| member.hostname == hostname).map(|(id, _)| *id).collect();
            for member in stale {
                found.remove(member);
            }
            let member = Member { machine: boot.id, hostname, address, learner: true, alive: false };
            found.members.insert(member_id, member);
            Some(keep(state, boot.id, Membership { cluster, member: member_id }))
        })?;
        if joined.is_some() {
            return Some(joined);
        }
    }
    Some(None)
}

async fn start(boot: &Boot, membership: Membership, address: IpAddr) -> Option<()> {
    boot.takes("etcd start", 3_000, 5_000).await?;
    let learner = boot.with(|state| {
        let member = state.talos.etcd.get_mut(&membership.cluster)?.members.get_mut(&membership.member)?;
        member.alive = true;
        member.address = address;
        Some(member.learner)
    })?;
    let Some(learner) = learner else {
        // The others have put it out; its data directory is worth nothing any more.
        return boot.service("etcd", "Failed", "the member has been permanently removed from the cluster").and(None);
    };
    boot.with(|state| {
        if let Some(cluster) = state.talos.etcd.get_mut(&membership.cluster) {
            cluster.elect();
        }
        tell_kubernetes(state);
    })?;
    boot.serve("etcd", "Started task etcd (PID 2417) for container etcd")?;
    if learner {
        let now = boot.world.now();
        let unwell = Err("etcdserver: rpc not supported for learner".to_owned());
        boot.node(|node| node.healthy("etcd", unwell, now))?;
        // It asks for its promotion at every address that discovery knows, and waits for 30 s where nobody answers.
        boot.takes("etcd catching up", 30_000, 90_000).await?;
        let now = boot.world.now();
        boot.node(|node| node.healthy("etcd", Ok(()), now))?;
        boot.with(|state| {
            let member = state.talos.etcd.get_mut(&membership.cluster)?.members.get_mut(&membership.member)?;
            member.learner = false;
            let name = member.hostname.clone();
            state.note(format_args!("node {name}: etcd member promoted"));
            tell_kubernetes(state);
            Some(())
        })??;
    }
    Some(())
}

/// Static pods: the images of API server, controller manager and scheduler, then their first start.
async fn serve_kubernetes(boot: &Boot, membership: Membership) -> Option<()> {
    boot.until(|state| node(state, boot.id)?.services.runs("kubelet").then_some(())).await?;
    boot.takes("static pods", 9_000, 15_000).await?;
    let kube = boot.with(|state| state.talos.etcd.get(&membership.cluster).map(|cluster| cluster.kube))??;
    let router = kube::router(&boot.world, kube);
    boot.with(|state| {
        machine::console(state, boot.id, "[talos] rendered new static pod {\"id\": \"kube-apiserver\"}");
        if let Some(node) = node_mut(state, boot.id) {
            node.kube_api = Some((kube, router));
            node.publish_status();
        }
    })
}

/// Whether the node's configuration could run etcd at all.
pub(super) fn has_authority(complete: &Complete) -> bool {
    complete.etcd_ca.key.is_some()
        && complete.etcd_ca.crt.as_deref().is_some_and(|pem| !pki::certificates(pem).is_empty())
}
