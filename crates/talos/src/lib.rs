//! Talos Linux as bouquet needs it.

mod bundle;
mod config;
mod merge;
mod pki;
mod yaml;

pub use bundle::{AgeIdentity, Bundle, BundleError, Encryption, recipients_of, repository_password};
pub use config::{
    ConfigError, LOCAL_VOLUME, MESH_RANGE, Mesh, NodeInput, Platform, TooLong, differences, endpoint_host, normalise,
    render, user_data,
};
pub use merge::MergeError;
pub use pki::{Authority, Issued, PkiError, Role, kubeconfig, kubernetes_admin, talos_client, talosconfig};
pub use yaml::YamlError;
