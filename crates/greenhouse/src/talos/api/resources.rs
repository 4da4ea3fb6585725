//! Which resources there are, and what each says: both in YAML (talosctl prints it) and in binary (typed clients).

mod links;
mod machine;
mod network;
mod table;

use super::super::proto::cosi as wire;
use super::super::proto::resources as spec;
use super::super::{Node, config, node, services};
use crate::world::State;
use serde_json::{Value, json};
use std::net::IpAddr;
use table::DEFINITIONS;

/// One type of resource.
pub(super) struct Definition {
    pub kind: &'static str,
    pub namespace: &'static str,
    display: &'static str,
    /// Short names beside those that are made of the type.
    aliases: &'static [&'static str],
    /// Name and JSONPath on the YAML spec.
    columns: &'static [(&'static str, &'static str)],
    /// For admins only.
    pub sensitive: bool,
    /// The first minor version of Talos that has the type.
    since_minor: u32,
    list: fn(&State, u64) -> Vec<Found>,
}

/// A resource: id, version, what its YAML says, binary.
struct Found {
    id: String,
    version: u64,
    yaml: Value,
    proto: Vec<u8>,
}

impl Found {
    fn new(id: impl Into<String>, yaml: Value, proto: &impl prost::Message) -> Self {
        Found { id: id.into(), version: 1, yaml, proto: proto.encode_to_vec() }
    }
}

/// The definition of a type, whatever its case, on a node of this minor version of Talos.
pub(super) fn definition(kind: &str, minor: u32) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.kind.eq_ignore_ascii_case(kind) && definition.since_minor <= minor)
}

/// The first problem that the node itself reports.
pub(super) fn has_diagnostics(state: &State, id: u64) -> Option<String> {
    let found = network::diagnostics(state, id).into_iter().next()?;
    Some(found.yaml.pointer("/message")?.as_str()?.to_owned())
}

/// Every resource of a type on this node.
pub(super) fn list(state: &State, id: u64, definition: &'static Definition) -> Vec<wire::Resource> {
    let created = node(state, id).map(|node| services::stamp(node.started));
    let found = (definition.list)(state, id).into_iter();
    found
        .map(|found| wire::Resource {
            metadata: Some(wire::Metadata {
                namespace: definition.namespace.into(),
                r#type: definition.kind.into(),
                id: found.id,
                version: found.version.to_string(),
                owner: String::new(),
                phase: "running".into(),
                created,
                updated: created,
                annotations: definition.annotations(),
            }),
            spec: Some(wire::Spec { proto_spec: found.proto, yaml_spec: text(&found.yaml) }),
        })
        .collect()
}

/// The definitions themselves, as resources: clients find types and their short names among them.
fn definitions(state: &State, id: u64) -> Vec<Found> {
    let minor = node(state, id).map_or(0, |node| config::minor(&node.system.talos));
    DEFINITIONS.iter().filter(|definition| definition.since_minor <= minor).map(Definition::found).collect()
}

impl Definition {
    /// By this one clients know that the spec is the configuration's text, and not the configuration.
    fn annotations(&self) -> std::collections::BTreeMap<String, String> {
        let text = (self.kind == "MachineConfigs.config.talos.dev").then(|| ("talos.dev/yaml-spec".into(), "1".into()));
        text.into_iter().collect()
    }

    /// Display name and aliases are made of the type as COSI makes them (`pkg/resource/meta/spec`).
    fn found(&self) -> Found {
        let (name, suffix) = self.kind.split_once('.').unwrap_or((self.kind, ""));
        let name_lower = name.to_lowercase();
        let mut aliases: Vec<String> = self.aliases.iter().map(|alias| (*alias).to_owned()).collect();
        aliases.push(self.display.to_lowercase());
        let initials: String = name.chars().filter(char::is_ascii_uppercase).collect();
        if initials.len() > 1 {
            aliases.push(initials.to_lowercase());
            if !initials.ends_with('S') {
                aliases.push(format!("{}s", initials.to_lowercase()));
            }
        }
        // `members`, `members.cluster`, `members.cluster.talos`.
        let dots = suffix.match_indices('.').map(|(at, _)| suffix.get(..at).unwrap_or_default());
        let dotted = dots.map(|part| format!("{name_lower}.{part}"));
        let all: Vec<String> = [name_lower.clone()].into_iter().chain(dotted).chain(aliases.iter().cloned()).collect();
        let columns: Vec<Value> =
            self.columns.iter().map(|(name, path)| json!({"name": name, "jsonPath": path})).collect();
        let mut yaml = json!({
            "type": self.kind, "displayType": self.display, "defaultNamespace": self.namespace,
            "aliases": aliases, "allAliases": all, "printColumns": columns,
        });
        if let Some(fields) = yaml.as_object_mut().filter(|_| self.sensitive) {
            fields.insert("sensitivity".into(), "sensitive".into());
        }
        let print_columns = self
            .columns
            .iter()
            .map(|(name, path)| spec::PrintColumn { name: (*name).into(), json_path: (*path).into() });
        let proto = spec::ResourceDefinition {
            resource_type: self.kind.into(),
            display_type: self.display.into(),
            default_namespace: self.namespace.into(),
            aliases,
            all_aliases: all,
            print_columns: print_columns.collect(),
            sensitivity: i32::from(self.sensitive),
        };
        Found::new(self.kind.to_lowercase(), yaml, &proto)
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A spec as the API writes it; JSON, which is YAML too, for what cannot be written otherwise.
fn text(spec: &Value) -> String {
    serde_saphyr::to_string(spec).unwrap_or_else(|_| spec.to_string())
}

/// JSON as protobuf's own `Struct`.
fn structure(value: &Value) -> prost_types::Struct {
    let fields = value.as_object().into_iter().flatten();
    prost_types::Struct { fields: fields.map(|(key, value)| (key.clone(), any(value))).collect() }
}

fn any(value: &Value) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(prost_types::ListValue { values: items.iter().map(any).collect() }),
        Value::Object(_) => Kind::StructValue(structure(value)),
    };
    prost_types::Value { kind: Some(kind) }
}

fn configured(state: &State, id: u64, make: impl FnOnce(&Node, &config::Complete) -> Found) -> Vec<Found> {
    node(state, id).and_then(|node| Some(make(node, node.complete()?))).into_iter().collect()
}

fn single(state: &State, id: u64, make: impl FnOnce(&Node) -> Found) -> Vec<Found> {
    node(state, id).map(make).into_iter().collect()
}
