//! The custom kind that the watcher shows nodes by, and that carries hysteresis across a change of leader.

use crate::part::meta;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec, CustomResourceDefinitionVersion, CustomResourceSubresourceStatus,
    CustomResourceSubresources, CustomResourceValidation, JSONSchemaProps,
};

use serde_json::{Value, json};

const GROUP: &str = "bouquet.dev";

/// Its definition.
pub fn ingress_nodes() -> CustomResourceDefinition {
    let names = CustomResourceDefinitionNames {
        kind: "IngressNode".into(),
        list_kind: Some("IngressNodeList".into()),
        plural: "ingressnodes".into(),
        singular: Some("ingressnode".into()),
        short_names: Some(vec!["inode".into()]),
        ..CustomResourceDefinitionNames::default()
    };
    let version = CustomResourceDefinitionVersion {
        name: "v1alpha1".into(),
        served: true,
        storage: true,
        subresources: Some(CustomResourceSubresources {
            status: Some(CustomResourceSubresourceStatus(serde_json::json!({}))),
            ..CustomResourceSubresources::default()
        }),
        schema: Some(CustomResourceValidation { open_api_v3_schema: Some(schema()) }),
        additional_printer_columns: Some(columns()),
        ..CustomResourceDefinitionVersion::default()
    };
    CustomResourceDefinition {
        metadata: meta(super::APP, None, &format!("ingressnodes.{GROUP}")),
        spec: CustomResourceDefinitionSpec {
            group: GROUP.into(),
            names,
            scope: "Cluster".into(),
            versions: vec![version],
            ..CustomResourceDefinitionSpec::default()
        },
        ..CustomResourceDefinition::default()
    }
}

fn columns() -> Vec<CustomResourceColumnDefinition> {
    let column = |(name, kind, path): (&str, &str, &str)| CustomResourceColumnDefinition {
        name: name.into(),
        type_: kind.into(),
        json_path: format!(".status.{path}"),
        ..CustomResourceColumnDefinition::default()
    };
    let columns = [
        ("Verdict", "string", "verdict"),
        ("Since", "date", "since"),
        ("Published", "boolean", "published"),
        ("Held until", "string", "heldUntil"),
        ("Reason", "string", "reason"),
    ];
    columns.map(column).into()
}

/// Lists are keyed, so that under server-side apply each vantage owns its own reports and the writer all else.
fn schema() -> JSONSchemaProps {
    let whole = json!({
        "type": "object",
        "description": "What the watcher holds to be true of an ingress node. Written by the watcher alone.",
        "properties": {"spec": {"type": "object"}, "status": status()},
    });
    serde_json::from_value(whole).unwrap_or_default()
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
