use std::collections::BTreeMap;

/// A profile of Oracle's own configuration file, `~/.oci/config`.
///
/// The format is that of Oracle's SDKs: INI sections, `key=value`, what a section lacks is taken from `[DEFAULT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciConfig {
    /// OCID of the user who signs.
    pub user: String,
    /// MD5 of the public key in colon form, as the console shows it.
    pub fingerprint: String,
    /// OCID of the tenancy, which is also its root compartment.
    pub tenancy: String,
    /// Home of the profile: `eu-frankfurt-1`.
    pub region: String,
    /// Where the private key lies, as written; a leading `~` is the reader's to expand.
    pub key_file: String,
    /// Where everything is made; the root compartment unless the profile has a `compartment-id`.
    pub compartment: String,
}

/// Why a profile, or the key it names, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file has no such section.
    #[error("the OCI configuration has no profile [{0}]")]
    NoProfile(String),
    /// A line is neither a section, a comment nor `key=value`.
    #[error("line {0} of the OCI configuration is not `key=value`")]
    Line(usize),
    /// Something needed is missing or empty.
    #[error("the OCI profile [{profile}] has no `{key}`")]
    Missing {
        /// Section.
        profile: String,
        /// What it lacks.
        key: &'static str,
    },
    /// A value that cannot be what it is meant to be.
    #[error("`{key}` of the OCI profile [{profile}] is not {wanted}")]
    Wrong {
        /// Section.
        profile: String,
        /// Whose value it is.
        key: &'static str,
        /// What was expected.
        wanted: &'static str,
    },
    /// The key is behind a pass phrase.
    #[error("the OCI API key is encrypted with a pass phrase, which is not supported")]
    Encrypted,
    /// The file holds something else than a private RSA key.
    #[error("the OCI API key is {0}, not a private RSA key in PEM form")]
    NotAKey(String),
    /// ring refuses it: under 2048 or over 4096 bits, or numbers that do not belong together.
    #[error("the OCI API key is refused: {0}")]
    BadKey(String),
    /// `BOUQUET_OCI_ENDPOINT` is no `http` or `https` URL. It is not repeated: it might hold a password.
    #[error("the OCI endpoint is no http or https URL")]
    Endpoint,
}

impl ConfigError {
    /// The code that `bouquet explain` knows.
    pub fn code(&self) -> &'static str {
        "BQ0206"
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            ConfigError::NoProfile(_) => "name an existing profile in OCI_CLI_PROFILE, or run `oci setup config`",
            ConfigError::Line(_) | ConfigError::Missing { .. } | ConfigError::Wrong { .. } => {
                "copy the configuration file preview that the console shows beside an API key"
            }
            ConfigError::Encrypted => "write a copy without pass phrase: `openssl rsa -in key.pem -out plain.pem`",
            ConfigError::NotAKey(_) | ConfigError::BadKey(_) => {
                "key_file must name the private key (.pem) that was made with the API key; RSA, 2048 to 4096 bits"
            }
            ConfigError::Endpoint => "unset BOUQUET_OCI_ENDPOINT, or write it as https://host[:port]",
        }
    }
}

impl OciConfig {
    /// Reads one profile. `ini_text` is the whole file; the key file it names is not opened.
    pub fn read(ini_text: &str, profile: &str) -> Result<Self, ConfigError> {
        let sections = sections(ini_text)?;
        let own = sections.get(profile).ok_or_else(|| ConfigError::NoProfile(profile.to_owned()))?;
        let default = sections.get("DEFAULT");
        let maybe = |key: &str| {
            let value = own.get(key).or_else(|| default.and_then(|section| section.get(key)));
            value.filter(|value| !value.is_empty()).cloned()
        };
        let get =
            |key: &'static str| maybe(key).ok_or_else(|| ConfigError::Missing { profile: profile.to_owned(), key });
        if maybe("pass_phrase").is_some() {
            return Err(ConfigError::Encrypted);
        }
        let config = OciConfig {
            user: get("user")?,
            fingerprint: get("fingerprint")?.to_ascii_lowercase(),
            tenancy: get("tenancy")?,
            region: get("region")?,
            key_file: get("key_file")?,
            compartment: maybe("compartment-id").map_or_else(|| get("tenancy"), Ok)?,
        };
        config.plausible(profile)?;
        Ok(config)
    }

