//! From Hetzner's objects to [`Found`].

use super::types::{Firewall, Labels, LoadBalancer, Server, Snapshot, SshKey, Volume};
use super::{marks, wanted};
use crate::{Found, Key, State};
use serde_json::{Value, json};
use spec::CloudPlace;
use std::net::{IpAddr, Ipv6Addr};

/// What hcloud's cloud controller writes on load balancers that it makes.
const CONTROLLER_LB: &str = "hcloud-ccm/service-uid";
/// What hcloud's CSI driver writes on volumes that it makes.
const CONTROLLER_VOLUME: (&str, &str) = ("managed-by", "csi-driver");

/// Whether something is worth reporting at all: our mark, or a name that we would give.
pub(super) fn concerns(cluster: &str, name: &str, labels: &Labels) -> bool {
    marks::ours(labels, cluster) || name.strip_prefix(cluster).is_some_and(|rest| rest.starts_with('-'))
}

fn found(cluster: &str, key: Key, id: u64, labels: Labels, state: State, spec: Value) -> Found {
    Found {
        key,
        id: id.to_string(),
        ours: marks::ours(&labels, cluster),
        node: labels.get(marks::NODE).cloned(),
        state,
        spec,
        left_behind: false,
        place: None,
        addresses: Vec::new(),
        labels,
    }
}

/// `firewalls`: all of the project, for their names.
pub(super) fn server(cluster: &str, server: Server, firewalls: &[Firewall]) -> Found {
    let location = server.location.or(server.datacenter.map(|datacenter| datacenter.location));
    let location = location.map(|location| location.name).unwrap_or_default();
    let mut attached: Vec<String> = server
        .public_net
        .firewalls
        .iter()
        .map(|used| {
            let known = firewalls.iter().find(|firewall| firewall.id == used.id);
            known.map_or_else(|| format!("#{}", used.id), |firewall| firewall.name.clone())
        })
        .collect();
    attached.sort();
    let spec = json!({
        "firewalls": attached,
        "ipv4": server.public_net.ipv4.is_some(),
        "ipv6": server.public_net.ipv6.is_some(),
        "labels": marks::only(&server.labels),
        "location": location,
        "server_type": server.machine.name,
    });
    let ips = [&server.public_net.ipv4, &server.public_net.ipv6];
    let addresses = ips.into_iter().flatten().filter_map(|ip| address(&ip.ip)).collect();
    let builds = server.labels.get(marks::ROLE).is_some_and(|role| role == marks::BUILDER);
    let machine = server.machine.name.clone();
    let place = CloudPlace { cloud: super::NAME.to_owned(), region: location.clone(), machine, size: None };
    let key = marks::key("server", &location, server.name);
    let found = found(cluster, key, server.id, server.labels, server_state(&server.status), spec);
    Found { addresses, place: (!builds).then_some(place), ..found }
}

fn server_state(status: &str) -> State {
    match status {
        "running" => State::Ready,
        "off" => State::Off,
        "deleting" => State::Leaving,
        // initializing, starting, stopping, migrating, rebuilding, unknown: all pass.
        _ => State::Pending,
    }
}

/// A server owns a whole IPv6 network and is given its first address.
fn address(ip: &str) -> Option<IpAddr> {
    let Some((network, _)) = ip.split_once('/') else { return ip.parse().ok() };
    let network: Ipv6Addr = network.parse().ok()?;
    Some(IpAddr::V6(Ipv6Addr::from(u128::from(network) | 1)))
}

pub(super) fn firewall(cluster: &str, firewall: Firewall) -> Found {
    let spec = json!({ "labels": marks::only(&firewall.labels), "rules": wanted::canonical_rules(&firewall.rules) });
    found(cluster, marks::key("firewall", "", firewall.name), firewall.id, firewall.labels, State::Ready, spec)
}

