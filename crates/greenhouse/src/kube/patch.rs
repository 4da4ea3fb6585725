//! Patches: JSON merge, strategic merge, JSON patch, and what server-side apply merges.

use serde_json::{Map, Value};

/// RFC 7386.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    let Some(fields) = object(target) else { return };
    for (key, value) in patch {
        if value.is_null() {
            fields.shift_remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Kubernetes' strategic merge: lists that have a merge key are merged by it, others are replaced; `$patch` deletes
/// or replaces, `$deleteFromPrimitiveList/…` takes elements out of a set.
pub(super) fn strategic(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if patch.get("$patch").and_then(Value::as_str) == Some("replace") {
        let rest = patch.iter().filter(|(key, _)| !key.starts_with('$'));
        *target = Value::Object(rest.map(|(key, value)| (key.clone(), value.clone())).collect());
        return;
    }
    let Some(fields) = object(target) else { return };
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(Value::Array(kept)) = fields.get_mut(list) {
                kept.retain(|element| !gone.contains(element));
            }
        } else if key.starts_with('$') {
            // $setElementOrder and $retainKeys only order or prune what the client itself has sent.
        } else if value.is_null() || value.get("$patch").and_then(Value::as_str) == Some("delete") {
            fields.shift_remove(key);
        } else {
            let at = fields.entry(key.clone()).or_insert(Value::Null);
            match (value, list_of(key)) {
                (Value::Array(elements), List::By(merge_keys)) => merge_list(at, elements, merge_keys),
                (Value::Array(elements), List::Set) => union(at, elements),
                _ => strategic(at, value),
            }
        }
    }
}

/// How a list merges.
enum List {
    /// By the first of these keys that its elements have.
    By(&'static [&'static str]),
    Set,
    Atomic,
}

/// The patch strategies of core, apps and policy types. Names that mean several lists (ports of a container and of a
/// service) are told apart by the key that the elements have. A node's taints are atomic, as tolerations are.
fn list_of(field: &str) -> List {
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "secrets" => List::By(&["name"]),
        "conditions" | "addresses" => List::By(&["type"]),
        "volumeMounts" => List::By(&["mountPath"]),
        "volumeDevices" => List::By(&["devicePath"]),
        "ports" => List::By(&["containerPort", "port"]),
        "ownerReferences" => List::By(&["uid"]),
        "hostAliases" => List::By(&["ip"]),
        "topologySpreadConstraints" => List::By(&["topologyKey"]),
        "finalizers" | "podCIDRs" => List::Set,
        _ => List::Atomic,
    }
}

fn merge_list(target: &mut Value, patch: &[Value], merge_keys: &[&str]) {
    let Value::Array(list) = target else {
        *target = Value::Array(patch.iter().filter(|element| element.get("$patch").is_none()).cloned().collect());
        return;
    };
    if patch.iter().any(|element| element.get("$patch").and_then(Value::as_str) == Some("replace")) {
        *list = patch.iter().filter(|element| element.get("$patch").is_none()).cloned().collect();
        return;
    }
    for element in patch {
        let Some(key) = merge_keys.iter().find(|key| element.get(**key).is_some()) else { continue };
        let at = list.iter().position(|known| known.get(*key) == element.get(*key));
        let deletes = element.get("$patch").and_then(Value::as_str) == Some("delete");
        match (at.and_then(|at| Some((at, list.get_mut(at)?))), deletes) {
            (Some((at, _)), true) => drop(list.remove(at)),
            (Some((_, known)), false) => strategic(known, element),
            (None, true) => {}
            (None, false) => list.push(element.clone()),
        }
    }
}

fn union(target: &mut Value, patch: &[Value]) {
    match target {
        Value::Array(list) => {
            for element in patch {
                if !list.contains(element) {
                    list.push(element.clone());
                }
            }
        }
        other => *other = Value::Array(patch.to_vec()),
    }
}

