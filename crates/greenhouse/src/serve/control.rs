//! The control address, plain HTTP, for scripts.

use crate::world::{Greenhouse, GreenhouseError};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn router(world: Greenhouse) -> Router {
    let routes = Router::new()
        .route("/inventory", get(|State(world): State<Greenhouse>| async move { Json(world.inventory()) }))
        .route("/requests", get(|State(world): State<Greenhouse>| async move { Json(json!(world.journal())) }))
        .route("/log", get(|State(world): State<Greenhouse>| async move { world.log() }))
        .route("/nodes/{name}/{what}", post(node))
        .route("/faults", post(add_fault))
        .route("/faults/{id}", delete(remove_fault))
        .route("/foreign", post(foreign))
        .with_state(world);
    Router::new().nest("/_greenhouse", routes)
}

fn refused(status: StatusCode, message: impl std::fmt::Display) -> Response {
    (status, Json(json!({"error": message.to_string()}))).into_response()
}

fn done(result: Result<(), GreenhouseError>) -> Response {
    match result {
        Ok(()) => Json(json!({})).into_response(),
        Err(error @ GreenhouseError::NoMachine(_)) => refused(StatusCode::NOT_FOUND, error),
        Err(error) => refused(StatusCode::BAD_REQUEST, error),
    }
}

async fn node(State(world): State<Greenhouse>, Path((name, what)): Path<(String, String)>) -> Response {
    match what.as_str() {
        "kill" => done(world.kill(&name)),
        "start" => done(world.start(&name)),
        "destroy" => done(world.destroy(&name)),
        _ => refused(StatusCode::NOT_FOUND, "kill, start or destroy"),
    }
}

#[derive(Deserialize)]
struct Fault {
    rule: String,
}

async fn add_fault(State(world): State<Greenhouse>, body: Bytes) -> Response {
    let Ok(Fault { rule }) = serde_json::from_slice(&body) else {
        return refused(StatusCode::BAD_REQUEST, "the body is {\"rule\": \"…\"}");
    };
    match world.fault(&rule) {
        Ok(id) => Json(json!({"id": id})).into_response(),
        Err(error) => refused(StatusCode::BAD_REQUEST, error),
    }
}

async fn remove_fault(State(world): State<Greenhouse>, Path(id): Path<u64>) -> Response {
    if world.heal(id) {
        Json(json!({})).into_response()
    } else {
        refused(StatusCode::NOT_FOUND, "there is no such rule")
    }
}

async fn foreign(State(world): State<Greenhouse>, body: Bytes) -> Response {
    let wanted: Value = serde_json::from_slice(&body).unwrap_or_default();
    match (wanted["kind"].as_str(), wanted["name"].as_str()) {
        (Some(kind), Some(name)) => done(world.foreign(kind, name)),
        _ => refused(StatusCode::BAD_REQUEST, "the body is {\"kind\": \"…\", \"name\": \"…\"}"),
    }
}
