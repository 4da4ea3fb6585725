//! Identity: who the tenancy is, which regions and domains it sees, its compartments.

use super::call::{Call, Site, need};
use super::region::{FAULT_DOMAINS, REGIONS};
use super::reply::{Answer, Refusal, document, with_etag};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const CREATE: &[&str] = &["compartmentId", "name", "description", "freeformTags", "definedTags"];

/// A compartment below the root, which is the tenancy itself.
pub(crate) struct Compartment {
    id: String,
    parent: String,
    name: String,
    description: String,
    freeform: BTreeMap<String, String>,
    defined: Map<String, Value>,
    created: Timestamp,
}

impl Compartment {
    fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "compartmentId": self.parent,
            "name": self.name,
            "description": self.description,
            "freeformTags": self.freeform,
            "definedTags": self.defined,
            "lifecycleState": "ACTIVE",
            "inactiveStatus": null,
            "isAccessible": true,
            "timeCreated": self.created,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    compartment_id: Option<String>,
    name: Option<String>,
    description: Option<String>,
    freeform_tags: Option<BTreeMap<String, String>>,
    defined_tags: Option<Map<String, Value>>,
}

pub(super) fn routes() -> Router<Site> {
    // Some SDKs write these collections with a slash at the end.
    Router::new()
        .route("/20160918/availabilityDomains", get(availability_domains))
        .route("/20160918/availabilityDomains/", get(availability_domains))
        .route("/20160918/faultDomains", get(fault_domains))
        .route("/20160918/faultDomains/", get(fault_domains))
        .route("/20160918/regions", get(regions))
        .route("/20160918/tenancies/{id}", get(tenancy))
        .route("/20160918/tenancies/{id}/regionSubscriptions", get(subscriptions))
        .route("/20160918/users/{id}", get(user))
        .route("/20160918/compartments", get(list).post(create))
        .route("/20160918/compartments/", get(list).post(create))
        .route("/20160918/compartments/{id}", get(read))
}

/// The compartment that the query names.
fn compartment(call: &Call) -> Result<String, Refusal> {
    let id = call.required("compartmentId")?.to_owned();
    let known = call.site.world.with(|state| state.oci.has_compartment(&id));
    if known { Ok(id) } else { Err(Refusal::not_found()) }
}

async fn availability_domains(call: Call) -> Answer {
    let compartment = compartment(&call)?;
    let all = call.site.world.with(|state| {
        let names = call.site.region.availability_domains(&state.oci.prefix);
        let shown = |(number, name): (u64, String)| {
            json!({"id": state.oci.ocid("availabilitydomain", "", number), "name": name, "compartmentId": compartment})
        };
        (1..).zip(names).map(shown).collect()
    });
    call.page(all)
}

async fn fault_domains(call: Call) -> Answer {
    let compartment = compartment(&call)?;
    let domain = call.required("availabilityDomain")?;
    let all = call.site.world.with(|state| {
        if !state.oci.has_domain(call.site.region, domain) {
            return Err(Refusal::invalid(format!("availabilityDomain {domain} is invalid")));
        }
        let shown = |(number, name): (u64, &&str)| {
            let id = state.oci.ocid("faultdomain", call.site.region.name, number);
            json!({"id": id, "name": name, "compartmentId": compartment, "availabilityDomain": domain})
        };
        Ok((1..).zip(FAULT_DOMAINS).map(shown).collect())
    })?;
    call.page(all)
}

async fn regions(call: Call) -> Answer {
    call.page(REGIONS.iter().map(|region| json!({"key": region.key, "name": region.name})).collect())
}

fn check_tenancy(call: &Call, id: &str) -> Result<(), Refusal> {
    let is_own = call.site.world.with(|state| state.oci.tenancy == id);
    if is_own { Ok(()) } else { Err(Refusal::not_found()) }
}

async fn tenancy(Path(id): Path<String>, call: Call) -> Answer {
    check_tenancy(&call, &id)?;
    let home = REGIONS.first().map(|region| region.key);
    Ok(document(&json!({
        "id": id, "name": "bouquet", "description": "bouquet", "homeRegionKey": home, "freeformTags": {}, "definedTags": {},
    })))
}

async fn subscriptions(Path(id): Path<String>, call: Call) -> Answer {
    check_tenancy(&call, &id)?;
    let shown = REGIONS.iter().filter(|region| region.subscribed).map(|region| {
        json!({
            "regionKey": region.key, "regionName": region.name, "status": "READY", "isHomeRegion": region.is_home(),
        })
    });
    call.page(shown.collect())
}

async fn user(Path(id): Path<String>, call: Call) -> Answer {
    call.site.world.with(|state| {
        if id != state.oci.user {
            return Err(Refusal::not_found());
        }
        Ok(document(&json!({
            "id": id, "compartmentId": state.oci.tenancy, "name": "gardener", "description": "gardener",
            "lifecycleState": "ACTIVE", "freeformTags": {}, "definedTags": {}, "isMfaActivated": true,
        })))
    })
}

async fn list(call: Call) -> Answer {
    let parent = compartment(&call)?;
    let (name, subtree) = (call.query("name"), call.query("compartmentIdInSubtree") == Some("true"));
    let found = call.site.world.with(|state| {
        let whole = subtree && parent == state.oci.tenancy;
        let fits = |it: &&Compartment| (whole || it.parent == parent) && name.is_none_or(|name| name == it.name);
        state.oci.compartments.values().filter(fits).map(Compartment::shown).collect()
    });
    call.page(found)
}

async fn create(call: Call) -> Answer {
    if !call.site.region.is_home() {
        let message = "Please go to your home region FRA to execute CREATE, UPDATE and DELETE operations.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "NotAllowed", message));
    }
    let details: Details = call.details(CREATE)?;
    let parent = need(details.compartment_id, "compartmentId")?;
    let name = need(details.name, "name")?;
    let description = need(details.description, "description")?;
    call.site.world.with(|state| {
        if !state.oci.has_compartment(&parent) {
            return Err(Refusal::not_found());
        }
        if state.oci.compartments.values().any(|it| it.parent == parent && it.name == name) {
            let message = format!("Compartment '{name}' already exists");
            return Err(Refusal::new(StatusCode::CONFLICT, "CompartmentAlreadyExists", message));
        }
        let order = state.next_id();
        let made = Compartment {
            id: state.oci.ocid("compartment", "", order),
            parent,
            name,
            description,
            freeform: details.freeform_tags.unwrap_or_default(),
            defined: details.defined_tags.unwrap_or_default(),
            created: state.now(),
        };
        let answer = with_etag(document(&made.shown()), &state.oci.token("etag", order));
        state.oci.compartments.insert(made.id.clone(), made);
        Ok(answer)
    })
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.site.world.with(|state| {
        if id == state.oci.tenancy {
            return Ok(document(&json!({
                "id": id, "compartmentId": null, "name": "bouquet", "description": "The root compartment of the tenancy",
                "lifecycleState": "ACTIVE", "freeformTags": {}, "definedTags": {}, "isAccessible": true,
            })));
        }
        state.oci.compartments.get(&id).map(|it| document(&it.shown())).ok_or_else(Refusal::not_found)
    })
}
