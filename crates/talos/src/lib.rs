//! Talos Linux as bouquet needs it: secrets, machine configurations, images, and the machine API.
//!
//! How the nouns relate:
//!
//! ```text
//! Bundle ── every secret of a cluster; sealed at rest for age recipients
//!   ├─ talos_client, kubernetes_admin ──▶ Issued (certificate + key) ──▶ talosconfig, kubeconfig, wire::Identity
//!   └─ NodeInput (cluster + node + bundle) ──render──▶ machine configuration ──▶ user_data, or Client::apply_configuration
//! Schematic ──▶ id ──▶ image_path, installer_image          Factory ── the Image Factory's calls, as wire::Call values
//! Peer ──▶ Client ── one node's machine API over a wire::Wire
//! ```
//!
//! All but [`Client`] is pure: the same seed, time and input give the same bytes. This crate refuses to keep a key in the
//! clear on disk or in a log: secrets are [`wire::Secret`], errors name fields and never values.

mod api;
mod bundle;
mod codes;
mod config;
mod factory;
mod merge;
mod pki;
mod schematic;
mod yaml;

pub use api::{
    Applied, ApplyMode, Asked, Change, Changed, Chunks, Client, ClientError, EtcdMember, EtcdStatus, Peer, Progress,
    Refusal, ResetScope, Resource, Service, Version, Watch,
};
pub use bundle::{AgeIdentity, Bundle, BundleError, Encryption, recipients_of, repository_password};
pub use codes::CODES;
pub use config::{
    ConfigError, LOCAL_VOLUME, MESH_RANGE, Mesh, NodeInput, Platform, TooLong, auth_key_of, differences, endpoint_host,
    normalise, render, user_data,
};
pub use factory::{Extension, FACTORY_BUCKET, FACTORY_URL, Factory, FactoryError};
pub use merge::MergeError;
pub use pki::{Authority, Issued, PkiError, Role, kubeconfig, kubernetes_admin, talos_client, talosconfig};
pub use schematic::{Arch, ISCSI_TOOLS, Schematic, TAILSCALE, UTIL_LINUX_TOOLS, image_path, installer_image};
pub use yaml::YamlError;
