//! The cluster file and the lock: text in, a checked [`Cluster`] or all of the text's faults out.
//!
//! [`read`] parses `bouquet.yaml` with source spans, applies defaults and checks everything that can be known
//! without asking anybody. It reports all faults at once, each with a code, a place in the text and a remedy.
//! [`Lock`] is the other file: what words in the cluster file resolved to.
//!
//! ```text
//! text ──read──▶ Cluster { name, domain, versions, nodes: name → Node { role, places: [Place …] } … }  or  Vec<Fault>
//! ```
//!
//! This crate refuses to touch the network, the clock, the file system or the environment.

mod cluster;
mod fault;

pub use cluster::{
    Backup, Certificates, Cidr, CloudPlace, Cluster, Dns, DnsProvider, FirstContact, Ingress, Network, Node, Place,
    Role, Size, Storage, Taint, Version,
};
pub use fault::{Fault, Severity, Span};
