//! What people and Prometheus see of the watcher: a page for a wall, the same as JSON, metrics, and whether it is well.
//!
//! ```text
//! watch::Receiver<Status> ─┬─▶ /            page::whole: server-rendered, readable without script
//!                          ├─▶ /live        the page's changing part, sent as it changes: server-sent events
//!                          ├─▶ /api/status  JSON
//! Counters ────────────────┴─▶ /metrics     Prometheus' text format
//! Health ───────────────────▶ /livez, /readyz
//! ```
//!
//! Everything here only reads. It asks for no credentials and takes no orders, so that it may stand in a network of people;
//! it loads nothing from elsewhere, and a node's name or a route's annotation is text and never markup.
//!
//! [`canary`] is the other port: the answer by which a node shows that it serves.

pub mod canary;
mod counters;
mod headline;
mod health;
mod live;
mod metrics;
mod page;
mod parts;
mod words;

pub use counters::Counters;
pub use health::Health;

use crate::status::Status;
use axum::Router;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use tokio::sync::watch;

/// Prometheus' text format, which every scraper reads.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone)]
struct Face {
    status: watch::Receiver<Arc<Status>>,
    health: Health,
    counters: Arc<Counters>,
    policy: HeaderValue,
}

impl Face {
    fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }

    /// Headers of everything that a browser may show.
    fn headers(&self) -> [(HeaderName, HeaderValue); 4] {
        [
            (CONTENT_SECURITY_POLICY, self.policy.clone()),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ]
    }
}

/// What is served on port 9402. A status that has not been sent anew for half a minute is shown as stale: whoever holds
/// the sender sends at least every ten seconds, changed or not.
pub fn router(status: watch::Receiver<Arc<Status>>, health: Health, counters: Arc<Counters>) -> Router {
    let face = Face { status, health, counters, policy: page::policy() };
    Router::new()
        .route("/", get(shown))
        .route("/live", get(followed))
        .route("/api/status", get(told))
        .route("/metrics", get(measured))
        .route("/livez", get(alive))
        .route("/readyz", get(ready))
        .with_state(face)
}

async fn shown(State(face): State<Face>) -> Response {
    let page = page::whole(&face.status(), face.health.now()).into_string();
    (face.headers(), Html(page)).into_response()
}

async fn followed(State(face): State<Face>) -> Response {
    let stream = live::stream(face.status.clone(), face.health.clone());
    let kind = [(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))];
    (face.headers(), kind, axum::body::Body::from_stream(stream)).into_response()
}

async fn told(State(face): State<Face>) -> Response {
    (face.headers(), axum::Json(&*face.status())).into_response()
}

async fn measured(State(face): State<Face>) -> Response {
    let text = metrics::exposition(&face.status(), &face.counters, face.health.now());
    ([(CONTENT_TYPE, HeaderValue::from_static(EXPOSITION))], text).into_response()
}

async fn alive(State(face): State<Face>) -> (StatusCode, &'static str) {
    if face.health.is_alive() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the event loop has not turned for ten seconds\n")
    }
}

async fn ready(State(face): State<Face>) -> (StatusCode, &'static str) {
    match face.health.lacks() {
        None => (StatusCode::OK, "ok\n"),
        Some(lacking) => (StatusCode::SERVICE_UNAVAILABLE, lacking),
    }
}
