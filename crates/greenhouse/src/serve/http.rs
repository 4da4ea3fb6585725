//! Connections that speak HTTP, with TLS or without.

use super::tls;
use crate::net::{Endpoint, From, OPERATOR, Peer, ServerTls, Serves};
use crate::world::World;
use axum::Router;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use wire::Body;

/// Serves one connection to a vendor.
pub(super) async fn vendor(world: World, endpoint: Endpoint, config: Arc<ServerConfig>, stream: TcpStream) {
    let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
    let peer = Peer { address: OPERATOR, from: From::Operator, certificates: None };
    exchange(world, endpoint, peer, stream).await;
}

/// Serves one connection to a machine, as its own endpoint would.
pub(super) async fn machine(world: World, endpoint: Endpoint, mut peer: Peer, stream: TcpStream) {
    if let Serves::Bytes(handler) = &endpoint.serves {
        return handler(Box::new(stream), peer).await;
    }
    match &endpoint.tls {
        None => exchange(world, endpoint, peer, stream).await,
        // Nobody gives a machine a certificate that everybody trusts.
        Some(ServerTls::Public) => {}
        Some(ServerTls::Own(own)) => {
            let Ok(config) = tls::own(own) else { return };
            let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
            let shown = stream.get_ref().1.peer_certificates();
            peer.certificates = shown.map(|chain| chain.iter().map(|der| der.to_vec()).collect());
            exchange(world, endpoint, peer, stream).await;
        }
    }
}

async fn exchange(
    world: World,
    endpoint: Endpoint,
    peer: Peer,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) {
    let endpoint = Arc::new(endpoint);
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (world, endpoint, peer) = (world.clone(), endpoint.clone(), peer.clone());
        // An error here closes the connection, which is what a broken one looks like from outside.
        async move { world.exchange(&endpoint, peer, request.map(Body::new)).await }
    });
    let served = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    drop(served);
}

/// Serves one connection without TLS.
pub(super) async fn plain(router: Router, stream: TcpStream) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        router.clone().oneshot(request.map(axum::body::Body::new))
    });
    drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
}