pub(super) fn ssh_key(cluster: &str, ssh_key: SshKey) -> Found {
    let spec = json!({ "labels": marks::only(&ssh_key.labels) });
    found(cluster, marks::key("ssh_key", "", ssh_key.name), ssh_key.id, ssh_key.labels, State::Ready, spec)
}

/// A snapshot's key comes from its marks, so that [`super::Wanted::needs`] and this agree whatever its description.
pub(super) fn snapshot(cluster: &str, snapshot: Snapshot) -> Found {
    let image = marks::image_of(&snapshot.labels);
    let key = match &image {
        Some(image) => marks::image_key(cluster, image),
        None => marks::key("image", "", snapshot.description),
    };
    let state = match snapshot.status.as_str() {
        "available" => State::Ready,
        "creating" => State::Pending,
        other => State::Broken(format!("the snapshot is {other}")),
    };
    let spec = json!({ "labels": marks::only(&snapshot.labels) });
    found(cluster, key, snapshot.id, snapshot.labels, state, spec)
}

/// A volume counts as the cluster's if a controller made it and it hangs on one of our machines. `machines`: the
/// cluster's servers as found.
pub(super) fn volume(cluster: &str, volume: Volume, machines: &[Found]) -> Option<Found> {
    let holder = volume.server.and_then(|id| by_id(machines, id));
    if holder.is_none() && !concerns(cluster, &volume.name, &volume.labels) {
        return None;
    }
    let (label, value) = CONTROLLER_VOLUME;
    let made_by_controller = volume.labels.get(label).is_some_and(|found| found == value);
    let spec = json!({ "attached": volume.server.is_some(), "size_gb": volume.size });
    let key = marks::key("volume", &volume.location.map(|at| at.name).unwrap_or_default(), volume.name);
    let mut found = found(cluster, key, volume.id, volume.labels, State::Ready, spec);
    if let Some(holder) = holder {
        found.left_behind = made_by_controller && !found.ours;
        found.node.clone_from(&holder.node);
    }
    Some(found)
}

/// A load balancer counts as the cluster's if a controller made it and it leads to one of our machines.
pub(super) fn load_balancer(cluster: &str, balancer: LoadBalancer, machines: &[Found]) -> Option<Found> {
    let leads_here = machines
        .iter()
        .filter_map(|machine| machine.id.parse().ok())
        .any(|id| balancer.targets.iter().any(|target| target.is_server(id)));
    if !leads_here && !concerns(cluster, &balancer.name, &balancer.labels) {
        return None;
    }
    let made_by_controller = balancer.labels.contains_key(CONTROLLER_LB);
    let key = marks::key("load_balancer", &balancer.location.map(|at| at.name).unwrap_or_default(), balancer.name);
    let spec = json!({ "labels": marks::only(&balancer.labels) });
    let mut found = found(cluster, key, balancer.id, balancer.labels, State::Ready, spec);
    found.left_behind = leads_here && made_by_controller && !found.ours;
    Some(found)
}

