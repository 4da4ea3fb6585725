use super::mark::{self, INSTANCE, INTERNET_GATEWAY, OCI, ROUTE_TABLE, SECURITY_LIST, SUBNET, VCN, key};
use super::rules;
use crate::{Need, NeedMachine, Wanted};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// One VCN a region, and regions are not peered (the mesh joins machines), so that all may use the same range. It meets
/// neither the pods' default range (10.244.0.0/16) nor the services' (10.96.0.0/12) nor the mesh's (100.64.0.0/10).
pub(super) const VCN_CIDR: &str = "10.0.0.0/16";
/// 4,093 machines; the rest of the VCN stays free for what the owner may add.
const SUBNET_CIDR: &str = "10.0.0.0/20";

/// Everything `need` asks of this cloud, by region, each after what it needs.
pub(super) fn wanted(need: &Need) -> Vec<Wanted> {
    let machines: Vec<&NeedMachine> = need.machines.iter().filter(|machine| machine.place.cloud == OCI).collect();
    let regions: BTreeSet<&str> = machines.iter().map(|machine| machine.place.region.as_str()).collect();
    let mut all = Vec::new();
    for region in regions {
        all.extend(network(need, region));
        let mut here: Vec<&NeedMachine> =
            machines.iter().copied().filter(|machine| machine.place.region == region).collect();
        here.sort_by(|a, b| a.node.cmp(&b.node));
        all.extend(here.into_iter().map(|machine| instance(&need.cluster, machine)));
    }
    all
}

fn network(need: &Need, region: &str) -> [Wanted; 5] {
    let name = need.cluster.as_str();
    let shared = |kind: &str, needs: &[&str], spec: Value| Wanted {
        key: key(kind, region, name),
        node: None,
        needs: needs.iter().map(|kind| key(kind, region, name)).collect(),
        spec,
        is_machine: false,
    };
    let rule = json!({"destination": "0.0.0.0/0", "destinationType": "CIDR_BLOCK", "networkEntityId": name});
    let filter = json!({
        "vcnId": name,
        "ingressSecurityRules": rules::ingress(&need.openness.talos_from),
        "egressSecurityRules": rules::egress(),
    });
    // The VCN's default security list, which lets SSH in, stays unattached.
    let subnet = json!({"vcnId": name, "cidrBlock": SUBNET_CIDR, "routeTableId": name, "securityListIds": [name]});
    [
        shared(VCN, &[], json!({"cidrBlocks": [VCN_CIDR]})),
        shared(INTERNET_GATEWAY, &[VCN], json!({"vcnId": name, "isEnabled": true})),
        shared(ROUTE_TABLE, &[VCN, INTERNET_GATEWAY], json!({"vcnId": name, "routeRules": [rule]})),
        shared(SECURITY_LIST, &[VCN], filter),
        shared(SUBNET, &[VCN, ROUTE_TABLE, SECURITY_LIST], subnet),
    ]
}

/// The image is needed but no part of the spec: a machine goes on living when Talos is upgraded on its disk.
fn instance(cluster: &str, machine: &NeedMachine) -> Wanted {
    let region = machine.place.region.as_str();
    let mut spec = json!({
        "shape": machine.place.machine,
        "subnetId": cluster,
        "freeformTags": mark::machine(cluster, &machine.node, machine.role),
    });
    if let (Some(size), Some(spec)) = (machine.place.size, spec.as_object_mut()) {
        spec.insert("shapeConfig".to_owned(), json!({"ocpus": size.cpus, "memoryInGBs": size.memory_gib}));
        spec.insert("bootVolumeSizeInGBs".to_owned(), json!(size.disk_gib));
    }
    Wanted {
        key: key(INSTANCE, region, mark::instance_name(cluster, &machine.node)),
        node: Some(machine.node.clone()),
        needs: vec![key(SUBNET, region, cluster), mark::image_key(cluster, &machine.image)],
        spec,
        is_machine: true,
    }
}
