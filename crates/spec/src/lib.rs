//! The cluster file and the lock: text in, a checked [`Cluster`] or all of the text's faults out.
//!
//! [`read`] parses `bouquet.yaml` with source spans, applies defaults and checks everything that can be known
//! without asking anybody. It reports all faults at once, each with a code, a place in the text and a remedy.
//! [`Lock`] is the other file: what words in the cluster file resolved to. [`Watching`] is the watcher's own, which is written for
//! it from the cluster file, or by hand where it is installed alone.
//!
//! ```text
//! text ──read──▶ Cluster { name, domain, versions, nodes: name → Node { role, places: [Place …] } … }  or  Vec<Fault>
//! ```
//!
//! Inside, the text becomes a tree of plain values with byte spans (`yaml`, `tree`); readers walk it (`document` from the
//! top, one module a part) and put what they dislike into `fault::Faults` instead of stopping; checks that need several
//! parts run on whatever could be read (`fleet`). Only if no fault is an error is there a [`Cluster`].
//!
//! This crate refuses to touch the network, the clock, the file system or the environment.

mod backup;
mod catalogue;
mod cluster;
mod code;
mod document;
mod fault;
mod fields;
mod fleet;
mod labels;
mod lock;
mod names;
mod network;
mod nodes;
mod options;
mod patches;
mod place;
mod read;
mod schema;
mod services;
mod size;
mod tree;
mod units;
mod versions;
mod watching;
mod yaml;

pub use cluster::{
    Backup, Certificates, Cidr, CloudPlace, Cluster, Dns, DnsProvider, FirstContact, Ingress, Network, Node, Place,
    Role, Size, Storage, Taint, Version,
};
pub use code::CODES;
pub use fault::{Fault, Severity, Span, line_and_column};
pub use lock::{Lock, LockedImage};
pub use options::{Acme, Extra, Mesh, Profile, Rfc2136, Watcher};
pub use read::{Reading, read};
pub use schema::json_schema;
pub use versions::{DEFAULT_KUBERNETES, DEFAULT_TALOS};
pub use watching::{Block, Canary, IpFamily, Publish, Source, Trust, Watching, Webhook, WebhookKind, ZoneKeeper};
