//! Texts of settings: what each program on a machine is told.

use crate::cgroup;
use crate::machine::{DNS_SERVICE, MACHINES, Machine, POD_CIDR, POD_MTU, SWITCH_ADDRESS};
use serde_json::{Value, json};
use std::path::Path;

/// containerd: everything below the machine's own `/var` and `/run`; programs by absolute paths.
pub(crate) fn containerd(runc: &Path, plugins: &Path) -> String {
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
# These look for file systems and folders that a rig's machine has not.
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
# Without CAP_SYS_RESOURCE nobody may ask for a lower score, and runc dies of trying.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "/var/lib/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "{runc}"
SystemdCgroup = false
"#,
        plugins = plugins.display(),
        runc = runc.display(),
    )
}

/// The image of every pod's first process.
pub(crate) const PAUSE: &str = "bouquet.test/pause:1";

/// How a pod comes into the network: a port of the machine's bridge, as the plugin of flannel delegates it.
pub(crate) fn pod_network(machine: Machine) -> Value {
    json!({
        "name": "cbr0",
        "cniVersion": "0.3.1",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "mtu": POD_MTU,
                "hairpinMode": true,
                "isDefaultGateway": true,
                "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{ "subnet": machine.pods() }]],
                    "routes": [{ "dst": POD_CIDR }],
                    // Forgotten at a restart, as the pods are.
                    "dataDir": "/run/cni-addresses",
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    })
}

/// The kubelet.
pub(crate) fn kubelet(machine: Machine, authority: &Path, certificate: &Path, key: &Path) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": { "anonymous": { "enabled": false }, "webhook": { "enabled": true },
            "x509": { "clientCAFile": authority } },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": certificate,
        "tlsPrivateKeyFile": key,
        "address": "0.0.0.0",
        "readOnlyPort": 0,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup::root_of(machine),
        "enforceNodeAllocatable": ["pods"],
        "failCgroupV1": false,
        "failSwapOn": false,
        "protectKernelDefaults": true,
        "oomScoreAdj": 0,
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        // There is no registry to get an image from again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": { "memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
        "nodeStatusUpdateFrequency": "4s",
        "nodeLeaseDurationSeconds": 40,
        "syncFrequency": "10s",
    })
}

/// kube-proxy. Its limits of connections would be the whole kernel's: it is told to leave them alone.
pub(crate) fn kube_proxy(machine: Machine, kubeconfig: &Path) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": { "kubeconfig": kubeconfig },
        "hostnameOverride": machine.name,
        "mode": "iptables",
        "clusterCIDR": POD_CIDR,
        "oomScoreAdj": 0,
        "conntrack": { "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s" },
    })
}

/// How somebody reaches the API.
pub(crate) fn kubeconfig(server: &str, authority: &Path, certificate: &Path, key: &Path) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "rig", "cluster": { "server": server, "certificate-authority": authority } }],
        "users": [{ "name": "user", "user": { "client-certificate": certificate, "client-key": key } }],
        "contexts": [{ "name": "rig", "context": { "cluster": "rig", "user": "user" } }],
        "current-context": "rig",
    })
}

/// headscale: addresses in the order of joining, its own relay, and nothing that asks the internet for anything.
pub(crate) fn headscale(folder: &Path) -> Value {
    json!({
        "server_url": format!("http://{SWITCH_ADDRESS}:8080"),
        "listen_addr": format!("{SWITCH_ADDRESS}:8080"),
        "metrics_listen_addr": "127.0.0.1:9090",
        "grpc_listen_addr": "127.0.0.1:50443",
        "noise": { "private_key_path": folder.join("noise.key") },
        "prefixes": { "v4": "100.64.0.0/10", "allocation": "sequential" },
        "derp": {
            "server": {
                "enabled": true,
                "region_id": 999,
                "region_code": "rig",
                "region_name": "rig",
                "verify_clients": false,
                "stun_listen_addr": format!("{SWITCH_ADDRESS}:3478"),
                "private_key_path": folder.join("derp.key"),
                "automatically_add_embedded_derp_region": true,
                "ipv4": SWITCH_ADDRESS,
            },
            "urls": [],
            "paths": [],
            "auto_update_enabled": false,
        },
        "database": { "type": "sqlite", "sqlite": { "path": folder.join("db.sqlite"), "write_ahead_log": true } },
        "dns": { "magic_dns": false, "base_domain": "rig.test", "override_local_dns": false },
        "policy": { "mode": "file", "path": "" },
        "unix_socket": folder.join("headscale.sock"),
        "unix_socket_permission": "0700",
        "disable_check_updates": true,
        "logtail": { "enabled": false },
        "log": { "level": "info" },
    })
}

/// A machine's name as its own API and the others' certificates have it; where the API is.
pub(crate) fn api_url() -> String {
    format!("https://{}:6443", MACHINES[0].mesh())
}
