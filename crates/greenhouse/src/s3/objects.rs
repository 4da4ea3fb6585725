//! Objects: put, get, head, copy, delete.

use super::buckets::{last_modified, stamp};
use super::call::Call;
use super::conditions::{self, may_read, may_write};
use super::refusal::{Answer, Refusal, document, empty, no_content};
use super::xml::{self, Writer};
use super::{Desk, XMLNS, escape, multipart};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use jiff::Timestamp;
use md5::{Digest, Md5};
use std::collections::BTreeMap;

/// Keys in one call that deletes several.
const DELETE_MAX: usize = 1000;
/// Headers that an object keeps and shows again; with `x-amz-meta-*`.
const KEPT: &[&str] =
    &["cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"];
/// Headers that ask for what is not here.
const REFUSED: &[&str] = &[
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
];

/// An object.
#[derive(Clone)]
pub(super) struct Object {
    pub bytes: Bytes,
    /// Without quotes: the MD5, or that of the parts' digests and their number.
    pub etag: String,
    pub headers: BTreeMap<String, String>,
    /// Header name and value, as the client gave it.
    pub checksum: Option<(String, String)>,
    pub modified: Timestamp,
}

/// `/BUCKET/KEY`.
pub(super) fn object(desk: &mut Desk<'_>, call: &Call) -> Answer {
    desk.find(&call.bucket)?;
    if ["acl", "attributes", "legal-hold", "retention", "tagging", "torrent", "versionId"]
        .iter()
        .any(|name| call.query(name).is_some())
    {
        return Err(Refusal::of("NotImplemented"));
    }
    let is_part = call.query("uploadId").is_some();
    match call.method.as_str() {
        "PUT" if is_part => multipart::put_part(desk, call),
        "PUT" if call.header("x-amz-copy-source").is_some() => copy(desk, call),
        "PUT" => put(desk, call),
        "POST" if call.query("uploads").is_some() => multipart::create(desk, call),
        "POST" if is_part => multipart::complete(desk, call),
        "GET" if is_part => multipart::parts(desk, call),
        "GET" | "HEAD" => read(desk, call),
        "DELETE" if is_part => multipart::abort(desk, call),
        "DELETE" => {
            desk.find_mut(&call.bucket)?.objects.remove(&call.key);
            Ok(no_content())
        }
        _ => Err(Refusal::of("MethodNotAllowed")),
    }
}

/// What an object keeps of the headers it came with.
pub(super) fn kept(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Refusal> {
    if REFUSED.iter().any(|name| headers.contains_key(*name)) {
        return Err(Refusal::of("NotImplemented"));
    }
    let mut kept = BTreeMap::from([("content-type".to_owned(), "binary/octet-stream".to_owned())]);
    for (name, value) in headers {
        let name = name.as_str();
        let Ok(value) = value.to_str() else { continue };
        if KEPT.contains(&name) || name.starts_with("x-amz-meta-") {
            kept.insert(name.to_owned(), value.to_owned());
        }
    }
    // How it was sent is not what it is.
    let encoding = kept.get("content-encoding").map(|all| {
        let parts = all.split(',').map(str::trim).filter(|one| *one != "aws-chunked" && !one.is_empty());
        parts.collect::<Vec<_>>().join(",")
    });
    match encoding {
        Some(rest) if rest.is_empty() => drop(kept.remove("content-encoding")),
        Some(rest) => drop(kept.insert("content-encoding".into(), rest)),
        None => {}
    }
    Ok(kept)
}

fn put(desk: &mut Desk<'_>, call: &Call) -> Answer {
    if call.header("content-length").is_none() && call.header("transfer-encoding").is_none() {
        return Err(Refusal::of("MissingContentLength"));
    }
    let headers = kept(&call.headers)?;
    let (modified, etag) = (desk.now, hex::encode(Md5::digest(&call.body)));
    let bucket = desk.find_mut(&call.bucket)?;
    may_write(call, bucket.objects.get(&call.key).map(|there| there.etag.as_str()))?;
    let (bytes, checksum) = (call.body.clone(), call.checksum.clone());
    let answer = tagged(empty(StatusCode::OK), &etag, checksum.as_ref());
    bucket.objects.insert(call.key.clone(), Object { bytes, etag, headers, checksum, modified });
    Ok(answer)
}

/// With an object's tag and checksum.
pub(super) fn tagged(mut response: Response, etag: &str, checksum: Option<&(String, String)>) -> Response {
    set(&mut response, "etag", &format!("\"{etag}\""));
    if let Some((name, value)) = checksum {
        set(&mut response, name, value);
    }
    response
}

fn set(response: &mut Response, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
        response.headers_mut().insert(name, value);
    }
}

