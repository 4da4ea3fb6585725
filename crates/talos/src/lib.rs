//! Talos Linux as bouquet needs it: secrets, configurations, images, and the machine API.
//!
//! ```text
//! Bundle ──pki──▶ Issued (certificates for us)          Schematic ──id──▶ disk image, installer
//!    └─render(NodeInput)─▶ configuration ─user_data─▶ the machine's birth;  Client ──▶ the machine's life
//! ```
//!
//! This crate refuses to keep a key in the clear on a disk or in a log: keys are [`wire::Secret`]s, and a bundle at rest is
//! encrypted with age.

mod api;
mod bundle;
mod config;
mod merge;
mod pki;
mod schematic;
mod yaml;

pub use api::{ApplyMode, Client, ClientError, EtcdMember, ServiceInfo, Version};
pub use bundle::{AgeIdentity, Bundle, BundleError, Encryption, recipients_of, repository_password};
pub use config::{
    ConfigError, LOCAL_VOLUME, MESH_RANGE, Mesh, NodeInput, Platform, TooLong, auth_key_of, differences, endpoint_host,
    normalise, render, user_data,
};
pub use merge::MergeError;
pub use pki::{Authority, Issued, PkiError, Role, kubeconfig, kubernetes_admin, talos_client, talosconfig};
pub use schematic::{Schematic, disk_image_path, installer, post as post_schematic};
pub use yaml::YamlError;

/// Codes of this crate, with their titles.
pub const CODES: &[(&str, &str)] = &[
    ("BQ0301", "the secrets bundle cannot be read"),
    ("BQ0302", "a part of the secrets bundle is wrong"),
    ("BQ0303", "the secrets file is not encrypted as it should be"),
    ("BQ0304", "no age key of yours opens the secrets file"),
    ("BQ0305", "an age key or recipient is not one"),
    ("BQ0306", "the cluster has no such node"),
    ("BQ0307", "a patch cannot be applied"),
    ("BQ0308", "a machine of your own needs an install disk"),
    ("BQ0309", "the machine configuration is too long for user data"),
    ("BQ0320", "a node refused a call"),
    ("BQ0321", "a node's identity is not what it should be"),
    ("BQ0322", "a node does not answer"),
    ("BQ0323", "an answer cannot be read"),
];
