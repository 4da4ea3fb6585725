//! What talosctl shows.

use crate::desk::Desk;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

/// A dead address of the mesh.
const NOBODY: &str = "100.64.0.99";

pub fn versions(desk: &Desk) {
    let said = desk.says("version -n @rose", &["NODE:        @rose", "OS/Arch:     linux/arm64"]);
    // The client's own tag comes before the server's.
    let (_, server) = said.split_once("Server:").unwrap();
    assert!(server.contains("Tag:         v1.13.9"), "the server's tag is another: {server}");
    assert!(server.contains("Enabled:     RBAC"), "{said}");
    // Every node of the talosconfig, none named.
    desk.says("version", &["NODE:        @rose", "NODE:        @lily"]);
}

pub fn services(desk: &Desk) {
    let said = desk.says("services -n @rose", &["LAST EVENT"]);
    let row = |said: &str, id: &str| {
        let row = said.lines().find(|line| line.split_whitespace().nth(1) == Some(id));
        row.map(|row| row.split_whitespace().skip(2).take(2).collect::<Vec<_>>().join(" "))
    };
    for id in ["apid", "containerd", "cri", "etcd", "ext-tailscale", "kubelet", "machined", "trustd", "udevd"] {
        assert_eq!(row(&said, id).as_deref(), Some("Running OK"), "{id}:\n{said}");
    }
    let worker = desk.says("services -n @lily", &["kubelet"]);
    assert!(row(&worker, "etcd").is_none() && row(&worker, "trustd").is_none(), "{worker}");
    desk.says("service etcd -n @rose", &["STATE    Running", "HEALTH   OK", "[Finished]: Bootstrap requested"]);
    desk.says("service kubelet restart -n @rose", &["Service \"kubelet\" restarted"]);
    desk.says("service ext-tailscale stop -n @lily", &["Service \"ext-tailscale\" stopped"]);
    desk.says("service ext-tailscale -n @lily", &["STATE    Finished"]);
    desk.says("service ext-tailscale start -n @lily", &["Service \"ext-tailscale\" started"]);
    desk.says("service ext-tailscale -n @lily", &["STATE    Running"]);
    for (words, operation) in [("service kubelet stop", "stop"), ("service etcd restart", "restart")] {
        let wanted = format!("doesn't support {operation} operation via API");
        desk.fails(&format!("{words} -n @rose"), &["code = Unknown", &wanted]);
    }
    desk.fails("service nosuch start -n @rose", &["code = Unknown", "service \"nosuch\" not defined"]);
    desk.fails("service etcd -n @lily", &["service \"etcd\" is not registered on any nodes"]);
}

pub fn several_nodes(desk: &Desk) {
    // Who does not answer is told of, and the others' answers are shown.
    let silent = format!("{NOBODY}: rpc error: code = Unavailable");
    desk.says(&format!("memory -n @rose,@lily,{NOBODY}"), &["@rose", "@lily", "WARNING: 1 error occurred", &silent]);
    let streams = desk.talosctl(&format!("dmesg -n @rose,@lily,{NOBODY}"));
    assert!(streams.text.contains(&format!("{}: ", desk.rose)), "{}", streams.text);
    // What cannot be merged is asked for node by node.
    desk.says("get hostname -n @rose,@lily", &["rose", "lily"]);
    // A worker's apid has no certificate to go elsewhere with.
    desk.fails("memory -e @lily -n @rose", &["code = PermissionDenied", "no request forwarding"]);
    desk.says("memory -e @lily -n @lily", &["AVAILABLE"]);
}

pub fn etcd(desk: &Desk) {
    let said = desk.says("etcd members -n @rose", &["https://@rose:2380", "https://@rose:2379"]);
    let row: Vec<&str> = said.lines().nth(1).unwrap().split_whitespace().collect();
    let [node, id, name, .., learner] = row.as_slice() else { panic!("{said}") };
    assert_eq!((*node, *name, *learner), (desk.rose.as_str(), "rose", "false"));
    assert!(id.len() == 16 && u64::from_str_radix(id, 16).is_ok(), "{id}");
    let status = desk.says("etcd status -n @rose", &["RAFT APPLIED INDEX"]);
    assert_eq!(status.matches(id).count(), 2, "the only member leads: {status}");
    desk.says("get etcdmembers -n @rose", &[id]);
    desk.says("etcd alarm list -n @rose", &[]);
    desk.says("etcd defrag -n @rose", &[]);
    let only = ["code = Unimplemented", "is only available on control plane nodes"];
    desk.fails("etcd members -n @lily", &only);
    desk.fails("etcd status -n @lily", &only);
    desk.fails("etcd defrag -n @lily", &only);
}

