//! What an object gets that says nothing: the defaults of its type, which its author then owns.

use super::resource::Resource;
use super::store::child;
use serde_json::{Value, json};

/// Fills in an object that has just been read.
pub(super) fn fill(resource: &Resource, object: &mut Value) {
    match (resource.group, resource.plural) {
        ("", "namespaces") => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if !name.is_empty() {
                child(child(object, "metadata"), "labels")["kubernetes.io/metadata.name"] = name.into();
            }
        }
        ("", "nodes") => node(object),
        ("", "pods") => {
            let spec = child(object, "spec");
            pod(spec);
            set(spec, "enableServiceLinks", true);
            if spec["hostNetwork"] == true {
                for containers in ["containers", "initContainers"] {
                    each(spec, containers, |container| each(container, "ports", set_host_port));
                }
            }
            limits_are_requests(spec);
        }
        ("", "secrets") => secret(object),
        ("", "services") => service(object),
        ("", "persistentvolumeclaims") => set(child(object, "spec"), "volumeMode", "Filesystem"),
        ("", "persistentvolumes") => {
            let spec = child(object, "spec");
            set(spec, "volumeMode", "Filesystem");
            set(spec, "persistentVolumeReclaimPolicy", "Retain");
        }
        ("apps", "deployments") => deployment(child(object, "spec")),
        ("apps", "daemonsets") => {
            let spec = child(object, "spec");
            pod(template(spec));
            rolling(spec, "updateStrategy", &json!({"maxUnavailable": 1, "maxSurge": 0}));
            set(spec, "revisionHistoryLimit", 10);
            let meta = child(object, "metadata");
            set(child(meta, "annotations"), "deprecated.daemonset.template.generation", "0");
        }
        ("apps", "replicasets") => {
            let spec = child(object, "spec");
            set(spec, "replicas", 1);
            pod(template(spec));
        }
        ("apps", "statefulsets") => {
            let spec = child(object, "spec");
            set(spec, "replicas", 1);
            set(spec, "podManagementPolicy", "OrderedReady");
            set(spec, "revisionHistoryLimit", 10);
            pod(template(spec));
            rolling(spec, "updateStrategy", &json!({"partition": 0, "maxUnavailable": 1}));
            set(spec, "persistentVolumeClaimRetentionPolicy", json!({"whenDeleted": "Retain", "whenScaled": "Retain"}));
        }
        ("storage.k8s.io", "storageclasses") => {
            set(object, "reclaimPolicy", "Delete");
            set(object, "volumeBindingMode", "Immediate");
        }
        ("rbac.authorization.k8s.io", "clusterrolebindings" | "rolebindings") => {
            set(child(object, "roleRef"), "apiGroup", "rbac.authorization.k8s.io");
            each(object, "subjects", |subject| {
                if subject["kind"] != "ServiceAccount" {
                    set(subject, "apiGroup", "rbac.authorization.k8s.io");
                }
            });
        }
        ("apiextensions.k8s.io", _) => definition(child(object, "spec")),
        _ => {}
    }
}

/// Sets a field that is absent or empty.
fn set(at: &mut Value, field: &str, value: impl Into<Value>) {
    let is_unset = at.get(field).is_none_or(|value| value.is_null() || value == "");
    if is_unset && at.is_object() {
        at[field] = value.into();
    }
}

fn each(at: &mut Value, list: &str, work: impl FnMut(&mut Value)) {
    at.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(work);
}

fn template(spec: &mut Value) -> &mut Value {
    child(child(spec, "template"), "spec")
}

fn rolling(spec: &mut Value, field: &str, parameters: &Value) {
    let strategy = child(spec, field);
    set(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = child(strategy, "rollingUpdate");
        for (name, value) in parameters.as_object().into_iter().flatten() {
            set(rolling, name, value.clone());
        }
    }
}

fn deployment(spec: &mut Value) {
    set(spec, "replicas", 1);
    rolling(spec, "strategy", &json!({"maxUnavailable": "25%", "maxSurge": "25%"}));
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "progressDeadlineSeconds", 600);
    pod(template(spec));
}

/// A pod's spec, alone or in a template.
fn pod(spec: &mut Value) {
    set(spec, "dnsPolicy", "ClusterFirst");
    set(spec, "restartPolicy", "Always");
    set(spec, "terminationGracePeriodSeconds", 30);
    set(spec, "schedulerName", "default-scheduler");
    child(spec, "securityContext");
    if let Some(account) = spec.get("serviceAccountName").or(spec.get("serviceAccount")).cloned() {
        spec["serviceAccountName"] = account.clone();
        spec["serviceAccount"] = account;
    }
    for containers in ["containers", "initContainers"] {
        each(spec, containers, container);
    }
    each(spec, "volumes", volume);
}

fn set_host_port(port: &mut Value) {
    let inside = port["containerPort"].clone();
    if inside.is_i64() {
        set(port, "hostPort", inside);
    }
}

fn container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let tag = image.rsplit('/').next().unwrap_or_default();
    let is_latest = !tag.contains('@') && (!tag.contains(':') || tag.ends_with(":latest"));
    set(container, "imagePullPolicy", if is_latest { "Always" } else { "IfNotPresent" });
    set(container, "terminationMessagePath", "/dev/termination-log");
    set(container, "terminationMessagePolicy", "File");
    each(container, "ports", |port| set(port, "protocol", "TCP"));
    each(container, "env", |variable| {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
            set(field, "apiVersion", "v1");
        }
    });
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get_mut(probe) else { continue };
        for (field, value) in
            [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
        {
            set(probe, field, value);
        }
        if let Some(get) = probe.get_mut("httpGet") {
            set(get, "path", "/");
            set(get, "scheme", "HTTP");
        }
    }
}

