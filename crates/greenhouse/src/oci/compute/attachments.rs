//! VNIC attachments: which VNIC belongs to which instance.

use super::super::State;
use super::super::call::{Call, Site};
use super::super::reply::Answer;
use super::super::resource::{Common, Resource, shelved};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde_json::{Value, json};

/// An instance's hold on a VNIC. It outlives the VNIC as DETACHED.
pub(crate) struct VnicAttachment {
    pub(super) common: Common,
    pub(super) instance: String,
    pub(super) availability_domain: String,
    pub(super) vnic: String,
    pub(super) subnet: String,
    /// OCID of the ephemeral address that the launch asked for.
    pub(super) public: Option<String>,
}

impl Resource for VnicAttachment {
    const KIND: &'static str = "vnicattachment";
    const LACKS: &'static [&'static str] = &["freeformTags", "definedTags", "systemTags"];
    shelved!(vnic_attachments);

    fn fields(&self, _state: &State) -> Value {
        json!({
            "instanceId": self.instance,
            "availabilityDomain": self.availability_domain,
            "vnicId": self.vnic,
            "subnetId": self.subnet,
            "displayName": null,
            "nicIndex": 0,
            "vlanId": null,
            "vlanTag": 1,
        })
    }
}

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/20160918/vnicAttachments", get(list)).route("/20160918/vnicAttachments/{id}", get(read))
}

async fn list(call: Call) -> Answer {
    let (instance, vnic, domain) = (call.query("instanceId"), call.query("vnicId"), call.query("availabilityDomain"));
    call.list::<VnicAttachment>(|attachment| {
        instance.is_none_or(|id| id == attachment.instance)
            && vnic.is_none_or(|id| id == attachment.vnic)
            && domain.is_none_or(|domain| domain == attachment.availability_domain)
    })
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<VnicAttachment>(&id)
}
