use serde::Serialize;
use serde_json::Value;

/// What joins the nodes into one network: Tailscale, or a Headscale that speaks its API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mesh {
    /// The tailnet, if the file names it; else the one that the credential belongs to.
    pub tailnet: Option<String>,
}

/// A name server that takes dynamic updates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rfc2136 {
    /// `host` or `host:port`.
    pub server: String,
    /// Path of the TSIG key file in BIND's form, seen from the cluster file. The key itself never stands in the file.
    pub key: Option<String>,
}

/// The account that certificates are asked for with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Acme {
    /// Who is told about trouble with certificates.
    pub email: Option<String>,
    /// Directory URL of another ACME server than Let's Encrypt's production one.
    pub directory: Option<String>,
}

/// How the watcher runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Watcher {
    /// Image reference, if it is not the one of this release.
    pub image: Option<String>,
    /// How quickly it decides.
    pub profile: Profile,
}

/// How quickly the watcher decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Calm enough for any network.
    #[default]
    Default,
    /// Quicker, for more probes and less patience.
    Fast,
}

/// What users add beside the add-ons, as it stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Extra {
    /// Kubernetes objects, or text that names them.
    pub manifests: Vec<Value>,
    /// Helm charts.
    pub charts: Vec<Value>,
}
