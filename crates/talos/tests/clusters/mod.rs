//! Cluster files drawn from a seed over all that the file may say about machines: roles, clouds, own machines, sizes, labels,
//! taints, patches, versions, ranges, DNS or none, how the first contact goes. What is drawn is valid.

use std::fmt::Write as _;
use wire::Rng;

/// Nodes' names, in an order that is not theirs in the file.
const NAMES: &[&str] =
    &["rose", "lily", "tulip", "iris", "fern", "moss", "aster-7", "n0", "a", "z9-long-name-of-a-node"];
const WORKER_PLACES: &[&str] = &[
    "hetzner/fsn1/cax21",
    "hetzner/nbg1/cpx31",
    "hetzner/hel1/ccx23",
    "address/203.0.113.MACHINE",
    "address/2001:db8::MACHINE",
    "{ at: oci/eu-frankfurt-1/VM.Standard.A1.Flex, cpus: 2, memory: 12GiB, disk: 100GiB }",
    "[hetzner/hel1/cax11, hetzner/fsn1/cax11]",
];
const LABELS: &[&str] =
    &["example.com/zone: north", "bare: \"\"", "team: a.b_c-d", "\"on\": \"yes\"", "number: \"007\""];
const TAINTS: &[&str] = &["example.com/only=batch:NoExecute", "dedicated:NoSchedule", "a.b/c=d:PreferNoSchedule"];
/// Each takes effect on any machine; none touches what another does.
const PATCHES: &[&str] = &[
    "machine: { sysctls: { vm.nr_hugepages: \"1024\" } }",
    "machine: { kubelet: { extraArgs: { rotate-server-certificates: \"true\" } } }",
    "machine: { certSANs: [talos.example.com] }",
    "machine: { features: { kubePrism: { enabled: true, port: 7445 } } }",
    "machine: { files: [{ content: \"a: b\", permissions: 0o644, path: /var/etc/x.yaml, op: create }] }",
    "machine: { env: { GRPC_GO_LOG_VERBOSITY_LEVEL: \"99\" } }",
    "machine: { registries: { mirrors: { docker.io: { endpoints: [https://mirror.example.com] } } } }",
    "cluster: { apiServer: { extraArgs: { v: \"4\" } } }",
    "cluster: { proxy: { disabled: true } }",
    "cluster: { discovery: { registries: { kubernetes: { disabled: true } } } }",
    "cluster: { network: { podSubnets: [10.250.0.0/16] } }",
    "{ apiVersion: v1alpha1, kind: WatchdogTimerConfig, device: /dev/watchdog0, timeout: 2m0s }",
    "{ apiVersion: v1alpha1, kind: TimeSyncConfig, ntp: { servers: [time.example.com] } }",
];

/// One file, and where its own machines have their disk.
pub fn file(rng: &mut Rng) -> String {
    let kubernetes = format!("1.{}.{}", rng.between(33, 36), rng.below(4));
    let talos = ["1.13.9", "1.13.0", "1.14.6"][rng.below(3) as usize];
    let mut file = format!("cluster: c{}\ntalos: {talos}\nkubernetes: {kubernetes}\n", rng.text(b"abcxyz0189", 8));
    let dns = rng.below(3);
    if dns > 0 {
        file += "domain: garden.example.com\n";
    }
    match dns {
        1 => file += "dns: cloudflare\n",
        2 => file += "dns: { provider: rfc2136, server: \"ns1.example.com:53\", key: zone.key }\n",
        _ => file += "certificates: none\n",
    }
    if rng.below(3) == 0 {
        let _ = writeln!(file, "first-contact: {}", ["user-data", "maintenance"][rng.below(2) as usize]);
    }
    if rng.below(3) == 0 {
        file += "network: { pods: 172.16.0.0/16, services: 172.20.0.0/16 }\n";
    }
    if rng.below(2) == 0 {
        file += "storage: none\n";
    }
    match rng.below(3) {
        0 => file += "mesh: tailscale\n",
        1 => file += "mesh: { provider: tailscale, tailnet: example.ts.net }\n",
        _ => {}
    }
    let control_planes = [1, 1, 3][rng.below(3) as usize];
    let workers = rng.below(4) as usize;
    file += "nodes:\n";
    let first = rng.below(NAMES.len() as u64) as usize;
    for at in 0..control_planes + workers {
        node(&mut file, NAMES[(first + at) % NAMES.len()], at < control_planes, at, rng);
    }
    patches(&mut file, "", rng);
    file
}

fn node(file: &mut String, name: &str, control_plane: bool, at: usize, rng: &mut Rng) {
    let role = if control_plane { "control-plane" } else { "worker" };
    let place = WORKER_PLACES[rng.below(WORKER_PLACES.len() as u64) as usize].replace("MACHINE", &(at + 1).to_string());
    let _ = writeln!(file, "  {name}:\n    role: {role}\n    on: {place}");
    if rng.below(3) == 0 && !place.contains("address") {
        let _ = writeln!(file, "    first-contact: {}", ["user-data", "maintenance"][rng.below(2) as usize]);
    }
    if let Some(labels) = some(LABELS, rng) {
        let _ = writeln!(file, "    labels: {{ {} }}", labels.join(", "));
    }
    if let Some(taints) = some(TAINTS, rng) {
        let _ = writeln!(file, "    taints: [{}]", taints.join(", "));
    }
    patches(file, "    ", rng);
}

fn patches(file: &mut String, indent: &str, rng: &mut Rng) {
    let Some(patches) = some(PATCHES, rng) else { return };
    let _ = writeln!(file, "{indent}patches:");
    for patch in patches {
        let _ = writeln!(file, "{indent}  - {patch}");
    }
}

/// Up to three of a list, each once; half the time nothing.
fn some<'a>(all: &[&'a str], rng: &mut Rng) -> Option<Vec<&'a str>> {
    let from = rng.below(all.len() as u64 * 2) as usize;
    let found: Vec<&str> = all.iter().copied().skip(from).take(1 + rng.below(3) as usize).collect();
    (!found.is_empty()).then_some(found)
}
