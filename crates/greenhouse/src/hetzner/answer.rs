//! Answers in the API's own shape: `{"KIND": …}` or `{"error": {code, message, details}}`.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// What a handler ends with.
pub(super) type Answer = Result<Reply, Refusal>;

/// A success.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    body: Option<Value>,
    link: Option<String>,
}

impl Reply {
    pub(super) fn with_link(mut self, link: String) -> Self {
        self.link = Some(link);
        self
    }
}

pub(super) fn ok(body: Value) -> Answer {
    Ok(Reply { status: StatusCode::OK, body: Some(body), link: None })
}

pub(super) fn created(body: Value) -> Answer {
    Ok(Reply { status: StatusCode::CREATED, body: Some(body), link: None })
}

/// What a DELETE that takes no action ends with.
pub(super) fn no_content() -> Answer {
    Ok(Reply { status: StatusCode::NO_CONTENT, body: None, link: None })
}

/// An error. Statuses that the vendor's documents leave open are those seen in reports of its clients.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    message: String,
    details: Value,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Refusal { status, code, message: message.into(), details: Value::Null }
    }

    pub(super) fn with_details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// `invalid_input` that names the field.
    pub(super) fn field(name: &str, reason: impl Into<String>) -> Self {
        let details = json!({"fields": [{"name": name, "messages": [reason.into()]}]});
        Refusal::new(422, "invalid_input", format!("invalid input in field '{name}'")).with_details(details)
    }

    /// `invalid_input` about the combination of fields.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Refusal::new(422, "invalid_input", message).with_details(json!({}))
    }

    pub(super) fn not_found(kind: &str, id: impl std::fmt::Display) -> Self {
        Refusal::new(404, "not_found", format!("{kind} with ID '{id}' not found"))
    }

    pub(super) fn uniqueness(message: &str, field: &str) -> Self {
        Refusal::new(409, "uniqueness_error", message).with_details(json!({"fields": [{"name": field}]}))
    }

    pub(super) fn protected(kind: &str) -> Self {
        Refusal::new(403, "protected", format!("{kind} deletion is protected"))
    }

    pub(super) fn locked() -> Self {
        Refusal::new(423, "locked", "cannot perform operation because server is locked")
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (self.status, axum::Json(body)).into_response(),
            None => self.status.into_response(),
        };
        if let Some(link) = self.link.and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({"error": {"code": self.code, "message": self.message, "details": self.details}});
        (status, axum::Json(body)).into_response()
    }
}
