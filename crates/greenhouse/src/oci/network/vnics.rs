//! VNICs: what connects an instance to a subnet; made and removed with the instance.

use super::super::State;
use super::super::call::{Call, Site};
use super::super::reply::{Answer, Refusal, document};
use super::super::resource::{Common, Lifecycle, Naming, Resource, shelved};
use super::{NetworkSecurityGroup, Subnet};
use crate::world::State as Everything;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

const UPDATE: &[&str] = &[
    "definedTags",
    "displayName",
    "freeformTags",
    "securityAttributes",
    "hostnameLabel",
    "nsgIds",
    "skipSourceDestCheck",
    "routeTableId",
];
/// Groups that one VNIC may be in.
const GROUPS_MAX: usize = 5;

/// An instance's connection to a subnet.
pub(crate) struct Vnic {
    pub(in crate::oci) common: Common,
    pub(in crate::oci) subnet: String,
    pub(in crate::oci) instance: String,
    pub(in crate::oci) availability_domain: String,
    pub(super) groups: Vec<String>,
    pub(in crate::oci) address: Ipv4Addr,
    /// OCID of its private address as a resource.
    pub(in crate::oci) private_ip: String,
    pub(super) hostname: Option<String>,
    skips_check: bool,
}

impl Resource for Vnic {
    const KIND: &'static str = "vnic";
    shelved!(vnics);

    fn fields(&self, state: &State) -> Value {
        let [.., third, last] = self.address.octets();
        json!({
            "availabilityDomain": self.availability_domain,
            "subnetId": self.subnet,
            "isPrimary": true,
            "hostnameLabel": self.hostname,
            "macAddress": format!("02:00:17:00:{third:02X}:{last:02X}"),
            "nsgIds": self.groups,
            "privateIp": self.address,
            "publicIp": state.public_address(&self.private_ip),
            "skipSourceDestCheck": self.skips_check,
            "vlanId": null,
            "ipv6Addresses": null,
        })
    }
}

/// What a launch says about its VNIC.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::oci) struct NewVnic {
    pub subnet_id: Option<String>,
    pub assign_public_ip: Option<bool>,
    pub display_name: Option<String>,
    pub hostname_label: Option<String>,
    pub nsg_ids: Option<Vec<String>>,
    pub private_ip: Option<String>,
    pub skip_source_dest_check: Option<bool>,
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/20160918/vnics/{id}", get(read).put(update))
        .route("/20160918/privateIps", get(list_private))
        .route("/20160918/privateIps/{id}", get(read_private))
}

/// Makes the VNIC of a new instance. Returns it with whether it is to have a public address.
pub(in crate::oci) fn plug(
    site: &Site,
    state: &mut Everything,
    instance: &Common,
    availability_domain: &str,
    new: NewVnic,
) -> Result<(Vnic, bool), Refusal> {
    let subnet_id = new.subnet_id.ok_or_else(|| Refusal::missing("createVnicDetails.subnetId"))?;
    let subnet = site.find::<Subnet>(&state.oci, &subnet_id)?;
    if subnet.common.lifecycle != Lifecycle::Available {
        return Err(Refusal::incorrect_state(format!("The Subnet {subnet_id} is not available")));
    }
    if subnet.availability_domain.as_deref().is_some_and(|domain| domain != availability_domain) {
        return Err(Refusal::invalid(format!("The Subnet {subnet_id} is in another availability domain")));
    }
    let wants_public = new.assign_public_ip.unwrap_or(!subnet.prohibit_public);
    if wants_public && subnet.prohibit_public {
        return Err(Refusal::invalid("assignPublicIp cannot be true in a subnet that prohibits public addresses"));
    }
    let groups = new.nsg_ids.unwrap_or_default();
    check_groups(site, &state.oci, &subnet.vcn, &groups)?;
    let address = free_address(&state.oci, subnet, new.private_ip.as_deref())?;
    let naming = Naming {
        compartment_id: Some(instance.compartment.clone()),
        display_name: Some(new.display_name.unwrap_or_else(|| instance.name.clone())),
        ..Naming::default()
    };
    let common = Common::new(state, site.region.name, Vnic::KIND, naming, Lifecycle::Provisioning)?;
    let private_ip = state.oci.ocid("privateip", site.region.name, common.order);
    let vnic = Vnic {
        common,
        subnet: subnet_id,
        instance: instance.id.clone(),
        availability_domain: availability_domain.to_owned(),
        groups,
        address,
        private_ip,
        hostname: new.hostname_label,
        skips_check: new.skip_source_dest_check.unwrap_or(false),
    };
    Ok((vnic, wants_public))
}

