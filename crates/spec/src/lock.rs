use crate::catalogue;
use crate::cluster::{CloudPlace, Cluster, Place, Version};
use crate::code::BAD_LOCK;
use crate::fault::{Fault, Severity};
use crate::yaml;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// `bouquet.lock`: what words in the cluster file resolved to. Committed beside it, so that the next run, anywhere, makes
/// the same machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Talos version that everything below is of.
    pub talos: Version,
    /// Kubernetes version.
    pub kubernetes: Version,
    /// Talos system extensions in the images, such as `siderolabs/tailscale`.
    pub extensions: BTreeSet<String>,
    /// By `platform/arch` as the Image Factory names them (`hcloud/arm64`): one for every place of the file.
    pub images: BTreeMap<String, LockedImage>,
}

/// One disk image, and the installer that keeps it as it is across upgrades.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedImage {
    /// Image Factory schematic id: 64 hexadecimal digits.
    pub schematic: String,
    /// Path at the factory: `image/<schematic>/v1.14.6/hcloud-arm64.raw.xz`.
    pub image: String,
    /// Installer reference, tagged with the Talos version: `factory.talos.dev/…/<schematic>:v1.14.6`.
    pub installer: String,
    /// `sha256:…` of the image as it was first fetched.
    pub checksum: Option<String>,
}

/// The file as it is written. Fields of later formats are not guessed at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    talos: Version,
    kubernetes: Version,
    extensions: BTreeSet<String>,
    images: BTreeMap<String, LockedImage>,
}

const FORMAT: u32 = 1;
const HEADER: &str = "# What the cluster file resolved to. Written by bouquet: commit it, do not edit it.\n";

impl Lock {
    /// Reads what [`Lock::write`] wrote. The fault is [`BAD_LOCK`], with the first place that does not fit.
    pub fn read(text: &str) -> Result<Lock, Fault> {
        let fault = |message: String, span| Fault {
            code: BAD_LOCK,
            severity: Severity::Error,
            message,
            span,
            help: Some(
                "restore bouquet.lock from version control, or remove it: `bouquet apply` writes it anew".to_owned(),
            ),
        };
        let written: Written = yaml::parse_typed(text)
            .map_err(|refusal| fault(format!("the lock cannot be read: {}", refusal.message), refusal.span))?;
        if written.format != FORMAT {
            return Err(fault(format!("the lock has format {}, this bouquet reads {FORMAT}", written.format), None));
        }
        let Written { format: _, talos, kubernetes, extensions, images } = written;
        Ok(Lock { talos, kubernetes, extensions, images })
    }

    /// The file's text; the same lock gives the same bytes.
    pub fn write(&self) -> String {
        let mut text = format!("{HEADER}format: {FORMAT}\ntalos: {}\nkubernetes: {}\n", self.talos, self.kubernetes);
        text.push_str(if self.extensions.is_empty() { "extensions: []\n" } else { "extensions:\n" });
        for extension in &self.extensions {
            push(&mut text, format_args!("  - {}\n", quoted(extension)));
        }
        text.push_str(if self.images.is_empty() { "images: {}\n" } else { "images:\n" });
        for (key, image) in &self.images {
            let LockedImage { schematic, image, installer, checksum } = image;
            push(&mut text, format_args!("  {}:\n", quoted(key)));
            let checksum = checksum.as_ref().map(|checksum| ("checksum", checksum));
            let fields = [("schematic", schematic), ("image", image), ("installer", installer)];
            for (field, value) in fields.into_iter().chain(checksum) {
                push(&mut text, format_args!("    {field}: {}\n", quoted(value)));
            }
        }
        text
    }

    /// What no longer matches the cluster file, one sentence each; empty if the lock is current.
    pub fn staleness(&self, cluster: &Cluster) -> Vec<String> {
        let mut stale = Vec::new();
        let versions = [("Talos", self.talos, cluster.talos), ("Kubernetes", self.kubernetes, cluster.kubernetes)];
        for (what, locked, wanted) in versions {
            if locked != wanted {
                stale.push(format!("the lock is for {what} {locked}, the file says {wanted}"));
            }
        }
        let tag = format!(":v{}", self.talos);
        for (key, image) in &self.images {
            if !image.installer.ends_with(&tag) {
                stale.push(format!("the lock's installer for {key} is not of Talos {}", self.talos));
            }
        }
        let needed = needed(cluster);
        for (key, nodes) in &needed {
            if !self.images.contains_key(key) {
                stale.push(format!("the lock has no image for {key}, which {} may need", nodes.join(", ")));
            }
        }
        // Which architecture a machine of the owner's own has, only the machine knows.
        let owned = cluster.nodes.values().flat_map(|node| &node.places).any(|it| matches!(it, Place::Address(_)));
        for key in self.images.keys() {
            let may_be_needed = needed.contains_key(key) || (owned && key.starts_with("metal/"));
            if !may_be_needed {
                stale.push(format!("the lock has an image for {key}, which no node needs"));
            }
        }
        stale
    }
}

/// Image keys of every place of the file, and the nodes that name them.
fn needed(cluster: &Cluster) -> BTreeMap<String, Vec<&str>> {
    let mut needed: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, node) in &cluster.nodes {
        let keys: BTreeSet<String> = node.places.iter().filter_map(Place::image_key).collect();
        for key in keys {
            needed.entry(key).or_default().push(name);
        }
    }
    needed
}

impl Place {
    /// The key in [`Lock::images`] of the image that boots here. `None` for a machine of the owner's own.
    pub fn image_key(&self) -> Option<String> {
        match self {
            Place::Cloud(place) => place.image_key(),
            Place::Address(_) => None,
        }
    }
}

impl CloudPlace {
    /// `platform/arch`, as the Image Factory names them: `hcloud/arm64`. `None` for an unknown cloud.
    pub fn image_key(&self) -> Option<String> {
        let known = catalogue::find(&self.cloud)?;
        let arch = if (known.is_arm)(&self.machine) { "arm64" } else { "amd64" };
        Some(format!("{}/{arch}", known.platform))
    }
}

/// JSON text is YAML text, and leaves no room for another reading: a schematic id may look like a number.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(line);
}