/// talosctl opens the database with etcd's own tools, checks it page by page, and hashes what is in it.
pub fn snapshot(desk: &Desk) {
    desk.says("etcd snapshot etcd.db -n @rose", &["etcd snapshot saved to", "snapshot info: hash", "total keys 2,"]);
    let bytes = fs::read(desk.garden.home().join("etcd.db")).unwrap();
    assert_eq!(bytes.len() % 512, 32);
    desk.fails("etcd snapshot other.db -n @lily", &[]);
}

pub fn members(desk: &Desk) {
    let said = desk.says("get members -n @lily", &["HOSTNAME", "MACHINE TYPE", "Talos (v1.13.9)"]);
    for (name, kind, mesh) in [("rose", "controlplane", &desk.rose), ("lily", "worker", &desk.lily)] {
        let row =
            said.lines().find(|line| line.split_whitespace().nth(3) == Some(name)).unwrap_or_else(|| panic!("{said}"));
        assert!(row.contains(kind) && row.contains(mesh.as_str()), "{row}");
        // IPv4 first, by number: the order that Talos gives them.
        let list = row.split_once('[').unwrap().1;
        let v6 = list.find("2a01").unwrap();
        assert!(list.find(mesh.as_str()).unwrap() < v6, "{row}");
    }
}

pub fn resources(desk: &Desk) {
    let rows: &[(&str, &[&str])] = &[
        ("machinestatus", &["STAGE", "READY", "running", "true"]),
        ("ms", &["MachineStatus", "machine"]),
        ("machineconfig", &["v1alpha1", "persistent"]),
        ("machinetype", &["TYPE", "controlplane"]),
        ("services.v1alpha1", &["HEALTH UNKNOWN", "kubelet"]),
        ("nodeaddress", &["SORTALGORITHM", "current", "routed", "@rose"]),
        ("em", &["MEMBER ID", "local"]),
        ("diagnostics", &["MESSAGE"]),
        ("nodename", &["NODENAME", "rose"]),
        ("volumestatus", &["PHASE", "EPHEMERAL", "STATE", "META", "ready"]),
        ("ks", &["KubeletSpec", "kubelet"]),
        ("staticpodstatus", &["kube-system/kube-apiserver-rose", "True"]),
        ("links", &["eth0", "tailscale0", "HW ADDR"]),
        ("addresses", &["eth0/", "tailscale0/"]),
        ("routes", &["GATEWAY", "eth0"]),
        ("resolvers", &["RESOLVERS"]),
        ("extensions", &["tailscale"]),
        ("versions", &["v1.13.9"]),
        ("platformmetadata", &["hcloud"]),
        ("rd", &["members.cluster.talos.dev", "api-resources"]),
    ];
    for (name, wanted) in rows {
        desk.says(&format!("get {name} -n @rose"), wanted);
    }
    let yaml = desk.says("get machinestatus machine -n @rose -o yaml", &["    stage: running", "        ready: true"]);
    assert!(yaml.contains("    type: MachineStatuses.runtime.talos.dev\n"), "{yaml}");
    desk.says("get members lily -n @rose -o yaml", &["    hostname: lily", "    machineType: worker", "@lily"]);
    desk.says("get machineconfig v1alpha1 -n @rose -o yaml", &["spec: |", "type: controlplane"]);
    desk.says("get members -n @rose -o json", &["\"hostname\": \"rose\""]);
    desk.fails("get nosuch -n @rose", &["code = NotFound", "resource \"nosuch\" is not registered"]);
    desk.fails("get members daisy -n @rose", &["code = NotFound", "doesn't exist"]);
}

