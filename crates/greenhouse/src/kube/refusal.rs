//! What the API server says when it does not do what was asked: `Status` objects.

use super::resource::{Place, Resource};
use super::store::Key;
use super::validate::Fault;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

/// A failure, as the `Status` object that tells of it.
#[derive(Debug)]
pub(super) struct Refusal {
    code: StatusCode,
    reason: &'static str,
    message: String,
    /// Boxed: it makes an answer that is seldom given large.
    details: Box<Value>,
    /// `metadata.continue`.
    goes_on: Option<Box<str>>,
}

impl Refusal {
    fn new(code: StatusCode, reason: &'static str, message: String) -> Self {
        Refusal { code, reason, message, details: Box::default(), goes_on: None }
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
        *self.details = details;
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
        Self::generic(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// A place that may be of no resource at all.
    pub(super) fn forbidden_place(place: &Place<'_>, what: &str) -> Self {
        let qualified =
            if place.group.is_empty() { place.plural.to_owned() } else { format!("{}.{}", place.plural, place.group) };
        let named = if place.name.is_empty() { String::new() } else { format!(" {:?}", place.name) };
        let mut refusal =
            Self::new(StatusCode::FORBIDDEN, "Forbidden", format!("{qualified}{named} is forbidden: {what}"));
        let mut details = json!({});
        for (field, value) in [("name", place.name), ("group", place.group), ("kind", place.plural)] {
            if !value.is_empty() {
                details[field] = value.into();
            }
        }
        *refusal.details = details;
        refusal
    }

    /// A conflict about something that is no resource.
    pub(super) fn conflict_of(kind: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {kind} {name:?}: {why}");
        let mut refusal = Self::new(StatusCode::CONFLICT, "Conflict", message);
        *refusal.details = json!({"name": name, "kind": kind});
        refusal
    }

    pub(super) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(resource, name)
    }

    pub(super) fn no_such_resource() -> Self {
        let message = "the server could not find the requested resource".to_owned();
        Self::generic(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(super) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.qualified());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(resource, name)
    }

    /// The name is still that of an object that goes.
    pub(super) fn still_goes(resource: &Resource, name: &str) -> Self {
        let mut refusal = Self::already_exists(resource, name);
        refusal.message = format!("object is being deleted: {}", refusal.message);
        refusal
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

    /// Faults of an object's fields, as validation names them.
    pub(super) fn invalid(resource: &Resource, name: &str, faults: &[Fault]) -> Self {
        Self::invalid_kind(resource.group, resource.kind, name, faults)
    }

    /// The same, of something that is no resource: options, scales.
    pub(super) fn invalid_kind(group: &str, kind: &str, name: &str, faults: &[Fault]) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let told: Vec<String> = faults.iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect();
        // The sentence says everything once, the causes as often as it was found.
        let mut once: Vec<String> = Vec::new();
        for fault in told {
            if !once.contains(&fault) {
                once.push(fault);
            }
        }
        let told = once;
        let told = if let [only] = told.as_slice() { only.clone() } else { format!("[{}]", told.join(", ")) };
        let message = format!("{qualified} {name:?} is invalid: {told}");
        let mut refusal = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        let mut details = json!({});
        for (field, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                details[field] = value.into();
            }
        }
        let cause = |fault: &Fault| json!({"reason": fault.reason, "message": fault.message, "field": fault.field});
        details["causes"] = faults.iter().map(cause).collect();
        *refusal.details = details;
        refusal
    }

    /// A fault of the request's own parameters.
    pub(super) fn options(kind: &str, faults: &[Fault]) -> Self {
        Self::invalid_kind("meta.k8s.io", kind, "", faults)
    }

    /// A patch after which the object cannot be read.
    pub(super) fn of_patch(self, patched: &Value) -> Self {
        let why = self.why_unhandled();
        let fault = Fault::invalid("patch", &patched.to_string().into(), &why);
        Self::invalid_kind("", "", "", &[fault])
    }

    /// The same in the words of the converter that strategic patches go through.
    pub(super) fn of_conversion(mut self) -> Self {
        let kind = |json: &str| match json {
            "number" => "int64",
            "string" => "string",
            "bool" => "bool",
            _ => "map",
        };
        let cause = self.message.split_once("json: cannot unmarshal ").and_then(|(before, rest)| {
            let (what, rest) = rest.split_once(' ')?;
            let (_, wanted) = rest.rsplit_once(" of type ")?;
            Some(format!("{before}cannot convert {} to {wanted}", kind(what)))
        });
        self.message = cause.unwrap_or(self.message);
        self
    }

