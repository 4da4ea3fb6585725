//! What a member's database holds: the buckets of etcd's storage schema (`server/storage/schema`, 3.6), filled with what
//! this world knows of the cluster. Objects of Kubernetes are not among it: the emulated API keeps them elsewhere.

use super::super::super::etcd::{Cluster, Membership};
use prost::Message as _;
use serde_json::json;

/// `mvccpb.KeyValue`, as etcd stores it under a revision.
#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(int64, tag = "2")]
    create_revision: i64,
    #[prost(int64, tag = "3")]
    mod_revision: i64,
    #[prost(int64, tag = "4")]
    version: i64,
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

/// A bucket's name and what it holds.
pub(super) type Bucket = (&'static str, Vec<(Vec<u8>, Vec<u8>)>);

/// Every bucket of the schema.
pub(super) fn buckets(cluster: &Cluster, of: Membership) -> Vec<Bucket> {
    let members = cluster.members.iter().map(|(id, member)| {
        let host = member.url_host();
        let stored = json!({
            "id": id, "name": member.hostname, "isLearner": member.learner,
            "peerURLs": [format!("https://{host}:2380")], "clientURLs": [format!("https://{host}:2379")],
        });
        (format!("{id:016x}").into_bytes(), stored.to_string().into_bytes())
    });
    let hostnames = cluster.members.values().map(|member| member.hostname.as_str());
    let keys = (2..).zip(hostnames).map(|(revision, hostname)| revised(revision, hostname, of));
    let meta: [(&[u8], Vec<u8>); 4] = [
        (b"consistent_index", 1_000_u64.to_be_bytes().to_vec()),
        (b"confState", json!({"voters": cluster.members.keys().collect::<Vec<_>>()}).to_string().into_bytes()),
        (b"storageVersion", b"3.7.0".to_vec()),
        (b"term", cluster.term.to_be_bytes().to_vec()),
    ];
    let version = [(b"clusterVersion".to_vec(), b"3.7.0".to_vec())];
    let empty = ["alarm", "auth", "authRoles", "authUsers", "lease", "members_removed"].map(|name| (name, Vec::new()));
    let mut all = Vec::from(empty);
    all.push(("cluster", version.to_vec()));
    all.push(("key", keys.collect()));
    all.push(("members", members.collect()));
    all.push(("meta", meta.map(|(key, value)| (key.to_vec(), value)).to_vec()));
    all
}

/// The Node of a member, as the API server would have registered it: revision → key and value.
fn revised(revision: i64, hostname: &str, of: Membership) -> (Vec<u8>, Vec<u8>) {
    let node =
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": hostname, "uid": format!("{:x}", of.cluster)}});
    let pair = KeyValue {
        key: format!("/registry/minions/{hostname}").into_bytes(),
        create_revision: revision,
        mod_revision: revision,
        version: 1,
        value: node.to_string().into_bytes(),
    };
    // Main revision, an underscore, the number within a transaction.
    let at = [revision.to_be_bytes().as_slice(), b"_", &0_u64.to_be_bytes()].concat();
    (at, pair.encode_to_vec())
}
