//! Resources of interfaces: a cloud machine has `eth0`, and `tailscale0` once it is on the mesh.

use super::super::super::proto::resources as spec;
use super::super::super::{node, ports};
use super::{Found, octets};
use crate::tailscale;
use crate::world::State;
use serde_json::json;
use std::net::IpAddr;

/// A network interface.
struct Link {
    index: u32,
    name: &'static str,
    /// The kernel's word for it, and its number.
    hardware: (&'static str, i32),
    kind: &'static str,
    mtu: u32,
    /// Empty for an interface without one.
    mac: Vec<u8>,
    /// 0 unknown, which is what loopback and tun devices say; 6 up.
    operational: (&'static str, i32),
    addresses: Vec<(IpAddr, u8)>,
}

fn of(state: &State, id: u64) -> Vec<Link> {
    let loopback = Link {
        index: 1,
        name: "lo",
        hardware: ("loopback", 772),
        kind: "",
        mtu: 65_536,
        mac: vec![0; 6],
        operational: ("unknown", 0),
        addresses: vec![(IpAddr::from([127, 0, 0, 1]), 8)],
    };
    let whole = |address: &IpAddr| (*address, if address.is_ipv4() { 32 } else { 128 });
    let (mesh, wide): (Vec<_>, Vec<_>) =
        ports::addresses(state, id).into_iter().partition(|address| tailscale::is_mesh(*address));
    let ethernet = Link {
        index: 2,
        name: "eth0",
        hardware: ("ether", 1),
        kind: "",
        mtu: 1500,
        mac: [0x96, 0, 0].into_iter().chain(id.to_be_bytes().into_iter().skip(5)).collect(),
        operational: ("up", 6),
        addresses: wide.iter().map(whole).collect(),
    };
    let tun = (!mesh.is_empty()).then(|| Link {
        index: 3,
        name: "tailscale0",
        hardware: ("none", 65_534),
        kind: "tun",
        mtu: 1280,
        mac: Vec::new(),
        operational: ("unknown", 0),
        addresses: mesh.iter().map(whole).collect(),
    });
    let there = node(state, id).is_some();
    [Some(loopback), Some(ethernet), tun].into_iter().flatten().filter(|_| there).collect()
}

pub(super) fn links(state: &State, id: u64) -> Vec<Found> {
    let found = of(state, id).into_iter().map(|link| {
        let mac: Vec<String> = link.mac.iter().map(|octet| format!("{octet:02x}")).collect();
        let yaml = json!({
            "index": link.index, "type": link.hardware.0, "linkIndex": 0, "hardwareAddr": mac.join(":"), "mtu": link.mtu,
            "operationalState": link.operational.0, "kind": link.kind, "linkState": true,
        });
        let proto = spec::LinkStatus {
            index: link.index,
            r#type: link.hardware.1,
            hardware_addr: link.mac,
            mtu: link.mtu,
            operational_state: link.operational.1,
            kind: link.kind.into(),
            link_state: true,
        };
        Found::new(link.name, yaml, &proto)
    });
    found.collect()
}

pub(super) fn addresses(state: &State, id: u64) -> Vec<Found> {
    let each = |link: Link| {
        let (index, name) = (link.index, link.name);
        link.addresses.into_iter().map(move |(address, prefix)| {
            let text = format!("{address}/{prefix}");
            let (family, family_word) = family(address);
            let yaml = json!({
                "address": text, "local": address.to_string(), "linkIndex": index, "linkName": name, "family": family_word,
                "scope": "global", "flags": "permanent", "priority": 0,
            });
            let prefix = spec::NetIpPrefix { ip: octets(address), prefix_length: prefix.into() };
            let proto =
                spec::AddressStatus { address: Some(prefix), link_index: index, link_name: name.into(), family };
            Found::new(format!("{name}/{text}"), yaml, &proto)
        })
    };
    of(state, id).into_iter().flat_map(each).collect()
}

fn family(address: IpAddr) -> (i32, &'static str) {
    if address.is_ipv4() { (2, "inet4") } else { (10, "inet6") }
}

/// The way out, which every cloud hands out by DHCP.
pub(super) fn routes(state: &State, id: u64) -> Vec<Found> {
    let Some(machine) = state.machines.get(&id) else { return Vec::new() };
    let gateway = if machine.vendor == "oci" { IpAddr::from([10, 0, 0, 1]) } else { IpAddr::from([172, 31, 1, 1]) };
    let here = of(state, id).into_iter().find(|link| link.name == "eth0").into_iter();
    here.map(|link| {
        let yaml = json!({
            "family": "inet4", "dst": "", "src": "", "gateway": gateway.to_string(), "outLinkIndex": link.index,
            "outLinkName": link.name, "table": "main", "priority": 1024, "scope": "global", "type": "unicast", "flags": "",
            "protocol": "boot",
        });
        let proto = spec::RouteStatus {
            family: 2,
            destination: None,
            gateway: Some(spec::NetIp { ip: octets(gateway) }),
            out_link_index: link.index,
            out_link_name: link.name.into(),
            table: 254,
            priority: 1024,
            r#type: 1,
        };
        Found::new(format!("inet4/{gateway}//1024"), yaml, &proto)
    })
    .collect()
}

pub(super) fn resolvers(state: &State, id: u64) -> Vec<Found> {
    let Some(machine) = state.machines.get(&id) else { return Vec::new() };
    let servers: Vec<IpAddr> = match machine.vendor {
        "oci" => vec![IpAddr::from([169, 254, 169, 254])],
        _ => vec![IpAddr::from([185, 12, 64, 1]), IpAddr::from([185, 12, 64, 2])],
    };
    let yaml = json!({"dnsServers": servers, "searchDomains": []});
    let dns_servers = servers.iter().map(|server| spec::NetIp { ip: octets(*server) }).collect();
    vec![Found::new("resolvers", yaml, &spec::ResolverStatus { dns_servers, search_domains: Vec::new() })]
}

pub(super) fn time_servers(_: &State, _: u64) -> Vec<Found> {
    let ntp_servers = vec!["time.cloudflare.com".to_owned()];
    let yaml = json!({"timeServers": ntp_servers});
    vec![Found::new("timeservers", yaml, &spec::TimeServerStatus { ntp_servers })]
}