fn check_groups(site: &Site, state: &State, vcn: &str, groups: &[String]) -> Result<(), Refusal> {
    if groups.len() > GROUPS_MAX {
        return Err(Refusal::invalid(format!("A VNIC can be in at most {GROUPS_MAX} network security groups")));
    }
    for id in groups {
        if site.find::<NetworkSecurityGroup>(state, id)?.vcn != vcn {
            return Err(Refusal::invalid(format!("The Network Security Group {id} belongs to another VCN")));
        }
    }
    Ok(())
}

/// The address that is asked for, if it is free, or the lowest free one.
fn free_address(state: &State, subnet: &Subnet, wanted: Option<&str>) -> Result<Ipv4Addr, Refusal> {
    let is_free = |address: &Ipv4Addr| {
        !state.vnics.values().any(|vnic| vnic.subnet == subnet.common.id && vnic.address == *address)
    };
    let Some(wanted) = wanted else {
        return subnet.cidr.hosts().find(is_free).ok_or_else(|| Refusal::limit(&["subnet-ip-addresses"]));
    };
    let address: Ipv4Addr = wanted.parse().map_err(|_| Refusal::invalid(format!("privateIp {wanted} is invalid")))?;
    if !subnet.cidr.contains(IpAddr::V4(address)) || !subnet.cidr.hosts().any(|host| host == address) {
        return Err(Refusal::invalid(format!("privateIp {wanted} is not an address of the subnet")));
    }
    if is_free(&address) {
        Ok(address)
    } else {
        Err(Refusal::conflict(format!("privateIp {wanted} is already in use")))
    }
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<Vnic>(&id)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(flatten)]
    naming: Naming,
    hostname_label: Option<String>,
    nsg_ids: Option<Vec<String>>,
    skip_source_dest_check: Option<bool>,
}

async fn update(Path(id): Path<String>, call: Call) -> Answer {
    let details: Details = call.details(UPDATE)?;
    call.change::<Vnic>(&id, |state| {
        let vnic = call.site.find::<Vnic>(&state.oci, &id)?;
        let vcn = call.site.find::<Subnet>(&state.oci, &vnic.subnet)?.vcn.clone();
        if let Some(groups) = &details.nsg_ids {
            check_groups(&call.site, &state.oci, &vcn, groups)?;
        }
        let vnic = call.site.find_mut::<Vnic>(&mut state.oci, &id)?;
        vnic.groups = details.nsg_ids.unwrap_or_else(|| std::mem::take(&mut vnic.groups));
        vnic.hostname = details.hostname_label.or_else(|| vnic.hostname.take());
        vnic.skips_check = details.skip_source_dest_check.unwrap_or(vnic.skips_check);
        vnic.common.update(details.naming)
    })
}

/// A VNIC's address as a resource of its own.
fn private(vnic: &Vnic) -> Value {
    json!({
        "id": vnic.private_ip,
        "availabilityDomain": vnic.availability_domain,
        "compartmentId": vnic.common.compartment,
        "definedTags": {},
        "displayName": vnic.common.name,
        "freeformTags": {},
        "hostnameLabel": vnic.hostname,
        "ipAddress": vnic.address,
        "isPrimary": true,
        "subnetId": vnic.subnet,
        "vnicId": vnic.common.id,
        "timeCreated": vnic.common.created,
    })
}

async fn list_private(call: Call) -> Answer {
    let (vnic, subnet, address) = (call.query("vnicId"), call.query("subnetId"), call.query("ipAddress"));
    if vnic.is_none() && subnet.is_none() {
        return Err(Refusal::missing("vnicId"));
    }
    let found = call.site.world.with(|state| {
        let fits = |it: &&Vnic| {
            call.site.holds(&it.common.id)
                && vnic.is_none_or(|id| id == it.common.id)
                && subnet.is_none_or(|id| id == it.subnet)
                && address.is_none_or(|wanted| wanted == it.address.to_string())
        };
        state.oci.vnics.values().filter(fits).map(private).collect()
    });
    call.page(found)
}

async fn read_private(Path(id): Path<String>, call: Call) -> Answer {
    call.site.world.with(|state| {
        let found = state.oci.vnics.values().find(|vnic| vnic.private_ip == id && call.site.holds(&id));
        found.map(|vnic| document(&private(vnic))).ok_or_else(Refusal::not_found)
    })
}
