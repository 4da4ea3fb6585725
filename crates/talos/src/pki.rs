//! Certificates: the cluster's authorities, and the client identities issued from them.
//!
//! ```text
//! Authority (CA certificate + key, PEM) ──issue──▶ Issued (leaf certificate + key) ──▶ wire::Identity, talosconfig, kubeconfig
//! ```
//!
//! Everything is made from a [`wire::Rng`] and a time, so the same seed gives the same bytes. This module refuses to
//! sign with RSA: no well-kept RSA crate can be seeded.

mod files;
mod issue;
mod keys;

pub use files::{kubeconfig, talosconfig};
pub use issue::{Issued, Role, kubernetes_admin, talos_client};
pub(crate) use issue::{Subject, authority};
pub(crate) use keys::{EC_LABEL, ED25519_LABEL, Kind, PKCS8_LABEL, PrivateKey, RSA_LABEL};

use wire::Secret;

/// A certificate authority as the bundle keeps it.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its certificate, PEM.
    pub crt: String,
    /// Its private key, PEM under Talos's labels.
    pub key: Secret,
}

impl Authority {
    /// The certificate, DER.
    pub fn der(&self) -> Result<Vec<u8>, PkiError> {
        let block = pem::parse(&self.crt).map_err(|_| PkiError::NotPem)?;
        if block.tag() == "CERTIFICATE" { Ok(block.into_contents()) } else { Err(PkiError::NotPem) }
    }
}

/// Why a certificate could not be read or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PkiError {
    /// The text is not one PEM block of the expected kind.
    #[error("not a PEM block of the expected kind")]
    NotPem,
    /// A key that this crate cannot sign with. Ed25519 and ECDSA P-256 it can.
    #[error("the key is neither Ed25519 nor ECDSA P-256")]
    UnsupportedKey,
    /// The certificate is not X.509, or not of an authority.
    #[error("the certificate is not one of an X.509 authority")]
    NotAnAuthority,
    /// Certificate and key do not belong together.
    #[error("the certificate and the key do not belong together")]
    Mismatch,
    /// The dates asked for cannot be written in a certificate.
    #[error("the dates asked for cannot be written in a certificate")]
    Dates,
}
