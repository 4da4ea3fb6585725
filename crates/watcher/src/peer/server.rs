//! The half that listens.

use super::Told;
use crate::permit::{Ask, Release, Reply};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use std::sync::Arc;

/// What a process does with what it hears: at once, without I/O.
pub trait Ears: Send + Sync + 'static {
    /// Another's state; answers with one's own.
    fn told(&self, told: Told) -> Told;
    /// Another asks for a permit.
    fn asked(&self, ask: &Ask) -> Reply;
    /// Another gives its permit back.
    fn released(&self, release: &Release);
}

/// What is served on [`super::PORT`], behind mutual TLS: the router itself asks nobody who he is.
pub fn router(ears: Arc<dyn Ears>) -> Router {
    Router::new()
        .route(
            "/v1/told",
            post(async |State(ears): State<Arc<dyn Ears>>, Json(told): Json<Told>| Json(ears.told(told))),
        )
        .route("/v1/ask", post(async |State(ears): State<Arc<dyn Ears>>, Json(ask): Json<Ask>| Json(ears.asked(&ask))))
        .route(
            "/v1/release",
            post(async |State(ears): State<Arc<dyn Ears>>, Json(release): Json<Release>| {
                ears.released(&release);
                http::StatusCode::NO_CONTENT
            }),
        )
        .with_state(ears)
}
