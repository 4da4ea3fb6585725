//! The cluster's own authority, kept in a Secret that the first who needs it makes.

use super::papers::{self, PapersError};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as Object;
use kube::api::{Api, ObjectMeta, PostParams};
use rcgen::{Issuer, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use wire::{Rng, Secret};

/// Name of the Secret, in the watcher's namespace.
pub const AUTHORITY_SECRET: &str = "bouquet-watcher-ca";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// Whose leaves are let in.
#[derive(Clone, Debug)]
pub struct Authority {
    certificate_pem: String,
    certificate_der: Vec<u8>,
    key_pem: Secret,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityTrouble {
    /// The Kubernetes API does not give the Secret.
    #[error("the Secret bouquet-watcher-ca cannot be read or made: {0}")]
    Kubernetes(#[from] Box<kube::Error>),
    /// What is in it is no authority.
    #[error(transparent)]
    Papers(#[from] PapersError),
}

impl Authority {
    /// A new one: Ed25519, ten years.
    pub fn found(now: Timestamp, rng: &mut Rng) -> Result<Self, PapersError> {
        let key = papers::new_key(rng)?;
        let certificate = papers::authority_params(now, rng).self_signed(&key)?;
        Self::read(certificate.pem(), Secret::new(key.serialize_pem()))
    }

    /// One that was kept as PEM.
    pub fn read(certificate_pem: String, key_pem: Secret) -> Result<Self, PapersError> {
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|_| PapersError::NotPem)?;
        let certificate_der = der.to_vec();
        let authority = Authority { certificate_pem, certificate_der, key_pem };
        authority.issuer()?;
        Ok(authority)
    }

    /// Its certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.certificate_der
    }

    pub(super) fn issuer(&self) -> Result<Issuer<'static, KeyPair>, rcgen::Error> {
        Issuer::from_ca_cert_pem(&self.certificate_pem, KeyPair::from_pem(self.key_pem.expose())?)
    }

    fn of(object: &Object) -> Result<Self, PapersError> {
        let text = |key: &str| {
            let bytes = object.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.clone());
            bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(PapersError::NotPem)
        };
        Self::read(text(CERTIFICATE)?, Secret::new(text(KEY)?))
    }

    fn object(&self) -> Object {
        let data = [
            (CERTIFICATE.to_owned(), ByteString(self.certificate_pem.clone().into_bytes())),
            (KEY.to_owned(), ByteString(self.key_pem.expose().as_bytes().to_vec())),
        ];
        Object {
            metadata: ObjectMeta { name: Some(AUTHORITY_SECRET.to_owned()), ..ObjectMeta::default() },
            data: Some(data.into()),
            type_: Some("kubernetes.io/tls".to_owned()),
            ..Object::default()
        }
    }
}

/// The authority of this cluster: read, or made if there is none. Who makes it at the same time as another takes the other's.
pub async fn cluster_authority(
    client: &kube::Client,
    namespace: &str,
    now: Timestamp,
    rng: &mut Rng,
) -> Result<Authority, AuthorityTrouble> {
    let secrets: Api<Object> = Api::namespaced(client.clone(), namespace);
    if let Some(object) = secrets.get_opt(AUTHORITY_SECRET).await.map_err(Box::new)? {
        return Ok(Authority::of(&object)?);
    }
    let own = Authority::found(now, rng)?;
    match secrets.create(&PostParams::default(), &own.object()).await {
        Ok(_) => Ok(own),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            Ok(Authority::of(&secrets.get(AUTHORITY_SECRET).await.map_err(Box::new)?)?)
        }
        Err(error) => Err(Box::new(error).into()),
    }
}
