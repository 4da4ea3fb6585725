//! What runs in a cluster beside what its owner brings, as ordered Kubernetes objects.
//!
//! ```text
//! Cluster (the file) ─┐
//! Given (zone, key)  ─┴─all─▶ [Addon { name, objects: [Object …] } …]   ──engine──▶ server-side apply
//!                             deploy::files ──▶ deploy/watcher.yaml, deploy/chart: the watcher on any cluster
//! ```
//!
//! Everything is a pure function of what goes in; the same file gives the same bytes. An [`Object`] is made from a typed
//! one of `k8s-openapi`, so that a misspelt field does not compile, and keeps secret values apart, so that it can be shown.
//!
//! This crate refuses to talk to a cluster, and to hold anything that upstream projects have written.

mod config;
pub mod deploy;
mod object;
mod part;
mod traefik;
mod watcher;
mod yaml;

pub use config::Credential;
pub use object::{Id, Object};
pub use watcher::{TOKEN_VARIABLE, image, ingress_nodes};

use spec::{Cluster, DnsProvider};

/// The namespace of bouquet's own things: the watcher, and what is remembered of add-ons.
pub const SYSTEM: &str = "bouquet-system";
/// Name of the add-on, its namespace and its IngressClass.
pub const TRAEFIK: &str = "traefik";
/// Name of the add-on.
pub const WATCHER: &str = "watcher";
/// The watcher's Deployment in [`SYSTEM`].
pub const WATCHER_DEPLOYMENT: &str = "bouquet-watcher";
/// Label of the nodes that serve HTTP: `true`.
pub const INGRESS_LABEL: &str = "bouquet.dev/ingress";
/// Annotation of every node that has a public address: what it is.
pub const ADDRESS_ANNOTATION: &str = "bouquet.dev/public-address";

/// One add-on: what is installed, kept and removed together.
#[derive(Clone, Debug)]
pub struct Addon {
    /// [`TRAEFIK`], [`WATCHER`], …: names its inventory in the cluster.
    pub name: &'static str,
    /// In the order of their functions; the engine applies them in the order that their kinds need.
    pub objects: Vec<Object>,
}

/// What add-ons need beside the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// The zone that the domain lives in, once it is known.
    pub zone: Option<&'a str>,
    /// What the watcher may write DNS with; `None` if nobody has given it anything.
    pub credential: Option<&'a Credential>,
}

/// Every add-on that the file asks for, in the order in which they are installed.
pub fn all(cluster: &Cluster, given: Given<'_>) -> Vec<Addon> {
    let traefik = cluster.ingress.as_ref().map(|ingress| traefik::addon(cluster, ingress));
    let watcher = watcher::addon(cluster, given);
    traefik.into_iter().chain(watcher).collect()
}

/// Whether the file asks for the watcher: it has records to write, and nodes that serve.
pub fn has_watcher(cluster: &Cluster) -> bool {
    cluster.ingress.is_some() && cluster.dns.is_some() && cluster.domain.is_some()
}

/// Whether the watcher needs a token of its own that nobody has given.
pub fn lacks_credential(cluster: &Cluster, credential: Option<&Credential>) -> bool {
    let needs = cluster.dns.as_ref().is_some_and(|dns| dns.provider == DnsProvider::Cloudflare);
    has_watcher(cluster) && needs && credential.is_none()
}

/// The namespace [`SYSTEM`]. Pods in it may do little.
pub fn system_namespace() -> Object {
    Object::of(&part::namespace(SYSTEM, "restricted"))
}

/// The name that holds the addresses of the nodes that serve.
pub fn pool_name(domain: &str) -> String {
    format!("lb.{domain}")
}
