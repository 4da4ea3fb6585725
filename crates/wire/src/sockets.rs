//! The real [`Wire`]: TCP, TLS by rustls, HTTP by hyper, one connection pool a target.

mod connect;

use crate::{Body, BoxError, Error, Route, Stream, Target, Wire};
use connect::Connector;
use futures::future::BoxFuture;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Unused connections are closed after this.
const IDLE: Duration = Duration::from_secs(30);

/// The way into the mesh, as a userspace `tailscaled` offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeshProxy {
    /// SOCKS5 with names resolved at the far end: `socks5h://host:port` (or `socks5://`).
    Socks5(http::Uri),
    /// HTTP CONNECT: `http://host:port`.
    Connect(http::Uri),
}

impl std::str::FromStr for MeshProxy {
    type Err = SocketsError;

    fn from_str(text: &str) -> Result<Self, SocketsError> {
        let wrong = || SocketsError::MeshProxy(text.to_owned());
        let uri: http::Uri = text.parse().map_err(|_| wrong())?;
        if uri.host().is_none() || uri.port_u16().is_none() {
            return Err(wrong());
        }
        match uri.scheme_str() {
            Some("socks5" | "socks5h") => Ok(MeshProxy::Socks5(uri)),
            Some("http") => Ok(MeshProxy::Connect(uri)),
            _ => Err(wrong()),
        }
    }
}

/// Why [`Sockets`] could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SocketsError {
    /// The proxy is not written `socks5h://host:port` or `http://host:port`.
    #[error("{0:?} is no proxy: write socks5h://host:port or http://host:port")]
    MeshProxy(String),
    /// The machine's trust store cannot be read, or is empty.
    #[error("no trusted CA certificates were found: {0}")]
    Roots(String),
}

/// Real sockets.
pub struct Sockets {
    roots: Arc<RootCertStore>,
    mesh_proxy: Option<MeshProxy>,
    pools: Mutex<BTreeMap<Target, Client<Connector, Body>>>,
}

impl Sockets {
    /// Reads the machine's trust store (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured).
    pub fn new(mesh_proxy: Option<MeshProxy>) -> Result<Self, SocketsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            return Err(SocketsError::Roots(why.join("; ")));
        }
        Ok(Sockets { roots: Arc::new(roots), mesh_proxy, pools: Mutex::default() })
    }

    fn connector(&self, target: &Target) -> Result<Connector, Error> {
        let proxy = match target.route {
            Route::Mesh => self.mesh_proxy.clone(),
            Route::Direct => None,
        };
        Connector::new(target.clone(), proxy, &self.roots)
    }

    fn pool(&self, target: &Target) -> Result<Client<Connector, Body>, Error> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = pools.get(target) {
            return Ok(client.clone());
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(self.connector(target)?);
        pools.insert(target.clone(), client.clone());
        Ok(client)
    }
}

impl Wire for Sockets {
    fn call(
        &self,
        target: &Target,
        request: http::Request<Body>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, Error>> {
        let pool = self.pool(target);
        let target = target.clone();
        Box::pin(async move {
            let request = absolute(request, &target)?;
            let response = pool?.request(request).await.map_err(|error| connect::sort(&target, error.into()))?;
            Ok(response.map(Body::new))
        })
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, Error>> {
        let connector = self.connector(target);
        Box::pin(async move { connector?.stream().await })
    }
}

/// hyper's pool wants absolute URIs; the authority in it is what `Host` and `:authority` will say, so one that the
/// caller wrote stays.
fn absolute(request: http::Request<Body>, target: &Target) -> Result<http::Request<Body>, Error> {
    let (mut head, body) = request.into_parts();
    let mut parts = head.uri.into_parts();
    parts.scheme = Some(if target.tls.is_some() { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP });
    let broken = |reason: BoxError| Error::Broken { host: target.authority(), reason: reason.to_string() };
    if parts.authority.is_none() {
        parts.authority =
            Some(target.authority().parse().map_err(|error: http::uri::InvalidUri| broken(error.into()))?);
    }
    if parts.path_and_query.is_none() {
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    }
    head.uri = http::Uri::from_parts(parts).map_err(|error| broken(error.into()))?;
    Ok(http::Request::from_parts(head, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_proxy_without_a_port_or_with_another_scheme_is_refused() {
        assert!("socks5h://127.0.0.1:1055".parse::<MeshProxy>().is_ok());
        assert!("http://127.0.0.1:1055".parse::<MeshProxy>().is_ok());
        for wrong in ["socks5h://127.0.0.1", "https://127.0.0.1:1", "127.0.0.1:1055", ""] {
            assert!(wrong.parse::<MeshProxy>().is_err(), "{wrong}");
        }
    }
}
