//! What Kubernetes says of the cluster, cut down to what matters here.

use detect::Node;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The cluster as all informers together last saw it. Made only once each of them has had a whole list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// Ingress nodes, by name, with addresses that may be published.
    pub nodes: BTreeMap<String, Node>,
    /// What a node shares its fate with, for every node of the cluster: see [`detect::Vantage::site`].
    pub sites: BTreeMap<String, String>,
    /// Names that the cluster serves, in lower case and Punycode.
    pub hosts: BTreeMap<String, Host>,
    /// The watcher's own pods, by name.
    pub vantages: BTreeMap<String, VantagePod>,
    /// What was passed over, and why.
    pub complaints: Vec<Complaint>,
}

/// A name that some route serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Seconds, if an annotation says so.
    pub ttl_s: Option<u32>,
    /// Whether Cloudflare stands before it, if an annotation says so.
    pub proxied: Option<bool>,
    /// The pool that it points to, if an annotation names another than the configured one.
    pub pool: Option<String>,
    /// Objects that name it, in order.
    pub sources: Vec<ObjectRef>,
}

/// A pod of the watcher itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VantagePod {
    /// Node it runs on.
    pub node: String,
    /// Where its peers reach it.
    pub address: IpAddr,
    /// Whether it is on its way out.
    pub terminating: bool,
}

/// An object of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// `networking.k8s.io/v1`.
    pub api_version: String,
    /// `Ingress`.
    pub kind: String,
    /// Empty for objects of the cluster.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Unique id.
    pub uid: String,
}

/// Something that cannot be served as written: told as an Event on the object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// The object.
    pub object: ObjectRef,
    /// CamelCase, as Events want it: `BadAnnotation`.
    pub reason: &'static str,
    /// One sentence with the remedy.
    pub message: String,
}
