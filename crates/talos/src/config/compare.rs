use crate::YamlError;
use crate::merge::{DocumentId, scalar_text};
use crate::yaml;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use wire::Secret;

/// How the environment entry begins that holds the tailnet key.
pub(super) const AUTH_KEY: &str = "TS_AUTHKEY=";

/// How Talos's encoder writes a routing table that is not set.
const UNSET: &str = "unspec";

/// Maps whose keys mean something also when their value is empty.
const KEYS_COUNT: &[&str] = &["nodeLabels", "nodeAnnotations", "nodeTaints"];

/// A configuration made comparable: a map from document (`v1alpha1`, `HostnameConfig`, `NetworkRuleConfig/ingress`) to its
/// content, sorted, without the tailnet key (each launch has another) and without empty fields, which Talos's own encoder
/// adds and drops as it likes.
pub fn normalise(config: &str) -> Result<Value, YamlError> {
    let documents = yaml::read_all(config)?;
    let sorted: BTreeMap<String, Value> = documents
        .into_iter()
        .filter_map(|document| {
            let id = DocumentId::of(document.as_object()?).to_string();
            Some((id, tidy(document).unwrap_or_default()))
        })
        .collect();
    Ok(Value::Object(sorted.into_iter().collect()))
}

/// Drops what is empty, sorts keys, writes numbers as text.
fn tidy(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(value),
        Value::Number(_) => Some(scalar_text(&value).into()),
        Value::String(text) => (!text.is_empty() && text != UNSET).then(|| text.into()),
        Value::Array(items) => {
            let items: Vec<Value> = items
                .into_iter()
                .filter(|item| !item.as_str().is_some_and(|text| text.starts_with(AUTH_KEY)))
                .filter_map(tidy)
                .collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(map) => {
            let sorted: BTreeMap<String, Value> = map
                .into_iter()
                .filter_map(|(key, value)| {
                    let value = match value {
                        Value::Object(inner) if KEYS_COUNT.contains(&key.as_str()) => Some(texts(inner)),
                        other => tidy(other),
                    };
                    value.map(|value| (key, value))
                })
                .collect();
            (!sorted.is_empty()).then(|| Value::Object(sorted.into_iter().collect()))
        }
    }
}

fn texts(map: Map<String, Value>) -> Value {
    let sorted: BTreeMap<String, Value> =
        map.into_iter().map(|(key, value)| (key, scalar_text(&value).into())).collect();
    Value::Object(sorted.into_iter().collect())
}

/// The fields in which two normalised configurations differ, as paths (`machine.kubelet.image`,
/// `NetworkRuleConfig/ingress: portSelector.ports`), sorted. Lists are compared whole. No value is in the answer.
pub fn differences(desired: &Value, actual: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for id in keys(desired, actual) {
        let prefix = if id == "v1alpha1" { String::new() } else { format!("{id}: ") };
        match (desired.get(&id), actual.get(&id)) {
            (Some(one), Some(other)) => walk(one, other, &prefix, &mut Vec::new(), &mut found),
            _ => found.push(id),
        }
    }
    found
}

fn walk(one: &Value, other: &Value, prefix: &str, path: &mut Vec<String>, found: &mut Vec<String>) {
    if one == other {
        return;
    }
    if !(one.is_object() && other.is_object()) {
        found.push(format!("{prefix}{}", path.join(".")));
        return;
    }
    for key in keys(one, other) {
        path.push(key.clone());
        match (one.get(&key), other.get(&key)) {
            (Some(one), Some(other)) => walk(one, other, prefix, path, found),
            _ => found.push(format!("{prefix}{}", path.join("."))),
        }
        path.pop();
    }
}

fn keys(one: &Value, other: &Value) -> Vec<String> {
    let of = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let all: std::collections::BTreeSet<String> = of(one).into_iter().chain(of(other)).collect();
    all.into_iter().collect()
}

/// The tailnet key that a configuration holds, so that a changed one can be given the same.
pub fn auth_key_of(config: &Secret) -> Option<Secret> {
    let documents = yaml::read_all(config.expose()).ok()?;
    let mut entries = documents.iter().filter_map(|document| document.get("environment")?.as_array()).flatten();
    let key = entries.find_map(|entry| entry.as_str()?.strip_prefix(AUTH_KEY))?;
    Some(Secret::new(key))
}
