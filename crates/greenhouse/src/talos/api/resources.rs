//! Which resources there are, and what each says: both in YAML (talosctl prints it) and in binary (typed clients).

use super::super::proto::cosi as wire;
use super::super::proto::resources as spec;
use super::super::subnet::Subnet;
use super::super::{Node, config, etcd, node, ports, services, trust};
use crate::world::State;
use serde_json::{Value, json};
use std::net::IpAddr;

/// One type of resource.
pub(super) struct Definition {
    pub kind: &'static str,
    pub namespace: &'static str,
    display: &'static str,
    /// Short names beside those that are made of the type.
    aliases: &'static [&'static str],
    /// Name and JSONPath on the YAML spec.
    columns: &'static [(&'static str, &'static str)],
    /// For admins only.
    pub sensitive: bool,
    list: fn(&State, u64) -> Vec<Found>,
}

/// A resource: id, version, YAML (as JSON, which is YAML), binary.
struct Found {
    id: String,
    version: u64,
    yaml: Value,
    proto: Vec<u8>,
}

impl Found {
    fn new(id: impl Into<String>, yaml: Value, proto: &impl prost::Message) -> Self {
        Found { id: id.into(), version: 1, yaml, proto: proto.encode_to_vec() }
    }
}

const fn public(
    kind: &'static str,
    namespace: &'static str,
    display: &'static str,
    aliases: &'static [&'static str],
    columns: &'static [(&'static str, &'static str)],
    list: fn(&State, u64) -> Vec<Found>,
) -> Definition {
    Definition { kind, namespace, display, aliases, columns, sensitive: false, list }
}

