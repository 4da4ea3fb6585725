//! Objects.

use super::super::call::{Call, Site};
use super::super::reply::{Answer, Refusal, document, nothing, with_etag, with_header};
use super::{Bucket, bucket, check_conditions, digest};
use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderName, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// User metadata comes and goes in headers with this prefix.
const METADATA_PREFIX: &str = "opc-meta-";
const NAME_BYTES_MAX: usize = 1024;
const LIST_MAX: usize = 1000;

/// An object.
pub(crate) struct Object {
    pub(in crate::oci) bytes: Bytes,
    pub(super) etag: String,
    /// Base64; of a multipart upload, the digest over the parts' digests and their number.
    pub(super) md5: String,
    pub(super) content_type: String,
    /// By the header's whole name.
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) created: Timestamp,
    pub(super) is_multipart: bool,
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/n/{namespace}/b/{bucket}/o", get(list))
        .route("/n/{namespace}/b/{bucket}/o/{*object}", get(read).put(put).delete(delete))
}

/// RFC 9110 dates, as `last-modified` has them.
fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn absent(bucket: &Bucket, name: &str) -> Refusal {
    let message = format!("The object '{name}' was not found in the bucket '{}'", bucket.name);
    Refusal::new(StatusCode::NOT_FOUND, "ObjectNotFound", message)
}

async fn list(Path((namespace, name)): Path<(String, String)>, call: Call) -> Answer {
    let limit = call.query("limit").map_or(Ok(LIST_MAX), str::parse);
    let limit = limit.map_err(|_| Refusal::invalid("limit is invalid"))?.clamp(1, LIST_MAX);
    let (prefix, start, end) = (call.query("prefix").unwrap_or(""), call.query("start"), call.query("end"));
    let after = call.query("startAfter");
    let delimiter = call.query("delimiter").filter(|text| !text.is_empty());
    let fields = call.query("fields").unwrap_or("name");
    call.site.world.with(|state| {
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        let (mut objects, mut prefixes, mut next) = (Vec::new(), BTreeSet::new(), None);
        let in_range = |name: &str| {
            name.starts_with(prefix)
                && start.is_none_or(|start| name >= start)
                && end.is_none_or(|end| name < end)
                && after.is_none_or(|after| name > after)
        };
        for (name, object) in found.objects.iter().filter(|(name, _)| in_range(name)) {
            if objects.len() + prefixes.len() >= limit {
                next = Some(name.clone());
                break;
            }
            let rest = name.get(prefix.len()..).unwrap_or_default();
            match delimiter.and_then(|delimiter| rest.split_once(delimiter).map(|(head, _)| (head, delimiter))) {
                Some((head, delimiter)) => drop(prefixes.insert(format!("{prefix}{head}{delimiter}"))),
                None => objects.push(summary(name, object, fields)),
            }
        }
        Ok(document(&json!({"objects": objects, "prefixes": prefixes, "nextStartWith": next})))
    })
}

fn summary(name: &str, object: &Object, fields: &str) -> Value {
    let mut all = Map::from_iter([("name".to_owned(), json!(name))]);
    let mut add = |field: &str, value: Value| {
        if fields.split(',').any(|wanted| wanted.trim() == field) {
            all.insert(field.to_owned(), value);
        }
    };
    add("size", json!(object.bytes.len()));
    add("md5", json!(object.md5));
    add("etag", json!(object.etag));
    add("timeCreated", json!(object.created));
    add("timeModified", json!(object.created));
    add("storageTier", json!("Standard"));
    Value::Object(all)
}

/// GET with an optional range; and HEAD, whose body axum leaves out.
async fn read(Path((namespace, name, object)): Path<(String, String, String)>, call: Call) -> Answer {
    call.site.world.with(|state| {
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        answer(found, &object, call.header("range"))
    })
}

