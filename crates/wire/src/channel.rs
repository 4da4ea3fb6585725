use crate::{Body, BoxError, Error, SharedWire, Target, Time};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::task::{Context, Poll};
use std::time::Duration;

/// A [`crate::Wire`] bound to one [`Target`], as the tower service that gRPC and Kubernetes clients take.
#[derive(Clone)]
pub struct Channel {
    wire: SharedWire,
    target: Target,
    time: Time,
    head_timeout: Duration,
    headers: http::HeaderMap,
}

impl Channel {
    /// Answers whose head takes longer than `head_timeout` end as [`Error::TimedOut`]; bodies may stream for ever.
    pub fn new(wire: SharedWire, time: Time, target: Target, head_timeout: Duration) -> Self {
        Channel { wire, target, time, head_timeout, headers: http::HeaderMap::new() }
    }

    /// Adds a header to every request.
    pub fn with_header(mut self, name: http::HeaderName, value: http::HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl<B> tower::Service<http::Request<B>> for Channel
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let mut request = request.map(Body::new);
        request.headers_mut().extend(self.headers.clone());
        let answer = self.wire.call(&self.target, request);
        let (time, limit, host) = (self.time.clone(), self.head_timeout, self.target.authority());
        Box::pin(async move { time.within(limit, answer).await.map_err(|_| Error::TimedOut(host))? })
    }
}
