//! Machine configurations: what a node is told at its birth and whenever the file changes.
//!
//! ```text
//! NodeInput (cluster, node, bundle, …) ──render──▶ YAML of several documents ──user_data──▶ base64(gzip) within the cloud's limit
//!                                                        └─normalise─▶ Value ◀─normalise─ what a node reports; differences
//! ```
//!
//! The shape is that of Talos 1.13, which 1.14 takes too. Clouds' disk images count as installed, so there is no install
//! section; the owner's own machines (platform metal) need one and must name the disk in a patch.
//! The same input gives the same bytes.
//!
//! This module refuses to put the key of any authority into a worker's configuration.

mod compare;
mod documents;
mod machine;
mod user_data;

pub use compare::{auth_key_of, differences, normalise};
pub use user_data::{TooLong, user_data};

use crate::merge::{self, MergeError};
use crate::{Bundle, yaml};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use wire::Secret;

/// Where Tailscale and Headscale give addresses from (RFC 6598).
pub const MESH_RANGE: &str = "100.64.0.0/10";
/// The user volume that local storage lives on, mounted at `/var/mnt/local`.
pub const LOCAL_VOLUME: &str = "local";

/// Everything a node's configuration follows from.
#[derive(Clone, Copy)]
pub struct NodeInput<'a> {
    /// The whole cluster, as the file has it.
    pub cluster: &'a spec::Cluster,
    /// Which of its nodes.
    pub node: &'a str,
    /// Where it runs.
    pub platform: Platform,
    /// The cluster's secrets.
    pub bundle: &'a Bundle,
    /// Joins the tailnet: one launch, single use. `None` where the node is on it already; what it then holds stays out of
    /// the comparison ([`normalise`]).
    pub auth_key: Option<&'a Secret>,
    /// The tailnet.
    pub mesh: &'a Mesh,
    /// Host name of the Kubernetes API: [`endpoint_host`].
    pub endpoint: &'a str,
    /// Names that no DNS serves: address → names. Where there is no DNS provider, the endpoint's.
    pub static_hosts: &'a BTreeMap<IpAddr, Vec<String>>,
    /// More names and addresses for the certificates of the Talos and the Kubernetes API.
    pub cert_sans: &'a [String],
    /// Installer image; only for [`Platform::Metal`].
    pub installer: Option<&'a str>,
}

/// What the nodes are told about the tailnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mesh {
    /// Of a Headscale; `None` is Tailscale's own.
    pub login_server: Option<String>,
    /// Tags to ask for (`tag:…`). Needed only with keys that do not carry their tags.
    pub advertise_tags: Vec<String>,
}

/// Talos's name for where a machine runs. It decides how user data gets in and which installer fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Platform {
    /// Hetzner Cloud.
    Hcloud,
    /// Oracle Cloud Infrastructure.
    Oracle,
    /// A machine of the owner's.
    Metal,
}

impl Platform {
    /// Of a place in the cluster file; `None` for a cloud that has no Talos platform here.
    pub fn of(place: &spec::Place) -> Option<Self> {
        match place {
            spec::Place::Address(_) => Some(Platform::Metal),
            spec::Place::Cloud(place) => match place.cloud.as_str() {
                "hetzner" => Some(Platform::Hcloud),
                "oci" => Some(Platform::Oracle),
                _ => None,
            },
        }
    }

    /// By Talos's spelling.
    pub fn named(name: &str) -> Option<Self> {
        [Platform::Hcloud, Platform::Oracle, Platform::Metal].into_iter().find(|platform| platform.name() == name)
    }

    /// As Talos spells it.
    pub fn name(self) -> &'static str {
        match self {
            Platform::Hcloud => "hcloud",
            Platform::Oracle => "oracle",
            Platform::Metal => "metal",
        }
    }
}

/// Why a configuration could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The cluster has no such node.
    #[error("the cluster has no node `{0}`")]
    NoSuchNode(String),
    /// A patch of the file cannot be applied.
    #[error("patch {number} of {owner}: {error}")]
    Patch {
        /// `the cluster`, or `node rose`.
        owner: String,
        /// Position in its list, from 1.
        number: usize,
        /// What is wrong with it.
        error: MergeError,
    },
    /// An own machine's configuration must say which disk Talos may take.
    #[error("node `{0}` is a machine of your own, and nothing says which disk Talos may be installed on")]
    NoInstallDisk(String),
}

impl ConfigError {
    /// The code that `bouquet explain` knows.
    pub fn code(&self) -> &'static str {
        match self {
            ConfigError::NoSuchNode(_) => "BQ0306",
            ConfigError::Patch { .. } => "BQ0307",
            ConfigError::NoInstallDisk(_) => "BQ0308",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            ConfigError::NoSuchNode(_) => "name a node of the cluster file",
            ConfigError::Patch { .. } => {
                "patches are strategic merges: write them like the configuration, with most left out"
            }
            ConfigError::NoInstallDisk(_) => {
                "add to the node: `patches: [{ machine: { install: { disk: /dev/sda } } }]`; that disk will be wiped"
            }
        }
    }
}

/// Host name of the Kubernetes API: the file's API name, else one that `StaticHostConfig` documents give an address.
pub fn endpoint_host(cluster: &spec::Cluster) -> String {
    cluster.api_name().unwrap_or_else(|| format!("api.{}.internal", cluster.name))
}

/// Renders a node's configuration: our documents, then the cluster's patches, then the node's.
pub fn render(input: &NodeInput) -> Result<Secret, ConfigError> {
    let node = input.cluster.nodes.get(input.node).ok_or_else(|| ConfigError::NoSuchNode(input.node.to_owned()))?;
    let mut documents = vec![machine::document(input, node)];
    documents.extend(documents::all(input, node));
    patch(&mut documents, &input.cluster.patches, "the cluster")?;
    patch(&mut documents, &node.patches, &format!("node {}", input.node))?;
    if input.platform == Platform::Metal && !names_install_disk(&documents) {
        return Err(ConfigError::NoInstallDisk(input.node.to_owned()));
    }
    Ok(Secret::new(yaml::write_all(&documents)))
}

fn patch(documents: &mut Vec<Value>, patches: &[String], owner: &str) -> Result<(), ConfigError> {
    for (at, text) in patches.iter().enumerate() {
        merge::apply(documents, text).map_err(|error| ConfigError::Patch {
            owner: owner.to_owned(),
            number: at + 1,
            error,
        })?;
    }
    Ok(())
}

fn names_install_disk(documents: &[Value]) -> bool {
    documents
        .iter()
        .filter_map(|document| document.pointer("/machine/install"))
        .any(|install| ["disk", "diskSelector"].iter().any(|key| install.get(key).is_some_and(|disk| !disk.is_null())))
}
