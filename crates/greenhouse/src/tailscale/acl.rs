//! `/tailnet/-/acl`: the policy file over HTTP.

use super::api::{Answer, Caller, Refusal, json_answer};
use super::policy::Document;
use crate::world::World;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

pub(super) async fn show(State(world): State<World>, caller: Caller, headers: HeaderMap) -> Answer {
    caller.needs("policy_file:read")?;
    Ok(world.with(|state| {
        let policy = &state.tailscale.policy;
        if state.lies.contains("tailscale-comments-lost") {
            let etag = format!("\"{}\"", policy.hash());
            return ([(header::ETAG, etag)], axum::Json(policy.json.clone())).into_response();
        }
        render(policy, &headers)
    }))
}

pub(super) async fn replace(State(world): State<World>, caller: Caller, headers: HeaderMap, body: Bytes) -> Answer {
    caller.needs("policy_file")?;
    let document = Document::read(&String::from_utf8_lossy(&body))?;
    world.with(|state| {
        let policy = &mut state.tailscale.policy;
        let if_match = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
        if if_match.is_some_and(|wanted| !policy.matches(wanted)) && !state.lies.contains("tailscale-etag-ignored") {
            return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "precondition failed, invalid old hash"));
        }
        *policy = document;
        let answer = render(policy, &headers);
        state.note("tailnet: policy replaced");
        Ok(answer)
    })
}

/// Answers 200 whatever it finds; what is wrong is in the body.
pub(super) async fn validate(State(world): State<World>, caller: Caller, body: Bytes) -> Answer {
    caller.needs("policy_file:read")?;
    match Document::read(&String::from_utf8_lossy(&body)) {
        Ok(_) => json_answer(json!({})),
        Err(_) if world.lies("tailscale-any-policy") => json_answer(json!({})),
        Err(refusal) => json_answer(refusal.body()),
    }
}

/// HuJSON with its comments, or parsed JSON where that is asked for by name.
fn render(document: &Document, headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, text) = if accept.contains("application/json") {
        ("application/json", document.json.to_string())
    } else {
        ("application/hujson", document.text.clone())
    };
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::ETAG, format!("\"{}\"", document.hash()))], text)
        .into_response()
}
