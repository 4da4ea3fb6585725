//! Multipart uploads: create, upload parts, commit or abort.

use super::super::call::{Call, Site, need};
use super::super::reply::{Answer, Refusal, document, nothing, with_etag, with_header};
use super::objects::Object;
use super::{Bucket, bucket, check_conditions, digest};
use axum::Router;
use axum::extract::Path;
use axum::response::IntoResponse;
use axum::routing::{get, put};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use md5::{Digest, Md5};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CREATE: &[&str] = &[
    "object",
    "contentType",
    "contentLanguage",
    "contentEncoding",
    "contentDisposition",
    "cacheControl",
    "storageTier",
    "metadata",
];
const PARTS_MAX: u32 = 10_000;

/// An upload that is not finished.
pub(crate) struct Upload {
    object: String,
    content_type: String,
    metadata: BTreeMap<String, String>,
    created: Timestamp,
    parts: BTreeMap<u32, Part>,
}

struct Part {
    bytes: Bytes,
    etag: String,
    md5: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    object: Option<String>,
    content_type: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Commit {
    parts_to_commit: Option<Vec<Chosen>>,
    parts_to_exclude: Option<Vec<u32>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chosen {
    part_num: u32,
    etag: String,
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/n/{namespace}/b/{bucket}/u", get(list).post(create))
        .route("/n/{namespace}/b/{bucket}/u/{*object}", put(upload).post(commit).delete(abort).get(list_parts))
}

fn shown(namespace: &str, bucket: &str, id: &str, upload: &Upload) -> Value {
    json!({
        "namespace": namespace, "bucket": bucket, "object": upload.object, "uploadId": id,
        "timeCreated": upload.created, "storageTier": "Standard",
    })
}

/// The upload that the query names, if it is of this object.
fn find<'a>(call: &Call, bucket: &'a mut Bucket, object: &str) -> Result<&'a mut Upload, Refusal> {
    let id = call.required("uploadId")?;
    let absent = || {
        let message = format!("No such upload {id} of object '{object}'");
        Refusal::new(StatusCode::NOT_FOUND, "NoSuchUpload", message)
    };
    bucket.uploads.get_mut(id).filter(|upload| upload.object == object).ok_or_else(absent)
}

async fn list(Path((namespace, name)): Path<(String, String)>, call: Call) -> Answer {
    let all = call.site.world.with(|state| {
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        Ok(found.uploads.iter().map(|(id, upload)| shown(&namespace, &name, id, upload)).collect())
    })?;
    call.page(all)
}

async fn create(Path((namespace, name)): Path<(String, String)>, call: Call) -> Answer {
    let details: Details = call.details(CREATE)?;
    let object = need(details.object, "object")?;
    call.site.world.with(|state| {
        let (order, created) = (state.next_id(), state.now());
        let id = state.oci.token("upload", order);
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        check_conditions(&call, found.objects.get(&object).map(|known| known.etag.as_str()))?;
        let content_type = details.content_type.unwrap_or_else(|| "application/octet-stream".into());
        let metadata = details.metadata.unwrap_or_default();
        let upload = Upload { object, content_type, metadata, created, parts: BTreeMap::new() };
        let answer = document(&shown(&namespace, &name, &id, &upload));
        found.uploads.insert(id, upload);
        Ok(answer)
    })
}

async fn upload(Path((namespace, name, object)): Path<(String, String, String)>, call: Call) -> Answer {
    let number = call.required("uploadPartNum")?.parse::<u32>().ok().filter(|number| (1..=PARTS_MAX).contains(number));
    let number = number.ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, "InvalidUploadPart", "uploadPartNum must be between 1 and 10000")
    })?;
    let md5 = digest(&call)?;
    call.site.world.with(|state| {
        let order = state.next_id();
        let etag = state.oci.token("etag", order);
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        let upload = find(&call, found, &object)?;
        let answer = with_header(with_etag(StatusCode::OK.into_response(), &etag), "opc-content-md5", &md5);
        upload.parts.insert(number, Part { bytes: call.body.clone(), etag, md5 });
        Ok(answer)
    })
}

async fn list_parts(Path((namespace, name, object)): Path<(String, String, String)>, call: Call) -> Answer {
    let all = call.site.world.with(|state| {
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        let upload = find(&call, found, &object)?;
        let shown = |(number, part): (&u32, &Part)| {
            json!({"partNumber": number, "etag": part.etag, "md5": part.md5, "size": part.bytes.len()})
        };
        Ok(upload.parts.iter().map(shown).collect())
    })?;
    call.page(all)
}

async fn abort(Path((namespace, name, object)): Path<(String, String, String)>, call: Call) -> Answer {
    let id = call.required("uploadId")?;
    call.site.world.with(|state| {
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        find(&call, found, &object)?;
        found.uploads.remove(id);
        Ok(nothing())
    })
}

async fn commit(Path((namespace, name, object)): Path<(String, String, String)>, call: Call) -> Answer {
    let chosen: Commit = call.details(&["partsToCommit", "partsToExclude"])?;
    let commit = need(chosen.parts_to_commit, "partsToCommit")?;
    let exclude = chosen.parts_to_exclude.unwrap_or_default();
    let id = call.required("uploadId")?;
    call.site.world.with(|state| {
        let (order, created) = (state.next_id(), state.now());
        let etag = state.oci.token("etag", order);
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        check_conditions(&call, found.objects.get(&object).map(|known| known.etag.as_str()))?;
        let (mut bytes, md5) = join(find(&call, found, &object)?, &commit, &exclude)?;
        let Some(upload) = found.uploads.remove(id) else { return Err(Refusal::not_found()) };
        if let Some((_, last)) = upload.parts.last_key_value().filter(|_| call.lies("oci-part-lost")) {
            bytes.truncate(bytes.len().saturating_sub(last.bytes.len()));
        }
        let answer = with_header(with_etag(StatusCode::OK.into_response(), &etag), "opc-multipart-md5", &md5);
        let (content_type, metadata) = (upload.content_type, upload.metadata);
        let stored = Object { bytes, etag, md5, content_type, metadata, created, is_multipart: true };
        found.objects.insert(object, stored);
        Ok(answer)
    })
}

/// The chosen parts in the order of their numbers. Every part that was uploaded must be chosen or excluded.
fn join(upload: &Upload, commit: &[Chosen], exclude: &[u32]) -> Result<(Bytes, String), Refusal> {
    let refuse = |message: String| Err(Refusal::new(StatusCode::BAD_REQUEST, "InvalidUploadPart", message));
    if commit.is_empty() {
        return refuse("There are no parts to commit".into());
    }
    for one in commit {
        if upload.parts.get(&one.part_num).is_none_or(|part| part.etag != one.etag) {
            return refuse(format!("Part {} does not exist or its etag is another", one.part_num));
        }
    }
    let is_chosen = |number: &u32| commit.iter().any(|one| one.part_num == *number);
    if let Some(number) = upload.parts.keys().find(|number| !is_chosen(number) && !exclude.contains(number)) {
        return refuse(format!("Part {number} is neither committed nor excluded"));
    }
    let parts: Vec<&Part> = upload.parts.iter().filter(|(number, _)| is_chosen(number)).map(|(_, part)| part).collect();
    let mut digests = Md5::new();
    for part in &parts {
        digests.update(Md5::digest(&part.bytes));
    }
    let md5 = format!("{}-{}", STANDARD.encode(digests.finalize()), parts.len());
    let bytes = parts.iter().fold(Vec::new(), |mut all, part| {
        all.extend_from_slice(&part.bytes);
        all
    });
    Ok((bytes.into(), md5))
}
