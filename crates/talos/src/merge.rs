//! Talos's strategic merge, by which a user's patches change a rendered configuration.
//!
//! A patch is a configuration with most of it left out. Its documents meet those of the same (apiVersion, kind, name), or
//! are appended. Inside a document, maps merge key by key; scalars replace unless they are null, empty or zero (`false`
//! does replace); lists append, but a few replace and a few merge by a key of their items ([`rules`]).
//! `$patch: delete` removes a document, a field, or the list item that the item's first other key names.
//!
//! Talos merges Go structs and so knows every field's type; this module knows only YAML, and refuses what it cannot
//! place: a map onto a list, a deletion that finds nothing. JSON patches (RFC 6902) are refused, as Talos refuses them for
//! configurations of several documents.

mod delete;
mod rules;

use crate::yaml::{self, YamlError};
use rules::{ListRule, list_rule, replaces_map};
use serde_json::{Map, Value};

/// Why a patch cannot be applied. Paths name fields, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// The patch is not YAML.
    #[error("the patch is {0}")]
    NotYaml(#[from] YamlError),
    /// The patch is a list or a scalar; JSON patches are lists.
    #[error("the patch is not a configuration document (JSON patches are not supported)")]
    NotADocument,
    /// A map meets a list, or either meets a scalar.
    #[error("`{path}` has another shape in the configuration than in the patch")]
    Shape {
        /// Where.
        path: String,
    },
    /// A `$patch: delete` whose target is not there.
    #[error("`{path}` is to be deleted by the patch but is not in the configuration")]
    NothingToDelete {
        /// Where.
        path: String,
    },
    /// A `$patch: delete` that cannot be understood: inside a list item, or in an item without another key.
    #[error("`$patch: delete` at `{path}` does not say what to delete")]
    BadDelete {
        /// Where.
        path: String,
    },
}

/// Applies the documents of `patch` to `documents`, in order.
pub(crate) fn apply(documents: &mut Vec<Value>, patch: &str) -> Result<(), MergeError> {
    for right in yaml::read_all(patch)? {
        let Value::Object(mut right) = right else { return Err(MergeError::NotADocument) };
        let id = DocumentId::of(&right);
        let place = documents.iter().position(|left| left.as_object().is_some_and(|left| DocumentId::of(left) == id));
        let deletions = delete::take(&mut right, &id)?;
        let Some(at) = place else {
            if let Some(deletion) = deletions.first() {
                return Err(MergeError::NothingToDelete { path: deletion.to_string() });
            }
            documents.push(Value::Object(right));
            continue;
        };
        if deletions.iter().any(delete::Deletion::is_whole_document) {
            documents.remove(at);
            continue;
        }
        let Some(left) = documents.get_mut(at).and_then(Value::as_object_mut) else { continue };
        for deletion in &deletions {
            deletion.apply(left)?;
        }
        merge_maps(left, right, &Path { kind: &id.kind, keys: Vec::new() })?;
    }
    Ok(())
}

/// What documents meet by. The main document has neither apiVersion nor kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DocumentId {
    api_version: String,
    pub(crate) kind: String,
    name: String,
}

impl DocumentId {
    pub(crate) fn of(document: &Map<String, Value>) -> Self {
        let text = |key: &str| document.get(key).map(scalar_text).unwrap_or_default();
        DocumentId { api_version: text("apiVersion"), kind: text("kind"), name: text("name") }
    }

    /// The one without a kind: `machine` and `cluster`.
    pub(crate) fn is_main(&self) -> bool {
        self.kind.is_empty()
    }
}

impl std::fmt::Display for DocumentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.is_main(), self.name.is_empty()) {
            (true, _) => f.write_str("v1alpha1"),
            (false, true) => f.write_str(&self.kind),
            (false, false) => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

/// Where in a document we are: its kind and the keys on the way, list positions left out.
pub(crate) struct Path<'a> {
    kind: &'a str,
    keys: Vec<String>,
}

impl Path<'_> {
    fn below(&self, key: &str) -> Self {
        Path { kind: self.kind, keys: [self.keys.as_slice(), &[key.to_owned()]].concat() }
    }

    fn shape_error(&self) -> MergeError {
        MergeError::Shape { path: self.keys.join(".") }
    }
}

fn merge_maps(left: &mut Map<String, Value>, right: Map<String, Value>, path: &Path) -> Result<(), MergeError> {
    for (key, value) in right {
        let below = path.below(&key);
        match left.get_mut(&key) {
            None | Some(Value::Null) if value.is_null() => {}
            None | Some(Value::Null) => {
                left.insert(key, value);
            }
            Some(old) => merge(old, value, &below)?,
        }
    }
    Ok(())
}

fn merge(left: &mut Value, right: Value, path: &Path) -> Result<(), MergeError> {
    match (left, right) {
        (_, Value::Null) => Ok(()),
        (Value::Object(left), Value::Object(right)) => {
            if replaces_map(path.kind, &path.keys) {
                *left = right;
            } else if path.keys.last().is_some_and(|key| key == "extraArgs") {
                // Arguments of a component: each is replaced whole, also where it is a list.
                left.extend(right);
            } else {
                return merge_maps(left, right, path);
            }
            Ok(())
        }
        (Value::Array(left), Value::Array(right)) => merge_lists(left, right, path),
        (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => Err(path.shape_error()),
        (left, right) => {
            if !is_zero(&right) {
                *left = right;
            }
            Ok(())
        }
    }
}

fn merge_lists(left: &mut Vec<Value>, right: Vec<Value>, path: &Path) -> Result<(), MergeError> {
    match list_rule(path.kind, &path.keys) {
        ListRule::Append => left.extend(right),
        ListRule::Replace => *left = right,
        ListRule::ByKey(keys) => {
            for item in right {
                let same = left.iter_mut().find(|old| keys.iter().any(|key| shares(old, &item, key)));
                match same {
                    Some(old) => merge(old, item, path)?,
                    None => left.push(item),
                }
            }
        }
    }
    Ok(())
}

fn shares(one: &Value, other: &Value, key: &str) -> bool {
    matches!((one.get(key), other.get(key)), (Some(one), Some(other)) if one == other)
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// A scalar as it stands in YAML; empty for maps and lists.
pub(crate) fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

#[cfg(test)]
mod tests;
