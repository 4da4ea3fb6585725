//! Internet gateways: one a VCN.

use super::super::State;
use super::super::call::{Call, Site, need};
use super::super::reply::{Answer, Refusal};
use super::super::resource::{Common, Lifecycle, Naming, Resource, shelved};
use super::vcns::Vcn;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

const CREATE: &[&str] =
    &["compartmentId", "definedTags", "displayName", "freeformTags", "isEnabled", "vcnId", "routeTableId"];
const UPDATE: &[&str] = &["definedTags", "displayName", "freeformTags", "isEnabled", "routeTableId"];

/// The way between a VCN and the internet.
pub(crate) struct InternetGateway {
    pub(super) common: Common,
    pub(super) vcn: String,
    pub(super) is_enabled: bool,
}

impl Resource for InternetGateway {
    const KIND: &'static str = "internetgateway";
    shelved!(internet_gateways);

    fn fields(&self, _state: &State) -> Value {
        json!({"vcnId": self.vcn, "isEnabled": self.is_enabled, "routeTableId": null})
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(flatten)]
    naming: Naming,
    vcn_id: Option<String>,
    is_enabled: Option<bool>,
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/20160918/internetGateways", get(list).post(create))
        .route("/20160918/internetGateways/{id}", get(read).put(update).delete(delete))
}

async fn list(call: Call) -> Answer {
    call.list::<InternetGateway>(|gateway| call.query("vcnId").is_none_or(|vcn| vcn == gateway.vcn))
}

async fn create(call: Call) -> Answer {
    let details: Details = call.details(CREATE)?;
    let vcn = need(details.vcn_id, "vcnId")?;
    let is_enabled = need(details.is_enabled, "isEnabled")?;
    let created = call.create(|state| {
        vcn_ready(&call.site, &state.oci, &vcn)?;
        if state.oci.internet_gateways.values().any(|gateway| gateway.vcn == vcn) {
            return Err(Refusal::limit(&["internet-gateway-count"]));
        }
        let common =
            Common::new(state, call.site.region.name, InternetGateway::KIND, details.naming, Lifecycle::Available)?;
        Ok(InternetGateway { common, vcn, is_enabled })
    })?;
    call.show::<InternetGateway>(created.id())
}

/// A VCN that things can be made in.
pub(super) fn vcn_ready<'a>(site: &Site, state: &'a State, id: &str) -> Result<&'a Vcn, Refusal> {
    let vcn = site.find::<Vcn>(state, id)?;
    if vcn.common.lifecycle == Lifecycle::Available {
        return Ok(vcn);
    }
    let word = vcn.common.lifecycle.word();
    Err(Refusal::incorrect_state(format!("The VCN {id} is in state {word}, which does not allow this operation")))
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<InternetGateway>(&id)
}

async fn update(Path(id): Path<String>, call: Call) -> Answer {
    let details: Details = call.details(UPDATE)?;
    call.change::<InternetGateway>(&id, |state| {
        let gateway = call.site.find_mut::<InternetGateway>(&mut state.oci, &id)?;
        gateway.is_enabled = details.is_enabled.unwrap_or(gateway.is_enabled);
        gateway.common.update(details.naming)
    })
}

async fn delete(Path(id): Path<String>, call: Call) -> Answer {
    let anyhow = call.lies("oci-routed-gateway-deleted");
    call.delete::<InternetGateway>(&id, |_, state| {
        let table = state.route_tables.values().find(|table| table.rules.iter().any(|rule| rule.network_entity_id == id));
        match table {
            _ if anyhow => Ok(()),
            None => Ok(()),
            Some(table) => Err(Refusal::conflict(format!(
                "The Internet Gateway {id} is referenced by the Route Table {}. You must remove the reference to proceed \
                 with this operation.",
                table.common.id
            ))),
        }
    })
}
