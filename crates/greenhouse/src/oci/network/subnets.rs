//! Subnets.

use super::super::State;
use super::super::call::{Call, Site, need};
use super::super::crud::Created;
use super::super::reply::{Answer, Refusal, nothing};
use super::super::resource::{Common, Lifecycle, Naming, Resource, shelved};
use super::cidr::Cidr;
use super::gateways::vcn_ready;
use super::vcns::{DhcpOptions, SETTLES_MS, Vcn, check_dns_label};
use super::{RouteTable, SecurityList};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

const CREATE: &[&str] = &[
    "availabilityDomain",
    "cidrBlock",
    "ipv4CidrBlocks",
    "compartmentId",
    "definedTags",
    "dhcpOptionsId",
    "displayName",
    "dnsLabel",
    "freeformTags",
    "ipv6CidrBlock",
    "ipv6CidrBlocks",
    "prohibitInternetIngress",
    "prohibitPublicIpOnVnic",
    "routeTableId",
    "securityListIds",
    "vcnId",
];
const UPDATE: &[&str] = &[
    "definedTags",
    "dhcpOptionsId",
    "displayName",
    "freeformTags",
    "routeTableId",
    "securityListIds",
    "cidrBlock",
    "ipv6CidrBlock",
    "ipv6CidrBlocks",
];
/// Security lists that one subnet may have.
const SECURITY_LISTS_MAX: usize = 5;

/// A part of a VCN's range, with its own routes and rules.
pub(crate) struct Subnet {
    pub(in crate::oci) common: Common,
    pub(super) vcn: String,
    pub(super) cidr: Cidr,
    /// `None` spans the region.
    pub(super) availability_domain: Option<String>,
    pub(super) dns_label: Option<String>,
    pub(super) route_table: String,
    pub(super) security_lists: Vec<String>,
    pub(super) dhcp_options: String,
    pub(super) prohibit_public: bool,
    pub(super) prohibit_ingress: bool,
}

impl Resource for Subnet {
    const KIND: &'static str = "subnet";
    shelved!(subnets);

