//! The node's ingress firewall: `NetworkDefaultActionConfig` and `NetworkRuleConfig`.

use super::config::Config;
use std::net::IpAddr;

/// Whether a TCP packet from `source` reaches `port`.
///
/// A rule for a port lets its subnets in and nobody else, whatever the default; a blocked default drops the rest but for
/// pods and services (Talos, "Ingress Firewall"). tailscale0 has no exemption; what the node sends to itself passes no such rule.
pub(super) fn admits(config: &Config, source: IpAddr, port: u16) -> bool {
    if source.is_loopback() {
        return true;
    }
    let own = config
        .complete
        .as_ref()
        .is_some_and(|complete| complete.pod_and_service_subnets.iter().any(|subnet| subnet.contains(source)));
    let mut covered = false;
    for rule in config.rules.iter().filter(|rule| rule.ports.iter().any(|(low, high)| (*low..=*high).contains(&port))) {
        covered = true;
        let lets_in = |(subnet, except): &(super::subnet::Subnet, Option<super::subnet::Subnet>)| {
            subnet.contains(source) && !except.is_some_and(|except| except.contains(source))
        };
        if rule.sources.iter().any(lets_in) {
            return true;
        }
    }
    own && config.ingress_blocked || !covered && !config.ingress_blocked
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn config(default: &str) -> Config {
        let text = format!(
            "apiVersion: v1alpha1\nkind: NetworkDefaultActionConfig\ningress: {default}\n---\n\
             apiVersion: v1alpha1\nkind: NetworkRuleConfig\nname: apid\n\
             portSelector:\n  ports: [50000, 2379-2380]\n  protocol: tcp\n\
             ingress:\n  - subnet: 100.64.0.0/10\n    except: 100.64.0.9/32\n"
        );
        Config::read(&Bytes::from(text), "1.14.6").unwrap()
    }

    fn reaches(default: &str, source: &str, port: u16) -> bool {
        admits(&config(default), source.parse().unwrap(), port)
    }

    #[test]
    fn a_blocked_default_drops_what_no_rule_names() {
        assert!(reaches("block", "100.64.0.1", 50_000));
        assert!(reaches("block", "100.64.0.1", 2_380));
        assert!(!reaches("block", "100.64.0.1", 443));
        assert!(!reaches("block", "203.0.113.1", 50_000));
        assert!(!reaches("block", "100.64.0.9", 50_000), "excepted");
    }

    #[test]
    fn a_rule_narrows_an_open_default() {
        assert!(reaches("accept", "203.0.113.1", 443));
        assert!(!reaches("accept", "203.0.113.1", 50_000));
    }
}
