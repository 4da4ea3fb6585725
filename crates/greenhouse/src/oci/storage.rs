//! Object Storage: one namespace, buckets of a region, objects in memory.

mod buckets;
mod multipart;
mod objects;
mod pars;

pub(super) use buckets::Bucket;

use super::State;
use super::call::{Call, Site};
use super::reply::{Answer, Refusal, document};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use md5::{Digest, Md5};
use serde_json::json;

/// All calls of the service.
pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/n", get(namespace))
        .route("/n/{namespace}", get(metadata))
        .merge(buckets::routes())
        .merge(objects::routes())
        .merge(multipart::routes())
        .merge(pars::routes())
}

async fn namespace(call: Call) -> Answer {
    Ok(document(&json!(call.site.world.with(|state| state.oci.namespace.clone()))))
}

async fn metadata(Path(name): Path<String>, call: Call) -> Answer {
    call.site.world.with(|state| {
        check_namespace(&state.oci, &name)?;
        let root = &state.oci.tenancy;
        Ok(document(&json!({
            "namespace": name, "defaultS3CompartmentId": root, "defaultSwiftCompartmentId": root,
        })))
    })
}

impl State {
    /// Whether there is such an object.
    pub(super) fn has_object(&self, namespace: &str, bucket: &str, name: &str) -> bool {
        namespace == self.namespace && self.object(bucket, name).is_some()
    }

    /// An object's bytes.
    pub(super) fn object(&self, bucket: &str, name: &str) -> Option<Bytes> {
        self.buckets.get(bucket)?.objects.get(name).map(|object| object.bytes.clone())
    }
}

fn check_namespace(state: &State, name: &str) -> Result<(), Refusal> {
    if name == state.namespace {
        return Ok(());
    }
    let message =
        format!("You do not have authorization to perform this request, or the namespace {name} does not exist");
    Err(Refusal::new(StatusCode::NOT_FOUND, "NamespaceNotFound", message))
}

/// A bucket of this region, or 404 in this service's own words.
fn bucket<'a>(site: &Site, state: &'a mut State, namespace: &str, name: &str) -> Result<&'a mut Bucket, Refusal> {
    check_namespace(state, namespace)?;
    let absent = || {
        let message = format!(
            "Either the bucket named '{name}' does not exist in the namespace '{namespace}' or you are not authorized to \
             access it"
        );
        Refusal::new(StatusCode::NOT_FOUND, "BucketNotFound", message)
    };
    state.buckets.get_mut(name).filter(|bucket| bucket.region == site.region.name).ok_or_else(absent)
}

/// `if-match` and `if-none-match` against what is there.
fn check_conditions(call: &Call, etag: Option<&str>) -> Result<(), Refusal> {
    let failed = |code, message: String| Err(Refusal::new(StatusCode::PRECONDITION_FAILED, code, message));
    match (call.header("if-match"), etag) {
        (Some(wanted), Some(etag)) if wanted != etag && wanted != "*" => {
            return failed("IfMatchFailed", format!("The If-Match header is {wanted}, the entity tag {etag}"));
        }
        (Some(_), None) => return failed("IfMatchFailed", "There is no entity to match".into()),
        _ => {}
    }
    match (call.header("if-none-match"), etag) {
        (Some(_), Some(_)) if call.lies("oci-object-overwritten") => Ok(()),
        (Some(refused), Some(etag)) if refused == "*" || refused == etag => {
            failed("IfNoneMatchFailed", format!("The If-None-Match condition failed: the entity tag is {etag}"))
        }
        _ => Ok(()),
    }
}

/// MD5, base64; checked against `content-md5` if the client gave one.
fn digest(call: &Call) -> Result<String, Refusal> {
    let md5 = STANDARD.encode(Md5::digest(&call.body));
    match call.header("content-md5") {
        Some(given) if given != md5 && !call.lies("oci-md5-unchecked") => {
            let message =
                format!("The computed MD5 of the request body ({md5}) does not match the expected MD5 ({given})");
            Err(Refusal::new(StatusCode::BAD_REQUEST, "UnmatchedContentMD5", message))
        }
        _ => Ok(md5),
    }
}
