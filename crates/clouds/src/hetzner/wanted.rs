//! What a cluster needs at Hetzner: one firewall, and a server a node.

use super::marks;
use super::types::Rule;
use crate::{Need, NeedMachine, Openness, Wanted};
use serde_json::{Value, json};
use std::net::IpAddr;

/// Everybody.
const ANYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// See [`crate::Cloud::wanted`]. The firewall comes first; machines follow by name, whatever their order in `need`.
pub(super) fn wanted(need: &Need) -> Vec<Wanted> {
    if need.machines.is_empty() {
        return Vec::new();
    }
    let mut machines: Vec<Wanted> = need.machines.iter().map(|machine| server(&need.cluster, machine)).collect();
    machines.sort_by(|a, b| a.key.cmp(&b.key));
    let mut all = vec![firewall(need)];
    all.append(&mut machines);
    all
}

fn firewall(need: &Need) -> Wanted {
    Wanted {
        key: marks::firewall_key(&need.cluster),
        node: None,
        needs: Vec::new(),
        spec: json!({ "labels": marks::shared(&need.cluster), "rules": rules(&need.openness) }),
        is_machine: false,
    }
}

/// The image and the user data are not part of the spec: Hetzner cannot tell the latter, and a node that was upgraded
/// in place still shows the image that it was born from. `needs` says which image a new one boots.
fn server(cluster: &str, machine: &NeedMachine) -> Wanted {
    let name = format!("{cluster}-{}", machine.node);
    let firewall = marks::firewall_key(cluster);
    let spec = json!({
        "firewalls": [firewall.name],
        "ipv4": true,
        "ipv6": true,
        "labels": marks::machine(cluster, &machine.node, &machine.role.to_string()),
        "location": machine.place.region,
        "server_type": machine.place.machine,
    });
    Wanted {
        key: marks::key("server", &machine.place.region, name),
        node: Some(machine.node.clone()),
        needs: vec![firewall, marks::image_key(cluster, &machine.image)],
        spec,
        is_machine: true,
    }
}

/// The canonical rules: ingress over HTTP and HTTPS, Tailscale's direct paths, and what `openness` adds. Hetzner's
/// firewalls drop whatever no rule lets in and keep track of connections that began inside.
fn rules(openness: &Openness) -> Vec<Value> {
    let mut rules = vec![rule("tcp", "80", &ANYWHERE), rule("tcp", "443", &ANYWHERE), rule("udp", "41641", &ANYWHERE)];
    if !openness.talos_from.is_empty() {
        let from: Vec<String> = openness.talos_from.iter().map(single_host).collect();
        rules.push(rule("tcp", "50000", &from));
    }
    canonical_rules(&rules)
}

fn rule<S: AsRef<str>>(protocol: &str, port: &str, from: &[S]) -> Rule {
    Rule {
        direction: "in".to_owned(),
        protocol: protocol.to_owned(),
        port: Some(port.to_owned()),
        source_ips: from.iter().map(|ip| ip.as_ref().to_owned()).collect(),
        destination_ips: Vec::new(),
    }
}

fn single_host(address: &IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

/// Rules as they are compared, and as they are sent: sorted, addresses in their shortest form, descriptions left out.
pub(super) fn canonical_rules(rules: &[Rule]) -> Vec<Value> {
    let mut all: Vec<Value> = rules
        .iter()
        .map(|rule| {
            json!({
                "destination_ips": canonical_networks(&rule.destination_ips),
                "direction": rule.direction,
                "port": rule.port,
                "protocol": rule.protocol,
                "source_ips": canonical_networks(&rule.source_ips),
            })
        })
        .collect();
    all.sort_by_cached_key(ToString::to_string);
    all.dedup();
    all
}

fn canonical_networks(networks: &[String]) -> Vec<String> {
    let mut all: Vec<String> = networks
        .iter()
        .map(|network| match network.split_once('/') {
            Some((address, bits)) => {
                address.parse::<IpAddr>().map_or_else(|_| network.clone(), |address| format!("{address}/{bits}"))
            }
            None => network.clone(),
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::marks::tests::an_image;
    use super::*;
    use spec::{CloudPlace, Role};

    pub(in super::super) fn place(region: &str, machine: &str) -> CloudPlace {
        CloudPlace { cloud: "hetzner".into(), region: region.into(), machine: machine.into(), size: None }
    }

    pub(in super::super) fn a_need() -> Need {
        let machine = |node: &str, role, place| NeedMachine { node: node.into(), role, place, image: an_image() };
        Need {
            cluster: "bouquet".into(),
            machines: vec![
                machine("rose", Role::ControlPlane, place("hel1", "cax11")),
                machine("lily", Role::Worker, place("fsn1", "cax21")),
            ],
            openness: Openness::default(),
        }
    }

    #[test]
    fn the_order_of_nodes_in_the_file_changes_nothing() {
        let mut turned = a_need();
        turned.machines.reverse();
        assert_eq!(wanted(&a_need()), wanted(&turned));
        let names: Vec<String> = wanted(&turned).into_iter().map(|wanted| wanted.key.to_string()).collect();
        let expected = ["hetzner firewall bouquet-nodes", "hetzner server bouquet-lily", "hetzner server bouquet-rose"];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_server_comes_after_its_firewall_and_its_image() {
        let all = wanted(&a_need());
        let needs: Vec<&str> = all[1].needs.iter().map(|key| key.kind.as_str()).collect();
        assert_eq!(needs, ["firewall", "image"]);
        assert_eq!(all[1].needs[1].name, "bouquet-talos-1.14.6-arm64-613e1592b2da");
        assert!(all[1].is_machine && !all[0].is_machine);
    }

    #[test]
    fn only_ingress_and_the_mesh_come_in_from_birth() {
        let shown: Vec<String> = rules(&Openness::default())
            .iter()
            .map(|rule| format!("{} {} {}", rule["protocol"], rule["port"], rule["source_ips"]))
            .collect();
        let expected = ["80", "443", "41641"].map(|port| {
            let protocol = if port == "41641" { "udp" } else { "tcp" };
            format!(r#""{protocol}" "{port}" ["0.0.0.0/0","::/0"]"#)
        });
        assert_eq!(shown.len(), expected.len());
        assert!(expected.iter().all(|rule| shown.contains(rule)), "{shown:?}");
    }

    #[test]
    fn maintenance_opens_50000_to_the_named_addresses_alone() {
        let openness = Openness { talos_from: vec!["2001:db8::7".parse().unwrap(), "203.0.113.7".parse().unwrap()] };
        let open: Vec<Value> = rules(&openness).into_iter().filter(|rule| rule["port"] == "50000").collect();
        assert_eq!(open.len(), 1);
        assert_eq!(open[0]["source_ips"], json!(["2001:db8::7/128", "203.0.113.7/32"]));
    }

    #[test]
    fn a_cluster_without_machines_here_wants_nothing_here() {
        assert_eq!(wanted(&Need { machines: Vec::new(), ..a_need() }), []);
    }
}
