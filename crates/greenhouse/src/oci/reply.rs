//! Answers and refusals as these services write them.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

/// What a handler returns.
pub(super) type Answer = Result<Response, Refusal>;

/// An error as all services write it: `{"code", "message"}` with a status.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Refusal { status, code, message: message.into() }
    }

    /// 400: a value that cannot be.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, "InvalidParameter", message)
    }

    /// 400: nothing where something must be.
    pub(super) fn missing(name: &str) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, "MissingParameter", format!("Missing required parameter: {name}"))
    }

    /// 400: not the JSON of this call.
    pub(super) fn unreadable() -> Self {
        let message = "Incorrectly formatted request. Please refer to our documentation for help.";
        Refusal::new(StatusCode::BAD_REQUEST, "CannotParseRequest", message)
    }

    /// 400: more than the tenancy may have of these limits.
    pub(super) fn limit(names: &[&str]) -> Self {
        let message = format!(
            "The following service limits were exceeded: {}. Request a service limit increase from the service limits \
             page in the console.",
            names.join(", ")
        );
        Refusal::new(StatusCode::BAD_REQUEST, "LimitExceeded", message)
    }

    /// 401, without saying what is wrong.
    pub(super) fn unauthenticated() -> Self {
        let message = "The required information to complete authentication was not provided or was incorrect.";
        Refusal::new(StatusCode::UNAUTHORIZED, "NotAuthenticated", message)
    }

    /// 404: not there, or not yours; one is not told which.
    pub(super) fn not_found() -> Self {
        let message = "Authorization failed or requested resource not found.";
        Refusal::new(StatusCode::NOT_FOUND, "NotAuthorizedOrNotFound", message)
    }

    /// 409: another resource stands in the way.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Refusal::new(StatusCode::CONFLICT, "Conflict", message)
    }

    /// 409: not in this state.
    pub(super) fn incorrect_state(message: impl Into<String>) -> Self {
        Refusal::new(StatusCode::CONFLICT, "IncorrectState", message)
    }

    /// 501: the vendor does this, this world does not.
    pub(super) fn not_implemented(what: &str) -> Self {
        Refusal::new(StatusCode::NOT_IMPLEMENTED, "MethodNotImplemented", format!("{what} is not emulated"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"code": self.code, "message": self.message});
        (self.status, axum::Json(body)).into_response()
    }
}

/// 200 with a document.
pub(super) fn document(body: &Value) -> Response {
    axum::Json(body).into_response()
}

/// 204.
pub(super) fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Adds a header; a value that cannot stand in one is left out.
pub(super) fn with_header(mut response: Response, name: &'static str, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

/// Adds an `etag`.
pub(super) fn with_etag(response: Response, etag: &str) -> Response {
    with_header(response, "etag", etag)
}
