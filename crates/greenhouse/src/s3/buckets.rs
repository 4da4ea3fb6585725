//! The service and its buckets.

use super::call::Call;
use super::conditions::http_date;
use super::listing::{self, Wish};
use super::objects::Object;
use super::refusal::{Answer, Refusal, document, empty, no_content};
use super::xml::Writer;
use super::{Bucket, Desk, XMLNS, escape, multipart, objects, xml};
use http::{Method, StatusCode};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Buckets of one project.
const BUCKETS_MAX: usize = 100;
/// Keys on a page.
const KEYS_MAX: usize = 1000;
/// Names that others have taken: they are unique over all customers.
const TAKEN: &[&str] = &["backup", "backups", "bucket", "data", "test"];
/// What a bucket may be asked for that nobody has set: the subresource and how Ceph says that it is not there.
const UNSET: &[(&str, &str)] = &[
    ("cors", "NoSuchCORSConfiguration"),
    ("encryption", "ServerSideEncryptionConfigurationNotFoundError"),
    ("lifecycle", "NoSuchLifecycleConfiguration"),
    ("object-lock", "ObjectLockConfigurationNotFoundError"),
    ("policy", "NoSuchBucketPolicy"),
    ("tagging", "NoSuchTagSet"),
];
/// Subresources that are refused, whatever is done with them.
const REFUSED: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "inventory",
    "logging",
    "metrics",
    "notification",
    "replication",
    "versions",
    "website",
];

/// RFC 3339 in UTC, as S3 writes it.
pub(super) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// `/`: the buckets of this location.
pub(super) fn service(desk: &Desk<'_>, call: &Call) -> Answer {
    if call.method != Method::GET {
        return Err(Refusal::of("MethodNotAllowed"));
    }
    let mut xml = Writer::new();
    xml.within(&format!("ListAllMyBucketsResult xmlns=\"{XMLNS}\""), |xml| {
        owner(xml, "Owner");
        xml.within("Buckets", |xml| {
            for (name, bucket) in desk.s3.buckets.iter().filter(|(_, bucket)| bucket.location == desk.location) {
                xml.within("Bucket", |xml| {
                    xml.element("Name", name);
                    xml.element("CreationDate", &stamp(bucket.created));
                });
            }
        });
    });
    Ok(document(xml))
}

/// The project, as it owns everything.
pub(super) fn owner(xml: &mut Writer, name: &str) {
    xml.within(name, |xml| {
        xml.element("ID", "p1000000");
        xml.element("DisplayName", "p1000000");
    });
}

/// `/BUCKET`.
pub(super) fn bucket(desk: &mut Desk<'_>, call: &Call) -> Answer {
    if call.query.iter().any(|(name, _)| REFUSED.contains(&name.as_str())) {
        desk.find(&call.bucket)?;
        return Err(Refusal::of("NotImplemented"));
    }
    if let Some((_, code)) = UNSET.iter().find(|(name, _)| call.query(name).is_some()) {
        desk.find(&call.bucket)?;
        return match call.method {
            Method::GET => Err(Refusal::of(code)),
            Method::DELETE => Ok(no_content()),
            _ => Err(Refusal::of("NotImplemented")),
        };
    }
    match call.method.as_str() {
        "PUT" if call.query("versioning").is_some() => Err(Refusal::of("NotImplemented")),
        "PUT" => create(desk, call),
        "HEAD" => desk.find(&call.bucket).map(|_| empty(StatusCode::OK)),
        "DELETE" => delete(desk, call),
        "POST" if call.query("delete").is_some() => objects::delete_several(desk, call),
        "GET" if call.query("location").is_some() => said(desk, call, "LocationConstraint", desk.location),
        "GET" if call.query("versioning").is_some() => said(desk, call, "VersioningConfiguration", ""),
        "GET" if call.query("uploads").is_some() => multipart::list(desk, call),
        "GET" => list(desk, call),
        _ => Err(Refusal::of("MethodNotAllowed")),
    }
}

fn said(desk: &Desk<'_>, call: &Call, element: &str, text: &str) -> Answer {
    desk.find(&call.bucket)?;
    let mut xml = Writer::new();
    xml.element(&format!("{element} xmlns=\"{XMLNS}\""), text);
    Ok(document(xml))
}

/// 3 to 63 of lower-case letters, digits, dots and hyphens, that begin and end with a letter or digit; no address.
fn is_name(name: &str) -> bool {
    let edge = |end: Option<char>| end.is_some_and(|end| end.is_ascii_lowercase() || end.is_ascii_digit());
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte))
        && edge(name.chars().next())
        && edge(name.chars().last())
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

