//! Which resources there are, and what each says: both in YAML (talosctl prints it) and in binary (typed clients).

mod machine;
mod network;

use super::super::proto::cosi as wire;
use super::super::proto::resources as spec;
use super::super::{Node, config, node, services};
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
        machine::members,
    ),
    public(
        "Infos.cluster.talos.dev",
        "cluster",
        "Info",
        &[],
        &[("Cluster ID", "{.clusterId}"), ("Cluster Name", "{.clusterName}")],
        machine::cluster_info,
    ),
    public(
        "MachineStatuses.runtime.talos.dev",
        "runtime",
        "MachineStatus",
        &["ms"],
        &[("Stage", "{.stage}"), ("Ready", "{.status.ready}")],
        machine::machine_status,
    ),
    Definition {
        kind: "MachineConfigs.config.talos.dev",
        namespace: "config",
        display: "MachineConfig",
        aliases: &["mc", "mcs"],
        columns: &[],
        sensitive: true,
        list: machine::machine_configs,
    },
    public(
        "MachineTypes.config.talos.dev",
        "config",
        "MachineType",
        &["mt", "mts"],
        &[("Type", "{@}")],
        machine::machine_type,
    ),
    public(
        "Services.v1alpha1.talos.dev",
        "runtime",
        "Service",
        &["svc"],
        &[("Running", "{.running}"), ("Healthy", "{.healthy}"), ("Health Unknown", "{.unknown}")],
        machine::all_services,
    ),
    public(
        "NodeAddresses.net.talos.dev",
        "network",
        "NodeAddress",
        &["na", "nas"],
        &[("Addresses", "{.addresses}"), ("SortAlgorithm", "{.sortAlgorithm}")],
        network::node_addresses,
    ),
    public(
        "HostnameStatuses.net.talos.dev",
        "network",
        "HostnameStatus",
        &["hostname"],
        &[("Hostname", "{.hostname}"), ("Domainname", "{.domainname}")],
        network::hostname,
    ),
    public(
        "NetworkStatuses.net.talos.dev",
        "network",
        "NetworkStatus",
        &["netstatus", "netstatuses"],
        &[("Address", "{.addressReady}"), ("Connectivity", "{.connectivityReady}")],
        network::network_status,
    ),
    public(
        "EtcdMembers.etcd.talos.dev",
        "etcd",
        "EtcdMember",
        &["em", "ems"],
        &[("Member ID", "{.memberID}")],
        network::etcd_member,
    ),
    public(
        "Diagnostics.runtime.talos.dev",
        "runtime",
        "Diagnostic",
        &[],
        &[("Message", "{.message}")],
        network::diagnostics,
    ),
    public("BootIDs.runtime.talos.dev", "runtime", "BootID", &[], &[("Boot ID", "{.bootID}")], machine::boot_id),
    public("Versions.runtime.talos.dev", "runtime", "Version", &[], &[("Version", "{.version}")], machine::version),
    public(
        "SecurityStates.talos.dev",
        "runtime",
        "SecurityState",
        &[],
        &[("SecureBoot", "{.secureBoot}")],
        machine::security_state,
    ),
    public(
        "PlatformMetadatas.talos.dev",
        "runtime",
        "PlatformMetadata",
        &[],
        &[("Platform", "{.platform}"), ("Hostname", "{.hostname}")],
        machine::platform,
    ),
    public(
        "ExtensionStatuses.runtime.talos.dev",
        "runtime",
        "ExtensionStatus",
        &["extensions"],
        &[("Name", "{.metadata.name}"), ("Version", "{.metadata.version}")],
        machine::extensions,
    ),
    public(
        "ImageFactorySchematics.runtime.talos.dev",
        "runtime",
        "ImageFactorySchematic",
        &["schematic"],
        &[("Schematic ID", "{.schematicId}")],
        machine::schematic,
    ),
    public("Nodenames.kubernetes.talos.dev", "k8s", "Nodename", &[], &[("Nodename", "{.nodename}")], network::nodename),
    public(
        "NodeStatuses.kubernetes.talos.dev",
        "k8s",
        "NodeStatus",
        &[],
        &[("Ready", "{.nodeReady}"), ("Unschedulable", "{.unschedulable}")],
        network::node_status,
    ),
    public(
        "StaticPodStatuses.kubernetes.talos.dev",
        "k8s",
        "StaticPodStatus",
        &["podstatus"],
        &[("Ready", "{.status.conditions[?(@.type==\"Ready\")].status}")],
        network::static_pods,
    ),
    public(
        "VolumeStatuses.block.talos.dev",
        "runtime",
        "VolumeStatus",
        &["vs"],
        &[("Type", "{.type}"), ("Phase", "{.phase}"), ("Location", "{.location}"), ("Size", "{.prettySize}")],
        machine::volumes,
    ),
    public("SystemDisks.block.talos.dev", "runtime", "SystemDisk", &[], &[("Disk", "{.diskID}")], machine::system_disk),
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

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn configured(state: &State, id: u64, make: impl FnOnce(&Node, &config::Complete) -> Found) -> Vec<Found> {
    node(state, id).and_then(|node| Some(make(node, node.complete()?))).into_iter().collect()
}

fn single(state: &State, id: u64, make: impl FnOnce(&Node) -> Found) -> Vec<Found> {
    node(state, id).map(make).into_iter().collect()
}
