//! What is done to resources that are there: changed in place, switched, deleted.

use super::Oci;
use super::api::{Ask, Service};
use super::create::{cluster_of, invalid, merged_tags, names, with_ids};
use super::find::place;
use super::found::{Detail, found};
use super::mark::{BUCKET, IMAGE, INSTANCE, INTERNET_GATEWAY, ROUTE_TABLE, SECURITY_LIST, SUBNET, VCN};
use super::model::{Instance, InternetGateway, Listed, RouteTable, SecurityList, Subnet, Vcn};
use crate::{Error, Found, Given, Power, State, Wanted, Why};
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use wire::Line;

/// What Oracle lets be changed without making the resource anew.
fn mutable(kind: &str) -> &'static [&'static str] {
    match kind {
        INTERNET_GATEWAY => &["isEnabled"],
        ROUTE_TABLE => &["routeRules"],
        SECURITY_LIST => &["ingressSecurityRules", "egressSecurityRules"],
        SUBNET => &["routeTableId", "securityListIds"],
        // Oracle reboots the machine for it.
        INSTANCE => &["shapeConfig"],
        _ => &[],
    }
}

#[derive(Clone, Deserialize)]
struct Schema {
    id: String,
}

impl Oci {
    pub(super) async fn update_one(
        &self,
        line: &Line,
        there: &Found,
        wanted: &Wanted,
        given: &Given,
    ) -> Result<Found, Error> {
        let body = change("oci update", there, wanted, given)?;
        let all = Change { there, wanted, given, body };
        match there.key.kind.as_str() {
            VCN => self.put::<Vcn>(line, &all, "oci PUT /vcns/ID").await,
            INTERNET_GATEWAY => self.put::<InternetGateway>(line, &all, "oci PUT /internetGateways/ID").await,
            ROUTE_TABLE => self.put::<RouteTable>(line, &all, "oci PUT /routeTables/ID").await,
            SECURITY_LIST => self.put::<SecurityList>(line, &all, "oci PUT /securityLists/ID").await,
            SUBNET => self.put::<Subnet>(line, &all, "oci PUT /subnets/ID").await,
            INSTANCE => self.put::<Instance>(line, &all, "oci PUT /instances/ID").await,
            other => Err(invalid("oci update", format!("a {other} is never changed"))),
        }
    }

    async fn put<D>(&self, line: &Line, change: &Change<'_>, call: &'static str) -> Result<Found, Error>
    where
        D: Detail + DeserializeOwned + Clone + 'static,
    {
        let there = change.there;
        let path = path(&there.key.kind, &there.id)?;
        let ask = Ask::<Listed<D>>::put(call, Service::Core, path, &json!(change.body));
        let answer = self.send(line, &there.key.region, &ask).await?;
        let now = found(&answer, cluster_of(change.wanted), &there.key.region, &names(change.given));
        let gone = || Error { call, why: Why::NotFound, vendor_code: None, message: "it is on its way out".to_owned() };
        let mut now = now.ok_or_else(gone)?;
        // The answer knows neither: they belong to the VNIC, which stays.
        now.addresses.clone_from(&there.addresses);
        if let (Some(subnet), Some(spec)) = (there.spec.get("subnetId"), now.spec.as_object_mut()) {
            spec.entry("subnetId").or_insert_with(|| subnet.clone());
        }
        Ok(now)
    }

    /// Sets one tag; tags are replaced as a whole, so what is there is sent along.
    pub(super) async fn mark_one(
        &self,
        line: &Line,
        there: &Found,
        label: &str,
        value: Option<&str>,
    ) -> Result<(), Error> {
        if !there.ours {
            return Err(invalid("oci mark", format!("{} does not bear the cluster's mark", there.key)));
        }
        let mut tags = there.labels.clone();
        match value {
            Some(value) => drop(tags.insert(label.to_owned(), value.to_owned())),
            None => drop(tags.remove(label)),
        }
        let path = path(&there.key.kind, &there.id)?;
        let ask = Ask::<Value>::put("oci PUT freeformTags", Service::Core, path, &json!({"freeformTags": tags}));
        self.send(line, &there.key.region, &ask).await.map(drop)
    }

