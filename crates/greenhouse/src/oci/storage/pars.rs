//! Preauthenticated requests: addresses that need no signature until they expire.

use super::super::call::{Call, Site, need};
use super::super::reply::{Answer, Refusal, document, nothing};
use super::objects::{answer, store};
use super::{Bucket, bucket};
use axum::Router;
use axum::extract::{Path, Request, State as Handle};
use axum::routing::get;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

const CREATE: &[&str] = &["name", "bucketListingAction", "objectName", "accessType", "timeExpires"];

/// An address for anybody who knows it.
pub(crate) struct Par {
    id: String,
    name: String,
    /// `None`: any object of the bucket.
    object: Option<String>,
    access: Access,
    expires: Timestamp,
    created: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
enum Access {
    ObjectRead,
    ObjectWrite,
    ObjectReadWrite,
    AnyObjectRead,
    AnyObjectWrite,
    AnyObjectReadWrite,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    name: Option<String>,
    object_name: Option<String>,
    access_type: Option<Access>,
    time_expires: Option<Timestamp>,
}

impl Par {
    fn summary(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "objectName": self.object, "accessType": self.access,
            "bucketListingAction": "Deny", "timeExpires": self.expires, "timeCreated": self.created,
        })
    }

    fn admits(&self, object: &str, writes: bool, now: Timestamp) -> bool {
        let right = match self.access {
            Access::ObjectReadWrite | Access::AnyObjectReadWrite => true,
            Access::ObjectRead | Access::AnyObjectRead => !writes,
            Access::ObjectWrite | Access::AnyObjectWrite => writes,
        };
        right && now < self.expires && self.object.as_deref().is_none_or(|of| of == object)
    }
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/n/{namespace}/b/{bucket}/p", get(list).post(create))
        .route("/n/{namespace}/b/{bucket}/p/", get(list).post(create))
        .route("/n/{namespace}/b/{bucket}/p/{*id}", get(read).delete(delete))
        .route("/p/{token}/n/{namespace}/b/{bucket}/o/{*object}", get(fetch).put(upload))
}

async fn list(Path((namespace, name)): Path<(String, String)>, call: Call) -> Answer {
    let all = call.site.world.with(|state| {
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        Ok(found.pars.values().map(Par::summary).collect())
    })?;
    call.page(all)
}

async fn create(Path((namespace, name)): Path<(String, String)>, call: Call) -> Answer {
    let details: Details = call.details(CREATE)?;
    let access = need(details.access_type, "accessType")?;
    let is_any = matches!(access, Access::AnyObjectRead | Access::AnyObjectWrite | Access::AnyObjectReadWrite);
    if !is_any && details.object_name.is_none() {
        return Err(Refusal::missing("objectName"));
    }
    let (label, expires) = (need(details.name, "name")?, need(details.time_expires, "timeExpires")?);
    call.site.world.with(|state| {
        let (order, created) = (state.next_id(), state.now());
        let (token, id) = (state.oci.token("par", order), state.oci.token("par id", order));
        if expires <= created {
            return Err(Refusal::invalid("timeExpires must be in the future"));
        }
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        let object = details.object_name;
        let uri = format!("/p/{token}/n/{namespace}/b/{name}/o/{}", object.as_deref().unwrap_or(""));
        let host = format!("https://objectstorage.{}.oraclecloud.com", call.site.region.name);
        let par = Par { id, name: label, object, access, expires, created };
        let mut all = par.summary();
        all["accessUri"] = json!(uri);
        all["fullPath"] = json!(format!("{host}{uri}"));
        found.pars.insert(token, par);
        Ok(document(&all))
    })
}

fn absent() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "NotAuthorizedOrNotFound", "PAR does not exist")
}

async fn read(Path((namespace, name, id)): Path<(String, String, String)>, call: Call) -> Answer {
    call.site.world.with(|state| {
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        let par = found.pars.values().find(|par| par.id == id).ok_or_else(absent)?;
        Ok(document(&par.summary()))
    })
}

async fn delete(Path((namespace, name, id)): Path<(String, String, String)>, call: Call) -> Answer {
    call.site.world.with(|state| {
        let found = bucket(&call.site, &mut state.oci, &namespace, &name)?;
        let before = found.pars.len();
        found.pars.retain(|_, par| par.id != id);
        if found.pars.len() < before { Ok(nothing()) } else { Err(absent()) }
    })
}

fn check(bucket: &Bucket, token: &str, object: &str, writes: bool, now: Timestamp) -> Result<(), Refusal> {
    let admitted = bucket.pars.get(token).is_some_and(|par| par.admits(object, writes, now));
    if admitted { Ok(()) } else { Err(absent()) }
}

type Target = Path<(String, String, String, String)>;

async fn fetch(Path((token, namespace, name, object)): Target, Handle(site): Handle<Site>, request: Request) -> Answer {
    let call = Call::unsigned(request, &site).await?;
    site.world.with(|state| {
        let now = state.now();
        let found = bucket(&site, &mut state.oci, &namespace, &name)?;
        check(found, &token, &object, false, now)?;
        answer(found, &object, call.header("range"))
    })
}

async fn upload(
    Path((token, namespace, name, object)): Target,
    Handle(site): Handle<Site>,
    request: Request,
) -> Answer {
    let call = Call::unsigned(request, &site).await?;
    site.world.with(|state| {
        let now = state.now();
        let found = bucket(&site, &mut state.oci, &namespace, &name)?;
        check(found, &token, &object, true, now)
    })?;
    store(&call, &namespace, &name, object)
}
