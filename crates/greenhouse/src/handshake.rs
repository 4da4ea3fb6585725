//! A TLS handshake as a check on values: what rustls would verify on either side, with rustls's own verifiers.

use crate::net::{ClientAuth, ServerTls};
use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use std::time::Duration;
use wire::{Error, Identity, Roots, Target};

/// Checks both sides; returns the client's chain if it showed one that the server asked for.
pub(crate) fn check(
    target: &Target,
    server: Option<&ServerTls>,
    now: Timestamp,
) -> Result<Option<Vec<Vec<u8>>>, Error> {
    let refuse = |reason: String| Error::Tls { host: target.authority(), reason };
    let (tls, server) = match (&target.tls, server) {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(refuse("received corrupt message: the server speaks no TLS".into())),
        (None, Some(_)) => {
            return Err(Error::Broken {
                host: target.authority(),
                reason: "the server speaks TLS, the client plain text".into(),
            });
        }
        (Some(tls), Some(server)) => (tls, server),
    };
    let own = match (server, &tls.roots) {
        (ServerTls::Public, Roots::Only(_)) | (ServerTls::Own(_) | ServerTls::ByName(_), Roots::System) => {
            return Err(refuse(unknown_issuer().to_string()));
        }
        (ServerTls::Public, Roots::System) if tls.server_name != target.host => {
            return Err(refuse(rustls::Error::InvalidCertificate(CertificateError::NotValidForName).to_string()));
        }
        (ServerTls::Public, _) => return Ok(None),
        (ServerTls::Own(own), _) => own,
        (ServerTls::ByName(names), _) => names.pick(&tls.server_name),
    };
    if let Roots::Only(authorities) = &tls.roots {
        verify_server(authorities, &own.chain, &tls.server_name, now).map_err(|error| refuse(error.to_string()))?;
    }
    verify_client(&own.clients, tls.identity.as_ref(), now).map_err(refuse)
}

fn unknown_issuer() -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)
}

fn store(authorities: &[Vec<u8>]) -> Result<Arc<RootCertStore>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(CertificateDer::from(authority.clone()))?;
    }
    Ok(Arc::new(roots))
}

fn unix(now: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0)))
}

/// Whether `chain` is a server's, for `name`, from one of `authorities`, now.
pub(crate) fn verify_server(
    authorities: &[Vec<u8>],
    chain: &[Vec<u8>],
    name: &str,
    now: Timestamp,
) -> Result<(), rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(store(authorities)?, provider)
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let name = ServerName::try_from(name).map_err(|error| rustls::Error::General(error.to_string()))?;
    let (leaf, rest) = split(chain).ok_or(rustls::Error::NoCertificatesPresented)?;
    verifier.verify_server_cert(&leaf, &rest, &name, &[], unix(now)).map(|_| ())
}

fn verify_client(asks: &ClientAuth, shown: Option<&Identity>, now: Timestamp) -> Result<Option<Vec<Vec<u8>>>, String> {
    let (authorities, required) = match asks {
        ClientAuth::Nobody => return Ok(None),
        ClientAuth::Required(authorities) => (authorities, true),
        ClientAuth::Optional(authorities) => (authorities, false),
    };
    let Some(identity) = shown else {
        return if required { Err("received fatal alert: CertificateRequired".into()) } else { Ok(None) };
    };
    let provider = Arc::new(ring::default_provider());
    let verify = || {
        let verifier = WebPkiClientVerifier::builder_with_provider(store(authorities)?, provider)
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let (leaf, rest) = split(identity.chain()).ok_or(rustls::Error::NoCertificatesPresented)?;
        verifier.verify_client_cert(&leaf, &rest, unix(now))
    };
    match verify() {
        Ok(_) => Ok(Some(identity.chain().to_vec())),
        Err(rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            Err("received fatal alert: CertificateExpired".into())
        }
        Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            Err("received fatal alert: UnknownCA".into())
        }
        Err(_) => Err("received fatal alert: BadCertificate".into()),
    }
}

fn split(chain: &[Vec<u8>]) -> Option<(CertificateDer<'_>, Vec<CertificateDer<'_>>)> {
    let (leaf, rest) = chain.split_first()?;
    Some((CertificateDer::from(leaf.as_slice()), rest.iter().map(|der| CertificateDer::from(der.as_slice())).collect()))
}
