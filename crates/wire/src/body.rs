use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Any error that a body of unknown origin can end with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's or response's body, whatever it came from; trailers pass through, which gRPC needs.
pub struct Body(UnsyncBoxBody<Bytes, BoxError>);

impl Body {
    /// Wraps any body.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Body(body.map_err(Into::into).boxed_unsync())
    }

    /// Collects the whole body, refusing more than `limit_bytes`.
    // Written out: the future of `http_body_util::Limited` over this error type cannot be proved `Send` by rustc.
    pub async fn collect(mut self, limit_bytes: usize) -> Result<Bytes, BoxError> {
        let mut all = Vec::new();
        while let Some(frame) = self.0.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if data.len() > limit_bytes.saturating_sub(all.len()) {
                return Err(format!("the body is larger than {limit_bytes} bytes").into());
            }
            all.extend_from_slice(&data);
        }
        Ok(all.into())
    }
}

impl Default for Body {
    fn default() -> Self {
        Body::new(Empty::new())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body::new(Full::new(bytes))
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body")
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