static DEFINITIONS: &[Definition] = &[
    public(
        "ResourceDefinitions.meta.cosi.dev",
        "meta",
        "ResourceDefinition",
        &["api-resources", "crd", "crds", "rd", "rds"],
        &[("Aliases", "{.aliases[:]}")],
        definitions,
    ),
    public(
        "Members.cluster.talos.dev",
        "cluster",
        "Member",
        &[],
        &[
            ("Hostname", "{.hostname}"),
            ("Machine Type", "{.machineType}"),
            ("OS", "{.operatingSystem}"),
            ("Addresses", "{.addresses}"),
        ],
        members,
    ),
    public(
        "Infos.cluster.talos.dev",
        "cluster",
        "Info",
        &[],
        &[("Cluster ID", "{.clusterId}"), ("Cluster Name", "{.clusterName}")],
        cluster_info,
    ),
    public(
        "MachineStatuses.runtime.talos.dev",
        "runtime",
        "MachineStatus",
        &["ms"],
        &[("Stage", "{.stage}"), ("Ready", "{.status.ready}")],
        machine_status,
    ),
    Definition {
        kind: "MachineConfigs.config.talos.dev",
        namespace: "config",
        display: "MachineConfig",
        aliases: &["mc", "mcs"],
        columns: &[],
        sensitive: true,
        list: machine_configs,
    },
    public("MachineTypes.config.talos.dev", "config", "MachineType", &["mt", "mts"], &[("Type", "{@}")], machine_type),
    public(
        "Services.v1alpha1.talos.dev",
        "runtime",
        "Service",
        &["svc"],
        &[("Running", "{.running}"), ("Healthy", "{.healthy}"), ("Health Unknown", "{.unknown}")],
        all_services,
    ),
    public(
        "NodeAddresses.net.talos.dev",
        "network",
        "NodeAddress",
        &["na", "nas"],
        &[("Addresses", "{.addresses}"), ("SortAlgorithm", "{.sortAlgorithm}")],
        node_addresses,
    ),
    public(
        "HostnameStatuses.net.talos.dev",
        "network",
        "HostnameStatus",
        &["hostname"],
        &[("Hostname", "{.hostname}"), ("Domainname", "{.domainname}")],
        hostname,
    ),
    public(
        "NetworkStatuses.net.talos.dev",
        "network",
        "NetworkStatus",
        &["netstatus", "netstatuses"],
        &[("Address", "{.addressReady}"), ("Connectivity", "{.connectivityReady}")],
        network_status,
    ),
    public(
        "EtcdMembers.etcd.talos.dev",
        "etcd",
        "EtcdMember",
        &["em", "ems"],
        &[("Member ID", "{.memberID}")],
        etcd_member,
    ),
    public("Diagnostics.runtime.talos.dev", "runtime", "Diagnostic", &[], &[("Message", "{.message}")], diagnostics),
    public("BootIDs.runtime.talos.dev", "runtime", "BootID", &[], &[("Boot ID", "{.bootID}")], boot_id),
    public("Versions.runtime.talos.dev", "runtime", "Version", &[], &[("Version", "{.version}")], version),
    public(
        "SecurityStates.talos.dev",
        "runtime",
        "SecurityState",
        &[],
        &[("SecureBoot", "{.secureBoot}")],
        security_state,
    ),
    public(
        "PlatformMetadatas.talos.dev",
        "runtime",
        "PlatformMetadata",
        &[],
        &[("Platform", "{.platform}"), ("Hostname", "{.hostname}")],
        platform,
    ),
    public(
        "ExtensionStatuses.runtime.talos.dev",
        "runtime",
        "ExtensionStatus",
        &["extensions"],
        &[("Name", "{.metadata.name}"), ("Version", "{.metadata.version}")],
        extensions,
    ),
    public(
        "ImageFactorySchematics.runtime.talos.dev",
        "runtime",
        "ImageFactorySchematic",
        &["schematic"],
        &[("Schematic ID", "{.schematicId}")],
        schematic,
    ),
    public("Nodenames.kubernetes.talos.dev", "k8s", "Nodename", &[], &[("Nodename", "{.nodename}")], nodename),
    public(
        "NodeStatuses.kubernetes.talos.dev",
        "k8s",
        "NodeStatus",
        &[],
        &[("Ready", "{.nodeReady}"), ("Unschedulable", "{.unschedulable}")],
        node_status,
    ),
    public(
        "StaticPodStatuses.kubernetes.talos.dev",
        "k8s",
        "StaticPodStatus",
        &["podstatus"],
        &[("Ready", "{.status.conditions[?(@.type==\"Ready\")].status}")],
        static_pods,
    ),
    public(
        "VolumeStatuses.block.talos.dev",
        "runtime",
        "VolumeStatus",
        &["vs"],
        &[("Type", "{.type}"), ("Phase", "{.phase}"), ("Location", "{.location}"), ("Size", "{.prettySize}")],
        volumes,
    ),
    public("SystemDisks.block.talos.dev", "runtime", "SystemDisk", &[], &[("Disk", "{.diskID}")], system_disk),
];

/// The definition of a type, whatever its case.
pub(super) fn definition(kind: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.kind.eq_ignore_ascii_case(kind))
}

/// Every resource of a type on this node.
pub(super) fn list(state: &State, id: u64, definition: &'static Definition) -> Vec<wire::Resource> {
    let created = node(state, id).map(|node| services::stamp(node.started));
    let found = (definition.list)(state, id).into_iter();
    found
        .map(|found| wire::Resource {
            metadata: Some(wire::Metadata {
                namespace: definition.namespace.into(),
                r#type: definition.kind.into(),
                id: found.id,
                version: found.version.to_string(),
                owner: String::new(),
                phase: "running".into(),
                created,
                updated: created,
            }),
            spec: Some(wire::Spec { proto_spec: found.proto, yaml_spec: found.yaml.to_string() }),
        })
        .collect()
}

