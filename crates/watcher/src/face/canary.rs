//! The answer by which a node shows that it serves: only an ingress controller with its routes loaded leads here.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

/// Longer ones are nobody's of ours.
const NONCE_MOST: usize = 64;

/// What is served on port 9403: `GET /.well-known/bouquet/NONCE` answers `NONCE CLUSTER POD` and a line feed, so that neither a
/// cache nor another cluster's watcher can answer instead. All else is 404.
pub fn router(cluster: &str, pod: &str) -> Router {
    let whose: Arc<str> = format!("{cluster} {pod}").into();
    Router::new().route("/.well-known/bouquet/{nonce}", get(answer)).with_state(whose)
}

async fn answer(State(whose): State<Arc<str>>, Path(nonce): Path<String>) -> Response {
    let plain = nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !plain || nonce.is_empty() || nonce.len() > NONCE_MOST {
        return StatusCode::NOT_FOUND.into_response();
    }
    let headers =
        [(CONTENT_TYPE, HeaderValue::from_static("text/plain")), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (headers, format!("{nonce} {whose}\n")).into_response()
}
