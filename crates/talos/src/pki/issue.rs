use super::keys::{Kind, PrivateKey, to_pem};
use super::{Authority, PkiError};
use crate::Bundle;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyUsagePurpose, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use std::time::Duration;
use wire::{Identity, Rng, Secret};

/// Client certificates begin this much before now, so that a node whose clock is a little behind accepts them.
const BACKDATED: Duration = Duration::from_mins(5);

/// The end of the year 9999, after which X.509 has no dates, in seconds since 1970.
const LAST_SECOND: u64 = 253_402_300_799;

/// Who a certificate is for.
pub(crate) struct Subject<'a> {
    pub(crate) organization: Option<&'a str>,
    pub(crate) common_name: Option<&'a str>,
}

/// What a Talos client may do; the certificate's Organization says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Everything.
    Admin,
    /// Reads, and reboots, restarts, shutdowns.
    Operator,
    /// Reads of what is not sensitive.
    Reader,
    /// Snapshots of etcd.
    EtcdBackup,
}

impl Role {
    /// As Talos spells it.
    pub fn organization(self) -> &'static str {
        match self {
            Role::Admin => "os:admin",
            Role::Operator => "os:operator",
            Role::Reader => "os:reader",
            Role::EtcdBackup => "os:etcd:backup",
        }
    }
}

/// A client certificate and its key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Certificate, PEM.
    pub crt: String,
    /// Key, PEM under Talos's labels.
    pub key: Secret,
    /// The same two for a TLS handshake.
    pub identity: Identity,
}

/// A client of the Talos API: Ed25519, signed by the bundle's `os` authority, extended key usage exactly client
/// authentication (apid refuses any other set).
pub fn talos_client(
    bundle: &Bundle,
    role: Role,
    now: Timestamp,
    ttl: Duration,
    rng: &mut Rng,
) -> Result<Issued, PkiError> {
    let subject = Subject { organization: Some(role.organization()), common_name: None };
    client(&bundle.os, Kind::Ed25519, &subject, now, ttl, rng)
}

/// A cluster administrator of Kubernetes: ECDSA P-256, group `system:masters`, signed by the bundle's `k8s` authority.
pub fn kubernetes_admin(bundle: &Bundle, now: Timestamp, ttl: Duration, rng: &mut Rng) -> Result<Issued, PkiError> {
    let subject = Subject { organization: Some("system:masters"), common_name: Some("admin") };
    client(&bundle.k8s, Kind::P256, &subject, now, ttl, rng)
}

/// A new self-signed authority.
pub(crate) fn authority(
    kind: Kind,
    subject: &Subject,
    now: Timestamp,
    ttl: Duration,
    rng: &mut Rng,
) -> Result<Authority, PkiError> {
    let key = PrivateKey::generate(kind, rng);
    let mut params = params(subject, now, ttl, rng)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.key_identifier_method = KeyIdMethod::PreSpecified(rng.bytes::<20>().to_vec());
    let certificate = params.self_signed(&key).map_err(|_| PkiError::Dates)?;
    Ok(Authority { crt: to_pem("CERTIFICATE", certificate.der().to_vec()), key: key.to_pem()? })
}

fn client(
    authority: &Authority,
    kind: Kind,
    subject: &Subject,
    now: Timestamp,
    ttl: Duration,
    rng: &mut Rng,
) -> Result<Issued, PkiError> {
    let signer = PrivateKey::from_pem(&authority.key)?;
    let issuer_der = CertificateDer::from(authority.der()?);
    let issuer = Issuer::from_ca_cert_der(&issuer_der, signer).map_err(|_| PkiError::NotAnAuthority)?;
    let key = PrivateKey::generate(kind, rng);
    let from = now.saturating_sub(BACKDATED).unwrap_or(now);
    let mut params = params(subject, from, ttl.saturating_add(BACKDATED), rng)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer).map_err(|_| PkiError::Dates)?;
    let der = certificate.der().to_vec();
    Ok(Issued {
        crt: to_pem("CERTIFICATE", der.clone()),
        identity: Identity::new(vec![der], key.to_pkcs8()?),
        key: key.to_pem()?,
    })
}

fn params(subject: &Subject, from: Timestamp, ttl: Duration, rng: &mut Rng) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    if let Some(organization) = subject.organization {
        name.push(DnType::OrganizationName, organization);
    }
    if let Some(common_name) = subject.common_name {
        name.push(DnType::CommonName, common_name);
    }
    params.distinguished_name = name;
    let since_epoch = u64::try_from(from.as_second()).map_err(|_| PkiError::Dates)?;
    if since_epoch.saturating_add(ttl.as_secs()) > LAST_SECOND {
        return Err(PkiError::Dates);
    }
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(since_epoch);
    params.not_after = params.not_before + ttl;
    let mut serial = rng.bytes::<16>();
    // Positive and without a leading zero byte, so that it needs no second thought in DER.
    serial[0] = (serial[0] & 0x7f) | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}
