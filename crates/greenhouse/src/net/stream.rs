//! Byte streams to endpoints, for clients that speak HTTP themselves.

use super::{Endpoint, Peer, Serves};
use crate::handshake;
use crate::world::World;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::Notify;
use wire::{Body, Error, Stream, Target};

const BUFFER_BYTES: usize = 256 << 10;

/// A byte stream to an endpoint that has been connected to, within TLS if the target asks for it.
pub(crate) async fn stream_to(
    world: &World,
    target: &Target,
    endpoint: Endpoint,
    mut peer: Peer,
) -> Result<Box<dyn Stream>, Error> {
    let (near, far) = tokio::io::duplex(BUFFER_BYTES);
    match &endpoint.serves {
        Serves::Bytes(handler) => world.spawn(handler(Box::new(far), peer)),
        // Accepted, and not even a handshake is answered.
        Serves::Silence if target.tls.is_some() => return std::future::pending().await,
        Serves::Silence => world.spawn(async move {
            let _accepted = far;
            std::future::pending::<()>().await;
        }),
        // The connection stands; a server that expects a handshake closes it at the first other words.
        Serves::Http(_) | Serves::Door(..) if target.tls.is_none() && endpoint.tls.is_some() => {
            world.spawn(async move {
                let mut far = far;
                let _words = far.read(&mut [0]).await;
            });
        }
        Serves::Http(_) | Serves::Door(..) => {
            peer.certificates = handshake::check(target, endpoint.tls.as_ref(), world.now())?;
            let world_of_server = world.clone();
            world.spawn(async move { serve(world_of_server, endpoint, peer, far).await });
        }
    }
    Ok(Box::new(near))
}

/// Serves one connection as the endpoint's own server would. A request that gets no answer breaks it.
async fn serve(world: World, endpoint: Endpoint, peer: Peer, stream: DuplexStream) {
    let (endpoint, broken) = (Arc::new(endpoint), Arc::new(Notify::new()));
    let breaks = broken.clone();
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (world, endpoint, peer, breaks) = (world.clone(), endpoint.clone(), peer.clone(), breaks.clone());
        async move {
            let answer = world.exchange(&endpoint, peer, request.map(Body::new)).await;
            if answer.is_err() {
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
        served = builder.serve_connection(TokioIo::new(stream), service) => drop(served),
    }
}
