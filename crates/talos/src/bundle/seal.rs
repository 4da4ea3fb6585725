use super::{Bundle, BundleError};
use age::secrecy::ExposeSecret as _;
use std::io::{Read as _, Write as _};
use std::str::FromStr as _;
use wire::Secret;
use zeroize::Zeroizing;

/// A new age key pair, for the first use on a machine that has none.
#[derive(Debug)]
pub struct AgeIdentity {
    /// The line to keep: `AGE-SECRET-KEY-1…`.
    pub identity: Secret,
    /// Whom others encrypt for: `age1…`.
    pub recipient: String,
}

impl AgeIdentity {
    /// From the operating system's randomness, which is where age itself takes it from.
    pub fn generate() -> Self {
        let identity = age::x25519::Identity::generate();
        AgeIdentity {
            identity: Secret::new(identity.to_string().expose_secret()),
            recipient: identity.to_public().to_string(),
        }
    }

    /// The content of a key file as `age-keygen` writes it.
    pub fn key_file(&self) -> Secret {
        Secret::new(format!("# public key: {}\n{}\n", self.recipient, self.identity.expose()))
    }
}

/// The recipients of the identities in a key file or variable, in order.
pub fn recipients_of(identities: &Secret) -> Result<Vec<String>, BundleError> {
    Ok(parse(identities)?.iter().map(|identity| identity.to_public().to_string()).collect())
}

impl Bundle {
    /// Encrypts the bundle for every recipient (`age1…`); any one of their identities opens it. ASCII-armoured.
    pub fn seal(&self, recipients: &[String]) -> Result<String, BundleError> {
        let recipients = recipients
            .iter()
            .map(|text| age::x25519::Recipient::from_str(text).map_err(|_| BundleError::BadRecipient(text.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as _))
            .map_err(|_| BundleError::NoRecipient)?;
        let not_age = |error: std::io::Error| BundleError::NotAge(error.to_string());
        let armor =
            age::armor::ArmoredWriter::wrap_output(Vec::new(), age::armor::Format::AsciiArmor).map_err(not_age)?;
        let mut writer = encryptor.wrap_output(armor).map_err(not_age)?;
        writer.write_all(self.to_yaml().expose().as_bytes()).map_err(not_age)?;
        let sealed = writer.finish().and_then(age::armor::ArmoredWriter::finish).map_err(not_age)?;
        String::from_utf8(sealed).map_err(|_| BundleError::NotAge("armour is not text".into()))
    }

    /// Decrypts a sealed bundle. `identities` is the content of `SOPS_AGE_KEY` or of a key file: one
    /// `AGE-SECRET-KEY-1…` a line, comments allowed.
    pub fn open(sealed: &str, identities: &Secret) -> Result<Bundle, BundleError> {
        let identities = parse(identities)?;
        let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(sealed.as_bytes()))
            .map_err(|error| BundleError::NotAge(error.to_string()))?;
        let mut reader =
            decryptor.decrypt(identities.iter().map(|identity| identity as _)).map_err(|error| match error {
                age::DecryptError::NoMatchingKeys => BundleError::NoMatchingIdentity,
                other => BundleError::NotAge(other.to_string()),
            })?;
        let mut text = Zeroizing::new(String::new());
        reader.read_to_string(&mut text).map_err(|error| BundleError::NotAge(error.to_string()))?;
        Bundle::from_talsecret_yaml(&text)
    }
}

fn parse(identities: &Secret) -> Result<Vec<age::x25519::Identity>, BundleError> {
    let lines = identities.expose().lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let found: Result<Vec<_>, _> = lines.map(age::x25519::Identity::from_str).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(BundleError::BadIdentity)
}
