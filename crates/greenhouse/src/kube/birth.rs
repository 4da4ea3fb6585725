//! What a Talos cluster is born with: namespaces, the API's own service, and the bootstrap manifests.

use super::resource::{Resource, find};
use super::store::{Key, Store};
use super::{defaults, read};
use jiff::Timestamp;
use serde_json::{Value, json};

const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// What an API server makes by itself.
pub(super) fn bare(store: &mut Store, now: Timestamp) {
    for name in NAMESPACES {
        let labels = json!({"kubernetes.io/metadata.name": name});
        let namespace = json!({
            "metadata": {"labels": labels}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        put(store, find("", "v1", "namespaces"), "", name, namespace, now);
    }
    put(
        store,
        find("", "v1", "services"),
        "default",
        "kubernetes",
        json!({
            "metadata": {"labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {
                "type": "ClusterIP", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ipFamilies": ["IPv4"],
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
            },
            "status": {"loadBalancer": {}},
        }),
        now,
    );
}

/// What controllers and Talos's bootstrap manifests add. Versions of the add-ons are those of Talos 1.14.6.
pub(super) fn fill(store: &mut Store, version: &str, now: Timestamp) {
    for name in NAMESPACES {
        namespace_content(store, name, "", now);
    }
    put(
        store,
        find("", "v1", "services"),
        "kube-system",
        "kube-dns",
        json!({
            "metadata": {"labels": {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true"}},
            "spec": {
                "type": "ClusterIP", "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"],
                "selector": {"k8s-app": "kube-dns"},
                "ports": [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                          {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53}],
            },
            "status": {"loadBalancer": {}},
        }),
        now,
    );
    let daemons = find("apps", "v1", "daemonsets");
    let flannel = daemon("kube-flannel", "flannel", "ghcr.io/siderolabs/flannel:v0.28.10");
    put(store, daemons, "kube-system", "kube-flannel", flannel, now);
    let proxy = daemon("kube-proxy", "kube-proxy", &format!("registry.k8s.io/kube-proxy:v{version}"));
    put(store, daemons, "kube-system", "kube-proxy", proxy, now);
    put(store, find("apps", "v1", "deployments"), "kube-system", "coredns", coredns(), now);
}

/// What the controller manager puts into every namespace.
pub(super) fn namespace_content(store: &mut Store, namespace: &str, root_ca: &str, now: Timestamp) {
    put(store, find("", "v1", "serviceaccounts"), namespace, "default", json!({}), now);
    put(store, find("", "v1", "configmaps"), namespace, "kube-root-ca.crt", json!({"data": {"ca.crt": root_ca}}), now);
}

/// Stores an object that nobody asked for, unless it is there.
pub(super) fn put(
    store: &mut Store,
    resource: Option<&'static Resource>,
    namespace: &str,
    name: &str,
    mut object: Value,
    now: Timestamp,
) {
    let Some(resource) = resource else { return };
    let key = Key::new(resource, namespace, name);
    if store.get(&key).is_none() {
        // As an API server would have read it: with every default of its type.
        let status = object["status"].clone();
        if let Ok((read, _)) = read::body(resource, &object) {
            object = read;
            defaults::fill(resource, &mut object);
        }
        if !status.is_null() {
            object["status"] = status;
        }
        store.stamp(&key, &mut object, now);
        store.put(&key, object);
    }
}

/// A DaemonSet of the node's own network, which runs everywhere and whatever the taints.
fn daemon(name: &str, app: &str, image: &str) -> Value {
    let labels = json!({"tier": "node", "k8s-app": app});
    json!({
        "metadata": {"labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "hostNetwork": true, "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
                    "priorityClassName": "system-node-critical", "serviceAccountName": name,
                    "tolerations": [{"operator": "Exists", "effect": "NoSchedule"},
                                    {"operator": "Exists", "effect": "NoExecute"}],
                    "containers": [{"name": name, "image": image}],
                },
            },
        },
        "status": {},
    })
}

fn coredns() -> Value {
    let labels = json!({"k8s-app": "kube-dns"});
    json!({
        "metadata": {"labels": {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": "25%"}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
                    "priorityClassName": "system-cluster-critical", "serviceAccountName": "coredns",
                    "tolerations": [
                        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"},
                        {"key": "node.cloudprovider.kubernetes.io/uninitialized", "operator": "Exists", "effect": "NoSchedule"},
                    ],
                    "containers": [{"name": "coredns", "image": "registry.k8s.io/coredns/coredns:v1.14.7"}],
                },
            },
        },
        "status": {},
    })
}
