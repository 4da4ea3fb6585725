//! Route tables.

use super::super::State;
use super::super::call::{Call, Site, need};
use super::super::reply::{Answer, Refusal};
use super::super::resource::{Common, Lifecycle, Naming, Resource, shelved};
use super::cidr::Cidr;
use super::gateways::vcn_ready;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::IpAddr;

const CREATE: &[&str] = &["compartmentId", "definedTags", "displayName", "freeformTags", "routeRules", "vcnId"];
const UPDATE: &[&str] = &["definedTags", "displayName", "freeformTags", "routeRules"];
const RULES_MAX: usize = 200;

/// Where packets that leave a subnet go.
pub(crate) struct RouteTable {
    pub(super) common: Common,
    pub(super) vcn: String,
    pub(super) rules: Vec<RouteRule>,
}

/// A rule, as sent. `cidrBlock` is the older name of `destination`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RouteRule {
    cidr_block: Option<String>,
    destination: Option<String>,
    destination_type: Option<String>,
    pub(super) network_entity_id: String,
    description: Option<String>,
    route_type: Option<String>,
}

impl RouteRule {
    fn destination(&self) -> Option<Cidr> {
        self.destination.as_ref().or(self.cidr_block.as_ref()).and_then(|text| Cidr::parse(text).ok())
    }
}

impl RouteTable {
    /// Whether an answer to `address` leaves through an internet gateway.
    pub(super) fn reaches(&self, state: &State, address: IpAddr) -> bool {
        self.rules.iter().any(|rule| {
            rule.destination().is_some_and(|to| to.contains(address))
                && state.internet_gateways.get(&rule.network_entity_id).is_some_and(|gateway| gateway.is_enabled)
        })
    }
}

impl Resource for RouteTable {
    const KIND: &'static str = "routetable";
    shelved!(route_tables);

    fn fields(&self, _state: &State) -> Value {
        json!({"vcnId": self.vcn, "routeRules": self.rules})
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(flatten)]
    naming: Naming,
    vcn_id: Option<String>,
    route_rules: Option<Vec<RouteRule>>,
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/20160918/routeTables", get(list).post(create))
        .route("/20160918/routeTables/{id}", get(read).put(update).delete(delete))
}

async fn list(call: Call) -> Answer {
    call.list::<RouteTable>(|table| call.query("vcnId").is_none_or(|vcn| vcn == table.vcn))
}

async fn create(call: Call) -> Answer {
    let details: Details = call.details(CREATE)?;
    let vcn = need(details.vcn_id, "vcnId")?;
    let rules = need(details.route_rules, "routeRules")?;
    let created = call.create(|state| {
        vcn_ready(&call.site, &state.oci, &vcn)?;
        let rules = checked(&call.site, &state.oci, &vcn, rules)?;
        let common = Common::new(state, call.site.region.name, RouteTable::KIND, details.naming, Lifecycle::Available)?;
        Ok(RouteTable { common, vcn, rules })
    })?;
    call.show::<RouteTable>(created.id())
}

/// Rules whose gateways are of this VCN, each destination once; with the older field names filled in.
fn checked(site: &Site, state: &State, vcn: &str, mut rules: Vec<RouteRule>) -> Result<Vec<RouteRule>, Refusal> {
    if rules.len() > RULES_MAX {
        return Err(Refusal::limit(&["route-rules-per-table-count"]));
    }
    let mut seen: Vec<Cidr> = Vec::new();
    for rule in &mut rules {
        let destination = rule.destination.clone().or_else(|| rule.cidr_block.clone());
        let destination = destination.ok_or_else(|| Refusal::missing("routeRules.destination"))?;
        let cidr = Cidr::parse(&destination)?;
        let kind = rule.destination_type.get_or_insert_with(|| "CIDR_BLOCK".into());
        if kind != "CIDR_BLOCK" {
            return Err(Refusal::invalid(format!("destinationType {kind} needs a service gateway")));
        }
        if seen.contains(&cidr) {
            return Err(Refusal::invalid(format!("Duplicate route rule for destination {destination}")));
        }
        seen.push(cidr);
        let gateway = site.find::<super::InternetGateway>(state, &rule.network_entity_id)?;
        if gateway.vcn != vcn {
            let (table, id) = (vcn, &rule.network_entity_id);
            return Err(Refusal::invalid(format!("The gateway {id} is not attached to the VCN {table}")));
        }
        rule.cidr_block = Some(destination.clone());
        rule.destination = Some(destination);
        rule.route_type.get_or_insert_with(|| "STATIC".into());
    }
    Ok(rules)
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<RouteTable>(&id)
}

async fn update(Path(id): Path<String>, call: Call) -> Answer {
    let details: Details = call.details(UPDATE)?;
    call.change::<RouteTable>(&id, |state| {
        let vcn = call.site.find::<RouteTable>(&state.oci, &id)?.vcn.clone();
        let rules = details.route_rules.map(|rules| checked(&call.site, &state.oci, &vcn, rules)).transpose()?;
        let table = call.site.find_mut::<RouteTable>(&mut state.oci, &id)?;
        table.rules = rules.unwrap_or_else(|| std::mem::take(&mut table.rules));
        table.common.update(details.naming)
    })
}

async fn delete(Path(id): Path<String>, call: Call) -> Answer {
    call.delete::<RouteTable>(&id, |_, state| {
        if let Some(vcn) = state.vcns.values().find(|vcn| vcn.default_route_table == id) {
            let vcn = &vcn.common.id;
            return Err(Refusal::incorrect_state(format!("Route Table {id} is the default of VCN {vcn}")));
        }
        match state.subnets.values().find(|subnet| subnet.route_table == id) {
            None => Ok(()),
            Some(subnet) => Err(Refusal::incorrect_state(format!(
                "Route Table {id} is associated with Subnet {} that is in use.",
                subnet.common.id
            ))),
        }
    })
}
