//! Multipart uploads: create, upload parts, complete or abort, list.

use super::buckets::{owner, stamp};
use super::call::Call;
use super::conditions::may_write;
use super::objects::{Object, kept, tagged};
use super::refusal::{Answer, Refusal, document, empty, no_content};
use super::xml::{self, Writer};
use super::{DOMAIN, Desk, XMLNS, escape};
use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use md5::{Digest, Md5};
use std::collections::BTreeMap;

/// All parts but the last have at least so much.
const PART_BYTES_MIN: usize = 5 << 20;
const PARTS_MAX: u32 = 10_000;
/// Entries on a page.
const PAGE_MAX: usize = 1000;

/// An upload that is under way.
pub(super) struct Upload {
    pub key: String,
    headers: BTreeMap<String, String>,
    begun: Timestamp,
    parts: BTreeMap<u32, Part>,
}

struct Part {
    bytes: Bytes,
    etag: String,
    modified: Timestamp,
}

fn upload<'a>(desk: &'a mut Desk<'_>, call: &Call) -> Result<&'a mut Upload, Refusal> {
    let id = call.query("uploadId").unwrap_or_default();
    let found = desk.find_mut(&call.bucket)?.uploads.get_mut(id).filter(|upload| upload.key == call.key);
    found.ok_or_else(|| Refusal::of("NoSuchUpload"))
}

pub(super) fn create(desk: &mut Desk<'_>, call: &Call) -> Answer {
    let (headers, begun) = (kept(&call.headers)?, desk.now);
    // Ceph's ids begin with `2~`.
    desk.s3.answered += 1;
    let label = format!("upload {} {} {}", call.bucket, call.key, desk.s3.answered);
    let id =
        format!("2~{}", desk.s3.rng.child(&label).text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 31));
    let upload = Upload { key: call.key.clone(), headers, begun, parts: BTreeMap::new() };
    desk.find_mut(&call.bucket)?.uploads.insert(id.clone(), upload);
    let mut xml = Writer::new();
    xml.within(&format!("InitiateMultipartUploadResult xmlns=\"{XMLNS}\""), |xml| {
        xml.element("Bucket", &call.bucket);
        xml.element("Key", &call.key);
        xml.element("UploadId", &id);
    });
    Ok(document(xml))
}

