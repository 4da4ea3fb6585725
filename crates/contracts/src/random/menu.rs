//! What random requests are made of.

use serde_json::{Value, json};

/// A kind of object.
#[derive(Debug)]
pub(super) struct Kind {
    pub api_version: &'static str,
    pub plural: &'static str,
    pub kind: &'static str,
    pub namespaced: bool,
    pub status: bool,
}

const fn kind(api_version: &'static str, plural: &'static str, kind: &'static str) -> Kind {
    Kind { api_version, plural, kind, namespaced: true, status: false }
}

impl Kind {
    const fn of_the_cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn with_status(mut self) -> Self {
        self.status = true;
        self
    }
}

pub(super) static KINDS: [Kind; 8] = [
    kind("v1", "configmaps", "ConfigMap"),
    kind("apps/v1", "deployments", "Deployment").with_status(),
    kind("v1", "services", "Service"),
    kind("v1", "nodes", "Node").of_the_cluster().with_status(),
    kind("coordination.k8s.io/v1", "leases", "Lease"),
    kind("random.example.com/v1", "roses", "Rose").with_status(),
    kind("v1", "namespaces", "Namespace").of_the_cluster(),
    kind("v1", "configmaps", "ConfigMap"),
];

/// What a body has at least.
pub(super) fn base(kind: &Kind) -> Value {
    match kind.plural {
        "deployments" => json!({"spec": {
            "selector": {"matchLabels": {"app": "d"}},
            "template": {
                "metadata": {"labels": {"app": "d"}},
                "spec": {"containers": [{"name": "main", "image": "example.com/web:1"}]},
            },
        }}),
        "services" => json!({"spec": {"selector": {"app": "s"}, "ports": [{"port": 80, "name": "http"}]}}),
        "roses" => json!({"spec": {"colour": "red"}}),
        _ => json!({}),
    }
}

