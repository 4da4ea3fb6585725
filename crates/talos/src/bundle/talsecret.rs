use super::{Bundle, BundleError, Encryption};
use crate::pki::{Authority, EC_LABEL, ED25519_LABEL, PKCS8_LABEL, PkiError, PrivateKey, RSA_LABEL};
use crate::yaml;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use wire::Secret;

/// Keys that the file may have and we do not know are passed over, as Talos's own loader does.
#[derive(Deserialize)]
struct File {
    cluster: Option<ClusterPart>,
    secrets: Option<SecretsPart>,
    trustdinfo: Option<TrustdPart>,
    certs: Option<CertsPart>,
    bouquet: Option<OwnPart>,
}

#[derive(Deserialize)]
struct ClusterPart {
    id: Option<Hidden>,
    secret: Option<Hidden>,
}

#[derive(Deserialize)]
struct SecretsPart {
    bootstraptoken: Option<Hidden>,
    secretboxencryptionsecret: Option<Hidden>,
    aescbcencryptionsecret: Option<Hidden>,
}

#[derive(Deserialize)]
struct TrustdPart {
    token: Option<Hidden>,
}

#[derive(Deserialize)]
struct CertsPart {
    etcd: Option<PairPart>,
    k8s: Option<PairPart>,
    k8saggregator: Option<PairPart>,
    k8sserviceaccount: Option<PairPart>,
    os: Option<PairPart>,
}

#[derive(Deserialize)]
struct PairPart {
    crt: Option<Hidden>,
    key: Option<Hidden>,
}

#[derive(Deserialize)]
struct OwnPart {
    repositorypassword: Option<Hidden>,
}

/// A string that is a secret from the moment it is parsed; an empty one counts as absent.
struct Hidden(Secret);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Hidden(Secret::new(text)))
    }
}

impl Bundle {
    /// The file that `talosctl gen secrets` writes and `talosctl gen config --with-secrets` reads. It is plain text.
    pub fn to_talsecret_yaml(&self) -> Secret {
        Secret::new(yaml::write(&self.talos_part()))
    }

    /// Reads such a file. The repository password is empty if the file is not one of ours: see
    /// [`super::repository_password`].
    pub fn from_talsecret_yaml(text: &str) -> Result<Bundle, BundleError> {
        let file: File = yaml::read(text)?;
        let cluster = file.cluster.ok_or(BundleError::Missing("cluster"))?;
        let secrets = file.secrets.ok_or(BundleError::Missing("secrets"))?;
        let certs = file.certs.ok_or(BundleError::Missing("certs"))?;
        let trustd = file.trustdinfo.ok_or(BundleError::Missing("trustdinfo"))?;
        let own = file.bouquet.and_then(|own| own.repositorypassword);
        Ok(Bundle {
            cluster_id: present(cluster.id, "cluster.id")?,
            cluster_secret: thirty_two_bytes(present(cluster.secret, "cluster.secret")?, "cluster.secret")?,
            bootstrap_token: token(secrets.bootstraptoken, "secrets.bootstraptoken")?,
            trustd_token: token(trustd.token, "trustdinfo.token")?,
            encryption: encryption(secrets.secretboxencryptionsecret, secrets.aescbcencryptionsecret)?,
            os: authority(certs.os, "certs.os")?,
            k8s: authority(certs.k8s, "certs.k8s")?,
            etcd: authority(certs.etcd, "certs.etcd")?,
            aggregator: authority(certs.k8saggregator, "certs.k8saggregator")?,
            service_account: service_account(certs.k8sserviceaccount)?,
            repository_password: own.map_or_else(|| Secret::new(""), |hidden| hidden.0),
        })
    }

    /// The same with our own part beside Talos's, which its tools pass over. What gets sealed.
    pub(super) fn to_yaml(&self) -> Secret {
        let mut file = self.talos_part();
        if let Some(fields) = file.as_object_mut() {
            fields.insert("bouquet".into(), json!({ "repositorypassword": self.repository_password.expose() }));
        }
        Secret::new(yaml::write(&file))
    }