    pub(super) async fn delete_one(&self, line: &Line, there: &Found) -> Result<(), Error> {
        if !there.ours {
            let message = format!("{} does not bear the cluster's mark", there.key);
            return Err(Error { call: "oci delete", why: Why::Forbidden, vendor_code: None, message });
        }
        if there.state == State::Leaving {
            return Ok(());
        }
        let (call, query) = match there.key.kind.as_str() {
            INSTANCE => ("oci DELETE /instances/ID", "?preserveBootVolume=false"),
            SUBNET => ("oci DELETE /subnets/ID", ""),
            ROUTE_TABLE => ("oci DELETE /routeTables/ID", ""),
            SECURITY_LIST => ("oci DELETE /securityLists/ID", ""),
            INTERNET_GATEWAY => ("oci DELETE /internetGateways/ID", ""),
            VCN => ("oci DELETE /vcns/ID", ""),
            IMAGE => {
                self.delete_schemas(line, &there.key.region, &there.id).await?;
                ("oci DELETE /images/ID", "")
            }
            BUCKET => return self.delete_bucket(line, &there.key.region, &there.id).await,
            other => return Err(invalid("oci delete", format!("there is no way to delete a {other}"))),
        };
        let path = format!("{}{query}", path(&there.key.kind, &there.id)?);
        let ask = Ask::plain(call, Service::Core, Method::DELETE, path);
        gone_is_fine(self.send(line, &there.key.region, &ask).await)
    }

    /// Capability schemas are resources of their own, which outlive the image they describe.
    async fn delete_schemas(&self, line: &Line, region: &str, image: &str) -> Result<(), Error> {
        let query = [("compartmentId", self.config.compartment.as_str()), ("imageId", image)];
        let list = "oci GET /computeImageCapabilitySchemas";
        let ask = Ask::list(list, Service::Core, "/computeImageCapabilitySchemas", &query);
        let schemas: Vec<Schema> = self.all(line, region, ask).await?;
        for schema in schemas {
            let path = format!("/computeImageCapabilitySchemas/{}", super::api::escape(&schema.id));
            let call = "oci DELETE /computeImageCapabilitySchemas/ID";
            gone_is_fine(self.send(line, region, &Ask::plain(call, Service::Core, Method::DELETE, path)).await)?;
        }
        Ok(())
    }

    pub(super) async fn switch(&self, line: &Line, there: &Found, power: Power) -> Result<(), Error> {
        if !there.ours || there.key.kind != INSTANCE {
            return Err(invalid("oci POST /instances/ID", format!("{} is no machine of ours", there.key)));
        }
        let action = match power {
            Power::On => "START",
            Power::Off => "STOP",
            Power::Cycle => "RESET",
        };
        let path = format!("/instances/{}?action={action}", super::api::escape(&there.id));
        let mut ask = Ask::plain("oci POST /instances/ID", Service::Core, Method::POST, path);
        // Started or stopped twice is the same as once; reset twice is not.
        if power == Power::Cycle {
            ask.repeat = wire::Repeat::Never;
        }
        self.send(line, &there.key.region, &ask).await
    }
}

struct Change<'a> {
    there: &'a Found,
    wanted: &'a Wanted,
    given: &'a Given,
    body: Map<String, Value>,
}

/// The body of the update, or what cannot be changed.
fn change(call: &'static str, there: &Found, wanted: &Wanted, given: &Given) -> Result<Map<String, Value>, Error> {
    if !there.ours {
        let message = format!("{} does not bear the cluster's mark", there.key);
        return Err(Error { call, why: Why::Forbidden, vendor_code: None, message });
    }
    let fields = mutable(&there.key.kind);
    for (field, value) in wanted.spec.as_object().into_iter().flatten() {
        let differs = there.spec.get(field).is_some_and(|now| now != value);
        if differs && field != "freeformTags" && !fields.contains(&field.as_str()) {
            return Err(invalid(call, format!("`{field}` of {} cannot be changed in place", there.key)));
        }
    }
    // Only ids of what is sent need to be known.
    let sent = |field: &String| fields.contains(&field.as_str());
    let spec: Map<String, Value> =
        wanted.spec.as_object().cloned().unwrap_or_default().into_iter().filter(|(field, _)| sent(field)).collect();
    let only = Wanted { spec: Value::Object(spec), ..wanted.clone() };
    let mut body = with_ids(call, &only, given)?;
    // Tags are replaced as a whole: those of others stay.
    body.insert("freeformTags".to_owned(), merged_tags(wanted, &there.labels));
    Ok(body)
}

fn path(kind: &str, id: &str) -> Result<String, Error> {
    let none = || invalid("oci", format!("a {kind} has no address"));
    Ok(format!("{}/{}", place(kind).ok_or_else(none)?.path, super::api::escape(id)))
}

/// What is gone already needs no deleting.
pub(super) fn gone_is_fine(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.why == Why::NotFound => Ok(()),
        other => other,
    }
}
