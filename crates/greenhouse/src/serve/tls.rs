//! Certificates of a served world: one authority, a leaf for each vendor; and nodes' own, as they made them.

use super::ServeError;
use crate::net::{ClientAuth, Names, OwnTls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The certificate authority that clients of a served world are told to trust.
pub(super) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
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
        Ok(Authority { pem: own.pem(), issuer })
    }

    /// Its certificate.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// How a vendor's endpoint speaks TLS: under its own name, and on loopback.
    pub(super) fn server(&self, host: &str) -> Result<Arc<ServerConfig>, ServeError> {
        let failed = |error: rcgen::Error| ServeError::Certificate(error.to_string());
        let key = KeyPair::generate().map_err(failed)?;
        let names = [host, "localhost", "127.0.0.1"].map(str::to_owned);
        let leaf = CertificateParams::new(names).and_then(|leaf| leaf.signed_by(&key, &self.issuer)).map_err(failed)?;
        config(vec![leaf.der().clone()], key.serialize_der(), &ClientAuth::Nobody)
            .map_err(|error| ServeError::Certificate(error.to_string()))
    }
}

/// How a node's own endpoint speaks TLS.
pub(super) fn own(tls: &OwnTls) -> Result<Arc<ServerConfig>, rustls::Error> {
    let chain = tls.chain.iter().cloned().map(CertificateDer::from).collect();
    config(chain, tls.key.clone(), &tls.clients)
}

/// How an endpoint with a certificate for each name speaks TLS.
pub(super) fn by_name(names: &Arc<Names>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = ring::default_provider();
    let certified = |tls: &OwnTls| {
        let chain = tls.chain.iter().cloned().map(CertificateDer::from).collect();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(tls.key.clone()));
        CertifiedKey::from_der(chain, key, &provider).map(Arc::new)
    };
    let default = certified(&names.default)?;
    // A certificate whose key is of a kind that rustls does not know is nobody's.
    let by_name = names.by_name.iter().filter_map(|(name, tls)| Some((name.clone(), certified(tls).ok()?))).collect();
    let resolver = Arc::new(Resolver { names: names.clone(), default, by_name });
    let builder =
        ServerConfig::builder_with_provider(Arc::new(provider.clone())).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

struct Resolver {
    names: Arc<Names>,
    default: Arc<CertifiedKey>,
    by_name: BTreeMap<String, Arc<CertifiedKey>>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().and_then(|name| self.by_name.get(self.names.known(name)?));
        Some(found.unwrap_or(&self.default).clone())
    }
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
