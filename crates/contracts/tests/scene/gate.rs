//! What stands between a client and its API, and can be told to stand in the way.

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, BodyStream, StreamBody};
use tokio::sync::watch;
use wire::{Body, Error, SharedWire, Stream, Target, Wire};

/// What becomes of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// They pass.
    Open,
    /// Connections are refused, and those that stand break.
    Refusing,
    /// Something in between answers each with a page of its own, and those that stand break.
    Page,
}

/// A wire with a gate in it.
pub struct Gate {
    inner: SharedWire,
    state: watch::Sender<State>,
}

impl Gate {
    pub fn new(inner: SharedWire) -> Self {
        Gate { inner, state: watch::Sender::new(State::Open) }
    }

    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

impl Wire for Gate {
    fn call(
        &self,
        target: &Target,
        request: http::Request<Body>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, Error>> {
        let (mut state, host) = (self.state.subscribe(), target.authority());
        let now = *state.borrow_and_update();
        let call = (now == State::Open).then(|| self.inner.call(target, request));
        Box::pin(async move {
            let Some(call) = call else {
                return if now == State::Page { Ok(page()) } else { Err(Error::Refused(host)) };
            };
            let answer = call.await?;
            let shut = async move {
                let _ = state.wait_for(|state| *state != State::Open).await;
            };
            Ok(answer.map(|body| Body::new(StreamBody::new(BodyStream::new(body).take_until(Box::pin(shut))))))
        })
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, Error>> {
        self.inner.open(target)
    }
}

/// What a balancer says of a dead backend.
fn page() -> http::Response<Body> {
    let text = Bytes::from_static(b"<html><body><h1>404 Not Found</h1></body></html>");
    let mut answer = http::Response::new(Body::new(http_body_util::Full::new(text).map_err(|never| match never {})));
    *answer.status_mut() = http::StatusCode::NOT_FOUND;
    answer
}