    fn talos_part(&self) -> Value {
        let encryption = match &self.encryption {
            Encryption::Secretbox(key) => ("secretboxencryptionsecret", key),
            Encryption::AesCbc(key) => ("aescbcencryptionsecret", key),
        };
        json!({
            "cluster": { "id": self.cluster_id.expose(), "secret": self.cluster_secret.expose() },
            "secrets": { "bootstraptoken": self.bootstrap_token.expose(), encryption.0: encryption.1.expose() },
            "trustdinfo": { "token": self.trustd_token.expose() },
            "certs": {
                "etcd": pair(&self.etcd),
                "k8s": pair(&self.k8s),
                "k8saggregator": pair(&self.aggregator),
                "k8sserviceaccount": { "key": STANDARD.encode(self.service_account.expose()) },
                "os": pair(&self.os),
            },
        })
    }
}

fn pair(authority: &Authority) -> Value {
    json!({ "crt": STANDARD.encode(&authority.crt), "key": STANDARD.encode(authority.key.expose()) })
}

fn present(value: Option<Hidden>, field: &'static str) -> Result<Secret, BundleError> {
    value.map(|hidden| hidden.0).filter(|secret| !secret.expose().is_empty()).ok_or(BundleError::Missing(field))
}

fn thirty_two_bytes(value: Secret, field: &'static str) -> Result<Secret, BundleError> {
    match STANDARD.decode(value.expose()) {
        Ok(bytes) if bytes.len() == 32 => Ok(value),
        _ => Err(BundleError::Wrong { field, reason: "not 32 bytes in base64" }),
    }
}

fn token(value: Option<Hidden>, field: &'static str) -> Result<Secret, BundleError> {
    let value = present(value, field)?;
    let is_part = |part: &str, len| {
        part.len() == len && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    match value.expose().split_once('.') {
        Some((id, secret)) if is_part(id, 6) && is_part(secret, 16) => Ok(value),
        _ => Err(BundleError::Wrong { field, reason: "not a token of the form xxxxxx.xxxxxxxxxxxxxxxx" }),
    }
}

fn encryption(secretbox: Option<Hidden>, aes_cbc: Option<Hidden>) -> Result<Encryption, BundleError> {
    const FIELD: &str = "secrets.secretboxencryptionsecret";
    match (present(secretbox, FIELD), present(aes_cbc, FIELD)) {
        (Ok(key), Err(_)) => Ok(Encryption::Secretbox(thirty_two_bytes(key, FIELD)?)),
        (Err(_), Ok(key)) => Ok(Encryption::AesCbc(key)),
        (Ok(_), Ok(_)) => Err(BundleError::Wrong { field: FIELD, reason: "aescbcencryptionsecret is there too" }),
        (Err(missing), Err(_)) => Err(missing),
    }
}

fn authority(value: Option<PairPart>, field: &'static str) -> Result<Authority, BundleError> {
    let value = value.ok_or(BundleError::Missing(field))?;
    let authority = Authority {
        crt: text(&present(value.crt, field)?, field)?.expose().to_owned(),
        key: text(&present(value.key, field)?, field)?,
    };
    check(&authority).map_err(|error| BundleError::Pki { field, error })?;
    Ok(authority)
}

/// The certificate is one of an authority, and the key is its key.
fn check(authority: &Authority) -> Result<(), PkiError> {
    let der = authority.der()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(|_| PkiError::NotAnAuthority)?;
    if !certificate.is_ca() {
        return Err(PkiError::NotAnAuthority);
    }
    let key = PrivateKey::from_pem(&authority.key)?;
    let shown = &certificate.public_key().subject_public_key.data;
    if shown.as_ref() == key.public() { Ok(()) } else { Err(PkiError::Mismatch) }
}

fn service_account(value: Option<PairPart>) -> Result<Secret, BundleError> {
    const FIELD: &str = "certs.k8sserviceaccount";
    let value = value.ok_or(BundleError::Missing(FIELD))?;
    let key = text(&present(value.key, FIELD)?, FIELD)?;
    let label = pem::parse(key.expose()).map_err(|_| BundleError::Pki { field: FIELD, error: PkiError::NotPem })?;
    match label.tag() {
        EC_LABEL | RSA_LABEL | ED25519_LABEL | PKCS8_LABEL => Ok(key),
        _ => Err(BundleError::Pki { field: FIELD, error: PkiError::UnsupportedKey }),
    }
}

/// Decodes base64 of a whole PEM text.
fn text(value: &Secret, field: &'static str) -> Result<Secret, BundleError> {
    let wrong = BundleError::Wrong { field, reason: "not a PEM text in base64" };
    let bytes = STANDARD.decode(value.expose()).map_err(|_| wrong.clone())?;
    String::from_utf8(bytes).map(Secret::new).map_err(|_| wrong)
}