fn read(desk: &Desk<'_>, call: &Call) -> Answer {
    let found = desk.find(&call.bucket)?;
    let object = found.objects.get(&call.key).ok_or_else(|| Refusal::of("NoSuchKey"))?;
    let is_fresh = may_read(call, &object.etag, object.modified)?;
    let total = object.bytes.len();
    let range = conditions::range(call.header("range"), total)?;
    let range =
        range.map(|(from, to)| (from, if call.lies("s3-range-off-by-one") { to.max(from + 2) - 1 } else { to }));
    let (status, bytes) = match range {
        _ if !is_fresh => (StatusCode::NOT_MODIFIED, Bytes::new()),
        Some((from, to)) => (StatusCode::PARTIAL_CONTENT, object.bytes.slice(from..to)),
        None => (StatusCode::OK, object.bytes.clone()),
    };
    let length = bytes.len();
    let body = if call.method == Method::HEAD { Body::empty() } else { Body::from(bytes) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    // Of a part of an object no client could check the whole's sum, and of nothing there is none.
    let wants_sum = call.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"));
    let is_told = wants_sum && range.is_none() && is_fresh && !call.lies("s3-checksum-lost");
    let sum = object.checksum.as_ref().filter(|_| is_told);
    response = tagged(response, &object.etag, sum);
    let (name, value) = last_modified(object.modified);
    set(&mut response, name, &value);
    set(&mut response, "accept-ranges", "bytes");
    if !is_fresh {
        return Ok(response);
    }
    set(&mut response, "content-length", &length.to_string());
    if let Some((from, to)) = range {
        set(&mut response, "content-range", &format!("bytes {from}-{}/{total}", to - 1));
    }
    for (name, value) in &object.headers {
        let instead = call.query(&format!("response-{name}"));
        set(&mut response, name, instead.unwrap_or(value));
    }
    Ok(response)
}

/// A copy of another object of this location; its headers go with it unless others are given.
fn copy(desk: &mut Desk<'_>, call: &Call) -> Answer {
    let source = escape::decode(call.header("x-amz-copy-source").unwrap_or_default());
    let source = String::from_utf8(source).map_err(|_| Refusal::of("InvalidArgument"))?;
    let source = source.strip_prefix('/').unwrap_or(&source);
    let (bucket, key) = source.split_once('/').ok_or_else(|| Refusal::of("InvalidArgument"))?;
    let replaces = call.header("x-amz-metadata-directive") == Some("REPLACE");
    if (bucket, key) == (call.bucket.as_str(), call.key.as_str()) && !replaces {
        let message = "This copy request is illegal because it is trying to copy an object to itself without changing \
                       the object's metadata, storage class, website redirect location or encryption attributes.";
        return Err(Refusal::saying("InvalidRequest", message));
    }
    let object = desk.find(bucket)?.objects.get(key).ok_or_else(|| Refusal::of("NoSuchKey"))?;
    let mut object = Object { modified: desk.now, ..object.clone() };
    if replaces {
        object.headers = kept(&call.headers)?;
    }
    if call.lies("s3-copy-without-metadata") {
        object.headers.retain(|name, _| !name.starts_with("x-amz-meta-"));
    }
    let mut xml = Writer::new();
    xml.within(&format!("CopyObjectResult xmlns=\"{XMLNS}\""), |xml| {
        xml.element("LastModified", &stamp(object.modified));
        xml.element("ETag", &format!("\"{}\"", object.etag));
    });
    let target = desk.find_mut(&call.bucket)?;
    may_write(call, target.objects.get(&call.key).map(|there| there.etag.as_str()))?;
    target.objects.insert(call.key.clone(), object);
    Ok(document(xml))
}

/// Deletes what is named; what is not there counts as deleted.
pub(super) fn delete_several(desk: &mut Desk<'_>, call: &Call) -> Answer {
    let bucket = desk.find_mut(&call.bucket)?;
    let malformed = || Refusal::of("MalformedXML");
    let wanted = xml::parse(call.text()?).filter(|root| root.name == "Delete").ok_or_else(malformed)?;
    let is_quiet = wanted.child("Quiet") == Some("true");
    let keys: Option<Vec<&str>> = wanted.all("Object").map(|object| object.child("Key")).collect();
    let keys = keys.filter(|keys| (1..=DELETE_MAX).contains(&keys.len())).ok_or_else(malformed)?;
    let mut xml = Writer::new();
    xml.within(&format!("DeleteResult xmlns=\"{XMLNS}\""), |xml| {
        let kept = keys.last().copied().filter(|_| call.lies("s3-last-key-kept"));
        for key in keys {
            if kept != Some(key) {
                bucket.objects.remove(key);
            }
            if !is_quiet {
                xml.within("Deleted", |xml| xml.element("Key", key));
            }
        }
    });
    Ok(document(xml))
}