fn volume(volume: &mut Value) {
    let is_bare = volume.as_object().is_some_and(|fields| fields.len() == 1 && fields.contains_key("name"));
    if is_bare {
        volume["emptyDir"] = json!({});
    }
    for source in ["configMap", "secret", "projected", "downwardAPI"] {
        if let Some(source) = volume.get_mut(source) {
            set(source, "defaultMode", 420);
        }
    }
    if let Some(path) = volume.get_mut("hostPath")
        && path.get("type").is_none()
    {
        path["type"] = "".into();
    }
    if let Some(projected) = volume.get_mut("projected") {
        each(projected, "sources", |source| {
            if let Some(token) = source.get_mut("serviceAccountToken") {
                set(token, "expirationSeconds", 3600);
            }
        });
    }
}

/// A limit without a request is a request too.
fn limits_are_requests(spec: &mut Value) {
    for containers in ["containers", "initContainers"] {
        each(spec, containers, |container| {
            let limits = container["resources"]["limits"].as_object().cloned().unwrap_or_default();
            for (name, limit) in limits {
                set(child(child(container, "resources"), "requests"), &name, limit);
            }
        });
    }
}

fn node(object: &mut Value) {
    let spec = child(object, "spec");
    // The older of the two fields is the first of the newer.
    match (spec.get("podCIDR").cloned(), spec.get("podCIDRs").map(|ranges| ranges[0].clone())) {
        (Some(range), None) => spec["podCIDRs"] = json!([range]),
        (None, Some(range)) if range.is_string() => spec["podCIDR"] = range,
        _ => {}
    }
    let status = child(object, "status");
    let capacity = status["capacity"].as_object().cloned().unwrap_or_default();
    if status.get("allocatable").is_none() && !capacity.is_empty() {
        status["allocatable"] = Value::Object(capacity);
    }
}

fn secret(object: &mut Value) {
    use base64::Engine as _;
    let text = object.as_object_mut().and_then(|fields| fields.shift_remove("stringData"));
    for (key, value) in text.as_ref().and_then(Value::as_object).into_iter().flatten() {
        let bytes = value.as_str().unwrap_or_default();
        child(object, "data")[key] = base64::engine::general_purpose::STANDARD.encode(bytes).into();
    }
    set(object, "type", "Opaque");
}

fn service(object: &mut Value) {
    let spec = child(object, "spec");
    set(spec, "sessionAffinity", "None");
    set(spec, "type", "ClusterIP");
    if spec["sessionAffinity"] == "None" {
        if let Some(fields) = spec.as_object_mut() {
            fields.shift_remove("sessionAffinityConfig");
        }
    } else if spec["sessionAffinity"] == "ClientIP" {
        set(child(child(spec, "sessionAffinityConfig"), "clientIP"), "timeoutSeconds", 10800);
    }
    each(spec, "ports", |port| {
        set(port, "protocol", "TCP");
        if port.get("targetPort").is_none_or(|target| target == 0 || target == "") {
            port["targetPort"] = port["port"].clone();
        }
    });
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    if kind == "NodePort" || kind == "LoadBalancer" {
        set(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        set(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
    }
}

fn definition(spec: &mut Value) {
    set(child(spec, "conversion"), "strategy", "None");
    let names = child(spec, "names");
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    set(names, "singular", kind.to_lowercase());
    set(names, "listKind", format!("{kind}List"));
}

/// What admission adds to an object that is made; nobody owns that.
pub(super) fn admit(resource: &Resource, object: &mut Value) {
    match (resource.group, resource.plural) {
        ("", "pods") => admit_pod(object),
        ("", "nodes") => {
            let spec = child(object, "spec");
            let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
            let is_there = |at: &Value| at["key"] == "node.kubernetes.io/not-ready" && at["effect"] == "NoSchedule";
            push_unless(spec, "taints", taint, is_there);
        }
        ("", "persistentvolumeclaims") => protect(object, "kubernetes.io/pvc-protection"),
        ("", "persistentvolumes") => protect(object, "kubernetes.io/pv-protection"),
        _ => {}
    }
}

fn protect(object: &mut Value, finalizer: &str) {
    push_unless(child(object, "metadata"), "finalizers", finalizer.into(), |at| at == finalizer);
}

fn push_unless(at: &mut Value, field: &str, value: Value, is_there: impl Fn(&Value) -> bool) {
    let list = &mut at[field];
    if !list.is_array() {
        *list = json!([]);
    }
    if let Some(list) = list.as_array_mut().filter(|list| !list.iter().any(is_there)) {
        list.push(value);
    }
}

fn admit_pod(object: &mut Value) {
    let spec = child(object, "spec");
    let priority = match spec["priorityClassName"].as_str() {
        Some("system-node-critical") => 2_000_001_000,
        Some("system-cluster-critical") => 2_000_000_000,
        _ => 0,
    };
    set(spec, "priority", priority);
    set(spec, "preemptionPolicy", "PreemptLowerPriority");
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerates = |toleration: &Value| {
            let is_key = toleration["key"].is_null() || toleration["key"] == key;
            is_key && (toleration["effect"].is_null() || toleration["effect"] == "NoExecute")
        };
        let toleration = json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
        push_unless(spec, "tolerations", toleration, tolerates);
    }
}
