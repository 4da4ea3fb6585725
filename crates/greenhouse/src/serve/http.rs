//! Connections that speak HTTP, with TLS or without.

use super::tls;
use crate::machine::{self, MachineId};
use crate::net::{Endpoint, From, OPERATOR, Peer, ServerTls, Serves};
use crate::world::World;
use axum::Router;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use wire::{Body, Error, Route};

/// How often a connection is compared with the machine it leads to.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Serves one connection to a vendor.
pub(super) async fn vendor(world: World, endpoint: Endpoint, config: Arc<ServerConfig>, stream: TcpStream) {
    let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
    let peer = Peer { address: OPERATOR, from: From::Operator, to: None, certificates: None };
    exchange(world, endpoint, peer, None, stream).await;
}

/// Where a connection through the proxy leads: host and port.
pub(super) type Destination = (String, u16);

/// Serves one connection to a machine, as its own endpoint would.
pub(super) async fn machine(world: World, endpoint: Endpoint, mut peer: Peer, to: Destination, stream: TcpStream) {
    match &endpoint.serves {
        Serves::Bytes(handler) => return handler(Box::new(stream), peer).await,
        // Held open until the machine stops.
        Serves::Silence => return boot_over(world, peer.to).await,
        Serves::Http(_) | Serves::Door(..) => {}
    }
    match &endpoint.tls {
        None => exchange(world, endpoint, peer, Some(to), stream).await,
        // Nobody gives a machine a certificate that everybody trusts.
        Some(ServerTls::Public) => {}
        Some(tls @ (ServerTls::Own(_) | ServerTls::ByName(_))) => {
            let config = match tls {
                ServerTls::ByName(names) => tls::by_name(names),
                ServerTls::Own(own) => tls::own(own),
                ServerTls::Public => return,
            };
            let Ok(config) = config else { return };
            let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
            let shown = stream.get_ref().1.peer_certificates();
            peer.certificates = shown.map(|chain| chain.iter().map(|der| der.to_vec()).collect());
            exchange(world, endpoint, peer, Some(to), stream).await;
        }
    }
}

async fn exchange(
    world: World,
    endpoint: Endpoint,
    peer: Peer,
    to: Option<Destination>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) {
    let over = boot_over(world.clone(), peer.to);
    let endpoint = Arc::new(endpoint);
    let broken = Arc::new(Notify::new());
    let breaks = broken.clone();
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (world, endpoint, peer, to) = (world.clone(), endpoint.clone(), peer.clone(), to.clone());
        let breaks = breaks.clone();
        async move {
            let answer = async {
                if let Some(to) = to {
                    is_same_server(&world, &endpoint, &peer, &to).await?;
                }
                world.exchange(&endpoint, peer, request.map(Body::new)).await
            };
            let answer = answer.await;
            if answer.is_err() {
                // Left to itself, HTTP/2 would reset this one stream and keep the connection: gRPC takes that for a bug
                // of the server, and not for a server that is gone.
                breaks.notify_one();
                std::future::pending::<()>().await;
            }
            answer
        }
    });
    let builder = Builder::new(TokioExecutor::new());
    tokio::select! {
        biased;
        () = broken.notified() => {}
        () = over => {}
        served = builder.serve_connection(TokioIo::new(stream), service) => drop(served),
    }
}

/// Returns when the boot that answers is over: a machine that stops or restarts closes its connections, and clients look
/// for it anew rather than ask into the void.
async fn boot_over(world: World, of: Option<(MachineId, u64)>) {
    let Some((id, boot)) = of else { return std::future::pending().await };
    while world.with(|state| machine::is_boot(state, id, boot)) {
        world.time().sleep(LOOK_EVERY).await;
    }
}

/// A connection outlives neither its machine's power nor its server (apid in maintenance mode asks nobody for a
/// certificate, the one after it does): each request looks again.
async fn is_same_server(world: &World, endpoint: &Endpoint, peer: &Peer, to: &Destination) -> Result<(), Error> {
    let (host, port) = to;
    let (now, now_peer) = world.connect(peer.from, Route::Mesh, host, *port).await?;
    let asks = |endpoint: &Endpoint| match &endpoint.tls {
        Some(ServerTls::Own(own)) => Some(std::mem::discriminant(&own.clients)),
        Some(ServerTls::ByName(names)) => Some(std::mem::discriminant(&names.default.clients)),
        _ => None,
    };
    if now_peer.to == peer.to && asks(&now) == asks(endpoint) {
        return Ok(());
    }
    Err(Error::Broken { host: format!("{host}:{port}"), reason: "connection reset by peer".into() })
}

/// Serves one connection without TLS.
pub(super) async fn plain(router: Router, stream: TcpStream) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        router.clone().oneshot(request.map(axum::body::Body::new))
    });
    drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
}