fn by_id(machines: &[Found], id: u64) -> Option<&Found> {
    machines.iter().find(|machine| machine.id == id.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::wanted::tests::a_need;
    use super::*;

    /// The shape of the API's own example, with what we do not read left in.
    pub(in super::super) const SERVER: &str = r#"{
        "id": 42, "name": "bouquet-lily", "status": "running", "created": "2026-11-01T00:00:00Z",
        "labels": {"bouquet.dev/cluster": "bouquet", "bouquet.dev/node": "lily", "bouquet.dev/role": "worker",
                   "team": "garden"},
        "server_type": {"id": 45, "name": "cax21", "cores": 4, "memory": 8.0, "disk": 80, "architecture": "arm"},
        "location": {"id": 1, "name": "fsn1", "network_zone": "eu-central"}, "image": null, "iso": null,
        "public_net": {"ipv4": {"id": 1, "ip": "203.0.113.9", "blocked": false, "dns_ptr": "x"},
                       "ipv6": {"id": 2, "ip": "2001:db8:0:1::/64", "blocked": false, "dns_ptr": []},
                       "floating_ips": [], "firewalls": [{"id": 38, "status": "applied"}]},
        "private_net": [], "volumes": [], "load_balancers": null, "locked": false, "rescue_enabled": false}"#;

    pub(in super::super) const FIREWALL: &str = r#"{"id": 38, "name": "bouquet-nodes",
        "labels": {"bouquet.dev/cluster": "bouquet"}, "applied_to": [], "rules": [
        {"direction": "in", "protocol": "udp", "port": "41641", "source_ips": ["::/0", "0.0.0.0/0"],
         "destination_ips": [], "description": null},
        {"direction": "in", "protocol": "tcp", "port": "443", "source_ips": ["0.0.0.0/0", "::/0"]},
        {"direction": "in", "protocol": "tcp", "port": "80", "source_ips": ["0.0.0.0/0", "0:0::0/0"],
         "destination_ips": null, "description": "web"}]}"#;

    fn lily() -> Found {
        let firewall: Firewall = serde_json::from_str(FIREWALL).unwrap();
        server("bouquet", serde_json::from_str(SERVER).unwrap(), &[firewall])
    }

    #[test]
    fn what_was_made_as_wanted_is_found_as_wanted() {
        let all = super::super::wanted::wanted(&a_need());
        let firewall = firewall("bouquet", serde_json::from_str(FIREWALL).unwrap());
        assert_eq!((&firewall.key, &firewall.spec), (&all[0].key, &all[0].spec));
        assert_eq!((&lily().key, &lily().spec), (&all[1].key, &all[1].spec));
        assert_eq!((lily().node, lily().state, lily().ours), (Some("lily".into()), State::Ready, true));
        let addresses: Vec<String> = lily().addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["203.0.113.9", "2001:db8:0:1::1"]);
    }

    #[test]
    fn a_name_of_ours_without_our_mark_is_foreign() {
        let mut foreign: Server = serde_json::from_str(SERVER).unwrap();
        foreign.labels.insert(marks::CLUSTER.into(), "another".into());
        assert!(concerns("bouquet", &foreign.name, &foreign.labels));
        assert!(!concerns("bou", &foreign.name, &foreign.labels));
        assert!(!server("bouquet", foreign, &[]).ours);
    }

    #[test]
    fn a_controllers_volume_on_our_machine_goes_with_it_and_a_users_does_not() {
        let volume = |labels: &str, server: &str| {
            let text = format!(r#"{{"id": 7, "name": "pvc-1", "size": 10, "server": {server}, "labels": {labels}}}"#);
            super::volume("bouquet", serde_json::from_str(&text).unwrap(), &[lily()])
        };
        let csi = r#"{"managed-by": "csi-driver"}"#;
        let found = volume(csi, "42").unwrap();
        assert_eq!((found.ours, found.left_behind, found.node.as_deref()), (false, true, Some("lily")));
        assert!(!volume("{}", "42").unwrap().left_behind);
        assert_eq!(volume(csi, "43"), None);
        assert_eq!(volume(csi, "null"), None);
    }

    #[test]
    fn a_controllers_load_balancer_goes_with_any_kind_of_target() {
        let balancer = |targets: &str| {
            let text = format!(
                r#"{{"id": 7, "name": "a1", "labels": {{"hcloud-ccm/service-uid": "u"}}, "targets": {targets}}}"#
            );
            load_balancer("bouquet", serde_json::from_str(&text).unwrap(), &[lily()])
        };
        assert!(balancer(r#"[{"type": "server", "server": {"id": 42}}]"#).unwrap().left_behind);
        let selected = r#"[{"type": "label_selector", "targets": [{"type": "server", "server": {"id": 42}}]}]"#;
        assert!(balancer(selected).unwrap().left_behind);
        assert_eq!(balancer(r#"[{"type": "ip", "ip": {"ip": "203.0.113.1"}}]"#), None);
    }
}