fn definitions(_: &State, _: u64) -> Vec<Found> {
    let each = DEFINITIONS.iter().map(|definition| {
        let lower = definition.kind.to_lowercase();
        let plural = lower.split('.').next().unwrap_or_default().to_owned();
        // `members`, `members.cluster`, `members.cluster.talos`, and the singular.
        let dots = lower.match_indices('.').map(|(at, _)| lower.get(..at).unwrap_or_default().to_owned());
        let own = definition.aliases.iter().map(|alias| (*alias).to_owned());
        let singular = definition.display.to_lowercase();
        let mut all: Vec<String> = dots.chain(own).chain([singular, plural]).collect();
        all.sort_unstable();
        all.dedup();
        let columns: Vec<Value> =
            definition.columns.iter().map(|(name, path)| json!({"name": name, "jsonPath": path})).collect();
        let yaml = json!({
            "type": definition.kind, "displayType": definition.display, "defaultNamespace": definition.namespace,
            "aliases": all, "allAliases": all, "printColumns": columns,
            "sensitivity": if definition.sensitive { "sensitive" } else { "" },
        });
        let proto = spec::ResourceDefinition {
            resource_type: definition.kind.into(),
            display_type: definition.display.into(),
            default_namespace: definition.namespace.into(),
            aliases: all.clone(),
            all_aliases: all,
            print_columns: definition
                .columns
                .iter()
                .map(|(name, path)| spec::PrintColumn { name: (*name).into(), json_path: (*path).into() })
                .collect(),
            sensitivity: i32::from(definition.sensitive),
        };
        Found::new(lower, yaml, &proto)
    });
    each.collect()
}

/// The node itself and those that discovery tells it about.
fn members(state: &State, id: u64) -> Vec<Found> {
    let others = trust::members(state, id);
    let all = [id].into_iter().chain(others).filter_map(|member| {
        let there = node(state, member)?;
        let complete = there.complete()?;
        let addresses = ports::all_addresses(state, member);
        let system = format!("Talos (v{})", there.system.talos);
        let yaml = json!({
            "nodeId": format!("{member:032x}"), "addresses": addresses, "hostname": there.hostname,
            "machineType": machine_type_word(complete), "operatingSystem": system,
            "controlPlane": complete.control_plane.then(|| json!({"port": 6443})),
        });
        let proto = spec::Member {
            node_id: format!("{member:032x}"),
            addresses: addresses.iter().map(|address| spec::NetIp { ip: octets(*address) }).collect(),
            hostname: there.hostname.clone(),
            machine_type: if complete.control_plane { 2 } else { 3 },
            operating_system: system,
            control_plane: complete.control_plane.then_some(spec::ControlPlane { api_server_port: 6443 }),
        };
        Some(Found::new(there.hostname.clone(), yaml, &proto))
    });
    all.collect()
}

fn machine_type_word(complete: &config::Complete) -> &'static str {
    if complete.control_plane { "controlplane" } else { "worker" }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A list of one, made of the node once it has a configuration.
fn configured(state: &State, id: u64, make: impl FnOnce(&Node, &config::Complete) -> Found) -> Vec<Found> {
    node(state, id).and_then(|node| Some(make(node, node.complete()?))).into_iter().collect()
}

/// A list of one, made of the node.
fn single(state: &State, id: u64, make: impl FnOnce(&Node) -> Found) -> Vec<Found> {
    node(state, id).map(make).into_iter().collect()
}

fn cluster_info(state: &State, id: u64) -> Vec<Found> {
    configured(state, id, |_, complete| {
        let (cluster_id, cluster_name) = (complete.cluster_id.clone(), complete.cluster_name.clone());
        let yaml = json!({"clusterId": cluster_id, "clusterName": cluster_name});
        Found::new("current", yaml, &spec::ClusterInfo { cluster_id, cluster_name })
    })
}

