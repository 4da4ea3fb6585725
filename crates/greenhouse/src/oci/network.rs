//! Virtual cloud networks: a VCN holds subnets, which hold VNICs; route tables, security lists and groups say where
//! packets go and who may send them.
//!
//! Only IPv4, only internet gateways. A VNIC belongs to the instance it was launched with.

mod addresses;
mod cidr;
mod gateways;
mod groups;
mod routes;
mod security;
mod subnets;
mod vcns;
mod vnics;

pub(super) use addresses::{PublicIp, release};
pub(super) use gateways::InternetGateway;
pub(super) use groups::NetworkSecurityGroup;
pub(super) use routes::RouteTable;
pub(super) use security::SecurityList;
pub(super) use subnets::Subnet;
pub(super) use vcns::{DhcpOptions, Vcn, plant};
pub(super) use vnics::{NewVnic, Vnic, plug};

use super::State;
use super::call::Site;
use axum::Router;
use security::Direction;
use std::net::IpAddr;

/// All calls of the service.
pub(super) fn routes() -> Router<Site> {
    Router::new()
        .merge(vcns::routes())
        .merge(subnets::routes())
        .merge(gateways::routes())
        .merge(routes::routes())
        .merge(security::routes())
        .merge(groups::routes())
        .merge(vnics::routes())
        .merge(addresses::routes())
}

/// Whether TCP from `source` reaches `port` of a VNIC from the internet: a way in, and a rule that admits it.
pub(super) fn admits(state: &State, vnic: &Vnic, source: IpAddr, port: u16) -> bool {
    let Some(subnet) = state.subnets.get(&vnic.subnet) else { return false };
    let has_way = state.route_tables.get(&subnet.route_table).is_some_and(|table| table.reaches(state, source));
    let lists = subnet.security_lists.iter().filter_map(|id| state.security_lists.get(id));
    let of_lists = lists.flat_map(|list| &list.ingress);
    let of_groups = vnic.groups.iter().filter_map(|id| state.network_security_groups.get(id));
    let of_groups = of_groups.flat_map(|group| &group.rules);
    let of_groups = of_groups.filter(|rule| rule.direction == Direction::Ingress).map(|rule| &rule.rule);
    let admitted = of_lists.chain(of_groups).any(|rule| rule.admits_tcp(source, port));
    has_way && !subnet.prohibit_ingress && admitted
}
