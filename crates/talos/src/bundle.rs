//! The secrets bundle: every key a cluster has, from which all its configurations and credentials follow.
//!
//! It is the one thing that cannot be made again: whoever loses it cannot add a node, and its backups stay closed.
//! It is written in the file format that `talosctl gen secrets` and talhelper share ([`Bundle::to_talsecret_yaml`]), and kept
//! at rest only encrypted for age recipients ([`Bundle::seal`]).

mod seal;
mod talsecret;

pub use seal::{AgeIdentity, recipients_of};

use crate::YamlError;
use crate::pki::{Authority, Kind, PkiError, PrivateKey, Subject, authority};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use std::time::Duration;
use wire::{Rng, Secret};

/// Ten years, as Talos's own generator gives its authorities.
const AUTHORITY_TTL: Duration = Duration::from_hours(87_600);
const TOKEN_ALPHABET: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// Letters and digits without 0, 1, I, O and l, so that a person can copy one: 57 symbols, 187 bits in 32 characters.
const PASSWORD_ALPHABET: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Every secret of a cluster.
///
/// The service account key that we make is ECDSA P-256, where Talos's current generator makes RSA 4096: no well-kept
/// RSA crate takes a seed, and Talos accepts an EC key (its generator makes one for version contracts up to 1.6). A bundle
/// that was made elsewhere keeps the key it came with.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Names the cluster to the discovery service; opaque.
    pub cluster_id: Secret,
    /// Encrypts what members publish there: 32 bytes, base64.
    pub cluster_secret: Secret,
    /// Kubelets join with it: `[0-9a-z]{6}.[0-9a-z]{16}`.
    pub bootstrap_token: Secret,
    /// Workers get their Talos certificate with it; same form.
    pub trustd_token: Secret,
    /// Encrypts Kubernetes Secrets in etcd.
    pub encryption: Encryption,
    /// Signs Talos API certificates: Ed25519.
    pub os: Authority,
    /// Signs Kubernetes certificates.
    pub k8s: Authority,
    /// Signs etcd certificates.
    pub etcd: Authority,
    /// Signs for aggregated Kubernetes APIs; its subject is empty.
    pub aggregator: Authority,
    /// Signs service account tokens, PEM.
    pub service_account: Secret,
    /// Password of the backup repository. Not Talos's: exported files do not have it.
    pub repository_password: Secret,
}

/// The key that encrypts Kubernetes Secrets in etcd. A bundle has exactly one kind.
#[derive(Clone, Debug)]
pub enum Encryption {
    /// 32 bytes, base64; the kind made today.
    Secretbox(Secret),
    /// The kind made up to Talos 1.2.
    AesCbc(Secret),
}

/// Why a bundle could not be made, read, opened or sealed. None of these quotes a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The text is not YAML.
    #[error("the secrets bundle is {0}")]
    NotYaml(#[from] YamlError),
    /// A field is missing.
    #[error("the secrets bundle has no `{0}`")]
    Missing(&'static str),
    /// A field is there and wrong.
    #[error("`{field}` of the secrets bundle: {reason}")]
    Wrong {
        /// Path as in the file, `certs.os.key`.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An authority of the bundle is wrong.
    #[error("`{field}` of the secrets bundle: {error}")]
    Pki {
        /// Path as in the file, `certs.os`.
        field: &'static str,
        /// What is wrong with it.
        error: PkiError,
    },
    /// The text is not an age file, or it was cut or changed.
    #[error("the secrets bundle is not an intact age file: {0}")]
    NotAge(String),
    /// No identity at hand opens it.
    #[error("none of the age identities at hand opens the secrets bundle")]
    NoMatchingIdentity,
    /// The text given as age identities holds none.
    #[error("no age identity in the text given: it has no line that is a valid AGE-SECRET-KEY-1…")]
    BadIdentity,
    /// This is not an age recipient.
    #[error("`{0}` is not an age recipient (age1…)")]
    BadRecipient(String),
    /// There is nobody to encrypt it for.
    #[error("there is no age recipient to encrypt the secrets bundle for")]
    NoRecipient,
}

impl BundleError {
    /// The code that `bouquet explain` knows.
    pub fn code(&self) -> &'static str {
        match self {
            BundleError::NotYaml(_) | BundleError::Missing(_) => "BQ0301",
            BundleError::Wrong { .. } | BundleError::Pki { .. } => "BQ0302",
            BundleError::NotAge(_) => "BQ0303",
            BundleError::NoMatchingIdentity => "BQ0304",
            BundleError::BadIdentity | BundleError::BadRecipient(_) | BundleError::NoRecipient => "BQ0305",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            BundleError::NotYaml(_) | BundleError::Missing(_) | BundleError::Wrong { .. } | BundleError::Pki { .. } => {
                "restore the file from version control, or import it anew from `talosctl gen secrets` output"
            }
            BundleError::NotAge(_) => "restore `bouquet.secrets.age` from version control",
            BundleError::NoMatchingIdentity => {
                "set SOPS_AGE_KEY_FILE or SOPS_AGE_KEY to a key of one of the file's recipients"
            }
            BundleError::BadIdentity => {
                "put the output of `age-keygen` into SOPS_AGE_KEY or the file of SOPS_AGE_KEY_FILE"
            }
            BundleError::BadRecipient(_) | BundleError::NoRecipient => {
                "`age-keygen -y KEYFILE` prints a key's recipient"
            }
        }
    }
}

impl Bundle {
    /// A new bundle. The same draws and the same time give the same bytes.
    pub fn generate(rng: &mut Rng, now: Timestamp) -> Result<Bundle, BundleError> {
        let mut make = |field, kind, organization| {
            let subject = Subject { organization, common_name: None };
            authority(kind, &subject, now, AUTHORITY_TTL, &mut *rng).map_err(|error| BundleError::Pki { field, error })
        };
        let os = make("certs.os", Kind::Ed25519, Some("talos"))?;
        let k8s = make("certs.k8s", Kind::P256, Some("kubernetes"))?;
        let etcd = make("certs.etcd", Kind::P256, Some("etcd"))?;
        let aggregator = make("certs.k8saggregator", Kind::P256, None)?;
        let service_account = PrivateKey::generate(Kind::P256, rng)
            .to_pem()
            .map_err(|error| BundleError::Pki { field: "certs.k8sserviceaccount", error })?;
        Ok(Bundle {
            cluster_id: random_base64(rng),
            cluster_secret: random_base64(rng),
            bootstrap_token: token(rng),
            trustd_token: token(rng),
            encryption: Encryption::Secretbox(random_base64(rng)),
            os,
            k8s,
            etcd,
            aggregator,
            service_account,
            repository_password: repository_password(rng),
        })
    }
}

/// A password for a bundle that came without one.
pub fn repository_password(rng: &mut Rng) -> Secret {
    Secret::new(rng.text(PASSWORD_ALPHABET, 32))
}

fn random_base64(rng: &mut Rng) -> Secret {
    Secret::new(STANDARD.encode(rng.bytes::<32>()))
}

fn token(rng: &mut Rng) -> Secret {
    Secret::new(format!("{}.{}", rng.text(TOKEN_ALPHABET, 6), rng.text(TOKEN_ALPHABET, 16)))
}
