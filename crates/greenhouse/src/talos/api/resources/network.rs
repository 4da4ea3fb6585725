//! Resources of addresses, names, etcd and Kubernetes.

use super::super::super::proto::resources as spec;
use super::super::super::subnet::Subnet;
use super::super::super::{etcd, node, ports};
use super::{Found, configured, octets, single};
use crate::world::State;
use serde_json::json;
use std::net::IpAddr;

pub(super) fn node_addresses(state: &State, id: u64) -> Vec<Found> {
    let all = ports::addresses(state, id);
    let default: Vec<IpAddr> = all.first().copied().into_iter().collect();
    let known = ports::all_addresses(state, id);
    [("current", &all), ("routed", &all), ("accumulative", &known), ("default", &default)]
        .into_iter()
        .map(|(name, addresses)| {
            let bits = |address: &IpAddr| if address.is_ipv4() { 32 } else { 128 };
            let texts: Vec<String> = addresses.iter().map(|address| format!("{address}/{}", bits(address))).collect();
            let addresses = addresses
                .iter()
                .map(|address| spec::NetIpPrefix { ip: octets(*address), prefix_length: bits(address) });
            let proto = spec::NodeAddress { addresses: addresses.collect(), sort_algorithm: 0 };
            Found::new(name, json!({"addresses": texts, "sortAlgorithm": "v1"}), &proto)
        })
        .collect()
}

pub(super) fn hostname(state: &State, id: u64) -> Vec<Found> {
    single(state, id, |node| {
        let hostname = node.hostname.clone();
        let yaml = json!({"hostname": hostname, "domainname": ""});
        Found::new("hostname", yaml, &spec::HostnameStatus { hostname, domainname: String::new() })
    })
}

pub(super) fn network_status(_: &State, _: u64) -> Vec<Found> {
    let yaml = json!({"addressReady": true, "connectivityReady": true, "hostnameReady": true, "etcFilesReady": true});
    let proto = spec::NetworkStatus {
        address_ready: true,
        connectivity_ready: true,
        hostname_ready: true,
        etc_files_ready: true,
    };
    vec![Found::new("status", yaml, &proto)]
}

pub(super) fn etcd_member(state: &State, id: u64) -> Vec<Found> {
    let member = etcd::of(state, id).map(|(_, membership)| format!("{:016x}", membership.member));
    member
        .map(|member_id| Found::new("local", json!({"memberID": member_id}), &spec::EtcdMember { member_id }))
        .into_iter()
        .collect()
}

pub(super) fn diagnostics(state: &State, id: u64) -> Vec<Found> {
    let addresses = ports::addresses(state, id);
    configured(state, id, |_, complete| {
        let missing = Subnet::filter(&complete.node_ip_subnets, &addresses).is_empty();
        let message = if missing { "kubelet has no suitable node IP" } else { "" }.to_owned();
        let yaml = json!({"message": message, "details": []});
        Found::new("nodeip", yaml, &spec::Diagnostic { message, details: Vec::new() })
    })
    .into_iter()
    .filter(|found| found.yaml.pointer("/message") != Some(&json!("")))
    .collect()
}

pub(super) fn nodename(state: &State, id: u64) -> Vec<Found> {
    configured(state, id, |node, _| {
        let yaml = json!({"nodename": node.hostname, "hostnameVersion": "1", "skipNodeRegistration": false});
        let proto = spec::Nodename {
            nodename: node.hostname.clone(),
            hostname_version: "1".into(),
            skip_node_registration: false,
        };
        Found::new("nodename", yaml, &proto)
    })
}

pub(super) fn node_status(state: &State, id: u64) -> Vec<Found> {
    configured(state, id, |node, _| {
        let node_ready = node.ready.is_ok();
        let yaml = json!({"nodename": node.hostname, "nodeReady": node_ready, "unschedulable": false});
        let proto = spec::NodeStatus { nodename: node.hostname.clone(), node_ready, unschedulable: false };
        Found::new(node.hostname.clone(), yaml, &proto)
    })
}

pub(super) fn static_pods(state: &State, id: u64) -> Vec<Found> {
    let Some(node) = node(state, id).filter(|node| node.kube_api.is_some()) else { return Vec::new() };
    let pods = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    let status = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    let proto = spec::StaticPodStatus { pod_status: Some(super::structure(&status)) };
    pods.iter().map(|pod| Found::new(format!("kube-system/{pod}-{}", node.hostname), status.clone(), &proto)).collect()
}

/// What the first control plane brings into the new Kubernetes cluster.
pub(super) fn manifests_config(state: &State, id: u64) -> Vec<Found> {
    let is_worker = !node(state, id).is_some_and(crate::talos::Node::is_control_plane);
    if is_worker {
        return Vec::new();
    }
    configured(state, id, |_, complete| {
        let pod_cidrs: Vec<String> = complete.pod_and_service_subnets.iter().take(1).map(ToString::to_string).collect();
        let flannel_enabled = complete.cni == "flannel";
        let yaml = json!({
            "podCIDRs": pod_cidrs, "proxyEnabled": true, "coreDNSEnabled": true, "flannelEnabled": flannel_enabled,
            "flannelExtraArgs": complete.flannel_args, "cniName": complete.cni,
        });
        let proto = spec::BootstrapManifestsConfig {
            pod_cidrs,
            proxy_enabled: true,
            core_dns_enabled: true,
            flannel_enabled,
            flannel_extra_args: complete.flannel_args.clone(),
            cni_name: complete.cni.clone(),
        };
        Found::new("manifests", yaml, &proto)
    })
}