fn machine_status(state: &State, id: u64) -> Vec<Found> {
    single(state, id, |node| {
        let unmet = if node.complete().is_some() { services::unmet(node) } else { Vec::new() };
        let ready = unmet.is_empty() && node.stage == super::super::Stage::Running;
        let conditions: Vec<Value> =
            unmet.iter().map(|(name, reason)| json!({"name": name, "reason": reason})).collect();
        let yaml = json!({"stage": node.stage.word(), "status": {"ready": ready, "unmetConditions": conditions}});
        let unmet_conditions =
            unmet.into_iter().map(|(name, reason)| spec::UnmetCondition { name: name.into(), reason }).collect();
        let status = spec::MachineStatusStatus { ready, unmet_conditions };
        Found::new("machine", yaml, &spec::MachineStatus { stage: node.stage.number(), status: Some(status) })
    })
}

/// The whole text as one YAML string; JSON's strings are YAML's double-quoted ones.
fn machine_configs(state: &State, id: u64) -> Vec<Found> {
    let found = |name: &str, version: u64, bytes: &[u8]| {
        let text = Value::String(String::from_utf8_lossy(bytes).into_owned());
        let proto = spec::MachineConfig { yaml_marshalled: bytes.to_vec() };
        Found { version, ..Found::new(name, text, &proto) }
    };
    let version = node(state, id).map_or(1, |node| node.config_version);
    let active = node(state, id).and_then(|node| node.config.as_ref());
    let saved = state.talos.disks.get(&id).and_then(|disk| disk.config.as_ref());
    let active = active.map(|config| found("v1alpha1", version, &config.bytes));
    active.into_iter().chain(saved.map(|bytes| found("persistent", version, bytes))).collect()
}

fn machine_type(state: &State, id: u64) -> Vec<Found> {
    configured(state, id, |_, complete| {
        let machine_type = if complete.control_plane { 2 } else { 3 };
        Found::new("machine-type", json!(machine_type_word(complete)), &spec::MachineType { machine_type })
    })
}

fn all_services(state: &State, id: u64) -> Vec<Found> {
    let here = node(state, id).into_iter();
    here.flat_map(|node| node.services.iter())
        .map(|(id, service)| {
            let running = service.state == "Running";
            let (healthy, unknown) = (service.healthy == Some(true), service.healthy.is_none());
            let yaml = json!({"running": running, "healthy": healthy, "unknown": unknown});
            Found::new(id, yaml, &spec::Service { running, healthy, unknown })
        })
        .collect()
}

