use super::PkiError;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::EncodePrivateKey as _;
use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use wire::{Rng, Secret};

/// PKCS#8 version 1 of an Ed25519 seed: this prefix, then the 32 bytes (RFC 8410 §7). It is what Go writes; the
/// version 2 that ed25519-dalek writes is refused by older parsers.
const ED25519_PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Talos's own label for an Ed25519 key in PKCS#8; it refuses the standard `PRIVATE KEY` (siderolabs/talos#10277).
pub(crate) const ED25519_LABEL: &str = "ED25519 PRIVATE KEY";
pub(crate) const EC_LABEL: &str = "EC PRIVATE KEY";
pub(crate) const RSA_LABEL: &str = "RSA PRIVATE KEY";
pub(crate) const PKCS8_LABEL: &str = "PRIVATE KEY";

/// A private key that signs deterministically: Ed25519, or ECDSA on P-256 with nonces by RFC 6979.
pub(crate) struct PrivateKey {
    key: Key,
    public: Vec<u8>,
}

enum Key {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(Box<p256::ecdsa::SigningKey>),
}

/// The two kinds of keys that this crate makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ed25519,
    P256,
}

impl PrivateKey {
    pub(crate) fn generate(kind: Kind, rng: &mut Rng) -> Self {
        match kind {
            Kind::Ed25519 => Self::ed25519(ed25519_dalek::SigningKey::from_bytes(&rng.bytes())),
            Kind::P256 => loop {
                // All but one in 2^32 draws are below the curve's order.
                if let Ok(key) = p256::ecdsa::SigningKey::from_slice(&rng.bytes::<32>()) {
                    return Self::p256(key);
                }
            },
        }
    }

    /// Reads a key under any label that Talos or OpenSSL gives it. RSA is refused: nothing here signs with it.
    pub(crate) fn from_pem(text: &Secret) -> Result<Self, PkiError> {
        let block = pem::parse(text.expose()).map_err(|_| PkiError::NotPem)?;
        match block.tag() {
            ED25519_LABEL | PKCS8_LABEL => Self::from_pkcs8(block.contents()),
            EC_LABEL => {
                let key = p256::SecretKey::from_sec1_der(block.contents()).map_err(|_| PkiError::UnsupportedKey)?;
                Ok(Self::p256(key.into()))
            }
            _ => Err(PkiError::UnsupportedKey),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, PkiError> {
        if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_der(der) {
            return Ok(Self::ed25519(key));
        }
        let key = p256::SecretKey::from_pkcs8_der(der).map_err(|_| PkiError::UnsupportedKey)?;
        Ok(Self::p256(key.into()))
    }

    fn ed25519(key: ed25519_dalek::SigningKey) -> Self {
        let public = key.verifying_key().to_bytes().to_vec();
        PrivateKey { key: Key::Ed25519(Box::new(key)), public }
    }

    fn p256(key: p256::ecdsa::SigningKey) -> Self {
        let public = key.verifying_key().as_affine().to_sec1_point(false).as_bytes().to_vec();
        PrivateKey { key: Key::P256(Box::new(key)), public }
    }

    /// PEM under the label that Talos expects: PKCS#8 as `ED25519 PRIVATE KEY`, SEC1 as `EC PRIVATE KEY`.
    pub(crate) fn to_pem(&self) -> Result<Secret, PkiError> {
        let (label, der) = match &self.key {
            Key::Ed25519(_) => (ED25519_LABEL, self.to_pkcs8()?),
            Key::P256(key) => {
                let der = p256::SecretKey::from(key.as_ref()).to_sec1_der().map_err(|_| PkiError::UnsupportedKey)?;
                (EC_LABEL, der.to_vec())
            }
        };
        Ok(Secret::new(to_pem(label, der)))
    }

    /// PKCS#8 DER, as TLS libraries take it.
    pub(crate) fn to_pkcs8(&self) -> Result<Vec<u8>, PkiError> {
        match &self.key {
            Key::Ed25519(key) => Ok([&ED25519_PKCS8_PREFIX[..], key.as_bytes()].concat()),
            Key::P256(key) => {
                let der = p256::SecretKey::from(key.as_ref()).to_pkcs8_der().map_err(|_| PkiError::UnsupportedKey)?;
                Ok(der.as_bytes().to_vec())
            }
        }
    }

    /// The raw public key: 32 bytes, or an uncompressed point.
    pub(crate) fn public(&self) -> &[u8] {
        &self.public
    }
}

/// PEM with 64 columns and line feeds, as Go writes it.
pub(crate) fn to_pem(label: &str, der: Vec<u8>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

impl PublicKeyData for PrivateKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.key {
            Key::Ed25519(_) => &rcgen::PKCS_ED25519,
            Key::P256(_) => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

impl SigningKey for PrivateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(match &self.key {
            Key::Ed25519(key) => ed25519_dalek::Signer::sign(key.as_ref(), message).to_bytes().to_vec(),
            Key::P256(key) => {
                let signature: p256::ecdsa::DerSignature = p256::ecdsa::signature::Signer::sign(key.as_ref(), message);
                signature.as_bytes().to_vec()
            }
        })
    }
}
