//! The clouds there are. To add one: its module, and its line in [`CLOUDS`].

use crate::rest::refused;
use crate::{Cloud, Error, Why, hetzner, oci, operator};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{Rate, Secret};

/// Values that users set: environment variables and the files that those name. Read by the caller; nothing in this
/// crate looks at an environment or a disk.
pub trait Settings: Send + Sync {
    /// A variable; `None` if it is not set or empty.
    fn variable(&self, name: &str) -> Option<Secret>;

    /// A file's content; the error says why it cannot be read.
    fn file(&self, path: &str) -> Result<Secret, String>;
}

/// Settings that are given, as a simulated world gives them, and not looked for: variables by name, files by path.
#[derive(Clone, Default)]
pub struct Preset(BTreeMap<String, Secret>);

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Preset {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(all: I) -> Self {
        Preset(all.into_iter().map(|(name, value)| (name.into(), Secret::new(value))).collect())
    }
}

impl Settings for Preset {
    fn variable(&self, name: &str) -> Option<Secret> {
        self.0.get(name).cloned()
    }

    fn file(&self, path: &str) -> Result<Secret, String> {
        self.variable(path).ok_or_else(|| format!("{path}: there is no such file"))
    }
}

impl dyn Settings + '_ {
    /// A variable that there is no doing without.
    pub fn needed(&self, name: &'static str) -> Result<Secret, Error> {
        self.variable(name).ok_or_else(|| refused(name, Why::Unauthenticated, "it is not set".to_owned()))
    }

    /// The endpoint in a variable, or the vendor's own.
    pub fn endpoint(&self, name: &'static str, vendors: &'static str) -> Result<http::Uri, Error> {
        let text = self.variable(name).unwrap_or_else(|| Secret::new(vendors));
        text.expose().parse().map_err(|_| refused(name, Why::Invalid, "it is no http or https address".to_owned()))
    }
}

/// Makes a cloud from what the user set, or says which variable is missing or wrong.
pub type Open = fn(&dyn Settings) -> Result<Arc<dyn Cloud>, Error>;

/// A cloud that can be named in `on`.
#[derive(Clone, Copy)]
pub struct Registered {
    /// The first word of `on`.
    pub name: &'static str,
    /// The variables it reads, credential first.
    pub variables: &'static [&'static str],
    /// Makes it from what the user set.
    pub open: Open,
}

/// Every cloud there is.
pub const CLOUDS: &[Registered] = &[
    Registered {
        name: hetzner::NAME,
        variables: &["HCLOUD_TOKEN", "HCLOUD_ENDPOINT"],
        open: hetzner::Hetzner::from_settings,
    },
    Registered {
        name: "oci",
        variables: &["OCI_CLI_CONFIG_FILE", "OCI_CLI_PROFILE", "BOUQUET_OCI_ENDPOINT"],
        open: oci::Oci::from_settings,
    },
];

/// Every vendor's rate limit, by the bucket that its calls draw from.
pub const RATES: &[(&str, Rate)] = &[
    // 3,600 an hour for a project, refilled by one a second; shared with the cluster's own controllers, which is why
    // `RateLimit-Remaining` is believed. docs.hetzner.cloud, "Rate Limiting".
    (hetzner::NAME, Rate { burst: 3600.0, per_second: 1.0 }),
    // 1,200 in five minutes for a user, over dashboard and all tokens; going over it shuts everything for five
    // minutes. developers.cloudflare.com/fundamentals/api/reference/limits.
    ("cloudflare", Rate { burst: 1200.0, per_second: 4.0 }),
    // Unpublished (tailscale#14328). A cluster needs a few calls a node, so this is never felt, and a loop of ours
    // gone wild is.
    ("tailscale", Rate { burst: 60.0, per_second: 5.0 }),
    // Unpublished and by service; the SDKs run into 429 at some tens a second. Moderate, with room for one sweep.
    ("oci", Rate { burst: 100.0, per_second: 10.0 }),
    // Asked once a look while a first contact is to come.
    (operator::BUCKET, Rate { burst: 10.0, per_second: 1.0 }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_without_its_credential_names_the_variable() {
        for cloud in CLOUDS {
            let Err(error) = (cloud.open)(&Preset::default()) else { panic!("{} opened", cloud.name) };
            assert_eq!(error.why, Why::Unauthenticated, "{error}");
        }
    }

    #[test]
    fn an_endpoint_that_is_no_address_names_its_variable() {
        let set: Preset = [("HCLOUD_TOKEN", "t"), ("HCLOUD_ENDPOINT", "not a url")].into_iter().collect();
        let Err(error) = hetzner::Hetzner::from_settings(&set) else { panic!("opened") };
        assert_eq!((error.call, error.why), ("HCLOUD_ENDPOINT", Why::Invalid));
    }

    #[test]
    fn every_cloud_has_a_rate() {
        assert!(CLOUDS.iter().all(|cloud| RATES.iter().any(|(bucket, _)| *bucket == cloud.name)));
    }
}
