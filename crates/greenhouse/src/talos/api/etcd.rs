//! The etcd calls of the machine API.

mod bolt;
mod snapshot;

use super::super::proto::common::Data;
use super::super::proto::machine as wire;
use super::super::{etcd, node_mut, power};
use super::{Answers, Api, streams};
use futures::StreamExt as _;
use sha2::Digest as _;
use tonic::{Status, Streaming};

impl Api {
    /// What a call finds of the cluster that this node is a running member of.
    fn cluster<R>(&self, what: &str, work: impl FnOnce(&etcd::Cluster, etcd::Membership) -> R) -> Result<R, Status> {
        self.needs_control_plane(what)?;
        let found = self.look(|state| {
            let (cluster, membership) = etcd::of(state, self.boot.id)?;
            cluster.members.get(&membership.member).filter(|member| member.alive)?;
            Some(work(cluster, membership))
        })?;
        found.ok_or_else(|| Status::failed_precondition("etcd is not running"))
    }

    /// Talos dials its etcd until the caller gives up: a node that waits for its bootstrap gives no answer.
    pub(super) async fn dials_etcd(&self, what: &str) -> Result<(), Status> {
        self.needs_control_plane(what)?;
        let id = self.boot.id;
        let alive = move |state: &crate::world::State| {
            let (cluster, membership) = etcd::of(state, id)?;
            cluster.members.get(&membership.member)?.alive.then_some(())
        };
        self.boot.until(alive).await.ok_or_else(|| Status::unavailable("connection reset"))
    }

    fn change<R>(&self, what: &str, work: impl FnOnce(&mut etcd::Cluster, etcd::Membership) -> R) -> Result<R, Status> {
        self.cluster(what, |cluster, _| cluster.has_quorum())?
            .then_some(())
            .ok_or_else(|| Status::unavailable("etcdserver: no leader"))?;
        let found = self.look(|state| {
            let membership = state.talos.disks.get(&self.boot.id)?.etcd?;
            Some(work(state.talos.etcd.get_mut(&membership.cluster)?, membership))
        })?;
        found.ok_or_else(|| Status::failed_precondition("etcd is not running"))
    }

    pub(super) fn member_list(&self) -> Result<wire::EtcdMemberListResponse, Status> {
        let nameless = self.boot.world.lies("talos-etcd-nameless");
        self.cluster("member list", |cluster, _| {
            let members = cluster.members.iter().map(|(id, member)| {
                let host = member.url_host();
                wire::EtcdMember {
                    id: *id,
                    hostname: if nameless { String::new() } else { member.hostname.clone() },
                    peer_urls: vec![format!("https://{host}:2380")],
                    client_urls: vec![format!("https://{host}:2379")],
                    is_learner: member.learner,
                }
            });
            let members = wire::EtcdMembers { metadata: None, legacy_members: Vec::new(), members: members.collect() };
            wire::EtcdMemberListResponse { messages: vec![members] }
        })
    }

    pub(super) fn member_status(&self) -> Result<wire::EtcdStatusResponse, Status> {
        let now_ms = self.boot.world.now().as_millisecond();
        self.cluster("etcd status", |cluster, membership| {
            // Leases and heartbeats move the index on by about two a second.
            let raft_index = u64::try_from(now_ms / 500).unwrap_or(0) % 10_000_000;
            let status = wire::EtcdMemberStatus {
                protocol_version: "3.7.2".into(),
                db_size: 5 << 20,
                db_size_in_use: 3 << 20,
                leader: if cluster.has_quorum() { cluster.leader } else { 0 },
                raft_index,
                raft_term: cluster.term,
                raft_applied_index: raft_index,
                errors: if cluster.has_quorum() { Vec::new() } else { vec!["etcdserver: no leader".into()] },
                is_learner: cluster.members.get(&membership.member).is_some_and(|member| member.learner),
                member_id: membership.member,
                storage_version: "3.7.0".into(),
            };
            wire::EtcdStatusResponse {
                messages: vec![wire::EtcdStatus { metadata: None, member_status: Some(status) }],
            }
        })
    }

    /// Alarms, of which this world raises none; disarming them answers with those that were.
    pub(super) fn alarms(&self, what: &str) -> Result<wire::EtcdAlarmResponse, Status> {
        self.cluster(what, |_, _| ())?;
        Ok(wire::EtcdAlarmResponse { messages: vec![wire::EtcdAlarm::default()] })
    }

    pub(super) fn defragment(&self) -> Result<wire::EtcdDefragmentResponse, Status> {
        self.cluster("etcd defragment", |_, _| ())?;
        Ok(wire::EtcdDefragmentResponse { messages: vec![wire::EtcdDefragment::default()] })
    }

    /// Meant for members whose machine is gone; one that still runs stops.
    pub(super) fn remove_member(&self, member: u64) -> Result<(), Status> {
        let gone = self.change("etcd remove member", |cluster, _| cluster.remove(member))?;
        let gone = gone.ok_or_else(|| {
            Status::not_found(format!("failed to remove member {member}: etcdserver: member not found"))
        })?;
        self.look(|state| {
            let now = state.now();
            if let Some(node) = node_mut(state, gone.machine) {
                node.kube_api = None;
                node.service("etcd", "Failed", "the member has been permanently removed from the cluster", now);
                node.touch();
            }
            etcd::tell_kubernetes(state);
        })
    }

    pub(super) fn leave_cluster(&self) -> Result<(), Status> {
        let last = self.change("etcd leave", |cluster, own| (cluster.members.len() < 2).then_some(own.member))?;
        if let Some(member) = last {
            return Err(Status::unknown(format!(
                "failed to leave cluster: 1 error(s) occurred:\n\tfailed to remove member {member}: \
                 etcdserver: re-configuration failed due to not enough started members"
            )));
        }
        self.look(|state| power::leave_etcd(state, self.boot.id))
    }

    /// The new leader's host name; empty if this member does not lead, or nobody else can.
    pub(super) fn forfeit_leadership(&self) -> Result<String, Status> {
        self.change("etcd forfeit leadership", |cluster, membership| {
            if cluster.leader == membership.member { cluster.forfeit().unwrap_or_default() } else { String::new() }
        })
    }

    /// The member's database, and a SHA-256 behind it.
    pub(super) fn snapshot(&self) -> Result<Answers<Data>, Status> {
        let buckets = self.cluster("etcd snapshot", snapshot::buckets)?;
        let mut database = bolt::database(buckets);
        if !self.boot.world.lies("talos-snapshot-bare") {
            let digest = sha2::Sha256::digest(&database);
            database.extend_from_slice(&digest);
        }
        Ok(streams::in_pieces(&database))
    }

    /// Keeps a snapshot for the bootstrap to come. What it is worth shows only then.
    pub(super) async fn take_snapshot(&self, mut pieces: Streaming<Data>) -> Result<(), Status> {
        self.needs_control_plane("etcd recover")?;
        let mut snapshot = Vec::new();
        while let Some(piece) = pieces.next().await {
            snapshot.extend(piece?.bytes);
        }
        self.look(|state| {
            if let Some(node) = node_mut(state, self.boot.id) {
                node.snapshot = kubernetes_of(&snapshot);
            }
        })
    }
}

/// The Kubernetes cluster that a whole snapshot is of.
fn kubernetes_of(snapshot: &[u8]) -> Option<crate::kube::ClusterId> {
    let (database, digest) = snapshot.split_last_chunk::<32>()?;
    let whole = sha2::Sha256::digest(database).as_slice() == digest;
    whole.then(|| snapshot::kubernetes_of(database))?
}