/// Parts that bodies and patches are made of, some of them wrong.
pub(super) fn fragments(kind: &Kind) -> Vec<Value> {
    let mut all = vec![
        json!({"metadata": {"labels": {"app": "x"}}}),
        json!({"metadata": {"labels": {"app": null, "tier": "1"}}}),
        json!({"metadata": {"annotations": {"example.com/a": "1"}}}),
        json!({"metadata": {"annotations": null}}),
        json!({"metadata": {"finalizers": ["example.com/hold"]}}),
        json!({"metadata": {"finalizers": null}}),
        json!({"metadata": {"labels": {"a b": "x"}}}),
        json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}]}}),
    ];
    all.extend(match kind.plural {
        "configmaps" => vec![
            json!({"data": {"k": "1"}}),
            json!({"data": {"k": "2", "l": "x"}}),
            json!({"data": {"k": null, "m": "y"}}),
            json!({"data": null}),
            json!({"binaryData": {"b": "YQ=="}}),
            json!({"immutable": true}),
            json!({"data": {"k": 7}}),
            json!({"data": {"bad/key": "x"}}),
            json!({"bogus": 1}),
        ],
        "deployments" => vec![
            json!({"spec": {"replicas": 0}}),
            json!({"spec": {"replicas": 3, "minReadySeconds": 5}}),
            json!({"spec": {"replicas": -1}}),
            json!({"spec": {"paused": true}}),
            json!({"spec": {"paused": false, "revisionHistoryLimit": 0}}),
            json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "example.com/web:2"}]}}}}),
            json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "example.com/side"}]}}}}),
            json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "i", "env": [{"name": "A", "value": "1"}]}]}}}}),
            json!({"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}),
            json!({"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}, "hostNetwork": true}}}}),
            json!({"status": {"replicas": 2, "readyReplicas": 1}}),
            json!({"status": {"observedGeneration": 1, "replicas": 0}}),
            json!({"spec": {"bogus": 1}}),
        ],
        "services" => vec![
            json!({"spec": {"ports": [{"port": 80, "name": "http", "targetPort": "web"}]}}),
            json!({"spec": {"ports": [{"port": 80, "name": "http"}, {"port": 443, "name": "https"}]}}),
            json!({"spec": {"ports": [{"port": 81}]}}),
            json!({"spec": {"type": "NodePort"}}),
            json!({"spec": {"type": "ClusterIP"}}),
            json!({"spec": {"sessionAffinity": "ClientIP"}}),
            json!({"spec": {"sessionAffinity": "None"}}),
            json!({"spec": {"selector": {"app": "t"}}}),
            json!({"spec": {"publishNotReadyAddresses": true}}),
            json!({"spec": {"ports": [{"port": 0}]}}),
        ],
        "nodes" => vec![
            json!({"spec": {"unschedulable": true}}),
            json!({"spec": {"unschedulable": null}}),
            json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}),
            json!({"spec": {"taints": null}}),
            json!({"spec": {"providerID": "x://1"}}),
            json!({"spec": {"podCIDR": "10.244.0.0/24"}}),
            json!({"status": {"capacity": {"cpu": "2", "memory": "4096Mi"}}}),
            json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "R"}]}}),
            json!({"status": {"addresses": [{"type": "InternalIP", "address": "100.64.0.1"}]}}),
        ],
        "leases" => vec![
            json!({"spec": {"holderIdentity": "one", "leaseDurationSeconds": 15}}),
            json!({"spec": {"holderIdentity": "two", "leaseTransitions": 1}}),
            json!({"spec": {"holderIdentity": null}}),
            json!({"spec": {"renewTime": "2026-11-23T10:00:00.500000Z"}}),
            json!({"spec": {"leaseDurationSeconds": 0}}),
            json!({"spec": {"leaseTransitions": -1}}),
            json!({"spec": {"renewTime": "noon"}}),
        ],
        "roses" => vec![
            json!({"spec": {"colour": "white", "petals": 7}}),
            json!({"spec": {"petals": null}}),
            json!({"spec": {"thorns": [{"at": "top"}]}}),
            json!({"spec": {"thorns": [{"at": "low", "sharp": false}]}}),
            json!({"spec": {"tags": ["a"]}}),
            json!({"spec": {"tags": ["b", "c"]}}),
            json!({"spec": {"soil": {"ph": "7"}}}),
            json!({"spec": {"colour": "blue"}}),
            json!({"spec": {"petals": 0}}),
            json!({"spec": {"bogus": 1}}),
            json!({"status": {"bloom": true}}),
        ],
        _ => vec![json!({"metadata": {"labels": {"team": "garden"}}})],
    });
    all
}

/// A fragment, as operations.
pub(super) fn json_patch(kind: &Kind, fragment: &Value) -> Value {
    let mut operations = Vec::new();
    for (part, value) in fragment.as_object().into_iter().flatten() {
        for (field, value) in value.as_object().into_iter().flatten() {
            let path = format!("/{part}/{field}");
            operations.push(match value {
                Value::Null => json!({"op": "remove", "path": path}),
                value => {
                    json!({"op": if kind.plural == "leases" { "replace" } else { "add" }, "path": path, "value": value})
                }
            });
        }
    }
    Value::Array(operations)
}

pub(super) fn deletions() -> Vec<Value> {
    let other = "00000000-0000-0000-0000-000000000000";
    vec![
        Value::Null,
        json!({"gracePeriodSeconds": 0}),
        json!({"propagationPolicy": "Background"}),
        json!({"propagationPolicy": "Foreground"}),
        json!({"preconditions": {"uid": other}}),
    ]
}

/// The custom kind.
pub(super) fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "roses.random.example.com"},
        "spec": {
            "group": "random.example.com", "scope": "Namespaced", "names": {"plural": "roses", "kind": "Rose"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["colour"], "properties": {
                        "colour": {"type": "string", "enum": ["red", "white"]},
                        "petals": {"type": "integer", "minimum": 1, "default": 5},
                        "thorns": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["at"],
                            "items": {"type": "object", "required": ["at"], "properties": {
                                "at": {"type": "string"}, "sharp": {"type": "boolean", "default": true},
                            }}},
                        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                        "soil": {"type": "object", "additionalProperties": {"type": "string"}},
                    }},
                    "status": {"type": "object", "properties": {"bloom": {"type": "boolean"}}},
                }}},
            }],
        },
    })
}
