use super::proto::{common, machine};
use super::{Chunks, Client, ClientError, client::first};

/// A member of the etcd cluster, as one member sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EtcdMember {
    /// What the member is removed by.
    pub id: u64,
    /// The node's name.
    pub hostname: String,
    /// Where other members reach it.
    pub peer_urls: Vec<String>,
    /// It follows and has no vote yet.
    pub is_learner: bool,
}

/// One member's own state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdStatus {
    /// Who answers.
    pub member_id: u64,
    /// Whom it follows; 0 if it knows no leader.
    pub leader: u64,
    /// It has no vote yet.
    pub is_learner: bool,
    /// Size of its database, in bytes.
    pub db_size_bytes: i64,
    /// Last entry it knows.
    pub raft_index: u64,
    /// Last entry it has applied.
    pub raft_applied_index: u64,
    /// Alarms.
    pub errors: Vec<String>,
    /// Version of etcd's protocol, `3.6.0`.
    pub protocol_version: String,
}

/// Control planes only: a worker answers [`super::Refusal::Unimplemented`].
impl Client {
    /// The members. With `local`, as this node's own etcd knows them, also where the cluster has no quorum.
    pub async fn etcd_members(&self, local: bool) -> Result<Vec<EtcdMember>, ClientError> {
        let asked = self.asked("Talos EtcdMemberList");
        let mut service = self.machine();
        let request = machine::EtcdMemberListRequest { query_local: local };
        let reply = self.ask(&asked, service.etcd_member_list(request)).await?;
        let members = first(&asked, reply.messages)?.members.into_iter().map(|member| EtcdMember {
            id: member.id,
            hostname: member.hostname,
            peer_urls: member.peer_urls,
            is_learner: member.is_learner,
        });
        Ok(members.collect())
    }

    /// This node's member.
    pub async fn etcd_status(&self) -> Result<EtcdStatus, ClientError> {
        let asked = self.asked("Talos EtcdStatus");
        let mut service = self.machine();
        let reply = self.ask(&asked, service.etcd_status(())).await?;
        let status = first(&asked, reply.messages)?.member_status;
        let status = status.ok_or_else(|| asked.garbled("no member status in the answer"))?;
        Ok(EtcdStatus {
            member_id: status.member_id,
            leader: status.leader,
            is_learner: status.is_learner,
            db_size_bytes: status.db_size,
            raft_index: status.raft_index,
            raft_applied_index: status.raft_applied_index,
            errors: status.errors,
            protocol_version: status.protocol_version,
        })
    }

    /// Removes a member whose node is gone. Asked of a healthy member.
    pub async fn etcd_remove_member(&self, member_id: u64) -> Result<(), ClientError> {
        let asked = self.asked("Talos EtcdRemoveMemberByID");
        let mut service = self.machine();
        let request = machine::EtcdRemoveMemberByIdRequest { member_id };
        let reply = self.ask(&asked, service.etcd_remove_member_by_id(request)).await?;
        first(&asked, reply.messages).map(|_| ())
    }

    /// The node leaves the etcd cluster, stops etcd and empties its data. Asked of the node that leaves.
    pub async fn etcd_leave(&self) -> Result<(), ClientError> {
        let asked = self.asked("Talos EtcdLeaveCluster");
        let mut service = self.machine();
        let reply = self.ask(&asked, service.etcd_leave_cluster(machine::EtcdLeaveClusterRequest {})).await?;
        first(&asked, reply.messages).map(|_| ())
    }

    /// If the node leads, it hands leadership over, and the answer names the member it went to.
    pub async fn etcd_forfeit_leadership(&self) -> Result<Option<String>, ClientError> {
        let asked = self.asked("Talos EtcdForfeitLeadership");
        let mut service = self.machine();
        let request = machine::EtcdForfeitLeadershipRequest {};
        let reply = self.ask(&asked, service.etcd_forfeit_leadership(request)).await?;
        let member = first(&asked, reply.messages)?.member;
        Ok((!member.is_empty()).then_some(member))
    }

    /// A snapshot of the database as this member has it: bbolt's pages, and their SHA-256 behind them.
    pub async fn etcd_snapshot(&self) -> Result<Chunks, ClientError> {
        let asked = self.asked("Talos EtcdSnapshot");
        let mut service = self.machine();
        let stream = self.ask(&asked, service.etcd_snapshot(())).await?;
        Ok(Chunks::new(asked, stream))
    }

    /// Gives the node a snapshot to start a cluster from, by [`Client::bootstrap_recovered`].
    pub async fn etcd_recover(&self, snapshot: &[u8]) -> Result<(), ClientError> {
        const PIECE_BYTES: usize = 1 << 20;
        let asked = self.asked("Talos EtcdRecover");
        let data = |bytes: &[u8]| common::Data { metadata: None, bytes: bytes.to_vec() };
        let pieces: Vec<common::Data> = snapshot.chunks(PIECE_BYTES).map(data).collect();
        let mut service = self.machine();
        let reply = self.ask(&asked, service.etcd_recover(futures::stream::iter(pieces))).await?;
        first(&asked, reply.messages).map(|_| ())
    }
}
