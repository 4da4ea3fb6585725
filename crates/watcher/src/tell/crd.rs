//! The custom kind `ingressnodes.bouquet.dev`: what `kubectl get ingressnodes` shows.

use serde_json::{Value, json};

/// Its group.
pub const GROUP: &str = "bouquet.dev";
/// Its only version so far.
pub const VERSION: &str = "v1alpha1";
/// As objects name it.
pub const KIND: &str = "IngressNode";
/// As paths name it.
pub const PLURAL: &str = "ingressnodes";

/// Its CustomResourceDefinition, as it is installed.
///
/// Lists are keyed, so that under server-side apply each vantage owns its own reports and the writer all else.
pub fn crd() -> Value {
    let column =
        |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": format!(".status.{path}")});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{PLURAL}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {
                "kind": KIND, "listKind": format!("{KIND}List"),
                "plural": PLURAL, "singular": "ingressnode", "shortNames": ["inode"]
            },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    column("Verdict", "string", "verdict"),
                    column("Since", "date", "since"),
                    column("Published", "boolean", "published"),
                    column("Held until", "string", "heldUntil"),
                    column("Reason", "string", "reason"),
                ],
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "description": "What the watcher holds to be true of an ingress node. Written by the watcher alone.",
                    "properties": {"spec": {"type": "object"}, "status": status()}
                }}
            }]
        }
    })
}

fn status() -> Value {
    let mut properties = opinion();
    properties["addresses"] = json!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["family"],
        "items": {"type": "object", "required": ["family"], "properties": address()}
    });
    properties["withdrawn"] = json!({
        "type": "array",
        "description": "When it was withdrawn lately because of what probes said.",
        "x-kubernetes-list-type": "atomic",
        "items": moment()
    });
    properties["reports"] = json!({
        "type": "array",
        "description": "What each vantage sees, written by that vantage.",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["vantage", "family"],
        "items": {"type": "object", "required": ["vantage", "family"], "properties": {
            "vantage": {"type": "string", "description": "Node that the vantage runs on."},
            "family": family(),
            "site": {"type": "string", "description": "What the vantage shares its fate with."},
            "view": {"type": "string", "enum": ["Unknown", "Up", "Down", "Unstable"]},
            "cause": {"type": "string", "description": "Why it sees no good."},
            "probed": moment()
        }}
    });
    json!({"type": "object", "properties": properties})
}

/// What is said of a node, and of each of its addresses.
fn opinion() -> Value {
    json!({
        "verdict": {"type": "string", "enum": ["Serving", "Unstable", "Down", "Unknown"]},
        "since": moment(),
        "published": {"type": "boolean", "description": "Whether it is in DNS, as last read."},
        "reason": {"type": "string"},
        "heldUntil": moment()
    })
}

fn address() -> Value {
    let mut properties = opinion();
    properties["family"] = family();
    properties["address"] = json!({"type": "string"});
    properties["flaps"] = json!({
        "type": "integer", "format": "int32", "minimum": 0, "description": "Withdrawals, each soon after the one before."
    });
    properties["lastFlap"] = moment();
    properties
}

fn family() -> Value {
    json!({"type": "string", "enum": ["IPv4", "IPv6"]})
}

fn moment() -> Value {
    json!({"type": "string", "format": "date-time"})
}
