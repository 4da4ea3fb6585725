use crate::{Error, Stream, Target};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// One request to a vendor and how to read its answer: a value that sends nothing by itself.
pub struct Call<T, E> {
    /// What errors, logs and tallies call it: vendor, method, path with ids left out.
    pub name: &'static str,
    /// The rate bucket it draws from.
    pub bucket: &'static str,
    /// Where it goes.
    pub target: Target,
    /// What is sent. Authorisation is already in it.
    pub request: http::Request<Bytes>,
    /// Whether it may be sent again when nobody knows if it took effect.
    pub repeat: Repeat,
    /// How long the whole exchange may take.
    pub timeout: Duration,
    /// Reads the answer.
    pub read: Box<dyn Fn(&Answer) -> Result<T, E> + Send + Sync>,
}

/// One exchange over a byte stream of its own, for protocols that are not HTTP: the same value otherwise as a [`Call`].
pub struct Talk<'a, T, E> {
    /// What errors, logs and tallies call it.
    pub name: &'static str,
    /// The rate bucket it draws from.
    pub bucket: &'static str,
    /// Where the stream goes.
    pub target: Target,
    /// Whether it may be had again when nobody knows if it took effect.
    pub repeat: Repeat,
    /// How long all of it may take, with the opening of the stream.
    pub timeout: Duration,
    /// Says what there is to say and reads the answer; an I/O error is a connection that broke.
    pub speak: Box<dyn Fn(Box<dyn Stream>) -> Spoken<'a, T, E> + Send + Sync + 'a>,
}

/// What comes of speaking: the answer as it was read, or a connection that broke.
pub type Spoken<'a, T, E> = BoxFuture<'a, std::io::Result<Result<T, E>>>;

/// What to do when it is unknown whether a request took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Sending it twice is the same as once: reads, deletes, puts.
    Safe,
    /// It might create a second one: the caller looks before it tries again.
    Never,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, complete.
    pub body: Bytes,
}

impl Answer {
    /// A header as text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `Retry-After` in its seconds form.
    pub fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after")?.trim().parse().ok().map(Duration::from_secs)
    }
}

/// What an error means for the one who asked. Sorted once, where the answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Passing trouble; it is unknown whether the call took effect.
    Now,
    /// Refused for the moment (rate limit, lock): it had no effect and may be sent again after a wait.
    Later(Option<Duration>),
    /// Refused here for lack of stock: the same call elsewhere may succeed.
    Elsewhere,
    /// Somebody has to change something first.
    User,
    /// Neither side should ever have come here.
    Bug,
}

/// An error that knows its [`Fate`], and can be made of a call that got no answer.
pub trait Sorted: From<Lost> {
    /// Its fate.
    fn fate(&self) -> Fate;
}

/// A call that got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {error}")]
pub struct Lost {
    /// The call's name.
    pub call: &'static str,
    /// What happened to it.
    pub error: Error,
}