pub(super) fn put_part(desk: &mut Desk<'_>, call: &Call) -> Answer {
    if call.header("x-amz-copy-source").is_some() {
        return Err(Refusal::of("NotImplemented"));
    }
    let number = call.given("partNumber").and_then(|text| text.parse().ok());
    let number = number.filter(|number| (1..=PARTS_MAX).contains(number)).ok_or_else(|| {
        Refusal::saying("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    })?;
    let (modified, etag) = (desk.now, hex::encode(Md5::digest(&call.body)));
    let upload = upload(desk, call)?;
    let answer = tagged(empty(StatusCode::OK), &etag, call.checksum.as_ref());
    upload.parts.insert(number, Part { bytes: call.body.clone(), etag, modified });
    Ok(answer)
}

/// Puts the parts that are named together, in ascending order.
pub(super) fn complete(desk: &mut Desk<'_>, call: &Call) -> Answer {
    let malformed = || Refusal::of("MalformedXML");
    let wanted = xml::parse(call.text()?).filter(|root| root.name == "CompleteMultipartUpload");
    let wanted = wanted.ok_or_else(malformed)?;
    let named: Option<Vec<(u32, &str)>> = wanted
        .all("Part")
        .map(|part| {
            Some((part.child("PartNumber")?.trim().parse().ok()?, part.child("ETag")?.trim().trim_matches('"')))
        })
        .collect();
    let named = named.filter(|named| !named.is_empty()).ok_or_else(malformed)?;
    if !named.is_sorted_by(|one, next| one.0 < next.0) && !call.lies("s3-parts-unordered") {
        return Err(Refusal::of("InvalidPartOrder"));
    }
    let modified = desk.now;
    let found = upload(desk, call)?;
    let min_bytes = if call.lies("s3-small-parts") { 0 } else { PART_BYTES_MIN };
    let mut object = joined(found, &named, modified, min_bytes)?;
    if call.lies("s3-etag-of-the-whole") {
        object.etag = hex::encode(Md5::digest(&object.bytes));
    }
    let bucket = desk.find_mut(&call.bucket)?;
    may_write(call, bucket.objects.get(&call.key).map(|there| there.etag.as_str()))?;
    let mut xml = Writer::new();
    xml.within(&format!("CompleteMultipartUploadResult xmlns=\"{XMLNS}\""), |xml| {
        let key = escape::encode(call.key.as_bytes(), true);
        xml.element("Location", &format!("https://{}.{}.{DOMAIN}/{key}", call.bucket, bucket.location));
        xml.element("Bucket", &call.bucket);
        xml.element("Key", &call.key);
        xml.element("ETag", &format!("\"{}\"", object.etag));
    });
    bucket.uploads.remove(call.query("uploadId").unwrap_or_default());
    bucket.objects.insert(call.key.clone(), object);
    Ok(document(xml))
}

fn joined(upload: &Upload, named: &[(u32, &str)], modified: Timestamp, min_bytes: usize) -> Result<Object, Refusal> {
    let (mut bytes, mut digests) = (Vec::new(), Md5::new());
    for (at, (number, etag)) in named.iter().enumerate() {
        let part = upload.parts.get(number).filter(|part| part.etag == *etag);
        let part = part.ok_or_else(|| Refusal::of("InvalidPart"))?;
        if part.bytes.len() < min_bytes && at + 1 < named.len() {
            return Err(Refusal::of("EntityTooSmall"));
        }
        bytes.extend_from_slice(&part.bytes);
        digests.update(hex::decode(&part.etag).unwrap_or_default());
    }
    let etag = format!("{}-{}", hex::encode(digests.finalize()), named.len());
    Ok(Object { bytes: bytes.into(), etag, headers: upload.headers.clone(), checksum: None, modified })
}

pub(super) fn abort(desk: &mut Desk<'_>, call: &Call) -> Answer {
    upload(desk, call)?;
    desk.find_mut(&call.bucket)?.uploads.remove(call.query("uploadId").unwrap_or_default());
    Ok(no_content())
}

/// The parts that an upload has so far.
pub(super) fn parts(desk: &mut Desk<'_>, call: &Call) -> Answer {
    let after = call.number("part-number-marker")?.unwrap_or(0);
    let max = call.number("max-parts")?.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let found = upload(desk, call)?;
    let rest = found.parts.iter().filter(|(number, _)| usize::try_from(**number).is_ok_and(|number| number > after));
    let rest: Vec<(&u32, &Part)> = rest.take(max.saturating_add(1)).collect();
    let page = rest.get(..max).unwrap_or(&rest);
    let mut xml = Writer::new();
    xml.within(&format!("ListPartsResult xmlns=\"{XMLNS}\""), |xml| {
        xml.element("Bucket", &call.bucket);
        xml.element("Key", &call.key);
        xml.element("UploadId", call.query("uploadId").unwrap_or_default());
        xml.element("StorageClass", "STANDARD");
        xml.element("PartNumberMarker", &after.to_string());
        let next = page.last().map_or(after.to_string(), |(number, _)| number.to_string());
        xml.element("NextPartNumberMarker", &next);
        xml.element("MaxParts", &max.to_string());
        xml.element("IsTruncated", if rest.len() > page.len() { "true" } else { "false" });
        owner(xml, "Owner");
        for (number, part) in page {
            xml.within("Part", |xml| {
                xml.element("PartNumber", &number.to_string());
                xml.element("LastModified", &stamp(part.modified));
                xml.element("ETag", &format!("\"{}\"", part.etag));
                xml.element("Size", &part.bytes.len().to_string());
            });
        }
    });
    Ok(document(xml))
}

/// The uploads of a bucket that are under way, by key and then by id.
pub(super) fn list(desk: &Desk<'_>, call: &Call) -> Answer {
    let found = desk.find(&call.bucket)?;
    let prefix = call.query("prefix").unwrap_or_default();
    let max = call.number("max-uploads")?.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let (key_marker, id_marker) = (call.given("key-marker"), call.given("upload-id-marker"));
    let mut all: Vec<(&str, &String, &Upload)> =
        found.uploads.iter().map(|(id, upload)| (upload.key.as_str(), id, upload)).collect();
    all.sort_by_key(|(key, id, _)| (*key, *id));
    all.retain(|(key, id, _)| {
        let is_after = key_marker.is_none_or(|marker| match id_marker {
            Some(upload) => (*key, id.as_str()) > (marker, upload),
            None => *key > marker,
        });
        is_after && key.starts_with(prefix)
    });
    let page = all.get(..max).unwrap_or(&all);
    let mut xml = Writer::new();
    xml.within(&format!("ListMultipartUploadsResult xmlns=\"{XMLNS}\""), |xml| {
        xml.element("Bucket", &call.bucket);
        xml.element("Prefix", prefix);
        xml.element("KeyMarker", key_marker.unwrap_or_default());
        xml.element("UploadIdMarker", id_marker.unwrap_or_default());
        if let Some((key, id, _)) = page.last().filter(|_| all.len() > page.len()) {
            xml.element("NextKeyMarker", key);
            xml.element("NextUploadIdMarker", id);
        }
        xml.element("MaxUploads", &max.to_string());
        xml.element("IsTruncated", if all.len() > page.len() { "true" } else { "false" });
        for (key, id, upload) in page {
            xml.within("Upload", |xml| {
                xml.element("Key", key);
                xml.element("UploadId", id);
                owner(xml, "Initiator");
                owner(xml, "Owner");
                xml.element("StorageClass", "STANDARD");
                xml.element("Initiated", &stamp(upload.begun));
            });
        }
    });
    Ok(document(xml))
}
