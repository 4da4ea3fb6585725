use crate::pool_name;
use serde::Serialize;
use spec::Profile;
use wire::Secret;

/// What the watcher may write DNS with.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An API token of Cloudflare's, with Zone:Read and DNS:Edit on the one zone.
    Token(Secret),
    /// A TSIG key.
    Tsig {
        /// Its name, which the server knows it by.
        name: String,
        /// `hmac-sha256`, …
        algorithm: String,
        /// The key file, in BIND's form.
        file: Secret,
    },
}

/// `config.yaml` of the watcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Its mark in records.
    pub cluster: String,
    /// The name that holds the addresses of the nodes that serve.
    pub pool: String,
    /// `pool`: a CNAME to it for each host; `hosts`: addresses at each host.
    pub publish: &'static str,
    /// `default` or `fast`.
    pub profile: Profile,
    /// TTL of records.
    pub ttl_seconds: u32,
    /// Whether Cloudflare stands before the nodes.
    pub proxied: bool,
    /// `A`, `AAAA`.
    pub families: Vec<&'static str>,
    /// Whether it only shows what it would do.
    pub dry_run: bool,
    /// Where records are written.
    pub provider: Provider,
    /// Class of the Ingresses that it publishes.
    pub ingress_class: &'static str,
    /// The pods that make a node one that serves.
    pub ingress_pods: IngressPods,
    /// What is asked of every node that serves.
    pub canary: Canary,
    /// What must answer for a vantage to trust itself: `address:port`.
    pub control_probes: Vec<&'static str>,
    /// Ranges that may be published although they are private or special.
    pub allow_addresses: Vec<String>,
    /// Who is told.
    pub webhooks: Vec<String>,
}

/// Where records are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Provider {
    /// Cloudflare's API; the token is in the environment.
    Cloudflare {},
    /// Dynamic updates.
    Rfc2136 {
        /// `host:port`.
        server: String,
        /// The zone; absent where the watcher is to ask the server.
        #[serde(skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
        /// TSIG key's name; absent where the server knows its clients by their addresses.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_name: Option<String>,
        /// Where the key file is.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_file: Option<String>,
        /// `hmac-sha256`, …
        #[serde(skip_serializing_if = "Option::is_none")]
        algorithm: Option<String>,
    },
}

/// The pods that make a node one that serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IngressPods {
    /// Their namespace.
    pub namespace: &'static str,
    /// Their label.
    pub selector: &'static str,
}

/// What is asked of every node that serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Canary {
    /// The host that the canary's Ingress is for.
    pub host: String,
    /// Port at the node's public address.
    pub port: u16,
    /// `https` or `http`.
    pub scheme: &'static str,
    /// `any`, `system`, or the path of a PEM file.
    pub trust: &'static str,
}

impl Config {
    /// For a cluster that serves `domain` through Traefik.
    pub(crate) fn new(cluster: &str, domain: &str, provider: Provider) -> Self {
        Config {
            cluster: cluster.to_owned(),
            pool: pool_name(domain),
            publish: "pool",
            profile: Profile::Default,
            ttl_seconds: 60,
            proxied: false,
            families: vec!["A"],
            dry_run: false,
            provider,
            ingress_class: crate::TRAEFIK,
            ingress_pods: IngressPods { namespace: crate::TRAEFIK, selector: "app.kubernetes.io/name=traefik" },
            // Traefik answers with a certificate of its own until there is an issuer, so none is asked for.
            canary: Canary { host: format!("canary.{domain}"), port: 443, scheme: "https", trust: "any" },
            control_probes: vec!["1.1.1.1:443", "9.9.9.9:443"],
            allow_addresses: Vec::new(),
            webhooks: Vec::new(),
        }
    }
}
