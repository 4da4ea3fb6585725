//! The same world on loopback sockets: every vendor behind real TLS, one proxy that leads to the machines, its name servers,
//! and a control address for scripts. Requests go through [`World::exchange`] as in process, so that nothing can tell the two apart.

mod control;
mod files;
mod http;
mod names;
mod proxy;
mod tls;

use crate::dns::Server;
use crate::world::Greenhouse;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A world being served. Ends when dropped.
pub struct Serving {
    /// The control address.
    pub control: SocketAddr,
    /// The zones' name servers, over UDP and TCP.
    pub authority: SocketAddr,
    /// The resolver of the operator's machine, over UDP and TCP.
    pub resolver: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a world cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A file or a socket.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Certificate(String),
}

impl ServeError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |error| ServeError::Io { what, error }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Serving {
    /// Ends every listener, and waits until each has ended.
    pub async fn shutdown(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            drop(task.await);
        }
    }
}

/// An address of each thing that is served, as the vendors' own variables write it.
pub(crate) struct Address {
    /// `HCLOUD_ENDPOINT`, …
    pub variable: &'static str,
    /// `https://127.0.0.1:12345/v1`
    pub url: String,
}

/// Host in the simulated internet, the variable that points a client at it, and the path that the vendor writes there.
const VENDORS: &[(&str, &str, &str)] = &[
    ("api.hetzner.cloud", "HCLOUD_ENDPOINT", "/v1"),
    ("api.cloudflare.com", "CLOUDFLARE_BASE_URL", "/client/v4"),
    ("api.tailscale.com", "TAILSCALE_BASE_URL", ""),
    ("factory.talos.dev", "BOUQUET_FACTORY_URL", ""),
    ("oci.greenhouse", "BOUQUET_OCI_ENDPOINT", ""),
    ("nbg1.your-objectstorage.com", "AWS_ENDPOINT_URL_S3", ""),
];

impl Greenhouse {
    /// Serves every emulator on loopback; writes `dir/env` and what it names. `listen` is the control address.
    pub async fn serve(&self, dir: &Path, listen: SocketAddr) -> Result<Serving, ServeError> {
        let world = self.world.clone();
        let authority = tls::Authority::new()?;
        let mut tasks = Vec::new();
        let mut addresses = Vec::new();
        for (host, variable, path) in VENDORS {
            let Some(endpoint) = world.with(|state| state.net.vendor(host, 443)) else { continue };
            let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
            let at = listener.local_addr().map_err(ServeError::io("a vendor's socket"))?;
            addresses.push(Address { variable, url: format!("https://{at}{path}") });
            world.with(|state| state.net.alias(&at.ip().to_string(), at.port(), endpoint.clone()));
            let (world, config) = (world.clone(), authority.server(host)?);
            tasks.push(accept(listener, move |stream| {
                let (world, endpoint, config) = (world.clone(), endpoint.clone(), config.clone());
                Box::pin(async move { http::vendor(world, endpoint, config, stream).await })
            }));
        }
        let names = names::listen(&world, Server::Authority, &mut tasks).await?;
        let resolver = names::listen(&world, Server::Resolver, &mut tasks).await?;
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let proxy = listener.local_addr().map_err(ServeError::io("the proxy's socket"))?;
        tasks.push(accept(listener, {
            let world = world.clone();
            move |stream| {
                let world = world.clone();
                Box::pin(async move { proxy::serve(world, stream).await })
            }
        }));
        let listener = bind(listen).await?;
        let control = listener.local_addr().map_err(ServeError::io("the control socket"))?;
        let router = control::router(self.clone());
        tasks.push(accept(listener, move |stream| {
            let router = router.clone();
            Box::pin(async move { http::plain(router, stream).await })
        }));
        let sockets = files::Sockets { proxy, control, authority: names, resolver };
        files::write(dir, &authority, &addresses, &sockets, &self.credentials())?;
        Ok(Serving { control, authority: names, resolver, tasks })
    }
}

async fn bind(at: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(at).await.map_err(ServeError::io(format!("listening on {at}")))
}

/// Hands every connection to `serve`; connections end with the listener.
fn accept<F>(listener: TcpListener, serve: F) -> JoinHandle<()>
where
    F: Fn(TcpStream) -> futures::future::BoxFuture<'static, ()> + Send + 'static,
{
    tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                biased;
                accepted = listener.accept() => {
                    // An accept that fails (out of descriptors) concerns that one connection.
                    if let Ok((stream, _)) = accepted {
                        connections.spawn(serve(stream));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    })
}
