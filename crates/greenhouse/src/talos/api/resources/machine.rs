//! Resources of the machine, its configuration and its cluster.

use super::super::super::proto::resources as spec;
use super::super::super::{Stage, config, node, ports, services, trust};
use super::{Found, configured, octets, single};
use crate::world::State;
use serde_json::{Value, json};

pub(super) fn members(state: &State, id: u64) -> Vec<Found> {
    let others = trust::members(state, id);
    let all = [id].into_iter().chain(others).filter_map(|member| {
        let there = node(state, member)?;
        let complete = there.complete()?;
        let homeless = state.lies.contains("talos-member-homeless");
        let addresses = if homeless { Vec::new() } else { ports::all_addresses(state, member) };
        let system = format!("Talos (v{})", there.system.talos);
        let mut yaml = json!({
            "nodeId": format!("{member:032x}"), "addresses": addresses, "hostname": there.hostname,
            "machineType": machine_type_word(complete), "operatingSystem": system,
        });
        if let Some(fields) = yaml.as_object_mut().filter(|_| complete.control_plane) {
            fields.insert("controlPlane".into(), json!({"port": 6443}));
        }
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

pub(super) fn cluster_info(state: &State, id: u64) -> Vec<Found> {
    configured(state, id, |_, complete| {
        let (cluster_id, cluster_name) = (complete.cluster_id.clone(), complete.cluster_name.clone());
        let yaml = json!({"clusterId": cluster_id, "clusterName": cluster_name});
        Found::new("current", yaml, &spec::ClusterInfo { cluster_id, cluster_name })
    })
}

pub(super) fn machine_status(state: &State, id: u64) -> Vec<Found> {
    single(state, id, |node| {
        let unmet = if node.complete().is_some() { services::unmet(node) } else { Vec::new() };
        let ready = unmet.is_empty() && node.stage == Stage::Running;
        let conditions: Vec<Value> =
            unmet.iter().map(|(name, reason)| json!({"name": name, "reason": reason})).collect();
        let yaml = json!({"stage": node.stage.word(), "status": {"ready": ready, "unmetConditions": conditions}});
        let unmet_conditions =
            unmet.into_iter().map(|(name, reason)| spec::UnmetCondition { name: name.into(), reason }).collect();
        let status = spec::MachineStatusStatus { ready, unmet_conditions };
        Found::new("machine", yaml, &spec::MachineStatus { stage: node.stage.number(), status: Some(status) })
    })
}

pub(super) fn machine_configs(state: &State, id: u64) -> Vec<Found> {
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

pub(super) fn machine_type(state: &State, id: u64) -> Vec<Found> {
    configured(state, id, |_, complete| {
        let machine_type = if complete.control_plane { 2 } else { 3 };
        Found::new("machine-type", json!(machine_type_word(complete)), &spec::MachineType { machine_type })
    })
}

pub(super) fn all_services(state: &State, id: u64) -> Vec<Found> {
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

pub(super) fn boot_id(state: &State, id: u64) -> Vec<Found> {
    // Its binary form is not known here and left empty.
    single(state, id, |node| Found::new("bootid", json!({"bootID": node.boot_id}), &()))
}

pub(super) fn version(state: &State, id: u64) -> Vec<Found> {
    single(state, id, |node| {
        let version = format!("v{}", node.system.talos);
        Found::new(
            "version",
            json!({"name": "Talos", "version": version}),
            &spec::Version { version, name: "Talos".into() },
        )
    })
}

pub(super) fn security_state(state: &State, id: u64) -> Vec<Found> {
    single(state, id, |_| {
        let yaml = json!({"secureBoot": false, "selinuxState": "enabled, permissive", "bootedWithUKI": true});
        Found::new(
            "securitystate",
            yaml,
            &spec::SecurityState { secure_boot: false, se_linux_state: 1, booted_with_uki: true },
        )
    })
}

pub(super) fn platform(state: &State, id: u64) -> Vec<Found> {
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

pub(super) fn extensions(state: &State, id: u64) -> Vec<Found> {
    let here = node(state, id).into_iter().flat_map(|node| node.system.extensions.iter().enumerate());
    here.map(|(at, name)| {
        let short = name.rsplit('/').next().unwrap_or_default();
        let yaml = json!({"image": format!("{at}.squashfs"), "metadata": {"name": short, "version": "", "author": "Sidero Labs"}});
        let metadata = spec::ExtensionMetadata { name: short.into(), version: String::new(), author: "Sidero Labs".into() };
        let proto = spec::ExtensionStatus { image: format!("{at}.squashfs"), metadata: Some(metadata) };
        Found::new(at.to_string(), yaml, &proto)
    })
    .collect()
}

pub(super) fn schematic(state: &State, id: u64) -> Vec<Found> {
    single(state, id, |node| Found::new("schematic", json!({"schematicId": node.system.schematic}), &()))
}

pub(super) fn volumes(state: &State, id: u64) -> Vec<Found> {
    let gib = state.machines.get(&id).map_or(0, |machine| machine.disk_gib);
    let formatted = node(state, id).is_some_and(|node| node.complete().is_some());
    // Partitions as Talos's disk images number them: EFI, BIOS and BOOT come before these.
    [("META", 4, 1 << 20, "1.0 MB".to_owned()), ("STATE", 5, 105 << 20, "105 MB".to_owned())]
        .into_iter()
        .chain([("EPHEMERAL", 6, gib << 30, format!("{gib} GB"))])
        .filter(|(name, ..)| formatted || *name == "META")
        .map(|(name, number, size, pretty_size)| {
            let location = format!("/dev/sda{number}");
            let yaml = json!({
                "phase": "ready", "type": "partition", "location": location, "parentLocation": "/dev/sda",
                "partitionIndex": number, "size": size, "prettySize": pretty_size,
            });
            let parent_location = "/dev/sda".into();
            let proto = spec::VolumeStatus {
                phase: 6,
                location,
                parent_location,
                partition_index: number,
                size,
                pretty_size,
                r#type: 0,
            };
            Found::new(name, yaml, &proto)
        })
        .collect()
}

pub(super) fn system_disk(_: &State, _: u64) -> Vec<Found> {
    let proto = spec::SystemDisk { disk_id: "sda".into(), dev_path: "/dev/sda".into() };
    vec![Found::new("system-disk", json!({"diskID": "sda", "devPath": "/dev/sda"}), &proto)]
}

pub(super) fn system_information(state: &State, id: u64) -> Vec<Found> {
    let Some(machine) = state.machines.get(&id) else { return Vec::new() };
    let (manufacturer, product_name) =
        if machine.vendor == "oci" { ("QEMU", "KVM Virtual Machine") } else { ("Hetzner", "vServer") };
    let (version, serial_number) = ("20171111".to_owned(), machine.vendor_id.clone());
    let uuid = format!("00000000-0000-4000-8000-{id:012x}");
    let yaml = json!({
        "manufacturer": manufacturer, "productName": product_name, "version": version, "serialnumber": serial_number,
        "uuid": uuid,
    });
    let (manufacturer, product_name) = (manufacturer.to_owned(), product_name.to_owned());
    let proto = spec::SystemInformation { manufacturer, product_name, version, serial_number, uuid };
    vec![Found::new("systeminformation", yaml, &proto)]
}

/// Nobody has written user-defined keys.
pub(super) fn meta_keys(_: &State, _: u64) -> Vec<Found> {
    Vec::new()
}

/// No node here is Omni's.
pub(super) fn siderolink(_: &State, _: u64) -> Vec<Found> {
    Vec::new()
}

pub(super) fn kubelet_spec(state: &State, id: u64) -> Vec<Found> {
    configured(state, id, |node, complete| {
        let image = format!("ghcr.io/siderolabs/kubelet:v{}", complete.kubelet);
        let config =
            json!({"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "port": 10250});
        let args = vec![format!("--hostname-override={}", node.hostname)];
        let yaml = json!({"image": image, "args": args, "expectedNodename": node.hostname, "config": config});
        let config = Some(super::structure(&config));
        let proto = spec::KubeletSpec { image, args, expected_nodename: node.hostname.clone(), config };
        Found::new("kubelet", yaml, &proto)
    })
}
