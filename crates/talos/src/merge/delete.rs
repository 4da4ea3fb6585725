use super::{DocumentId, MergeError, scalar_text};
use serde_json::{Map, Value};
use std::fmt;

/// One `$patch: delete`, taken out of a patch.
#[derive(Debug)]
pub(super) struct Deletion {
    document: String,
    keys: Vec<String>,
    /// For a list item: the first key beside `$patch` and its value.
    item: Option<(String, String)>,
}

/// Takes every deletion out of `patch`, with what becomes empty by it.
pub(super) fn take(patch: &mut Map<String, Value>, id: &DocumentId) -> Result<Vec<Deletion>, MergeError> {
    let mut found = Vec::new();
    if is_deletion(patch) {
        let whole = Deletion { document: id.to_string(), keys: Vec::new(), item: None };
        if id.is_main() {
            return Err(MergeError::BadDelete { path: whole.to_string() });
        }
        return Ok(vec![whole]);
    }
    take_from_map(patch, &id.to_string(), &[], &mut found)?;
    Ok(found)
}

fn take_from_map(
    map: &mut Map<String, Value>,
    document: &str,
    keys: &[String],
    found: &mut Vec<Deletion>,
) -> Result<(), MergeError> {
    let mut emptied = Vec::new();
    for (key, value) in map.iter_mut() {
        let below = [keys, std::slice::from_ref(key)].concat();
        let before = found.len();
        match value {
            Value::Object(inner) if is_deletion(inner) => {
                found.push(Deletion { document: document.to_owned(), keys: below, item: None });
                emptied.push(key.clone());
            }
            Value::Object(inner) => {
                take_from_map(inner, document, &below, found)?;
                if inner.is_empty() && found.len() > before {
                    emptied.push(key.clone());
                }
            }
            Value::Array(items) => {
                take_from_list(items, document, &below, found)?;
                if items.is_empty() && found.len() > before {
                    emptied.push(key.clone());
                }
            }
            _ => {}
        }
    }
    for key in emptied {
        map.shift_remove(&key);
    }
    Ok(())
}

fn take_from_list(
    items: &mut Vec<Value>,
    document: &str,
    keys: &[String],
    found: &mut Vec<Deletion>,
) -> Result<(), MergeError> {
    let mut kept = Vec::new();
    for item in items.drain(..) {
        match &item {
            Value::Object(map) if is_deletion(map) => {
                let selector = map.iter().find(|(key, _)| *key != "$patch");
                let Some((key, value)) = selector else {
                    return Err(MergeError::BadDelete { path: keys.join(".") });
                };
                let item = Some((key.clone(), scalar_text(value)));
                found.push(Deletion { document: document.to_owned(), keys: keys.to_vec(), item });
            }
            Value::Object(map) if holds_deletion(map) => {
                return Err(MergeError::BadDelete { path: keys.join(".") });
            }
            _ => kept.push(item),
        }
    }
    *items = kept;
    Ok(())
}

fn is_deletion(map: &Map<String, Value>) -> bool {
    map.get("$patch").and_then(Value::as_str) == Some("delete")
}

fn holds_deletion(map: &Map<String, Value>) -> bool {
    is_deletion(map) || map.values().filter_map(Value::as_object).any(holds_deletion)
}

impl Deletion {
    pub(super) fn is_whole_document(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn apply(&self, document: &mut Map<String, Value>) -> Result<(), MergeError> {
        if self.try_apply(document).is_some() {
            Ok(())
        } else {
            Err(MergeError::NothingToDelete { path: self.to_string() })
        }
    }

    fn try_apply(&self, document: &mut Map<String, Value>) -> Option<()> {
        let (last, way) = self.keys.split_last()?;
        let parent = way.iter().try_fold(document, |map, key| map.get_mut(key)?.as_object_mut())?;
        let Some((key, value)) = &self.item else {
            return parent.shift_remove(last).map(|_| ());
        };
        let items = parent.get_mut(last)?.as_array_mut()?;
        let at = items.iter().position(|item| item.get(key).is_some_and(|found| scalar_text(found) == *value))?;
        items.remove(at);
        Some(())
    }
}

impl fmt::Display for Deletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.document)?;
        if !self.keys.is_empty() {
            write!(f, ": {}", self.keys.join("."))?;
        }
        match &self.item {
            Some((key, _)) => write!(f, "[{key}=…]"),
            None => Ok(()),
        }
    }
}
