//! VCNs, and the DHCP options that come with them.

use super::super::State;
use super::super::call::{Call, Site};
use super::super::crud::Created;
use super::super::reply::{Answer, Refusal, nothing};
use super::super::resource::{Common, Lifecycle, Naming, Resource, shelved};
use super::cidr::Cidr;
use super::{RouteTable, SecurityList};
use crate::world::State as Everything;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

const CREATE: &[&str] = &[
    "cidrBlock",
    "cidrBlocks",
    "compartmentId",
    "ipv6PrivateCidrBlocks",
    "isOracleGuaAllocationEnabled",
    "byoipv6CidrDetails",
    "definedTags",
    "displayName",
    "dnsLabel",
    "freeformTags",
    "securityAttributes",
    "isIpv6Enabled",
    "isZprOnly",
];
const UPDATE: &[&str] = &["definedTags", "displayName", "freeformTags", "securityAttributes", "isZprOnly"];
/// How long a new or doomed network takes, in milliseconds.
pub(super) const SETTLES_MS: (u64, u64) = (1_000, 2_000);

/// A virtual cloud network.
pub(crate) struct Vcn {
    pub(super) common: Common,
    pub(super) cidrs: Vec<Cidr>,
    pub(super) dns_label: Option<String>,
    pub(super) default_route_table: String,
    pub(super) default_security_list: String,
    pub(super) default_dhcp_options: String,
}

impl Resource for Vcn {
    const KIND: &'static str = "vcn";
    shelved!(vcns);

    fn fields(&self, _state: &State) -> Value {
        let cidrs: Vec<String> = self.cidrs.iter().map(Cidr::to_string).collect();
        json!({
            "cidrBlock": cidrs.first(),
            "cidrBlocks": cidrs,
            "ipv6CidrBlocks": null,
            "defaultDhcpOptionsId": self.default_dhcp_options,
            "defaultRouteTableId": self.default_route_table,
            "defaultSecurityListId": self.default_security_list,
            "dnsLabel": self.dns_label,
            "vcnDomainName": self.dns_label.as_ref().map(|label| format!("{label}.oraclevcn.com")),
        })
    }
}

/// The options that a VCN hands to its machines; only the vendor's default ones.
pub(crate) struct DhcpOptions {
    pub(super) common: Common,
    pub(super) vcn: String,
}

impl Resource for DhcpOptions {
    const KIND: &'static str = "dhcpoptions";
    shelved!(dhcp_options);

    fn fields(&self, _state: &State) -> Value {
        let resolver =
            json!({"type": "DomainNameServer", "serverType": "VcnLocalPlusInternet", "customDnsServers": []});
        json!({"vcnId": self.vcn, "options": [resolver], "domainNameType": "VCN_DOMAIN"})
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(flatten)]
    naming: Naming,
    cidr_block: Option<String>,
    cidr_blocks: Option<Vec<String>>,
    dns_label: Option<String>,
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/20160918/vcns", get(list).post(create))
        .route("/20160918/vcns/{id}", get(read).put(update).delete(delete))
        .route("/20160918/dhcps", get(list_dhcp_options))
        .route("/20160918/dhcps/{id}", get(read_dhcp_options))
}

/// A VCN with its default route table, security list and DHCP options, which it puts on their shelves.
fn make(
    state: &mut Everything,
    region: &str,
    naming: &Naming,
    cidrs: Vec<Cidr>,
    lifecycle: Lifecycle,
) -> Result<Vcn, Refusal> {
    let common = Common::new(state, region, Vcn::KIND, naming.clone(), lifecycle)?;
    let named = |what: &str| Naming {
        display_name: Some(format!("Default {what} for {}", common.name)),
        compartment_id: naming.compartment_id.clone(),
        ..Naming::default()
    };
    let mut part = |kind, what| Common::new(state, region, kind, named(what), Lifecycle::Available);
    let routes = part(RouteTable::KIND, "Route Table")?;
    let security = part(SecurityList::KIND, "Security List")?;
    let dhcp = part(DhcpOptions::KIND, "DHCP Options")?;
    let vcn = Vcn {
        cidrs,
        dns_label: None,
        default_route_table: routes.id.clone(),
        default_security_list: security.id.clone(),
        default_dhcp_options: dhcp.id.clone(),
        common,
    };
    let id = vcn.common.id.clone();
    state.oci.route_tables.insert(routes.id.clone(), RouteTable { common: routes, vcn: id.clone(), rules: Vec::new() });
    state.oci.security_lists.insert(security.id.clone(), SecurityList::default_of(security, &id, &vcn.cidrs));
    state.oci.dhcp_options.insert(dhcp.id.clone(), DhcpOptions { common: dhcp, vcn: id });
    Ok(vcn)
}

/// Makes a VCN in the root compartment that nobody called for.
pub(in crate::oci) fn plant(state: &mut Everything, region: &str, name: &str) -> Result<(), Refusal> {
    let naming = Naming {
        compartment_id: Some(state.oci.tenancy.clone()),
        display_name: Some(name.to_owned()),
        ..Naming::default()
    };
    let vcn = make(state, region, &naming, vec![Cidr::parse_network("10.0.0.0/16")?], Lifecycle::Available)?;
    state.oci.vcns.insert(vcn.common.id.clone(), vcn);
    Ok(())
}

async fn list(call: Call) -> Answer {
    call.list::<Vcn>(|_| true)
}

