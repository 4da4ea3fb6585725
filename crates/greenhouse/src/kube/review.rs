//! Reviews: what the asker may do, which `kubectl auth can-i` asks.

use super::auth::User;
use super::fields::Fields;
use super::owners::{self, Claim, Manager};
use super::protobuf;
use super::refusal::Refusal;
use super::resource::Place;
use super::roles::{self, Wish};
use super::schema::Shape;
use super::store::Store;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::json;

/// Answers a SelfSubjectAccessReview.
pub(super) fn answer(
    store: &Store,
    user: &User,
    place: &Place<'_>,
    body: &[u8],
    (manager, now): (&str, Timestamp),
) -> Result<Response, Refusal> {
    if place.plural != "selfsubjectaccessreviews" || place.group != "authorization.k8s.io" {
        return Err(Refusal::no_such_resource());
    }
    let asked = match protobuf::decode(body) {
        Some(asked) => asked,
        None => serde_json::from_slice(body).map_err(|error| Refusal::bad_request(error.to_string()))?,
    };
    let attributes = &asked["spec"]["resourceAttributes"];
    let text = |field: &str| attributes[field].as_str().unwrap_or_default();
    let resource = match text("subresource") {
        "" => text("resource").to_owned(),
        subresource => format!("{}/{subresource}", text("resource")),
    };
    let wish = Wish {
        verb: text("verb"),
        group: text("group"),
        resource: &resource,
        namespace: text("namespace"),
        name: text("name"),
    };
    let allowed = roles::allow(store, user, wish);
    let mut review = json!({
        "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}, "spec": asked["spec"],
    });
    let api_version = "authorization.k8s.io/v1".to_owned();
    let manager = Manager { name: manager.to_owned(), applies: false, api_version, subresource: String::new() };
    let claim = Claim { manager, shape: &Shape::Any, ignored: Fields::default(), now: Some(now) };
    let empty = json!({"kind": "", "apiVersion": "", "metadata": {}, "spec": {}});
    owners::updated(&empty, &mut review, &claim);
    review["status"] = json!({"allowed": allowed});
    Ok((StatusCode::CREATED, axum::Json(review)).into_response())
}
