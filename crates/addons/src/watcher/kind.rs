//! The custom kind that the watcher shows nodes by, and that carries hysteresis across a change of leader.

use crate::part::meta;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec, CustomResourceDefinitionVersion, CustomResourceSubresourceStatus,
    CustomResourceSubresources, CustomResourceValidation, JSONSchemaProps,
};

const GROUP: &str = "bouquet.dev";

pub(super) fn ingress_nodes() -> CustomResourceDefinition {
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
        ("Published", "string", "published"),
        ("Reason", "string", "reason"),
    ];
    columns.map(column).into()
}

/// What the columns show has a type; the rest of the status is the watcher's own business.
fn schema() -> JSONSchemaProps {
    let text = |description: &str| JSONSchemaProps {
        type_: Some("string".into()),
        description: Some(description.into()),
        ..JSONSchemaProps::default()
    };
    let mut since = text("Since when the verdict holds.");
    since.format = Some("date-time".into());
    let verdict = text("serving, unstable, down or unknown.");
    let reason = text("Who saw what, and the rule that allowed or blocked a change.");
    let properties = [("verdict", verdict), ("since", since), ("reason", reason)];
    let status = JSONSchemaProps {
        type_: Some("object".into()),
        description: Some("What the watcher holds of the node.".into()),
        properties: Some(properties.map(|(name, schema)| (name.to_owned(), schema)).into()),
        x_kubernetes_preserve_unknown_fields: Some(true),
        ..JSONSchemaProps::default()
    };
    JSONSchemaProps {
        type_: Some("object".into()),
        description: Some("A node that serves HTTP, as the watcher sees it from outside.".into()),
        properties: Some([("status".to_owned(), status)].into()),
        ..JSONSchemaProps::default()
    }
}
