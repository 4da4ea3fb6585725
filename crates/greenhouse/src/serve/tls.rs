//! Certificates of a served world: one authority, one leaf for loopback; and nodes' own, as they made them.

use super::ServeError;
use crate::net::{ClientAuth, OwnTls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;

/// The certificate authority that clients of a served world are told to trust.
pub(super) struct Authority {
    pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Authority {
    /// Made anew for every serve: nobody else ever holds its key.
    pub(super) fn new() -> Result<Self, ServeError> {
        let failed = |error: rcgen::Error| ServeError::Certificate(error.to_string());
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "bouquet greenhouse");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let own = params.self_signed(&key).map_err(failed)?;
        let issuer = Issuer::new(params, key);
        let leaf_key = KeyPair::generate().map_err(failed)?;
        let leaf = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).map_err(failed)?;
        let leaf = leaf.signed_by(&leaf_key, &issuer).map_err(failed)?;
        Ok(Authority { pem: own.pem(), chain: vec![leaf.der().clone()], key: leaf_key.serialize_der() })
    }

    /// Its certificate.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// How the vendors' endpoints speak TLS.
    pub(super) fn server(&self) -> Result<Arc<ServerConfig>, ServeError> {
        config(self.chain.clone(), self.key.clone(), &ClientAuth::Nobody)
            .map_err(|error| ServeError::Certificate(error.to_string()))
    }
}

/// How a node's own endpoint speaks TLS.
pub(super) fn own(tls: &OwnTls) -> Result<Arc<ServerConfig>, rustls::Error> {
    let chain = tls.chain.iter().cloned().map(CertificateDer::from).collect();
    config(chain, tls.key.clone(), &tls.clients)
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    clients: &ClientAuth,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let verifier = |authorities: &[Vec<u8>]| {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(CertificateDer::from(authority.clone()))?;
        }
        Ok::<_, rustls::Error>(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()))
    };
    let general = |error: rustls::server::VerifierBuilderError| rustls::Error::General(error.to_string());
    let builder = match clients {
        ClientAuth::Nobody => builder.with_no_client_auth(),
        ClientAuth::Required(authorities) => {
            builder.with_client_cert_verifier(verifier(authorities)?.build().map_err(general)?)
        }
        ClientAuth::Optional(authorities) => {
            let verifier = verifier(authorities)?.allow_unauthenticated().build().map_err(general)?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
