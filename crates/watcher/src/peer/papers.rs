//! A process's own certificate: made in memory, by the cluster's authority, and made anew in time.

use super::{Authority, SERVER_NAME};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ED25519,
    SerialNumber,
};
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wire::{Identity, Rng, Time};

const LEAF_LASTS: Duration = Duration::from_hours(90 * 24);
/// Renewed after two thirds of that.
const LEAF_DUE: Duration = Duration::from_hours(60 * 24);
/// The authority is never renewed: ten years.
const AUTHORITY_LASTS: Duration = Duration::from_hours(3_653 * 24);
/// Certificates begin this much before now, for peers whose clocks are behind.
const BACKDATED: Duration = Duration::from_hours(1);
/// PKCS#8 version 1 of an Ed25519 seed: this, then the 32 bytes (RFC 8410 §7).
const ED25519_PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum PapersError {
    /// A key or certificate cannot be made, or that in the Secret is none.
    #[error(
        "the peers' certificates: {0}; delete the Secret bouquet-watcher-ca and restart the watchers if it is damaged"
    )]
    Certificate(#[from] rcgen::Error),
    /// TLS takes none of it.
    #[error("the peers' TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The Secret holds no certificate in PEM.
    #[error("the Secret bouquet-watcher-ca holds no certificate: delete it and restart the watchers")]
    NotPem,
}

/// What a process shows to its peers, as client and as server, and whom it believes.
#[derive(Clone, Debug)]
pub struct Papers {
    authority: Arc<Authority>,
    pod: String,
    leaf: Arc<Mutex<Leaf>>,
}

#[derive(Debug)]
struct Leaf {
    made: Timestamp,
    identity: Identity,
    certified: Arc<CertifiedKey>,
}

pub(super) fn new_key(rng: &mut Rng) -> Result<KeyPair, rcgen::Error> {
    let der = [&ED25519_PKCS8_PREFIX[..], &rng.bytes::<32>()].concat();
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &PKCS_ED25519)
}

pub(super) fn dated(
    mut params: CertificateParams,
    now: Timestamp,
    lasts: Duration,
    rng: &mut Rng,
) -> CertificateParams {
    let since_epoch = u64::try_from(now.as_second()).unwrap_or(0);
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(since_epoch);
    params.not_before = now - BACKDATED;
    params.not_after = now + lasts;
    let mut serial = rng.bytes::<16>();
    // Positive, and without a leading zero byte.
    serial[0] = (serial[0] & 0x7f) | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

/// The parameters of an authority that begins now.
pub(super) fn authority_params(now: Timestamp, rng: &mut Rng) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name.push(DnType::CommonName, "bouquet-watcher");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    dated(params, now, AUTHORITY_LASTS, rng)
}

impl Leaf {
    fn issue(authority: &Authority, pod: &str, now: Timestamp, rng: &mut Rng) -> Result<Self, PapersError> {
        let key = new_key(rng)?;
        let mut params = CertificateParams::new([SERVER_NAME.to_owned(), pod.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, pod);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = dated(params, now, LEAF_LASTS, rng).signed_by(&key, &authority.issuer()?)?;
        let der = certificate.der().to_vec();
        let pkcs8 = key.serialize_der();
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pkcs8.clone()));
        let signing = ring::sign::any_supported_type(&private)?;
        let certified = Arc::new(CertifiedKey::new(vec![CertificateDer::from(der.clone())], signing));
        Ok(Leaf { made: now, identity: Identity::new(vec![der], pkcs8), certified })
    }
}

impl Papers {
    /// For the pod of this name.
    pub fn issue(authority: Arc<Authority>, pod: &str, now: Timestamp, rng: &mut Rng) -> Result<Self, PapersError> {
        let leaf = Leaf::issue(&authority, pod, now, rng)?;
        Ok(Papers { authority, pod: pod.to_owned(), leaf: Arc::new(Mutex::new(leaf)) })
    }

    /// Makes the leaf anew if two thirds of its time are over; true if it did. To be called now and then.
    pub fn renew(&self, now: Timestamp, rng: &mut Rng) -> Result<bool, PapersError> {
        let age = now.duration_since(self.leaf(|leaf| leaf.made));
        if age < jiff::SignedDuration::try_from(LEAF_DUE).unwrap_or(jiff::SignedDuration::MAX) {
            return Ok(false);
        }
        let new = Leaf::issue(&self.authority, &self.pod, now, rng)?;
        *self.leaf.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(true)
    }

    /// What is shown as a client, and in a world in process as a server too.
    pub fn identity(&self) -> Identity {
        self.leaf(|leaf| leaf.identity.clone())
    }

    /// Whom to believe, DER.
    pub fn authority_der(&self) -> &[u8] {
        self.authority.der()
    }

    /// How to listen: to leaves of the authority alone, judged by `time`, with the newest leaf. HTTP/1.1 only: a message that is
    /// given up closes its connection, so that after a partition nobody waits for TCP to send again.
    pub fn server_config(&self, time: Time) -> Result<Arc<ServerConfig>, PapersError> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.authority_der().to_vec()))?;
        let general = |error: rustls::server::VerifierBuilderError| rustls::Error::General(error.to_string());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        let mut config = ServerConfig::builder_with_details(provider, Arc::new(Clock(time)))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier.map_err(general)?)
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn leaf<R>(&self, look: impl FnOnce(&Leaf) -> R) -> R {
        look(&self.leaf.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Papers {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.leaf(|leaf| leaf.certified.clone()))
    }
}

/// The clock that certificates are judged by.
#[derive(Debug)]
struct Clock(Time);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