/// An object as it is handed out.
pub(super) fn answer(bucket: &Bucket, name: &str, range: Option<&str>) -> Answer {
    let object = bucket.objects.get(name).ok_or_else(|| absent(bucket, name))?;
    let total = object.bytes.len();
    let (status, part, at) = match range.and_then(|range| bounds(range, total)) {
        None => (StatusCode::OK, object.bytes.clone(), None),
        Some((from, to)) if from < to => {
            let at = format!("bytes {from}-{}/{total}", to - 1);
            (StatusCode::PARTIAL_CONTENT, object.bytes.slice(from..to), Some(at))
        }
        Some(_) => {
            let message = format!("The range is not satisfiable: the object has {total} bytes");
            return Err(Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message));
        }
    };
    let mut answer: Response = (status, [(header::CONTENT_TYPE, object.content_type.clone())], part).into_response();
    for (name, value) in &object.metadata {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            answer.headers_mut().insert(name, value);
        }
    }
    let digest = if object.is_multipart { "opc-multipart-md5" } else { "content-md5" };
    let answer = with_header(with_etag(answer, &object.etag), digest, &object.md5);
    let answer = with_header(answer, "last-modified", &http_date(object.created));
    let answer = with_header(answer, "accept-ranges", "bytes");
    Ok(at.into_iter().fold(answer, |answer, at| with_header(answer, "content-range", &at)))
}

/// The half-open bounds of the one range that `bytes=…` names; `None` for what is no such range.
fn bounds(range: &str, total: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    match (from, to) {
        ("", last) => Some((total.saturating_sub(last.parse().ok()?), total)),
        (from, "") => Some((from.parse().ok()?, total)),
        (from, to) => Some((from.parse().ok()?, to.parse::<usize>().ok()?.saturating_add(1).min(total))),
    }
}

/// The headers that belong to an object.
fn metadata(call: &Call) -> BTreeMap<String, String> {
    let headers = call.head.headers.iter().filter(|(name, _)| name.as_str().starts_with(METADATA_PREFIX));
    headers.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect()
}

async fn put(Path((namespace, name, object)): Path<(String, String, String)>, call: Call) -> Answer {
    store(&call, &namespace, &name, object)
}

/// Stores the body of a call.
pub(super) fn store(call: &Call, namespace: &str, name: &str, object: String) -> Answer {
    if object.is_empty() || object.len() > NAME_BYTES_MAX {
        let message = "An object's name must have 1 to 1024 bytes";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "InvalidObjectName", message));
    }
    let declared = call.header("content-length").and_then(|text| text.parse::<usize>().ok());
    match declared {
        None if call.header("transfer-encoding").is_none() => {
            let message = "The Content-Length header is required";
            return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, "MissingContentLength", message));
        }
        Some(length) if length != call.body.len() => {
            return Err(Refusal::invalid("The body is not as long as the Content-Length header says"));
        }
        _ => {}
    }
    let md5 = digest(call)?;
    call.site.world.with(|state| {
        let (order, created) = (state.next_id(), state.now());
        let etag = state.oci.token("etag", order);
        let found = bucket(&call.site, &mut state.oci, namespace, name)?;
        check_conditions(call, found.objects.get(&object).map(|known| known.etag.as_str()))?;
        let content_type = call.header("content-type").unwrap_or("application/octet-stream").to_owned();
        let (bytes, metadata) = (call.body.clone(), metadata(call));
        let answer = with_header(with_etag(StatusCode::OK.into_response(), &etag), "opc-content-md5", &md5);
        let stored = Object { bytes, etag, md5, content_type, metadata, created, is_multipart: false };
        found.objects.insert(object, stored);
        Ok(with_header(answer, "last-modified", &http_date(created)))
    })
}

async fn delete(Path((namespace, name, object)): Path<(String, String, String)>, call: Call) -> Answer {
    call.site.world.with(|state| {
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        let known = found.objects.get(&object).ok_or_else(|| absent(found, &object))?;
        check_conditions(&call, Some(&known.etag))?;
        found.objects.remove(&object);
        Ok(nothing())
    })
}
