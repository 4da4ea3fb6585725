//! Buckets.

use super::super::call::{Call, Site, need};
use super::super::reply::{Answer, Refusal, document, nothing, with_etag};
use super::multipart::Upload;
use super::objects::Object;
use super::pars::Par;
use super::{bucket, check_namespace};
use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const CREATE: &[&str] = &[
    "name",
    "compartmentId",
    "metadata",
    "publicAccessType",
    "storageTier",
    "objectEventsEnabled",
    "freeformTags",
    "definedTags",
    "kmsKeyId",
    "isBucketKeyEnabled",
    "versioning",
    "autoTiering",
    "bucketScope",
];

/// A bucket. Its name is unique in the namespace, over all regions here.
pub(crate) struct Bucket {
    pub(in crate::oci) name: String,
    pub(super) region: &'static str,
    pub(in crate::oci) compartment: String,
    pub(in crate::oci) freeform: BTreeMap<String, String>,
    defined: Map<String, Value>,
    public_access: String,
    created: Timestamp,
    etag: String,
    id: String,
    pub(in crate::oci) objects: BTreeMap<String, Object>,
    pub(super) uploads: BTreeMap<String, Upload>,
    pub(super) pars: BTreeMap<String, Par>,
}

impl Bucket {
    fn summary(&self, namespace: &str, creator: &str) -> Value {
        json!({
            "namespace": namespace,
            "name": self.name,
            "compartmentId": self.compartment,
            "createdBy": creator,
            "timeCreated": self.created,
            "etag": self.etag,
            "freeformTags": self.freeform,
            "definedTags": self.defined,
        })
    }

    fn shown(&self, namespace: &str, creator: &str) -> Value {
        let mut all = self.summary(namespace, creator);
        let more = json!({
            "id": self.id,
            "metadata": {},
            "publicAccessType": self.public_access,
            "storageTier": "Standard",
            "objectEventsEnabled": false,
            "versioning": "Disabled",
            "autoTiering": "Disabled",
            "approximateCount": self.objects.len(),
            "approximateSize": self.objects.values().map(|object| object.bytes.len()).sum::<usize>(),
            "isReadOnly": false,
            "kmsKeyId": null,
        });
        if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
            all.extend(more);
        }
        all
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    name: Option<String>,
    compartment_id: Option<String>,
    public_access_type: Option<String>,
    storage_tier: Option<String>,
    freeform_tags: Option<BTreeMap<String, String>>,
    defined_tags: Option<Map<String, Value>>,
}

pub(super) fn routes() -> Router<Site> {
    // Some SDKs write the collection with a slash at the end.
    Router::new()
        .route("/n/{namespace}/b", get(list).post(create))
        .route("/n/{namespace}/b/", get(list).post(create))
        .route("/n/{namespace}/b/{bucket}", get(read).delete(delete))
        .route("/n/{namespace}/b/{bucket}/", get(read).delete(delete))
}

async fn list(Path(namespace): Path<String>, call: Call) -> Answer {
    let compartment = call.required("compartmentId")?;
    let found = call.site.world.with(|state| {
        check_namespace(&state.oci, &namespace)?;
        if !state.oci.has_compartment(compartment) {
            return Err(Refusal::not_found());
        }
        let here = |bucket: &&Bucket| bucket.region == call.site.region.name && bucket.compartment == compartment;
        Ok(state.oci.buckets.values().filter(here).map(|it| it.summary(&namespace, &state.oci.user)).collect())
    })?;
    call.page(found)
}

async fn create(Path(namespace): Path<String>, call: Call) -> Answer {
    let details: Details = call.details(CREATE)?;
    let name = need(details.name, "name")?;
    let compartment = need(details.compartment_id, "compartmentId")?;
    let is_character = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 256 || !name.bytes().all(is_character) {
        let message = format!("Invalid bucket name '{name}'");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "InvalidBucketName", message));
    }
    if details.storage_tier.is_some_and(|tier| tier != "Standard") {
        return Err(Refusal::not_implemented("A storage tier other than Standard"));
    }
    call.site.world.with(|state| {
        check_namespace(&state.oci, &namespace)?;
        if !state.oci.has_compartment(&compartment) {
            return Err(Refusal::not_found());
        }
        if state.oci.buckets.contains_key(&name) {
            let message = format!(
                "Either the bucket '{name}' in namespace '{namespace}' already exists or you are not authorized to create it"
            );
            return Err(Refusal::new(StatusCode::CONFLICT, "BucketAlreadyExists", message));
        }
        let order = state.next_id();
        let region = call.site.region.name;
        let created = Bucket {
            region,
            compartment,
            freeform: details.freeform_tags.unwrap_or_default(),
            defined: details.defined_tags.unwrap_or_default(),
            public_access: details.public_access_type.unwrap_or_else(|| "NoPublicAccess".into()),
            created: state.now(),
            etag: state.oci.token("etag", order),
            id: state.oci.ocid("bucket", region, order),
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            pars: BTreeMap::new(),
            name: name.clone(),
        };
        let answer = with_etag(document(&created.shown(&namespace, &state.oci.user)), &created.etag);
        state.oci.buckets.insert(name, created);
        Ok(answer)
    })
}

/// GET; and HEAD, whose body axum leaves out.
async fn read(Path((namespace, name)): Path<(String, String)>, call: Call) -> Answer {
    let creator = call.site.world.with(|state| state.oci.user.clone());
    call.site.world.with(|state| {
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        Ok(with_etag(document(&found.shown(&namespace, &creator)), &found.etag))
    })
}

async fn delete(Path((namespace, name)): Path<(String, String)>, call: Call) -> Answer {
    let refuse = |what: &str| -> Result<Response, Refusal> {
        let message = format!("Bucket named '{name}' is not empty. Delete all {what} first.");
        Err(Refusal::new(StatusCode::CONFLICT, "BucketNotEmpty", message))
    };
    call.site.world.with(|state| {
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        super::check_conditions(&call, Some(&found.etag))?;
        if !found.objects.is_empty() {
            return refuse("object versions");
        }
        if !found.uploads.is_empty() {
            return refuse("multipart uploads");
        }
        if !found.pars.is_empty() {
            return refuse("preauthenticated requests");
        }
        state.oci.buckets.remove(&name);
        Ok(nothing().into_response())
    })
}
