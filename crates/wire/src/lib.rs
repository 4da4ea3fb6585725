//! The two seams between bouquet and everything outside it: [`Wire`] and [`Time`].
//!
//! A decision in bouquet is a function over values. What must reach the outside goes through a [`Wire`] (send a
//! request, open a stream) and a [`Time`] (now, sleep, seeded randomness), both made in `main` and handed down.
//! Real sockets and the simulated world both implement [`Wire`], and nothing above this crate can tell which it has.
//!
//! How the nouns relate:
//!
//! ```text
//! Call  = name + Target + request + how to read the answer      a value; vendors' clients build these
//! Talk  = the same over a byte stream, where HTTP is not spoken
//! Line  = Wire + Time + rate buckets + retry policy             sends a Call: the only place that waits or retries
//! Target= Route (direct | mesh) + host + port + Tls             what a handshake would check, as a value
//! ```
//!
//! This crate refuses to know a vendor: no endpoint, header or error body of anybody's API is named here.

mod body;
mod call;
mod channel;
mod line;
mod rate;
mod rng;
mod secret;
mod sockets;
mod target;
mod time;

pub use body::{Body, BoxError};
pub use call::{Answer, Call, Fate, Lost, Repeat, Sorted, Spoken, Talk};
pub use channel::Channel;
pub use line::{Line, Tally};
pub use rate::{Pace, Rate};
pub use rng::Rng;
pub use secret::Secret;
pub use sockets::{MeshProxy, Sockets, SocketsError};
pub use target::{Identity, Roots, Route, Target, Tls};
pub use time::{Expired, Time};

use futures::future::BoxFuture;
use std::sync::Arc;

/// Everything bouquet does to the outside passes through one of these.
pub trait Wire: Send + Sync + 'static {
    /// Sends one request to `target` and returns the answer once its head has arrived.
    fn call(
        &self,
        target: &Target,
        request: http::Request<Body>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, Error>>;

    /// Opens a byte stream to `target`; with TLS on it if the target asks for TLS.
    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, Error>>;
}

/// A [`Wire`] as it is passed around.
pub type SharedWire = Arc<dyn Wire>;

/// A byte stream in both directions.
pub trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}

/// Why nothing came back from a [`Target`]. What a server *answered* is never one of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The host name has no address.
    #[error("{0} does not resolve")]
    NoSuchHost(String),
    /// The other side, or a firewall that rejects, said no.
    #[error("{0} refused the connection")]
    Refused(String),
    /// Nothing answered in time: host down, packets dropped, or a server that hangs.
    #[error("{0} did not answer in time")]
    TimedOut(String),
    /// The TLS handshake failed; the reason is rustls's.
    #[error("TLS with {host} failed: {reason}")]
    Tls {
        /// Host and port.
        host: String,
        /// What the handshake objected to.
        reason: String,
    },
    /// The way into the mesh refused or broke.
    #[error("the mesh proxy could not reach {host}: {reason}")]
    Proxy {
        /// Host and port.
        host: String,
        /// The proxy's words.
        reason: String,
    },
    /// The connection broke after the request was sent: whether it took effect is unknown.
    #[error("the connection to {host} broke: {reason}")]
    Broken {
        /// Host and port.
        host: String,
        /// What broke.
        reason: String,
    },
}

impl Error {
    /// Whether the request certainly had no effect, so that sending it again is safe.
    pub fn is_before_sending(&self) -> bool {
        matches!(self, Error::NoSuchHost(_) | Error::Refused(_) | Error::Tls { .. } | Error::Proxy { .. })
    }
}
