//! What every call passes: authentication, the project's rate limit, and the headers of every answer.

use super::answer::Refusal;
use crate::world::World;
use axum::extract::{Request, State as Handle};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use serde_json::json;

/// Calls an hour, for all tokens of a project together.
const LIMIT: f64 = 3600.0;
/// Calls that come back each second.
const REFILL_PER_S: f64 = 1.0;

/// The project's token bucket.
pub(super) struct Bucket {
    left: f64,
    /// When `left` was right; `None` before the first call.
    at: Option<Timestamp>,
}

impl Bucket {
    pub(super) fn full() -> Self {
        Bucket { left: LIMIT, at: None }
    }

    /// Takes one call, if there is one left.
    fn take(&mut self, now: Timestamp) -> bool {
        let passed_s = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
        self.left = (self.left + passed_s * REFILL_PER_S).min(LIMIT);
        self.at = Some(now);
        let is_allowed = self.left >= 1.0;
        if is_allowed {
            self.left -= 1.0;
        }
        is_allowed
    }

    /// `RateLimit-Remaining`, and `RateLimit-Reset`: when the bucket is full again, in seconds since 1970.
    #[allow(clippy::cast_possible_truncation, reason = "between 0 and the limit")]
    fn headers(&self, now: Timestamp) -> [(&'static str, i64); 3] {
        let refill_s = ((LIMIT - self.left) / REFILL_PER_S).ceil() as i64;
        [
            ("ratelimit-limit", LIMIT as i64),
            ("ratelimit-remaining", self.left.floor() as i64),
            ("ratelimit-reset", now.as_second() + refill_s),
        ]
    }
}

/// Lets a call through, or refuses it as the vendor would.
pub(super) async fn gate(Handle(world): Handle<World>, request: Request, next: Next) -> Response {
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let token = token.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let (correlation, refusal, limits) = world.with(|state| {
        let now = state.now();
        let (any_token, readonly_writes) =
            (state.lies.contains("hetzner-any-token"), state.lies.contains("hetzner-readonly-token-writes"));
        let project = &mut state.hetzner;
        let correlation = hex::encode(project.rng.bytes::<16>());
        let is_known = token == project.token || token == project.token_readonly || any_token;
        if !is_known {
            let refusal = Refusal::new(401, "unauthorized", "unable to authenticate").with_details(json!({}));
            return (correlation, Some(refusal), None);
        }
        let refusal = if !project.bucket.take(now) {
            Some(Refusal::new(429, "rate_limit_exceeded", format!("limit of {LIMIT} requests per hour reached")))
        } else if !reads && token == project.token_readonly && !readonly_writes {
            Some(Refusal::new(403, "token_readonly", "token is only allowed to perform GET requests"))
        } else {
            None
        };
        (correlation, refusal, Some(project.bucket.headers(now)))
    });
    let mut response = match refusal {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in limits.into_iter().flatten() {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
    if let Ok(correlation) = HeaderValue::from_str(&correlation) {
        headers.insert(HeaderName::from_static("x-correlation-id"), correlation);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_hour_of_calls_may_be_spent_at_once_and_comes_back_one_a_second() {
        let mut bucket = Bucket::full();
        let start = Timestamp::UNIX_EPOCH;
        assert_eq!((0..3700).filter(|_| bucket.take(start)).count(), 3600);
        assert_eq!(bucket.headers(start)[2], ("ratelimit-reset", 3600));
        let later = start + Duration::from_secs(5);
        assert_eq!((0..100).filter(|_| bucket.take(later)).count(), 5);
    }
}