fn node_addresses(state: &State, id: u64) -> Vec<Found> {
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

fn hostname(state: &State, id: u64) -> Vec<Found> {
    single(state, id, |node| {
        let hostname = node.hostname.clone();
        let yaml = json!({"hostname": hostname, "domainname": ""});
        Found::new("hostname", yaml, &spec::HostnameStatus { hostname, domainname: String::new() })
    })
}

fn network_status(_: &State, _: u64) -> Vec<Found> {
    let yaml = json!({"addressReady": true, "connectivityReady": true, "hostnameReady": true, "etcFilesReady": true});
    let proto = spec::NetworkStatus {
        address_ready: true,
        connectivity_ready: true,
        hostname_ready: true,
        etc_files_ready: true,
    };
    vec![Found::new("status", yaml, &proto)]
}

fn etcd_member(state: &State, id: u64) -> Vec<Found> {
    let member = etcd::of(state, id).map(|(_, membership)| format!("{:016x}", membership.member));
    member
        .map(|member_id| Found::new("local", json!({"memberID": member_id}), &spec::EtcdMember { member_id }))
        .into_iter()
        .collect()
}

/// What Talos itself diagnoses: here, subnets that match no address.
fn diagnostics(state: &State, id: u64) -> Vec<Found> {
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

fn boot_id(state: &State, id: u64) -> Vec<Found> {
    // Not in the 1.13 definitions; its binary form is a guess and left empty.
    single(state, id, |node| Found::new("bootid", json!({"bootID": node.boot_id}), &()))
}

fn version(state: &State, id: u64) -> Vec<Found> {
    single(state, id, |node| {
        let version = format!("v{}", node.system.talos);
        Found::new("version", json!({"version": version}), &spec::Version { version, name: "Talos".into() })
    })
}

fn security_state(state: &State, id: u64) -> Vec<Found> {
    single(state, id, |_| {
        let yaml = json!({"secureBoot": false, "seLinuxState": "enabled, permissive", "bootedWithUKI": true});
        Found::new(
            "securitystate",
            yaml,
            &spec::SecurityState { secure_boot: false, se_linux_state: 1, booted_with_uki: true },
        )
    })
}

fn platform(state: &State, id: u64) -> Vec<Found> {
    let Some(machine) = state.machines.get(&id) else { return Vec::new() };
    single(state, id, |node| {
        let scheme = if machine.vendor == "oci" { "oci" } else { "hcloud" };
        let proto = spec::PlatformMetadata {
            platform: node.system.platform.clone(),
            hostname: machine.name.clone(),
            region: machine.region.clone(),
            zone: String::new(),
            instance_type: String::new(),
            instance_id: machine.vendor_id.clone(),
            provider_id: format!("{scheme}://{}", machine.vendor_id),
        };
        let yaml = json!({
            "platform": proto.platform, "hostname": proto.hostname, "region": proto.region,
            "instanceId": proto.instance_id, "providerId": proto.provider_id,
        });
        Found::new("platformmetadata", yaml, &proto)
    })
}

fn extensions(state: &State, id: u64) -> Vec<Found> {
    let here = node(state, id).into_iter().flat_map(|node| node.system.extensions.iter().enumerate());
    here.map(|(at, name)| {
        let short = name.rsplit('/').next().unwrap_or_default();
        let yaml = json!({"image": format!("{at}.squashfs"), "metadata": {"name": short, "version": "", "author": "Sidero Labs"}});
        Found::new(at.to_string(), yaml, &())
    })
    .collect()
}

fn schematic(state: &State, id: u64) -> Vec<Found> {
    single(state, id, |node| Found::new("schematic", json!({"schematicId": node.system.schematic}), &()))
}

fn nodename(state: &State, id: u64) -> Vec<Found> {
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

fn node_status(state: &State, id: u64) -> Vec<Found> {
    configured(state, id, |node, _| {
        let node_ready = node.node_ready.is_ok();
        let yaml = json!({"nodename": node.hostname, "nodeReady": node_ready, "unschedulable": false});
        let proto = spec::NodeStatus { nodename: node.hostname.clone(), node_ready, unschedulable: false };
        Found::new(node.hostname.clone(), yaml, &proto)
    })
}

fn static_pods(state: &State, id: u64) -> Vec<Found> {
    let Some(node) = node(state, id).filter(|node| node.kube_api.is_some()) else { return Vec::new() };
    let pods = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    pods.iter()
        .map(|pod| {
            let name = format!("kube-system/{pod}-{}", node.hostname);
            Found::new(
                name,
                json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
                &(),
            )
        })
        .collect()
}

fn volumes(state: &State, id: u64) -> Vec<Found> {
    let gib = state.machines.get(&id).map_or(0, |machine| machine.disk_gib);
    let formatted = node(state, id).is_some_and(|node| node.complete().is_some());
    [("META", 1 << 20, "1.0 MB".to_owned()), ("STATE", 105 << 20, "105 MB".to_owned()), ("EPHEMERAL", gib << 30, format!("{gib} GB"))]
        .into_iter()
        .filter(|(name, ..)| formatted || *name == "META")
        .map(|(name, size, pretty_size)| {
            let yaml = json!({"type": "partition", "phase": "ready", "location": "/dev/sda", "size": size, "prettySize": pretty_size});
            let proto = spec::VolumeStatus { phase: 6, location: "/dev/sda".into(), size, pretty_size, r#type: 0 };
            Found::new(name, yaml, &proto)
        })
        .collect()
}

fn system_disk(_: &State, _: u64) -> Vec<Found> {
    vec![Found::new("system-disk", json!({"diskID": "sda", "devPath": "/dev/sda"}), &())]
}
