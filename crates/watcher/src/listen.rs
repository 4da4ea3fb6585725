//! Listening: status page, canary and peers, each a router on a socket of its own.
//!
//! It refuses to be held up: what does not finish its handshake or its head in time is cut off, connections are
//! counted, and bodies are small.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use wire::Time;

/// More wait in the kernel's queue.
pub const CONNECTIONS_MOST: usize = 256;
/// Larger bodies are answered with 413.
pub const BODY_BYTES_MOST: usize = 256 << 10;
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// After an error of `accept`: as a rule there are no file descriptors left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);
/// What is being answered when it stops has this long to end.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Answers until `stop` is over, then lets what is under way end.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    time: Time,
    stop: impl Future<Output = ()>,
) {
    let router = router.layer(DefaultBodyLimit::max(BODY_BYTES_MOST));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MOST));
    let (stopping, is_stopping) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut stop => break,
            next = next => next,
        };
        let Ok((stream, _)) = accepted else {
            time.sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let connection = connection(stream, tls.clone(), router.clone(), time.clone(), is_stopping.clone());
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    // Every connection holds a receiver; the last one to go ends the wait.
    drop(is_stopping);
    stopping.send_replace(true);
    let _ = time.within(DRAIN_WITHIN, stopping.closed()).await;
}

async fn connection(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    time: Time,
    stopping: watch::Receiver<bool>,
) {
    // Small answers are not to wait for each other.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return answer(stream, router, stopping).await };
    match time.within(HANDSHAKE_WITHIN, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => answer(stream, router, stopping).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(HEAD_WITHIN));
    let mut connection =
        pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(router)));
    tokio::select! {
        biased;
        ended = connection.as_mut() => return said(ended),
        _ = stopping.wait_for(|is_stopping| *is_stopping) => connection.as_mut().graceful_shutdown(),
    }
    said(connection.await);
}

fn said(ended: Result<(), wire::BoxError>) {
    if let Err(error) = ended {
        tracing::debug!(error, "a connection broke");
    }
}
