//! Oracle Cloud Infrastructure, over its public REST APIs.
//!
//! How the nouns relate:
//!
//! ```text
//! OciConfig + key ──Oci::new──▶ Oci
//! Ask    a request as a value: service, path, body, how to read the answer     (pure builders)
//!   └─Oci::call(region, now)──▶ wire::Call, with host, date and signature      (pure)
//! Listed<D> ──found──▶ Found   a listed resource, sorted into ours, foreign, nobody's concern   (pure)
//! ```
//!
//! A cluster has, in each region where it has machines, a VCN with one internet gateway, one route table, one security
//! list and one public subnet, all named after the cluster; and an instance a node, `<cluster>-<node>`. Display names
//! are not unique at Oracle's, so that ownership hangs on freeform tags alone.
//!
//! This room refuses to read files or the environment, and to touch anything without the mark: volumes that others
//! attached to our instances are detached by Oracle when those end, and stay.

mod api;
mod archive;
mod change;
mod check;
mod cloud;
mod config;
mod create;
mod diagnose;
mod find;
mod found;
mod image;
mod mark;
mod model;
mod offers;
mod rules;
mod sign;
mod sort;
mod source;
mod storage;
mod wanted;

pub use config::{ConfigError, OciConfig};

use crate::{Cloud, Error, Settings, Why};
use std::sync::Arc;

use sign::Signer;
use wire::{Secret, Target};

/// Oracle Cloud Infrastructure as a [`crate::Cloud`]: one tenancy, one compartment, all subscribed regions.
pub struct Oci {
    config: OciConfig,
    signer: Signer,
    endpoint: Option<Endpoint>,
}

/// Where Oracle's own tools keep their configuration.
const CONFIG_FILE: &str = "~/.oci/config";

impl Oci {
    /// From the profile `OCI_CLI_PROFILE` (`DEFAULT`) of `OCI_CLI_CONFIG_FILE` (`~/.oci/config`) and the key file that it names;
    /// `BOUQUET_OCI_ENDPOINT` stands for all services.
    pub fn from_settings(settings: &dyn Settings) -> Result<Arc<dyn Cloud>, Error> {
        let variable = |name: &str, default: &str| {
            settings.variable(name).map_or_else(|| default.to_owned(), |value| value.expose().to_owned())
        };
        let refused = |message: String| crate::rest::refused("OCI_CLI_CONFIG_FILE", Why::Unauthenticated, message);
        let wrong = |error: ConfigError| refused(format!("{error}: {}", error.help()));
        let text = settings.file(&variable("OCI_CLI_CONFIG_FILE", CONFIG_FILE)).map_err(refused)?;
        let config = OciConfig::read(text.expose(), &variable("OCI_CLI_PROFILE", "DEFAULT")).map_err(wrong)?;
        let key = settings.file(&config.key_file).map_err(refused)?;
        let endpoint = match settings.variable("BOUQUET_OCI_ENDPOINT") {
            Some(_) => Some(settings.endpoint("BOUQUET_OCI_ENDPOINT", "")?),
            None => None,
        };
        Ok(Arc::new(Oci::new(config, &key, endpoint.as_ref()).map_err(wrong)?))
    }
}

/// One server that stands for all services of all regions.
struct Endpoint {
    target: Target,
    /// `scheme://authority`.
    origin: String,
    /// Path before every service's own, without a closing slash.
    prefix: String,
}

impl Oci {
    /// `key_pem` is the content of the file that `config.key_file` names. `endpoint` takes the place of Oracle's hosts.
    pub fn new(config: OciConfig, key_pem: &Secret, endpoint: Option<&http::Uri>) -> Result<Self, ConfigError> {
        let key_id = format!("{}/{}/{}", config.tenancy, config.user, config.fingerprint);
        let signer = Signer::new(key_id, key_pem)?;
        let endpoint = endpoint.map(Endpoint::new).transpose()?;
        Ok(Oci { config, signer, endpoint })
    }
}

impl Endpoint {
    fn new(uri: &http::Uri) -> Result<Self, ConfigError> {
        let target = Target::of_uri(uri).ok_or(ConfigError::Endpoint)?;
        let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or(ConfigError::Endpoint)?;
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Endpoint { target, origin: format!("{scheme}://{authority}"), prefix })
    }
}

impl std::fmt::Debug for Oci {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oci").field("config", &self.config).finish_non_exhaustive()
    }
}
