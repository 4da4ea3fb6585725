use crate::cluster::{Cidr, Network};
use crate::code;
use crate::fault::{Faults, help};
use crate::fields::{At, Fields, shown, text};
use crate::tree::{Entry, Node};
use std::net::Ipv4Addr;

/// Keys of `network`.
pub(crate) const NETWORK_KEYS: &[&str] = &["pods", "services"];

/// Talos's defaults.
const PODS: Cidr = Cidr { base: Ipv4Addr::new(10, 244, 0, 0), prefix: 16 };
const SERVICES: Cidr = Cidr { base: Ipv4Addr::new(10, 96, 0, 0), prefix: 12 };

/// Ranges that a cluster's own must leave alone, and what they are.
const TAKEN: &[(Cidr, &str)] = &[
    (Cidr { base: Ipv4Addr::new(100, 64, 0, 0), prefix: 10 }, "the mesh's addresses"),
    (Cidr { base: Ipv4Addr::new(169, 254, 0, 0), prefix: 16 }, "link-local addresses, the clouds' metadata among them"),
    (Cidr { base: Ipv4Addr::new(127, 0, 0, 0), prefix: 8 }, "loopback"),
    (Cidr { base: Ipv4Addr::new(224, 0, 0, 0), prefix: 3 }, "multicast and reserved addresses"),
    (Cidr { base: Ipv4Addr::UNSPECIFIED, prefix: 8 }, "addresses of no network"),
];

/// The controller manager gives each node a /24 of the pod range.
const NODE_PREFIX: u8 = 24;
/// kube-apiserver refuses more than 20 bits of services; the DNS service takes the tenth address.
const SERVICES_PREFIX: std::ops::RangeInclusive<u8> = 12..=28;

/// Reads `network` and checks its ranges, defaults included. `nodes` is how many need pod addresses.
pub(crate) fn read_network(entry: Option<&Entry>, nodes: usize, faults: &mut Faults) -> Option<Network> {
    let owner = &entry.map(|entry| entry.key_span.clone()).unwrap_or_default();
    let fields = match entry {
        Some(entry) => Some(Fields::read(&entry.value, "`network`", owner, NETWORK_KEYS, faults)?),
        None => None,
    };
    let mut range = |key: &str, default: Cidr| match fields.as_ref().and_then(|fields| fields.get(key)) {
        Some(node) => read_range(node, key, faults),
        None => Some(At { value: default, span: owner.clone() }),
    };
    let (pods, services) = (range("pods", PODS), range("services", SERVICES));
    if let Some(pods) = &pods {
        check_taken(pods, "pods", faults);
        check_pods(pods, nodes, faults);
    }
    if let Some(services) = &services {
        check_taken(services, "services", faults);
        if !SERVICES_PREFIX.contains(&services.value.prefix) {
            let message = format!("`services` {} cannot be used", services.value);
            let (from, to) = (SERVICES_PREFIX.start(), SERVICES_PREFIX.end());
            faults.error(
                code::ADDRESS_RANGE,
                &services.span,
                message,
                help(format!("use a range from /{from} to /{to}")),
            );
        }
    }
    let (pods, services) = (pods?, services?);
    if pods.value.overlaps(&services.value) {
        let message = format!("`pods` {} and `services` {} overlap", pods.value, services.value);
        // Point at the one that is written.
        let span = if pods.span == *owner { &services.span } else { &pods.span };
        faults.error(code::ADDRESS_RANGE, span, message, help(format!("the defaults are {PODS} and {SERVICES}")));
    }
    Some(Network { pods: pods.value, services: services.value })
}

fn read_range(node: &Node, key: &str, faults: &mut Faults) -> Option<At<Cidr>> {
    let written = text(node, &format!("`{key}`"), faults)?;
    match written.value.parse() {
        Ok(value) => Some(At { value, span: written.span }),
        Err(why) => {
            let message = format!("`{}` is no address range: {why}", shown(written.value));
            let remedy = match without_host_bits(written.value) {
                Some(range) => format!("write {range}"),
                None => format!("write a range such as {PODS}"),
            };
            faults.error(code::ADDRESS_RANGE, &node.span, message, help(remedy));
            None
        }
    }
}

fn without_host_bits(text: &str) -> Option<Cidr> {
    let (base, prefix) = text.split_once('/')?;
    let prefix = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
    Some(Cidr::around(base.parse().ok()?, prefix))
}

fn check_taken(range: &At<Cidr>, key: &str, faults: &mut Faults) {
    if let Some((taken, what)) = TAKEN.iter().find(|(taken, _)| taken.overlaps(&range.value)) {
        let message = format!("`{key}` {} overlaps {taken}, {what}", range.value);
        let remedy = help(format!("use a private range, such as {}", if key == "pods" { PODS } else { SERVICES }));
        faults.error(code::ADDRESS_RANGE, &range.span, message, remedy);
    }
}

fn check_pods(pods: &At<Cidr>, nodes: usize, faults: &mut Faults) {
    let bits = u32::from(NODE_PREFIX).checked_sub(u32::from(pods.value.prefix));
    let room = bits.map_or(0, |bits| 1_usize << bits);
    if room < nodes.max(1) {
        let message = format!("`pods` {} has room for {room} of {nodes} nodes", pods.value);
        let remedy = format!("each node takes a /{NODE_PREFIX}: widen it, for instance to {PODS}");
        faults.error(code::ADDRESS_RANGE, &pods.span, message, help(remedy));
    }
}
