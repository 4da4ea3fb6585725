//! What Kubernetes says of the cluster, cut down to what matters here.
//!
//! ```text
//! API ──Informers──▶ Objects: kept fields of nodes, pods, routes ──compose(Settings, Now)──▶ Scene ──▶ detect, zone
//! ```
//!
//! [`Informers`] follow the API and hold objects of which little is kept; `compose` is a function of them that knows neither
//! the API nor a clock. What cannot be served as written is a [`Complaint`] on the object that says it, never an error of the whole.
//!
//! A [`Scene`] is what Kubernetes says, neither more careful nor bolder: in its protocol an empty list is a legal answer, so
//! hosts that vanish in one list vanish here too, and whoever deletes records caps that. What was *not answered* stays as it
//! was last seen, and what was never answered is named in [`Scene::unseen`]: names missing for that reason are unknown, not gone.

mod addresses;
mod annotations;
mod compose;
mod gateway;
mod hosts;
mod informers;
mod names;
mod nodes;
mod objects;
mod rule;
mod settings;
mod sites;

pub use addresses::{BadRange, Range};
pub use informers::{Informers, Sight, Trouble, Watched};
pub use names::{BadName, host};
pub use settings::{PodSelector, Settings, Source};

use detect::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The cluster as all informers together last saw it. Made only once each of them has had a whole list, or an answer that
/// there is none to be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// Ingress nodes, by name, with addresses that may be published; a node without any is not here but in `complaints`.
    pub nodes: BTreeMap<String, Node>,
    /// What a node shares its fate with, for every node of the cluster: see [`detect::Vantage::site`].
    ///
    /// Label or annotation `bouquet.dev/site`, else the label `topology.kubernetes.io/region`, else the node's name. Sites
    /// with nodes behind one public address are one. Where two or more vantages would all fall into one site, each
    /// node is a site of its own: nothing more independent is to be had, and a cluster in one region shall not stand blind.
    pub sites: BTreeMap<String, String>,
    /// Names that the cluster serves, in lower case and Punycode; `*.` may lead.
    pub hosts: BTreeMap<String, Host>,
    /// The watcher's own pods, by name.
    pub vantages: BTreeMap<String, VantagePod>,
    /// Sources that were never wholly seen. While there is one, a host that is missing here is unknown, not gone.
    pub unseen: BTreeSet<Source>,
    /// What was passed over, and why; in order, each once.
    pub complaints: Vec<Complaint>,
}

/// A name that some route serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Seconds, if an annotation says so: 1 (automatic) or 60 to 86400.
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
