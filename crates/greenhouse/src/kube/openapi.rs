//! OpenAPI v3, as far as clients look into it: which kinds there are, their fields, and that writes can be validated.

use super::resource::Resource;
use super::schema::{self, ListKind, Shape, Type};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// `/openapi/v3` and a group's document below it.
pub(super) fn document(path: &str, all: &[&'static Resource]) -> Option<Value> {
    let groups: BTreeSet<(&str, &str)> = all.iter().map(|at| (at.group, at.version)).collect();
    if path == "/openapi/v3" {
        let paths = groups.into_iter().map(|(group, version)| {
            let name = name(group, version);
            (name.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{name}")}))
        });
        return Some(json!({"paths": paths.collect::<Map<_, _>>()}));
    }
    let wanted = path.strip_prefix("/openapi/v3/")?;
    let (group, version) = groups.into_iter().find(|(group, version)| name(group, version) == wanted)?;
    let resources: Vec<&Resource> =
        all.iter().copied().filter(|at| at.group == group && at.version == version).collect();
    Some(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": resources.iter().flat_map(|resource| paths(resource)).collect::<Map<_, _>>(),
        "components": {"schemas": schemas(&resources)},
    }))
}

fn name(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn paths(resource: &Resource) -> Vec<(String, Value)> {
    let namespace = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
    let all = format!("/{}/{namespace}{}", name(resource.group, resource.version), resource.plural);
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let parameters = ["dryRun", "fieldManager", "fieldValidation"]
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}));
    let write = |action: &str| json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind, "parameters": parameters});
    let read = |action: &str| json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind});
    vec![
        (all.clone(), json!({"get": read("list"), "post": write("post")})),
        (
            format!("{all}/{{name}}"),
            json!({"get": read("get"), "put": write("put"), "patch": write("patch"), "delete": read("delete")}),
        ),
    ]
}

fn schemas(resources: &[&Resource]) -> Map<String, Value> {
    let mut all = Map::new();
    for resource in resources {
        let kind = json!([{"group": resource.group, "version": resource.version, "kind": resource.kind}]);
        let (name, mut schema) = match resource.custom {
            Some(custom) => {
                let mut schema = custom.schema.clone();
                schema["properties"]["apiVersion"] = json!({"type": "string"});
                schema["properties"]["kind"] = json!({"type": "string"});
                schema["properties"]["metadata"] = reference("ObjectMeta");
                add("ObjectMeta", &mut all);
                (format!("{}.{}.{}", resource.group, resource.version, resource.kind), schema)
            }
            None => {
                add(resource.kind, &mut all);
                (resource.kind.to_owned(), all.get(resource.kind).cloned().unwrap_or_default())
            }
        };
        schema["x-kubernetes-group-version-kind"] = kind;
        all.insert(name, schema);
    }
    all
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Adds a type and all that it refers to.
fn add(name: &str, all: &mut Map<String, Value>) {
    if all.contains_key(name) {
        return;
    }
    let Some(of) = schema::named(name) else { return };
    all.insert(name.to_owned(), Value::Null);
    let written = object(of, all);
    all.insert(name.to_owned(), written);
}

fn object(of: &Type, all: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for field in &of.fields {
        let mut written = shape(&field.shape, all);
        if let Some(key) = &field.merge_key {
            written["x-kubernetes-patch-strategy"] = "merge".into();
            if !key.is_empty() {
                written["x-kubernetes-patch-merge-key"] = key.clone().into();
            }
        }
        properties.insert(field.name.clone(), written);
    }
    json!({"type": "object", "properties": properties})
}

fn shape(of: &Shape, all: &mut Map<String, Value>) -> Value {
    match of {
        Shape::Any => json!({"x-kubernetes-preserve-unknown-fields": true}),
        Shape::Text => json!({"type": "string"}),
        Shape::Int32 => json!({"type": "integer", "format": "int32"}),
        Shape::Int64 => json!({"type": "integer", "format": "int64"}),
        Shape::Float => json!({"type": "number"}),
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Bytes => json!({"type": "string", "format": "byte"}),
        Shape::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        Shape::IntOrText => json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
        Shape::Time | Shape::MicroTime => json!({"type": "string", "format": "date-time"}),
        Shape::List(of, kind) => {
            let mut list = json!({"type": "array", "items": shape(of, all)});
            match kind {
                ListKind::Atomic => list["x-kubernetes-list-type"] = "atomic".into(),
                ListKind::Set => list["x-kubernetes-list-type"] = "set".into(),
                ListKind::Keyed(keys) => {
                    list["x-kubernetes-list-type"] = "map".into();
                    list["x-kubernetes-list-map-keys"] = json!(keys);
                }
            }
            list
        }
        Shape::Map(of, _) => json!({"type": "object", "additionalProperties": shape(of, all)}),
        Shape::Named(name) => {
            add(name, all);
            json!({"allOf": [reference(name)]})
        }
        Shape::Inline(of) => object(of, all),
    }
}
