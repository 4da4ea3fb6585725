//! Capacity reports: whether a shape can be had just now.

use super::super::call::{Call, Site, need, read};
use super::super::reply::{Answer, Refusal, document};
use super::shapes::Shape;
use axum::Router;
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Map, Value, json};

const CREATE: &[&str] = &["compartmentId", "availabilityDomain", "shapeAvailabilities"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    compartment_id: Option<String>,
    availability_domain: Option<String>,
    shape_availabilities: Option<Vec<Map<String, Value>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    fault_domain: Option<String>,
    instance_shape: Option<String>,
    instance_shape_config: Option<Value>,
}

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/20160918/computeCapacityReports", post(report))
}

async fn report(call: Call) -> Answer {
    let details: Details = call.details(CREATE)?;
    let compartment = need(details.compartment_id, "compartmentId")?;
    let domain = need(details.availability_domain, "availabilityDomain")?;
    let asked = need(details.shape_availabilities, "shapeAvailabilities")?;
    call.site.world.with(|state| {
        // The report is for the whole tenancy: only its root compartment may ask.
        if compartment != state.oci.tenancy {
            return Err(Refusal::not_found());
        }
        if !state.oci.has_domain(call.site.region, &domain) {
            return Err(Refusal::invalid(format!("availabilityDomain {domain} is invalid")));
        }
        let mut found = Vec::new();
        for one in asked {
            let known = ["faultDomain", "instanceShape", "instanceShapeConfig"];
            let one: Asked = read(Value::Object(one), &known)?;
            let name = need(one.instance_shape, "instanceShape")?;
            let (status, count) = match Shape::named(&name) {
                None => ("HARDWARE_NOT_SUPPORTED", None),
                Some(_) if state.faults.stands("oci", "no-capacity", &name) => ("OUT_OF_HOST_CAPACITY", Some(0)),
                Some(_) => ("AVAILABLE", Some(10)),
            };
            found.push(json!({
                "faultDomain": one.fault_domain,
                "instanceShape": name,
                "instanceShapeConfig": one.instance_shape_config,
                "availableCount": count,
                "availabilityStatus": status,
            }));
        }
        Ok(document(&json!({
            "compartmentId": compartment,
            "availabilityDomain": domain,
            "shapeAvailabilities": found,
            "timeCreated": state.now(),
        })))
    })
}
