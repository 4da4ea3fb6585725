//! The types that the emulator knows, as Talos 1.13.9 defines them (`pkg/machinery/resources`).

use super::{Definition, Found, definitions, links, machine, network};
use crate::world::State;

const fn public(
    kind: &'static str,
    namespace: &'static str,
    display: &'static str,
    aliases: &'static [&'static str],
    columns: &'static [(&'static str, &'static str)],
    list: fn(&State, u64) -> Vec<Found>,
) -> Definition {
    Definition { kind, namespace, display, aliases, columns, sensitive: false, since_minor: 0, list }
}

impl Definition {
    const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    const fn since(mut self, minor: u32) -> Self {
        self.since_minor = minor;
        self
    }
}

pub(super) static DEFINITIONS: &[Definition] = &[
    public(
        "ResourceDefinitions.meta.cosi.dev",
        "meta",
        "ResourceDefinition",
        &["api-resources"],
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
        &[],
        &[("Stage", "{.stage}"), ("Ready", "{.status.ready}")],
        machine::machine_status,
    ),
    public("MachineConfigs.config.talos.dev", "config", "MachineConfig", &[], &[], machine::machine_configs)
        .sensitive(),
    public("MachineTypes.config.talos.dev", "config", "MachineType", &[], &[("Type", "{@}")], machine::machine_type),
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
        &[],
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
        &[
            ("Address", "{.addressReady}"),
            ("Connectivity", "{.connectivityReady}"),
            ("Hostname", "{.hostnameReady}"),
            ("Etc", "{.etcFilesReady}"),
        ],
        network::network_status,
    ),
    public(
        "EtcdMembers.etcd.talos.dev",
        "etcd",
        "EtcdMember",
        &[],
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
    public("BootIDs.runtime.talos.dev", "runtime", "BootID", &[], &[("Boot ID", "{.bootID}")], machine::boot_id)
        .since(14),
    public(
        "Versions.runtime.talos.dev",
        "runtime",
        "Version",
        &[],
        &[("Name", "{.name}"), ("Version", "{.version}")],
        machine::version,
    ),
    public(
        "SecurityStates.talos.dev",
        "runtime",
        "SecurityState",
        &[],
        &[
            ("SecureBoot", "{.secureBoot}"),
            ("UKISigningKeyFingerprint", "{.ukiSigningKeyFingerprint}"),
            ("PCRSigningKeyFingerprint", "{.pcrSigningKeyFingerprint}"),
            ("SELinuxState", "{.selinuxState}"),
            ("ModuleSignatureEnforced", "{.moduleSignatureEnforced}"),
        ],
        machine::security_state,
    ),
    public(
        "PlatformMetadatas.talos.dev",
        "runtime",
        "PlatformMetadata",
        &[],
        &[("Platform", "{.platform}"), ("Type", "{.instanceType}"), ("Region", "{.region}"), ("Zone", "{.zone}")],
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
    )
    .since(14),
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
        &[("Ready", "{.conditions[?(@.type==\"Ready\")].status}")],
        network::static_pods,
    ),
    public(
        "VolumeStatuses.block.talos.dev",
        "runtime",
        "VolumeStatus",
        &[],
        &[("Type", "{.type}"), ("Phase", "{.phase}"), ("Location", "{.location}"), ("Size", "{.prettySize}")],
        machine::volumes,
    ),
    public("SystemDisks.block.talos.dev", "runtime", "SystemDisk", &[], &[("Disk", "{.diskID}")], machine::system_disk),
    public("KubeletSpecs.kubernetes.talos.dev", "k8s", "KubeletSpec", &[], &[], machine::kubelet_spec).sensitive(),
    public(
        "BootstrapManifestsConfigs.kubernetes.talos.dev",
        "controlplane",
        "BootstrapManifestsConfig",
        &[],
        &[],
        network::manifests_config,
    ),
    public(
        "SystemInformations.hardware.talos.dev",
        "hardware",
        "SystemInformation",
        &["systeminformation"],
        &[
            ("Manufacturer", "{.manufacturer}"),
            ("ProductName", "{.productName}"),
            ("Version", "{.version}"),
            ("SerialNumber", "{.serialnumber}"),
            ("UUID", "{.uuid}"),
            ("WakeUpType", "{.wakeUpType}"),
            ("SKUNumber", "{.skuNumber}"),
        ],
        machine::system_information,
    ),
    public("MetaKeys.runtime.talos.dev", "runtime", "MetaKey", &["meta"], &[("Value", "{.value}")], machine::meta_keys),
    public(
        "SiderolinkStatuses.siderolink.talos.dev",
        "config",
        "SiderolinkStatus",
        &[],
        &[("Host", "{.host}"), ("Connected", "{.connected}")],
        machine::siderolink,
    ),
    public(
        "LinkStatuses.net.talos.dev",
        "network",
        "LinkStatus",
        &["link", "links"],
        &[
            ("Alias", "{.alias}"),
            ("Type", "{.type}"),
            ("Kind", "{.kind}"),
            ("Hw Addr", "{.hardwareAddr}"),
            ("Oper State", "{.operationalState}"),
            ("Link State", "{.linkState}"),
        ],
        links::links,
    ),
    public(
        "AddressStatuses.net.talos.dev",
        "network",
        "AddressStatus",
        &["address", "addresses"],
        &[("Address", "{.address}"), ("Link", "{.linkName}")],
        links::addresses,
    ),
    public(
        "RouteStatuses.net.talos.dev",
        "network",
        "RouteStatus",
        &["route", "routes"],
        &[("Destination", "{.dst}"), ("Gateway", "{.gateway}"), ("Link", "{.outLinkName}"), ("Metric", "{.priority}")],
        links::routes,
    ),
    public(
        "ResolverStatuses.net.talos.dev",
        "network",
        "ResolverStatus",
        &["resolvers"],
        &[("Resolvers", "{.dnsServers}"), ("Search Domains", "{.searchDomains}")],
        links::resolvers,
    ),
    public(
        "TimeServerStatuses.net.talos.dev",
        "network",
        "TimeServerStatus",
        &["timeserver", "timeservers"],
        &[("Timeservers", "{.timeServers}")],
        links::time_servers,
    ),
];
