use std::sync::Arc;
use zeroize::ZeroizeOnDrop;

/// Where a call goes, with all that a handshake would check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Over the open network or over the mesh.
    pub route: Route,
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `None` is plain TCP.
    pub tls: Option<Tls>,
}

/// Which network a target is reached over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// The open network.
    Direct,
    /// The tailnet: directly where this machine is on it, else through the proxy it names.
    Mesh,
}

/// What is asked of a TLS server, and what is shown to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tls {
    /// The name or address its certificate must be for.
    pub server_name: String,
    /// Whom to believe.
    pub roots: Roots,
    /// Our own certificate, where the server asks for one.
    pub identity: Option<Identity>,
}

/// Whom to believe when a server shows its certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Roots {
    /// The machine's own trust store (and `SSL_CERT_FILE`).
    System,
    /// Exactly these CA certificates, DER.
    Only(Vec<Vec<u8>>),
    /// Nobody is asked: first contact with a machine that has no identity yet.
    Unverified,
}

/// A client certificate chain and its key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity(Arc<IdentityParts>);

#[derive(PartialEq, Eq, PartialOrd, Ord, ZeroizeOnDrop)]
struct IdentityParts {
    chain: Vec<Vec<u8>>,
    key: Vec<u8>,
}

impl Identity {
    /// `chain`: certificates, DER, leaf first. `key`: PKCS#8, or PKCS#1 or SEC1 as old programs write it; DER.
    pub fn new(chain: Vec<Vec<u8>>, key: Vec<u8>) -> Self {
        Identity(Arc::new(IdentityParts { chain, key }))
    }

    /// Certificates, DER, leaf first.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.0.chain
    }

    /// The private key, DER.
    pub fn key(&self) -> &[u8] {
        &self.0.key
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl Target {
    /// An HTTPS endpoint on the open network, believed by the machine's trust store.
    pub fn https(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        let tls = Tls { server_name: host.clone(), roots: Roots::System, identity: None };
        Target { route: Route::Direct, host, port, tls: Some(tls) }
    }

    /// A plain TCP endpoint on the open network.
    pub fn plain(host: impl Into<String>, port: u16) -> Self {
        Target { route: Route::Direct, host: host.into(), port, tls: None }
    }

    /// The target that an `http` or `https` URL names; `None` if it names no host or another scheme.
    pub fn of_uri(uri: &http::Uri) -> Option<Self> {
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
        match uri.scheme_str()? {
            "https" => Some(Self::https(host, uri.port_u16().unwrap_or(443))),
            "http" => Some(Self::plain(host, uri.port_u16().unwrap_or(80))),
            _ => None,
        }
    }

    /// `host:port`, as shown in errors.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}
