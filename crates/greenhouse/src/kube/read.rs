//! Reading what a client has sent as an object of the kind that its path names.

use super::custom;
use super::decode::Reader;
use super::refusal::Refusal;
use super::resource::{RESOURCES, Resource};
use super::validate::Fault;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeSet;

/// What is done about fields that a kind does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Strictness {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// `KIND in version "v1" cannot be handled as a KIND: …`
pub(super) fn unhandled(resource: &Resource, why: &str) -> Refusal {
    let kind = resource.kind;
    Refusal::bad_request(format!("{kind} in version {:?} cannot be handled as a {kind}: {why}", resource.version))
}

/// Reads a body; with it, what is unknown about it.
pub(super) fn body(resource: &Resource, body: &Value) -> Result<(Value, Vec<String>), Refusal> {
    let Some(fields) = body.as_object() else { return Err(no_object(resource, body)) };
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if resource.custom.is_some() {
        if kind.is_empty() || version.is_empty() {
            let missing = if kind.is_empty() { "'Kind' is missing" } else { "'apiVersion' is missing" };
            return Err(Refusal::bad_request(format!("Object {missing} in '{body}'")));
        }
        return custom::read(resource, body);
    }
    let is_other =
        !kind.is_empty() && kind != resource.kind || !version.is_empty() && version != resource.api_version();
    if is_other {
        let (version, kind) = (
            if version.is_empty() { resource.version } else { version },
            if kind.is_empty() { resource.kind } else { kind },
        );
        return Err(other_kind(resource, version, kind));
    }
    let mut reader = Reader::default();
    let mut object = reader.object(body, resource.shape()).map_err(|why| unhandled(resource, &why))?;
    object["apiVersion"] = resource.api_version().into();
    object["kind"] = resource.kind.into();
    Ok((object, reader.unknown.iter().map(|field| format!("unknown field {field:?}")).collect()))
}

/// A text that is no JSON.
pub(super) fn unreadable(resource: &Resource, text: &[u8], error: &serde_json::Error) -> Refusal {
    let shown = String::from_utf8_lossy(text);
    let at =
        text.iter().position(|byte| !matches!(byte, b'{' | b' ')).and_then(|at| text.get(at)).copied().unwrap_or(b' ');
    let why = if text.first() == Some(&b'{') && !matches!(at, b'"' | b'}') {
        format!("invalid character '{}' looking for beginning of object key string", char::from(at))
    } else {
        error.to_string()
    };
    Refusal::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {why} ({shown})",
        resource.kind
    ))
}

fn no_object(resource: &Resource, body: &Value) -> Refusal {
    let kind = match body {
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        _ => "number",
    };
    let shown = hex::encode(body.to_string());
    Refusal::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: json: cannot unmarshal {kind} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }} ({shown})",
        resource.kind
    ))
}

fn other_kind(resource: &Resource, version: &str, kind: &str) -> Refusal {
    let known = RESOURCES.iter().find(|at| at.kind == kind && at.api_version() == version);
    let short = version.rsplit('/').next().unwrap_or_default();
    let why = match known {
        Some(_) => {
            let group =
                if resource.group.is_empty() { "core" } else { resource.group.split('.').next().unwrap_or_default() };
            format!("converting ({short}.{kind}) to ({group}.{}): unknown conversion", resource.kind)
        }
        None => format!(
            "no kind {kind:?} is registered for version {version:?} in scheme \"pkg/api/legacyscheme/scheme.go:30\""
        ),
    };
    Refusal::bad_request(format!("{kind} in version {short:?} cannot be handled as a {}: {why}", resource.kind))
}

/// What an applied configuration must have.
pub(super) fn check_applied(resource: &Resource, name: &str, config: &Value) -> Result<(), Refusal> {
    let Some(fields) = config.as_object() else {
        return Err(Refusal::bad_request(format!(
            "error decoding patch: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            if config.is_array() { "array" } else { "string" },
        )));
    };
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if resource.custom.is_some() && kind != resource.kind && !kind.is_empty() {
        let fault = Fault::invalid("kind", &kind.into(), &format!("must be {}", resource.kind));
        return Err(Refusal::invalid(resource, name, &[fault]));
    }
    if kind.is_empty() && version.is_empty() {
        return Err(Refusal::bad_request("invalid object type: /, Kind="));
    }
    if kind != resource.kind || version != resource.api_version() {
        let message = format!(
            "incorrect type specified in patch: expected {}, Kind={}, got {version}, Kind={kind}",
            resource.api_version(),
            resource.kind
        );
        return Err(Refusal::bad_request(message));
    }
    if config["metadata"]["managedFields"].as_array().is_some_and(|list| !list.is_empty()) {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    Ok(())
}

/// Paths of what a JSON text says twice.
pub(super) fn duplicates(text: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(text);
    // A text that cannot be read is told of where it is read.
    let _ = Walk { path: String::new(), found: &mut found }.deserialize(&mut reader);
    found
}

struct Walk<'a> {
    path: String,
    found: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let path = if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            if !seen.insert(key) {
                self.found.push(path.clone());
            }
            map.next_value_seed(Walk { path, found: self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut at = 0;
        while list.next_element_seed(Walk { path: format!("{}[{at}]", self.path), found: self.found })?.is_some() {
            at += 1;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_said_twice_is_found_wherever_it_is() {
        let text = br#"{"a": 1, "b": {"c": [{"d": 1, "d": 2}]}, "a": 2}"#;
        assert_eq!(super::duplicates(text), ["b.c[0].d", "a"]);
    }
}