/// Making one's own bucket again is no error, as Ceph has it.
fn create(desk: &mut Desk<'_>, call: &Call) -> Answer {
    if !is_name(&call.bucket) {
        return Err(Refusal::of("InvalidBucketName"));
    }
    if !call.body.is_empty() {
        let wanted = xml::parse(call.text()?).filter(|root| root.name == "CreateBucketConfiguration");
        let wanted = wanted.ok_or_else(|| Refusal::of("MalformedXML"))?;
        let location = wanted.child("LocationConstraint").unwrap_or_default();
        if !location.is_empty() && location != desk.location {
            return Err(Refusal::of("InvalidLocationConstraint"));
        }
    }
    if call.header("x-amz-bucket-object-lock-enabled").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(Refusal::of("NotImplemented"));
    }
    match desk.s3.buckets.get(&call.bucket) {
        Some(there) if there.location == desk.location => return Ok(empty(StatusCode::OK)),
        Some(_) => return Err(Refusal::of("BucketAlreadyExists")),
        None if TAKEN.contains(&call.bucket.as_str()) => return Err(Refusal::of("BucketAlreadyExists")),
        None if desk.s3.buckets.len() >= BUCKETS_MAX => return Err(Refusal::of("TooManyBuckets")),
        None => {}
    }
    let (objects, uploads) = (BTreeMap::new(), BTreeMap::new());
    let bucket = Bucket { location: desk.location, created: desk.now, objects, uploads };
    desk.s3.buckets.insert(call.bucket.clone(), bucket);
    Ok(empty(StatusCode::OK))
}

fn delete(desk: &mut Desk<'_>, call: &Call) -> Answer {
    if !desk.find(&call.bucket)?.objects.is_empty() && !call.lies("s3-full-bucket-deleted") {
        return Err(Refusal::of("BucketNotEmpty"));
    }
    desk.s3.buckets.remove(&call.bucket);
    Ok(no_content())
}

/// ListObjectsV2, and the older ListObjects for those who do not ask for it.
fn list(desk: &Desk<'_>, call: &Call) -> Answer {
    let found = desk.find(&call.bucket)?;
    let is_v2 = call.query("list-type") == Some("2");
    let max = call.number("max-keys")?.unwrap_or(KEYS_MAX).min(KEYS_MAX);
    let token = call.given("continuation-token").map(untoken).transpose()?;
    let start = if is_v2 { call.given("start-after") } else { call.given("marker") };
    let after = token.as_deref().or(start).unwrap_or_default();
    let prefix = call.query("prefix").unwrap_or_default();
    let delimiter = call.given("delimiter").filter(|_| !call.lies("s3-delimiter-ignored"));
    let inclusive = (token.is_some() || !is_v2) && call.lies("s3-page-repeats");
    let before = if inclusive { found.objects.keys().rfind(|key| key.as_str() < after) } else { None };
    let after = before.map_or(after, String::as_str);
    let mut page = listing::page(&found.objects, Wish { prefix, delimiter, after, max });
    if call.lies("s3-pages-end-early") {
        page.next = None;
    }
    let is_encoded = call.query("encoding-type") == Some("url");
    let key = |key: &str| if is_encoded { escape::encode(key.as_bytes(), true) } else { key.to_owned() };
    let mut xml = Writer::new();
    xml.within(&format!("ListBucketResult xmlns=\"{XMLNS}\""), |xml| {
        xml.element("Name", &call.bucket);
        xml.element("Prefix", &key(prefix));
        xml.element("MaxKeys", &max.to_string());
        if let Some(delimiter) = call.given("delimiter") {
            xml.element("Delimiter", &key(delimiter));
        }
        if is_encoded {
            xml.element("EncodingType", "url");
        }
        xml.element("IsTruncated", if page.next.is_some() { "true" } else { "false" });
        if is_v2 {
            xml.element("KeyCount", &(page.items.len() + page.prefixes.len()).to_string());
            let told = [
                ("StartAfter", call.given("start-after").map(key)),
                ("ContinuationToken", token.as_deref().map(made_token)),
            ];
            for (name, text) in told {
                if let Some(text) = text {
                    xml.element(name, &text);
                }
            }
            page.next.iter().for_each(|next| xml.element("NextContinuationToken", &made_token(next)));
        } else {
            xml.element("Marker", &key(call.query("marker").unwrap_or_default()));
            page.next.iter().for_each(|next| xml.element("NextMarker", &key(next)));
        }
        let shows_owner = !is_v2 || call.query("fetch-owner") == Some("true");
        for (name, object) in &page.items {
            xml.within("Contents", |xml| contents(xml, &key(name), object, shows_owner));
        }
        for common in &page.prefixes {
            xml.within("CommonPrefixes", |xml| xml.element("Prefix", &key(common)));
        }
    });
    Ok(document(xml))
}

fn contents(xml: &mut Writer, key: &str, object: &Object, shows_owner: bool) {
    xml.element("Key", key);
    xml.element("LastModified", &stamp(object.modified));
    xml.element("ETag", &format!("\"{}\"", object.etag));
    xml.element("Size", &object.bytes.len().to_string());
    xml.element("StorageClass", "STANDARD");
    if shows_owner {
        owner(xml, "Owner");
    }
}

/// Opaque to clients.
fn made_token(next: &str) -> String {
    hex::encode(next)
}

fn untoken(token: &str) -> Result<String, Refusal> {
    let bytes = hex::decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.ok_or_else(|| Refusal::saying("InvalidArgument", "The continuation token provided is incorrect"))
}

/// `Last-Modified` of what is answered.
pub(super) fn last_modified(at: Timestamp) -> (&'static str, String) {
    ("last-modified", http_date(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_hosts() {
        for good in ["abc", "a-b.c1", "1bouquet-backups"] {
            assert!(is_name(good), "{good}");
        }
        for wrong in ["ab", "Abc", "a_b", "-abc", "abc.", "a..b", "192.0.2.1", &"a".repeat(64)] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }
}