/// RFC 6902. The error says which operation could not be done, in the server's words.
pub(super) fn json_patch(target: &mut Value, patch: &Value) -> Result<(), String> {
    let operations = patch.as_array().ok_or("error decoding patch: a JSON patch is an array")?;
    for operation in operations {
        let text = |key: &str| operation[key].as_str();
        let path = text("path").ok_or("error decoding patch: an operation has no path")?;
        let value = operation.get("value");
        match text("op").unwrap_or_default() {
            "add" => add(target, path, value.ok_or("add operation has no value")?.clone())?,
            "remove" => drop(remove(target, path)?),
            "replace" => {
                let at = target.pointer_mut(path).ok_or_else(|| missing("replace", path))?;
                *at = value.ok_or("replace operation has no value")?.clone();
            }
            "test" => {
                if target.pointer(path).unwrap_or(&Value::Null) != value.unwrap_or(&Value::Null) {
                    return Err(format!("testing value {path} failed: test failed"));
                }
            }
            "move" => {
                let moved = remove(target, text("from").ok_or("move operation has no from")?)?;
                add(target, path, moved)?;
            }
            "copy" => {
                let from = text("from").ok_or("copy operation has no from")?;
                let copied = target.pointer(from).ok_or_else(|| missing("copy", from))?.clone();
                add(target, path, copied)?;
            }
            other => return Err(format!("unexpected kind: {other}")),
        }
    }
    Ok(())
}

fn missing(operation: &str, path: &str) -> String {
    format!("{operation} operation does not apply: doc is missing path: {path}")
}

fn last(path: &str) -> Option<(&str, String)> {
    let (parent, key) = path.rsplit_once('/')?;
    Some((parent, key.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let Some((parent, key)) = last(path) else {
        *target = value;
        return Ok(());
    };
    match target.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.insert(key, value)),
        Some(Value::Array(list)) if key == "-" => list.push(value),
        Some(Value::Array(list)) => {
            let at = key.parse::<usize>().ok().filter(|at| *at <= list.len()).ok_or_else(|| missing("add", path))?;
            list.insert(at, value);
        }
        _ => return Err(missing("add", path)),
    }
    Ok(())
}

fn remove(target: &mut Value, path: &str) -> Result<Value, String> {
    let (parent, key) = last(path).ok_or_else(|| missing("remove", path))?;
    let removed = match target.pointer_mut(parent) {
        Some(Value::Object(fields)) => fields.shift_remove(&key),
        Some(Value::Array(list)) => {
            let at = key.parse::<usize>().ok().filter(|at| *at < list.len());
            at.map(|at| list.remove(at))
        }
        _ => None,
    };
    removed.ok_or_else(|| missing("remove", path))
}

/// The fields of a value, which is made an object if it is none.
fn object(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_strategic_patch_merges_conditions_by_type_and_replaces_taints() {
        let mut node = json!({
            "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}]},
        });
        strategic(
            &mut node,
            &json!({
                "spec": {"taints": [{"key": "b", "effect": "NoExecute"}]},
                "status": {"conditions": [{"type": "Ready", "status": "Unknown"}], "$setElementOrder/conditions": []},
            }),
        );
        assert_eq!(node["spec"]["taints"], json!([{"key": "b", "effect": "NoExecute"}]));
        let ready_first = json!([{"type": "Ready", "status": "Unknown"}, {"type": "DiskPressure", "status": "False"}]);
        assert_eq!(node["status"]["conditions"], ready_first);
    }

    #[test]
    fn a_strategic_patch_deletes_an_element_and_a_field() {
        let mut pod = json!({"spec": {"containers": [{"name": "a"}, {"name": "b", "image": "x"}], "nodeName": "n"}});
        strategic(&mut pod, &json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}], "nodeName": null}}));
        assert_eq!(pod, json!({"spec": {"containers": [{"name": "b", "image": "x"}]}}));
    }

    #[test]
    fn a_merge_patch_removes_nulls_and_replaces_lists() {
        let mut object = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "list": [1, 2]});
        merge(&mut object, &json!({"metadata": {"labels": {"a": null, "c": "3"}}, "list": [3]}));
        assert_eq!(object, json!({"metadata": {"labels": {"b": "2", "c": "3"}}, "list": [3]}));
    }

    #[test]
    fn a_json_patch_whose_test_fails_says_so() {
        let mut object = json!({"a/b": [1, 3]});
        json_patch(&mut object, &json!([{"op": "add", "path": "/a~1b/1", "value": 2}])).unwrap();
        assert_eq!(object, json!({"a/b": [1, 2, 3]}));
        let failed = json_patch(&mut object, &json!([{"op": "test", "path": "/a~1b/0", "value": 9}]));
        assert_eq!(failed.unwrap_err(), "testing value /a~1b/0 failed: test failed");
        assert!(json_patch(&mut object, &json!([{"op": "remove", "path": "/none"}])).is_err());
    }
}
