use serde::{Deserialize, Deserializer, Serialize};
use std::net::IpAddr;

/// Protocol numbers, which Oracle writes as text.
const ICMP: &str = "1";
const TCP: &str = "6";
const UDP: &str = "17";

/// A rule of a security list, with all that decides what it lets through and nothing else, in Oracle's words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    pub protocol: String,
    /// CIDR that may send; of ingress rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// CIDR that may be sent to; of egress rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    #[serde(default, deserialize_with = "null_is_false")]
    pub is_stateless: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_options: Option<Ports>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp_options: Option<Ports>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp_options: Option<Icmp>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ports {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_port_range: Option<Range>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_port_range: Option<Range>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Range {
    pub min: u16,
    pub max: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Icmp {
    #[serde(rename = "type")]
    pub kind: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
}

impl Rule {
    fn new(protocol: &str) -> Self {
        Rule {
            protocol: protocol.to_owned(),
            source: None,
            destination: None,
            is_stateless: false,
            tcp_options: None,
            udp_options: None,
            icmp_options: None,
        }
    }

    fn tcp(source: String, port: u16) -> Self {
        Rule { source: Some(source), tcp_options: Some(Ports::to(port)), ..Rule::new(TCP) }
    }
}

impl Ports {
    fn to(port: u16) -> Self {
        Ports { source_port_range: None, destination_port_range: Some(Range { min: port, max: port }) }
    }
}

/// What may come in: HTTP, HTTPS, Tailscale's direct paths, what path MTU discovery needs, and Talos's maintenance API
/// from `talos_from`. Addresses of IPv6 are left out: the VCN has none. Sorted.
pub(super) fn ingress(talos_from: &[IpAddr]) -> Vec<Rule> {
    let anywhere = || Some("0.0.0.0/0".to_owned());
    let fragmentation_needed = Icmp { kind: 3, code: Some(4) };
    let mut rules = vec![
        Rule::tcp("0.0.0.0/0".to_owned(), 80),
        Rule::tcp("0.0.0.0/0".to_owned(), 443),
        Rule { source: anywhere(), udp_options: Some(Ports::to(41641)), ..Rule::new(UDP) },
        Rule { source: anywhere(), icmp_options: Some(fragmentation_needed), ..Rule::new(ICMP) },
    ];
    let own = talos_from.iter().filter(|address| address.is_ipv4());
    rules.extend(own.map(|address| Rule::tcp(format!("{address}/32"), 50000)));
    canonical(rules)
}

/// Everything may go out.
pub(super) fn egress() -> Vec<Rule> {
    vec![Rule { destination: Some("0.0.0.0/0".to_owned()), ..Rule::new("all") }]
}

/// Oracle keeps no order among rules.
pub(super) fn canonical(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.sort();
    rules.dedup();
    rules
}

fn null_is_false<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_talos_api_is_open_to_named_addresses_only() {
        let rules = ingress(&["198.51.100.7".parse().unwrap(), "2001:db8::1".parse().unwrap()]);
        let talos = Rule::tcp("198.51.100.7/32".into(), 50000);
        assert_eq!(rules.len(), 5);
        assert!(rules.contains(&talos));
        assert!(!ingress(&[]).contains(&talos));
    }

    #[test]
    fn oracles_form_of_our_rules_is_read_back_as_ours() {
        let theirs = serde_json::json!([
            {"icmpOptions": null, "isStateless": null, "protocol": "17", "source": "0.0.0.0/0",
             "sourceType": "CIDR_BLOCK", "tcpOptions": null, "description": "x",
             "udpOptions": {"destinationPortRange": {"max": 41641, "min": 41641}, "sourcePortRange": null}},
            {"icmpOptions": {"code": 4, "type": 3}, "isStateless": false, "protocol": "1", "source": "0.0.0.0/0"},
            {"protocol": "6", "source": "0.0.0.0/0", "tcpOptions": {"destinationPortRange": {"max": 443, "min": 443}}},
            {"protocol": "6", "source": "0.0.0.0/0", "tcpOptions": {"destinationPortRange": {"max": 80, "min": 80}}},
        ]);
        assert_eq!(canonical(serde_json::from_value(theirs).unwrap()), ingress(&[]));
    }
}