    /// Why a body could not be read, without what it was to be.
    pub(super) fn why_unhandled(&self) -> String {
        let why = self.message.split_once(" cannot be handled as a ").and_then(|(_, rest)| rest.split_once(": "));
        why.map_or(self.message.clone(), |(_, why)| why.to_owned())
    }

    /// A patch that cannot be carried out.
    pub(super) fn unpatchable() -> Self {
        let message = "the server rejected our request due to an error in our request".to_owned();
        Self::generic(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    }

    /// What is said where no resource is at stake.
    fn generic(code: StatusCode, reason: &'static str, message: String) -> Self {
        let mut refusal = Self::new(code, reason, message);
        *refusal.details = json!({});
        refusal
    }

    /// An error that the server has no words of its own for.
    pub(super) fn unexpected(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message.into())
    }

    /// Other managers have what an apply would change.
    pub(super) fn apply_conflict(message: String, causes: Vec<Value>) -> Self {
        let mut refusal = Self::new(StatusCode::CONFLICT, "Conflict", message);
        *refusal.details = json!({"causes": causes});
        refusal
    }

    /// A deletion's precondition, which names the kind.
    pub(super) fn precondition(resource: &Resource, name: &str, why: &str) -> Self {
        let kind = if resource.group.is_empty() {
            resource.kind.to_owned()
        } else {
            format!("{}.{}", resource.kind, resource.group)
        };
        let message = format!("Operation cannot be fulfilled on {kind} {name:?}: {why}");
        let mut refusal = Self::new(StatusCode::CONFLICT, "Conflict", message).about(resource, name);
        refusal.details["kind"] = resource.kind.into();
        refusal
    }

    /// An update of an object that is another by now.
    pub(super) fn other_uid(key: &Key, sent: &str, known: &str) -> Self {
        let stored = match key.resource.plural {
            "nodes" => "minions",
            "services" => "services/specs",
            other => other,
        };
        let group = if key.resource.custom.is_some() { format!("{}/", key.resource.group) } else { String::new() };
        let namespace = if key.namespace.is_empty() { String::new() } else { format!("{}/", key.namespace) };
        let place = format!("/registry/{group}{stored}/{namespace}{}", key.name);
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {place}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {sent}, UID in object meta: {known}"
        );
        Self::conflict(key.resource, &key.name, &why)
    }

    /// A namespace that is going takes nothing in.
    pub(super) fn terminating(resource: &Resource, name: &str, namespace: &str) -> Self {
        let what = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut refusal = Self::forbidden(resource, name, &what);
        let message = format!("namespace {namespace} is being terminated");
        refusal.details["causes"] =
            json!([{"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}]);
        refusal
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource".to_owned();
        Self::generic(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
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

    /// A resource version that is still to come.
    pub(super) fn too_large_version(version: &str, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {version}, current: {current}");
        let mut refusal = Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message);
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        *refusal.details = json!({"causes": [cause], "retryAfterSeconds": 1});
        refusal
    }

    /// A patch of a kind that nobody knows.
    pub(super) fn unknown_patch() -> Self {
        let message = "415: Unsupported Media Type".to_owned();
        Self::generic(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// The same for a page, with a token for going on with what there is now.
    pub(super) fn page_expired(token: String) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
        Refusal { goes_on: Some(token.into()), ..Self::expired(message) }
    }

    /// A disruption budget forbids an eviction; `why` names the budget and its figures.
    pub(super) fn disruption(budget: &str, why: &str) -> Self {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.".to_owned();
        let mut refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        let message = format!("The disruption budget {budget} {why}");
        *refusal.details = json!({"causes": [{"reason": "DisruptionBudget", "message": message}]});
        refusal
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        let message = message.into();
        let mut refusal = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            format!("Internal error occurred: {message}"),
        );
        *refusal.details = json!({"causes": [{"message": message}]});
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
        if let Some(token) = &self.goes_on {
            status["metadata"]["continue"] = (**token).into();
        }
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if !self.details.is_null() {
            status["details"] = (*self.details).clone();
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