async fn create(call: Call) -> Answer {
    let details: Details = call.details(CREATE)?;
    let blocks = match (details.cidr_block, details.cidr_blocks) {
        (Some(_), Some(_)) => return Err(Refusal::invalid("cidrBlock and cidrBlocks cannot both be given")),
        (Some(block), None) => vec![block],
        (None, Some(blocks)) if !blocks.is_empty() => blocks,
        _ => return Err(Refusal::missing("cidrBlocks")),
    };
    let cidrs: Vec<Cidr> = blocks.iter().map(|block| Cidr::parse_network(block)).collect::<Result<_, _>>()?;
    if (1..cidrs.len()).any(|at| cidrs.iter().take(at).any(|one| cidrs.iter().skip(at).any(|two| one.overlaps(*two)))) {
        return Err(Refusal::invalid("The CIDR blocks of a VCN must not overlap"));
    }
    check_dns_label(details.dns_label.as_deref())?;
    let created = call.create(|state| {
        let here = state.oci.vcns.keys().filter(|id| call.site.holds(id)).count();
        if here as u64 >= state.oci.limit("vcn-count") {
            return Err(Refusal::limit(&["vcn-count"]));
        }
        let mut vcn = make(state, call.site.region.name, &details.naming, cidrs, Lifecycle::Provisioning)?;
        vcn.dns_label = details.dns_label;
        Ok(vcn)
    })?;
    if let Created::New(id) = &created {
        call.site.settle::<Vcn>(id, Lifecycle::Provisioning, Lifecycle::Available, SETTLES_MS);
    }
    call.show::<Vcn>(created.id())
}

/// Letters and digits, a letter first, at most 15.
pub(super) fn check_dns_label(label: Option<&str>) -> Result<(), Refusal> {
    let is_label = |label: &str| {
        label.len() <= 15
            && label.starts_with(|first: char| first.is_ascii_alphabetic())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match label {
        Some(label) if !is_label(label) => Err(Refusal::invalid(format!("dnsLabel {label} is invalid"))),
        _ => Ok(()),
    }
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<Vcn>(&id)
}

async fn update(Path(id): Path<String>, call: Call) -> Answer {
    let naming: Naming = call.details(UPDATE)?;
    call.change::<Vcn>(&id, |state| call.site.find_mut::<Vcn>(&mut state.oci, &id)?.common.update(naming))
}

async fn delete(Path(id): Path<String>, call: Call) -> Answer {
    let busy = || Refusal::incorrect_state(format!("{id} is associated with Gateway that is in use"));
    let name = call.site.world.with(|state| Ok(call.site.find::<Vcn>(&state.oci, &id)?.common.name.clone()))?;
    if call.site.world.fault("oci", "vcn-busy", &name).is_some() {
        return Err(busy());
    }
    call.site.world.with(|state| {
        let anyhow = call.lies("oci-full-vcn-deleted");
        let vcn = call.site.find::<Vcn>(&state.oci, &id)?;
        call.check_match(&vcn.common.etag())?;
        if vcn.common.lifecycle == Lifecycle::Terminating {
            return Ok(());
        }
        if state.oci.internet_gateways.values().any(|gateway| gateway.vcn == id) && !anyhow {
            return Err(busy());
        }
        if let Some((kind, other)) = leftover(&state.oci, vcn).filter(|_| !anyhow) {
            return Err(Refusal::conflict(format!(
                "The VCN {id} references the {kind} {other}. You must remove the reference to proceed with this operation."
            )));
        }
        call.site.find_mut::<Vcn>(&mut state.oci, &id)?.common.enter(Lifecycle::Terminating);
        state.oci.route_tables.retain(|_, table| table.vcn != id);
        state.oci.security_lists.retain(|_, list| list.vcn != id);
        state.oci.dhcp_options.retain(|_, options| options.vcn != id);
        Ok(())
    })?;
    call.site.settle::<Vcn>(&id, Lifecycle::Terminating, Lifecycle::Terminated, SETTLES_MS);
    Ok(nothing())
}

/// What keeps a VCN from being deleted: all in it but what came with it.
fn leftover<'a>(state: &'a State, vcn: &Vcn) -> Option<(&'static str, &'a str)> {
    let id = &vcn.common.id;
    let subnet = state.subnets.values().find(|subnet| subnet.vcn == *id).map(|it| ("Subnet", it.common.id.as_str()));
    let table = || {
        let other = |table: &&RouteTable| table.vcn == *id && table.common.id != vcn.default_route_table;
        state.route_tables.values().find(other).map(|it| ("Route Table", it.common.id.as_str()))
    };
    let list = || {
        let other = |list: &&SecurityList| list.vcn == *id && list.common.id != vcn.default_security_list;
        state.security_lists.values().find(other).map(|it| ("Security List", it.common.id.as_str()))
    };
    let group = || {
        let group = state.network_security_groups.values().find(|group| group.vcn == *id);
        group.map(|it| ("Network Security Group", it.common.id.as_str()))
    };
    subnet.or_else(table).or_else(list).or_else(group)
}

async fn list_dhcp_options(call: Call) -> Answer {
    call.list::<DhcpOptions>(|options| call.query("vcnId").is_none_or(|vcn| vcn == options.vcn))
}

async fn read_dhcp_options(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<DhcpOptions>(&id)
}
