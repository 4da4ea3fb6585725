//! Certificates: what a node reads from its configuration, and what it issues with the authorities in it.

use super::config::PemPair;
use jiff::Timestamp;
use p256::pkcs8::EncodePrivateKey as _;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls_pki_types::CertificateDer;
use std::net::IpAddr;
use std::time::Duration;
use wire::Rng;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What a certificate is to say.
pub(super) struct Wanted<'a> {
    pub common_name: &'a str,
    pub organization: Option<&'a str>,
    pub names: Vec<String>,
    pub addresses: Vec<IpAddr>,
    /// A server's; else a client's.
    pub server: bool,
    pub valid: Duration,
}

/// A certificate chain and its key, DER and PKCS#8.
#[derive(Clone)]
pub(super) struct Issued {
    pub chain: Vec<Vec<u8>>,
    pub key: Vec<u8>,
}

/// The certificates in a PEM text, DER.
pub(super) fn certificates(text: &[u8]) -> Vec<Vec<u8>> {
    let blocks = pem::parse_many(text).unwrap_or_default();
    blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE").map(pem::Pem::into_contents).collect()
}

/// Issues a certificate; `None` if the pair's key or certificate cannot be read, or it has no key.
///
/// Leaf keys are Ed25519 drawn from `rng`, so that a world replays. A clock that is a little behind is allowed for, as
/// Talos does with its ten seconds.
pub(super) fn issue(authority: &PemPair, wanted: &Wanted<'_>, rng: &mut Rng, now: Timestamp) -> Option<Issued> {
    let certificate = certificates(authority.crt.as_deref()?).into_iter().next()?;
    let issuer =
        Issuer::from_ca_cert_der(&CertificateDer::from(certificate), signing_key(authority.key.as_deref()?)?).ok()?;
    let (key, pkcs8) = fresh_key(rng)?;
    let signed = parameters(wanted, now)?.signed_by(&key, &issuer).ok()?;
    Some(Issued { chain: vec![signed.der().to_vec()], key: pkcs8 })
}

/// A certificate that nobody vouches for: maintenance mode's.
pub(super) fn self_signed(wanted: &Wanted<'_>, rng: &mut Rng, now: Timestamp) -> Option<Issued> {
    let (key, pkcs8) = fresh_key(rng)?;
    let signed = parameters(wanted, now)?.self_signed(&key).ok()?;
    Some(Issued { chain: vec![signed.der().to_vec()], key: pkcs8 })
}

/// Ed25519 from a seed, wrapped as RFC 8410 says.
fn fresh_key(rng: &mut Rng) -> Option<(KeyPair, Vec<u8>)> {
    const PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let pkcs8 = [PREFIX.as_slice(), rng.bytes::<32>().as_slice()].concat();
    Some((KeyPair::try_from(pkcs8.as_slice()).ok()?, pkcs8))
}

/// Reads a private key under any of the labels that Talos's bundles use: `ED25519 PRIVATE KEY` holds PKCS#8, `EC
/// PRIVATE KEY` holds SEC 1.
fn signing_key(text: &[u8]) -> Option<KeyPair> {
    let block = pem::parse_many(text).ok()?.into_iter().find(|block| block.tag().ends_with("PRIVATE KEY"))?;
    let pkcs8 = match block.tag() {
        "EC PRIVATE KEY" => {
            p256::SecretKey::from_sec1_der(block.contents()).ok()?.to_pkcs8_der().ok()?.as_bytes().to_vec()
        }
        _ => block.into_contents(),
    };
    KeyPair::try_from(pkcs8.as_slice()).ok()
}

fn parameters(wanted: &Wanted<'_>, now: Timestamp) -> Option<CertificateParams> {
    let mut parameters = CertificateParams::default();
    let since = Duration::from_secs(u64::try_from(now.as_second().saturating_sub(10)).ok()?);
    parameters.not_before = rcgen::date_time_ymd(1970, 1, 1) + since;
    parameters.not_after = parameters.not_before + wanted.valid;
    parameters.distinguished_name = DistinguishedName::new();
    if !wanted.common_name.is_empty() {
        parameters.distinguished_name.push(DnType::CommonName, wanted.common_name);
    }
    if let Some(organization) = wanted.organization {
        parameters.distinguished_name.push(DnType::OrganizationName, organization);
    }
    parameters.is_ca = IsCa::NoCa;
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages =
        vec![if wanted.server { ExtendedKeyUsagePurpose::ServerAuth } else { ExtendedKeyUsagePurpose::ClientAuth }];
    let names = wanted.names.iter().filter_map(|name| Some(SanType::DnsName(name.as_str().try_into().ok()?)));
    let addresses = wanted.addresses.iter().copied().map(SanType::IpAddress);
    parameters.subject_alt_names = names.chain(addresses).collect();
    Some(parameters)
}

/// A client certificate's organizations, which are Talos roles; `None` unless its extended key usage is exactly
/// client authentication, which apid insists on.
pub(super) fn client_roles(certificate: &[u8]) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let usage = certificate.extended_key_usage().ok()??.value;
    let others = usage.any || usage.server_auth || usage.code_signing || usage.email_protection || usage.time_stamping;
    if !usage.client_auth || others || usage.ocsp_signing || !usage.other.is_empty() {
        return None;
    }
    let organizations = certificate.subject().iter_organization();
    Some(organizations.filter_map(|name| name.as_str().ok().map(str::to_owned)).collect())
}