    fn fields(&self, state: &State) -> Value {
        let vcn_label = state.vcns.get(&self.vcn).and_then(|vcn| vcn.dns_label.clone());
        let domain = self.dns_label.as_ref().zip(vcn_label).map(|(own, vcn)| format!("{own}.{vcn}.oraclevcn.com"));
        json!({
            "vcnId": self.vcn,
            "cidrBlock": self.cidr.to_string(),
            "ipv4CidrBlocks": [self.cidr.to_string()],
            "availabilityDomain": self.availability_domain,
            "dhcpOptionsId": self.dhcp_options,
            "dnsLabel": self.dns_label,
            "subnetDomainName": domain,
            "prohibitInternetIngress": self.prohibit_ingress,
            "prohibitPublicIpOnVnic": self.prohibit_public,
            "routeTableId": self.route_table,
            "securityListIds": self.security_lists,
            "virtualRouterIp": self.cidr.router(),
            "virtualRouterMac": "00:00:17:5F:8A:01",
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(flatten)]
    naming: Naming,
    vcn_id: Option<String>,
    cidr_block: Option<String>,
    availability_domain: Option<String>,
    dns_label: Option<String>,
    dhcp_options_id: Option<String>,
    route_table_id: Option<String>,
    security_list_ids: Option<Vec<String>>,
    prohibit_internet_ingress: Option<bool>,
    prohibit_public_ip_on_vnic: Option<bool>,
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/20160918/subnets", get(list).post(create))
        .route("/20160918/subnets/{id}", get(read).put(update).delete(delete))
}

async fn list(call: Call) -> Answer {
    call.list::<Subnet>(|subnet| call.query("vcnId").is_none_or(|vcn| vcn == subnet.vcn))
}

async fn create(call: Call) -> Answer {
    let details: Details = call.details(CREATE)?;
    let vcn_id = need(details.vcn_id.clone(), "vcnId")?;
    let cidr = Cidr::parse_network(&need(details.cidr_block.clone(), "cidrBlock")?)?;
    check_dns_label(details.dns_label.as_deref())?;
    let created = call.create(|state| {
        let vcn = vcn_ready(&call.site, &state.oci, &vcn_id)?;
        check_range(&state.oci, vcn, cidr)?;
        check_label(&state.oci, vcn, details.dns_label.as_deref())?;
        if let Some(domain) = &details.availability_domain
            && !state.oci.has_domain(call.site.region, domain)
        {
            return Err(Refusal::invalid(format!("availabilityDomain {domain} is invalid")));
        }
        let route_table = details.route_table_id.clone().unwrap_or_else(|| vcn.default_route_table.clone());
        let security_lists =
            details.security_list_ids.clone().unwrap_or_else(|| vec![vcn.default_security_list.clone()]);
        let dhcp_options = details.dhcp_options_id.clone().unwrap_or_else(|| vcn.default_dhcp_options.clone());
        check_parts(&call.site, &state.oci, &vcn_id, (&route_table, &security_lists, &dhcp_options))?;
        let common = Common::new(state, call.site.region.name, Subnet::KIND, details.naming, Lifecycle::Provisioning)?;
        let prohibit_ingress = details.prohibit_internet_ingress.unwrap_or(false);
        Ok(Subnet {
            common,
            vcn: vcn_id,
            cidr,
            availability_domain: details.availability_domain,
            dns_label: details.dns_label,
            route_table,
            security_lists,
            dhcp_options,
            prohibit_public: details.prohibit_public_ip_on_vnic.unwrap_or(prohibit_ingress),
            prohibit_ingress,
        })
    })?;
    if let Created::New(id) = &created {
        call.site.settle::<Subnet>(id, Lifecycle::Provisioning, Lifecycle::Available, SETTLES_MS);
    }
    call.show::<Subnet>(created.id())
}

fn check_range(state: &State, vcn: &Vcn, cidr: Cidr) -> Result<(), Refusal> {
    let id = &vcn.common.id;
    if !vcn.cidrs.iter().any(|of| of.covers(cidr)) {
        return Err(Refusal::invalid(format!(
            "The requested CIDR {cidr} is invalid: not within the CIDRs of VCN {id}"
        )));
    }
    match state.subnets.values().find(|subnet| subnet.vcn == *id && subnet.cidr.overlaps(cidr)) {
        None => Ok(()),
        Some(other) => Err(Refusal::invalid(format!(
            "The requested CIDR {cidr} is invalid: subnet {} with CIDR {} overlaps with this CIDR.",
            other.common.id, other.cidr
        ))),
    }
}

fn check_label(state: &State, vcn: &Vcn, label: Option<&str>) -> Result<(), Refusal> {
    let Some(label) = label else { return Ok(()) };
    if vcn.dns_label.is_none() {
        return Err(Refusal::invalid("A subnet can have a dnsLabel only if its VCN has one"));
    }
    let of_vcn = |subnet: &&Subnet| subnet.vcn == vcn.common.id;
    if state.subnets.values().filter(of_vcn).any(|subnet| subnet.dns_label.as_deref() == Some(label)) {
        return Err(Refusal::invalid(format!("dnsLabel {label} is already used in the VCN")));
    }
    Ok(())
}

/// Route table, security lists and DHCP options must be of the same VCN.
fn check_parts(
    site: &Site,
    state: &State,
    vcn: &str,
    (table, lists, options): (&str, &[String], &str),
) -> Result<(), Refusal> {
    if lists.len() > SECURITY_LISTS_MAX {
        return Err(Refusal::limit(&["security-lists-per-subnet-count"]));
    }
    let of_vcn = site.find::<RouteTable>(state, table)?.vcn == vcn
        && site.find::<DhcpOptions>(state, options)?.vcn == vcn
        && lists.iter().try_fold(true, |all, id| Ok(all && site.find::<SecurityList>(state, id)?.vcn == vcn))?;
    let wrong = || Refusal::invalid(format!("Route table, security lists and DHCP options must belong to VCN {vcn}"));
    if of_vcn { Ok(()) } else { Err(wrong()) }
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<Subnet>(&id)
}

async fn update(Path(id): Path<String>, call: Call) -> Answer {
    let details: Details = call.details(UPDATE)?;
    if details.cidr_block.is_some() {
        return Err(Refusal::not_implemented("Resizing a subnet"));
    }
    call.change::<Subnet>(&id, |state| {
        let subnet = call.site.find::<Subnet>(&state.oci, &id)?;
        let route_table = details.route_table_id.unwrap_or_else(|| subnet.route_table.clone());
        let lists = details.security_list_ids.unwrap_or_else(|| subnet.security_lists.clone());
        let options = details.dhcp_options_id.unwrap_or_else(|| subnet.dhcp_options.clone());
        check_parts(&call.site, &state.oci, &subnet.vcn, (&route_table, &lists, &options))?;
        let subnet = call.site.find_mut::<Subnet>(&mut state.oci, &id)?;
        (subnet.route_table, subnet.security_lists, subnet.dhcp_options) = (route_table, lists, options);
        subnet.common.update(details.naming)
    })
}

async fn delete(Path(id): Path<String>, call: Call) -> Answer {
    let in_use = |vnic: &str| {
        Refusal::conflict(format!(
            "The Subnet {id} references the VNIC {vnic}. You must remove the reference to proceed with this operation."
        ))
    };
    let name = call.site.world.with(|state| Ok(call.site.find::<Subnet>(&state.oci, &id)?.common.name.clone()))?;
    if call.site.world.fault("oci", "subnet-in-use", &name).is_some() {
        let ghost = call.site.world.with(|state| state.oci.ocid("vnic", call.site.region.name, 0));
        return Err(in_use(&ghost));
    }
    call.site.world.with(|state| {
        let subnet = call.site.find::<Subnet>(&state.oci, &id)?;
        call.check_match(&subnet.common.etag())?;
        let inside = state.oci.vnics.values().find(|vnic| vnic.subnet == id);
        if let Some(vnic) = inside.filter(|_| !call.lies("oci-used-subnet-deleted")) {
            return Err(in_use(&vnic.common.id));
        }
        call.site.find_mut::<Subnet>(&mut state.oci, &id)?.common.enter(Lifecycle::Terminating);
        Ok(())
    })?;
    call.site.settle::<Subnet>(&id, Lifecycle::Terminating, Lifecycle::Terminated, SETTLES_MS);
    Ok(nothing())
}
