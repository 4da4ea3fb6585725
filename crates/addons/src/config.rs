//! What the watcher is told, and what it may write DNS with.

use spec::{Watching, ZoneKeeper};
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

/// For a cluster that serves `domain` through Traefik.
pub(crate) fn watching(cluster: &str, domain: &str, provider: ZoneKeeper) -> Watching {
    Watching { provider, ingress_namespace: crate::TRAEFIK.into(), ..Watching::of(cluster, domain) }
}