    /// Catches swapped lines before a server answers them with a bare "not authenticated", and keeps out of headers and
    /// host names what does not belong there.
    fn plausible(&self, profile: &str) -> Result<(), ConfigError> {
        let wrong = |key, wanted| Err(ConfigError::Wrong { profile: profile.to_owned(), key, wanted });
        if !is_ocid(&self.user, "user") {
            return wrong("user", "an OCID that begins with ocid1.user.");
        }
        if !is_ocid(&self.tenancy, "tenancy") {
            return wrong("tenancy", "an OCID that begins with ocid1.tenancy.");
        }
        if !is_ocid(&self.compartment, "compartment") && !is_ocid(&self.compartment, "tenancy") {
            return wrong("compartment-id", "an OCID that begins with ocid1.compartment.");
        }
        let is_hex_pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
        if self.fingerprint.split(':').count() != 16 || !self.fingerprint.split(':').all(is_hex_pair) {
            return wrong("fingerprint", "sixteen bytes such as 12:34:…:ab");
        }
        if !is_region(&self.region) {
            return wrong("region", "a region name such as eu-frankfurt-1");
        }
        Ok(())
    }
}

/// Whether `text` can stand in a host name as a region does.
pub(super) fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_ocid(text: &str, kind: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    plain
        && text
            .strip_prefix("ocid1.")
            .and_then(|rest| rest.strip_prefix(kind))
            .is_some_and(|rest| rest.starts_with('.'))
}

fn sections(text: &str) -> Result<BTreeMap<String, BTreeMap<String, String>>, ConfigError> {
    let mut sections: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut name = None;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name = Some(section.trim().to_owned());
            sections.entry(section.trim().to_owned()).or_default();
            continue;
        }
        let (Some((key, value)), Some(name)) = (line.split_once('='), &name) else {
            return Err(ConfigError::Line(at + 1));
        };
        // Oracle's own preview ends a line in a comment: `key_file=<path> # TODO`.
        let value = value.split_once(" #").map_or(value, |(value, _)| value).trim();
        sections.entry(name.clone()).or_default().insert(key.trim().to_ascii_lowercase(), value.to_owned());
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "[DEFAULT]
user=ocid1.user.oc1..aaaa
fingerprint=12:34:56:78:90:AB:cd:ef:12:34:56:78:90:ab:cd:ef
tenancy=ocid1.tenancy.oc1..bbbb
region=eu-frankfurt-1
key_file=~/.oci/key.pem # TODO

; another
[ashburn]
region = us-ashburn-1
compartment-id = ocid1.compartment.oc1..cccc
";

    #[test]
    fn a_profile_takes_what_it_lacks_from_default() {
        let ashburn = OciConfig::read(FILE, "ashburn").unwrap();
        assert_eq!(ashburn.user, "ocid1.user.oc1..aaaa");
        assert_eq!(ashburn.region, "us-ashburn-1");
        assert_eq!(ashburn.compartment, "ocid1.compartment.oc1..cccc");
        let default = OciConfig::read(FILE, "DEFAULT").unwrap();
        assert_eq!(default.key_file, "~/.oci/key.pem");
        assert_eq!(default.compartment, default.tenancy);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let without = FILE.replace("user=ocid1.user.oc1..aaaa\n", "");
        let missing = ConfigError::Missing { profile: "DEFAULT".into(), key: "user" };
        assert_eq!(OciConfig::read(&without, "DEFAULT"), Err(missing));
        assert_eq!(OciConfig::read(FILE, "prod"), Err(ConfigError::NoProfile("prod".into())));
        assert_eq!(OciConfig::read("[DEFAULT]\nnonsense", "DEFAULT"), Err(ConfigError::Line(2)));
        let swapped = FILE.replace("ocid1.tenancy", "ocid1.user");
        assert!(matches!(OciConfig::read(&swapped, "DEFAULT"), Err(ConfigError::Wrong { key: "tenancy", .. })));
        let phrase = format!("{FILE}pass_phrase=x\n");
        assert_eq!(OciConfig::read(&phrase, "ashburn"), Err(ConfigError::Encrypted));
        let host = FILE.replace("eu-frankfurt-1", "evil.example/");
        assert!(matches!(OciConfig::read(&host, "DEFAULT"), Err(ConfigError::Wrong { key: "region", .. })));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in any::<String>()) {
            let _ = OciConfig::read(&text, "DEFAULT");
        }
    }
}