pub fn watches(desk: &Desk) {
    let row = desk.streams("get members -w -n @rose", "lily");
    assert!(row.contains(" + "), "what was there comes as created: {row}");
    desk.streams("get machinestatus -w -o yaml -n @rose", "stage: running");
    desk.streams("events --tail 5 -n @rose", "ServiceStateEvent");
    desk.streams("logs etcd -f -n @rose", "Started task etcd");
    desk.streams("dmesg -f -n @rose", "boot sequence: done");
}

pub fn logs(desk: &Desk) {
    desk.says("logs kubelet -n @rose", &["@rose: "]);
    let one = desk.says("logs etcd --tail 1 -n @rose", &[]);
    assert_eq!(one.lines().count(), 1, "{one}");
    desk.fails("logs nosuch -n @rose", &["log \"nosuch\" was not registered"]);
    desk.says("dmesg -n @rose", &["[talos] boot sequence: done"]);
    desk.says("read /etc/hostname -n @rose", &["rose"]);
    desk.fails("read /nosuch -n @rose", &["code = NotFound", "no such file or directory"]);
    desk.says("processes -n @lily", &["/usr/bin/kubelet"]);
}

pub fn kubeconfig(desk: &Desk) {
    desk.says("kubeconfig kubeconfig.yaml -n @rose --merge=false --force", &[]);
    let text = desk.read("kubeconfig.yaml");
    assert!(text.contains("server: https://api.bouquet.internal:6443") && text.contains("client-key-data: "), "{text}");
    desk.fails("kubeconfig other.yaml -n @lily --merge=false", &["is only available on control plane nodes"]);
}

pub fn health(desk: &Desk) {
    let nodes = "--control-plane-nodes @rose --worker-nodes @lily";
    let checks = [
        "etcd to be healthy: OK",
        "etcd members to be consistent across nodes: OK",
        "etcd members to be control plane nodes: OK",
        "apid to be ready: OK",
        "no diagnostics: OK",
        "kubelet to be healthy: OK",
        "all nodes to finish boot sequence: OK",
        "all k8s nodes to report: OK",
        "all control plane static pods to be running: OK",
        "all k8s nodes to report ready: OK",
        "all k8s nodes to report schedulable: OK",
    ];
    desk.says(&format!("health -n @rose {nodes}"), &checks);
    // The name of the API is in nobody's DNS: the check's Kubernetes client is told where it is.
    desk.says(&format!("health -n @rose --server=false --k8s-endpoint @rose {nodes}"), &checks);
    // Without a list discovery is asked, whose first addresses are the public ones, behind the clouds' firewalls.
    desk.fails("health -n @rose --server=false --wait-timeout 1s", &["code = Unavailable", "deadline exceeded"]);
    desk.fails("health -n @rose --wait-timeout 20s", &["discovered nodes: [", "code = DeadlineExceeded"]);
    desk.fails("health -n @lily", &["is only available on control plane nodes"]);
}

/// The types that a node says it has, beside Talos's own definitions of them.
pub fn definitions(desk: &Desk) {
    let Some(machinery) = assets::needed("machinery", "machinery's resource definitions") else { return };
    let own = machinery.command().arg("definitions").output().unwrap().stdout;
    let by_type = |definitions: Vec<Value>| -> BTreeMap<String, Value> {
        definitions.into_iter().map(|found| (found["type"].as_str().unwrap().to_owned(), found)).collect()
    };
    let read = |text: &str| {
        serde_json::Deserializer::from_str(text).into_iter::<Value>().map(Result::unwrap).collect::<Vec<_>>()
    };
    let theirs = by_type(read(&String::from_utf8(own).unwrap()));
    let said = desk.says("get rd -n @rose -o json", &[]);
    let spec = |mut found: Value| {
        let mut spec = found["spec"].take();
        let columns = spec["printColumns"].as_array().cloned().unwrap_or_default();
        spec["printColumns"] = columns.iter().map(|column| json!([column["name"], column["jsonPath"]])).collect();
        let sensitivity = spec["sensitivity"].as_str().unwrap_or_default().to_owned();
        spec["sensitivity"] = sensitivity.into();
        spec
    };
    let ours = by_type(read(&said).into_iter().map(spec).collect());
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, definition) in &ours {
        assert_eq!(definition, &theirs[name], "{name}");
    }
}
