//! Kinds that clients define: from a definition to a resource, and what its schema makes of an object.

mod definition;
mod validate;

pub(super) use definition::{HOLD, settle, validate_definition};
pub(super) use validate::validate;

use super::decode::Reader;
use super::refusal::Refusal;
use super::resource::Resource;
use super::schema::{Field, ListKind, Shape, Type};
use super::validate::Fault;
use serde_json::{Map, Value};

/// What is known of a custom kind beyond its names.
#[derive(Debug, PartialEq)]
pub(super) struct Custom {
    /// `openAPIV3Schema`.
    pub schema: Value,
    /// The same, for who owns what.
    pub shape: Shape,
    /// Name, type and JSON path of the columns that a table shows.
    pub columns: Vec<(String, String, String)>,
}

/// Reads a body: fields that the schema has not are dropped, its defaults filled in.
pub(super) fn read(resource: &Resource, body: &Value) -> Result<(Value, Vec<String>), Refusal> {
    let Some(custom) = resource.custom else { return Ok((body.clone(), Vec::new())) };
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    let name = body["metadata"]["name"].as_str().unwrap_or_default();
    if text("kind") != resource.kind {
        let fault = Fault::invalid("kind", &text("kind").into(), &format!("must be {}", resource.kind));
        return Err(Refusal::invalid_kind(resource.group, text("kind"), name, &[fault]));
    }
    if text("apiVersion") != resource.api_version() {
        let fault =
            Fault::invalid("apiVersion", &text("apiVersion").into(), &format!("must be {}", resource.api_version()));
        return Err(Refusal::invalid(resource, name, &[fault]));
    }
    let mut unknown = Vec::new();
    let mut object = body.clone();
    let meta = object.get("metadata").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    let read = Reader::default().object(&meta, &Shape::Named("ObjectMeta".into()));
    object["metadata"] = read.map_err(|why| super::read::unhandled(resource, &why))?;
    let root = ["apiVersion", "kind", "metadata"];
    prune(&mut object, &custom.schema, "", &root, &mut unknown);
    unknown.sort();
    fill(&mut object, &custom.schema);
    Ok((object, unknown.iter().map(|field| format!("unknown field {field:?}")).collect()))
}

fn prune(value: &mut Value, schema: &Value, path: &str, spared: &[&str], unknown: &mut Vec<String>) {
    let preserves = schema["x-kubernetes-preserve-unknown-fields"] == true;
    match value {
        Value::Object(fields) => {
            let mut gone = Vec::new();
            for (name, field) in fields.iter_mut() {
                let place = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if spared.contains(&name.as_str()) {
                } else if let Some(below) = schema["properties"].get(name) {
                    prune(field, below, &place, &[], unknown);
                } else if schema["additionalProperties"].is_object() {
                    prune(field, &schema["additionalProperties"], &place, &[], unknown);
                } else if !preserves && schema["additionalProperties"] != true {
                    unknown.push(place);
                    gone.push(name.clone());
                }
            }
            for name in gone {
                fields.shift_remove(&name);
            }
        }
        Value::Array(list) => {
            for (at, element) in list.iter_mut().enumerate() {
                prune(element, &schema["items"], &format!("{path}[{at}]"), &[], unknown);
            }
        }
        _ => {}
    }
}

/// Fills defaults in, also where a null stands that may not be one.
fn fill(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, below) in schema["properties"].as_object().into_iter().flatten() {
                let is_null = fields.get(name).is_some_and(Value::is_null) && below["nullable"] != true;
                if let Some(default) = below.get("default").filter(|_| is_null || !fields.contains_key(name)) {
                    fields.insert(name.clone(), default.clone());
                } else if is_null {
                    fields.shift_remove(name);
                }
                if let Some(field) = fields.get_mut(name) {
                    fill(field, below);
                }
            }
            if schema["additionalProperties"].is_object() {
                fields.values_mut().for_each(|entry| fill(entry, &schema["additionalProperties"]));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|element| fill(element, &schema["items"])),
        _ => {}
    }
}

/// The shape that a schema describes; `is_root` adds what every object has.
fn shape_of(schema: &Value, is_root: bool) -> Shape {
    if schema["x-kubernetes-int-or-string"] == true {
        return Shape::IntOrText;
    }
    match schema["type"].as_str() {
        Some("string") => Shape::Text,
        Some("integer") => Shape::Int64,
        Some("number") => Shape::Float,
        Some("boolean") => Shape::Flag,
        Some("array") => {
            let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
            let keys = keys.filter_map(|key| key.as_str().map(str::to_owned)).collect();
            let kind = match schema["x-kubernetes-list-type"].as_str() {
                Some("map") => ListKind::Keyed(keys),
                Some("set") => ListKind::Set,
                _ => ListKind::Atomic,
            };
            Shape::List(Box::new(shape_of(&schema["items"], false)), kind)
        }
        _ => {
            let atomic = schema["x-kubernetes-map-type"] == "atomic";
            if schema["additionalProperties"].is_object() {
                return Shape::Map(Box::new(shape_of(&schema["additionalProperties"], false)), atomic);
            }
            let properties = schema["properties"].as_object().into_iter().flatten();
            let field = |(name, below): (&String, &Value)| {
                let default = below["default"].as_str().map(str::to_owned);
                Field::plain(name, shape_of(below, false), default)
            };
            let mut fields: Vec<Field> =
                properties.filter(|(name, _)| !is_root || name.as_str() != "metadata").map(field).collect();
            if is_root {
                fields.push(Field::plain("metadata", Shape::Named("ObjectMeta".into()), None));
                for name in ["apiVersion", "kind"] {
                    fields.push(Field::plain(name, Shape::Text, None));
                }
            }
            let is_open = schema["x-kubernetes-preserve-unknown-fields"] == true || fields.is_empty();
            Shape::Inline(Box::new(Type { name: String::new(), atomic, fields, others: is_open.then_some(Shape::Any) }))
        }
    }
}
