//! The cluster's authority, and a certificate for everybody in it. All of it lives as long as the rig.

use crate::failure::{Failure, disk};
use crate::host::below;
use crate::machine::{API_SERVICE, MACHINES, ROSE};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use std::fs;
use std::path::PathBuf;

/// The authority's certificate.
pub(crate) fn authority() -> PathBuf {
    certificate("ca")
}

/// Somebody's certificate.
pub(crate) fn certificate(name: &str) -> PathBuf {
    below(format!("pki/{name}.crt"))
}

/// Somebody's key; that of `service-accounts` signs their tokens.
pub(crate) fn key(name: &str) -> PathBuf {
    below(format!("pki/{name}.key"))
}

/// Makes all of them.
pub(crate) fn make() -> Result<(), Failure> {
    let folder = below("pki");
    disk(&folder, fs::create_dir_all(&folder))?;
    let issuer = issuer()?;
    write(&authority(), &issuer.pem())?;
    write(&key("ca"), &issuer.key().serialize_pem())?;
    let pair = KeyPair::generate()?;
    write(&key("service-accounts"), &pair.serialize_pem())?;
    // The API reads the public half from a file of its own where the key is not RSA in its oldest encoding.
    write(&certificate("service-accounts"), &pair.public_key_pem())?;
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    let mut api: Vec<String> = names.into_iter().map(str::to_owned).collect();
    api.extend([API_SERVICE.to_owned(), "127.0.0.1".into(), ROSE.mesh(), ROSE.public()]);
    issue(&issuer, "apiserver", &subject("kube-apiserver", None, api)?)?;
    for (name, user, group) in [
        ("apiserver-kubelet", "kube-apiserver-kubelet-client", Some("system:masters")),
        ("admin", "admin", Some("system:masters")),
        ("kube-controller-manager", "system:kube-controller-manager", None),
        ("kube-scheduler", "system:kube-scheduler", None),
        ("kube-proxy", "system:kube-proxy", None),
    ] {
        issue(&issuer, name, &subject(user, group, Vec::new())?)?;
    }
    for machine in MACHINES {
        let names = vec![machine.name.to_owned(), machine.mesh(), machine.public()];
        issue(&issuer, machine.name, &subject(&format!("system:node:{}", machine.name), Some("system:nodes"), names)?)?;
    }
    Ok(())
}

fn issuer() -> Result<CertifiedIssuer<'static, KeyPair>, Failure> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "rig");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// What somebody's certificate says: Kubernetes reads the user from the common name and the group from the organisation.
fn subject(user: &str, group: Option<&str>, names: Vec<String>) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn issue(issuer: &CertifiedIssuer<'static, KeyPair>, name: &str, params: &CertificateParams) -> Result<(), Failure> {
    let pair = KeyPair::generate()?;
    write(&certificate(name), &params.signed_by(&pair, issuer)?.pem())?;
    write(&key(name), &pair.serialize_pem())
}

fn write(path: &PathBuf, text: &str) -> Result<(), Failure> {
    disk(path, fs::write(path, text))
}
