//! What the API server says when it does not do what was asked: `Status` objects.

use super::resource::Resource;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

/// A failure, as the `Status` object that tells of it.
#[derive(Debug)]
pub(super) struct Refusal {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Refusal {
    fn new(code: StatusCode, reason: &'static str, message: String) -> Self {
        Refusal { code, reason, message, details: Value::Null }
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        let mut details = json!({});
        if !name.is_empty() {
            details["name"] = name.into();
        }
        if !resource.group.is_empty() {
            details["group"] = resource.group.into();
        }
        details["kind"] = resource.plural.into();
        self.details = details;
        self
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized".into())
    }

    /// `what` says who may not do what, from `User` on.
    pub(super) fn forbidden(resource: &Resource, name: &str, what: &str) -> Self {
        let named = if name.is_empty() { String::new() } else { format!(" {name:?}") };
        let message = format!("{}{named} is forbidden: {what}", resource.qualified());
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(resource, name)
    }

    pub(super) fn forbidden_path(message: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    pub(super) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(resource, name)
    }

    pub(super) fn no_such_resource() -> Self {
        let message = "the server could not find the requested resource".to_owned();
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(super) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.qualified());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(resource, name)
    }

    pub(super) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.qualified());
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(resource, name)
    }

    pub(super) fn modified(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message.into())
    }

    /// `field` and `why` as validation names them.
    pub(super) fn invalid(resource: &Resource, name: &str, field: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is invalid: {field}: {why}", resource.kind);
        let mut refusal = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).about(resource, name);
        refusal.details["kind"] = resource.kind.into();
        refusal.details["causes"] = json!([{"reason": "FieldValueInvalid", "message": why, "field": field}]);
        refusal
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource".to_owned();
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(super) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json".to_owned();
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// `accepted`: media types, with commas.
    pub(super) fn unsupported_media(accepted: &str) -> Self {
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    pub(super) fn too_large() -> Self {
        let message = "Request entity too large: limit is 3145728".to_owned();
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// The resource version asked for is compacted away.
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message.into())
    }

    /// A disruption budget forbids an eviction; `why` names the budget and its figures.
    pub(super) fn disruption(budget: &str, why: &str) -> Self {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.".to_owned();
        let mut refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        let message = format!("The disruption budget {budget} {why}");
        refusal.details = json!({"causes": [{"reason": "DisruptionBudget", "message": message}]});
        refusal
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        let message = message.into();
        let mut refusal = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            format!("Internal error occurred: {message}"),
        );
        refusal.details = json!({"causes": [{"message": message}]});
        refusal
    }

    /// etcd has no quorum: what its client in the API server gives up with.
    pub(super) fn no_quorum() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", "etcdserver: request timed out".into())
    }

    /// The `Status` object.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status["code"] = self.code.as_u16().into();
        status
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.code, axum::Json(self.status())).into_response()
    }
}
