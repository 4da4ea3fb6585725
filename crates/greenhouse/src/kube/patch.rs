//! Patches: JSON merge, strategic merge, JSON patch, and what server-side apply merges.

use super::refusal::Refusal;
use super::schema::Shape;
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
/// or replaces, `$deleteFromPrimitiveList/…` takes elements out of a set. The error is the server's.
pub(super) fn strategic(target: &mut Value, patch: &Value, shape: &Shape) -> Result<(), String> {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            let rest = patch.iter().filter(|(key, _)| !key.starts_with('$'));
            *target = Value::Object(rest.map(|(key, value)| (key.clone(), value.clone())).collect());
            return Ok(());
        }
        Some("delete" | "merge") | None => {}
        Some(other) => return Err(format!("unknown patch type: {other} in map: map[$patch:{other}]")),
    }
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array)
        && let Some(fields) = target.as_object_mut()
    {
        fields.retain(|key, _| kept.iter().any(|kept| kept == key));
    }
    let Some(fields) = object(target) else { return Ok(()) };
    let of = shape.fields();
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(Value::Array(kept)) = fields.get_mut(list) {
                kept.retain(|element| !gone.contains(element));
            }
            continue;
        }
        if key.starts_with('$') {
            continue;
        }
        if value.is_null() || value.get("$patch").and_then(Value::as_str) == Some("delete") {
            fields.shift_remove(key);
            continue;
        }
        let before = fields.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let at = fields.entry(key.clone()).or_insert(Value::Null);
        let below = shape.field(key).unwrap_or(&Shape::Any);
        let merge_key = of.and_then(|of| of.field(key)).and_then(|field| field.merge_key.as_deref());
        match (value, merge_key, below) {
            (Value::Array(elements), Some(""), _) => union(at, elements),
            (Value::Array(elements), Some(merge_key), Shape::List(of, _)) => merge_list(at, elements, merge_key, of)?,
            (Value::Object(_), ..) => strategic(at, value, below)?,
            _ => *at = value.clone(),
        }
        let order = patch.get(&format!("$setElementOrder/{key}")).and_then(Value::as_array);
        if let (Some(merge_key), Some(given), Value::Array(list)) = (merge_key, value.as_array(), at) {
            sort(list, order.unwrap_or(given), &before, merge_key);
        }
    }
    Ok(())
}

/// Orders elements: those of the patch as it has them, between them what only the server has, before what followed it.
fn sort(list: &mut Vec<Value>, order: &[Value], before: &[Value], merge_key: &str) {
    let place = |of: &[Value], element: &Value| {
        let is_it = |known: &Value| {
            if merge_key.is_empty() { known == element } else { known.get(merge_key) == element.get(merge_key) }
        };
        of.iter().position(is_it)
    };
    let (mut patched, own): (Vec<Value>, Vec<Value>) =
        list.drain(..).partition(|element| place(order, element).is_some());
    patched.sort_by_key(|element| place(order, element));
    let (mut patched, mut own) = (patched.into_iter().peekable(), own.into_iter().peekable());
    loop {
        let own_first = match (own.peek(), patched.peek()) {
            (Some(left), Some(right)) => match (place(before, left), place(before, right)) {
                (Some(left), Some(right)) => left < right,
                _ => false,
            },
            (Some(_), None) => true,
            _ => false,
        };
        match if own_first { own.next() } else { patched.next() } {
            Some(element) => list.push(element),
            None => return,
        }
    }
}

fn merge_list(target: &mut Value, patch: &[Value], merge_key: &str, of: &Shape) -> Result<(), String> {
    let directive = |element: &Value| element.get("$patch").and_then(Value::as_str).map(str::to_owned);
    let Value::Array(list) = target else {
        *target = Value::Array(patch.iter().filter(|element| directive(element).is_none()).cloned().collect());
        return Ok(());
    };
    if patch.iter().any(|element| directive(element).as_deref() == Some("replace")) {
        *list = patch.iter().filter(|element| directive(element).is_none()).cloned().collect();
        return Ok(());
    }
    for element in patch {
        if element.get(merge_key).is_none() {
            return Err(format!("map: {} does not contain declared merge key: {merge_key}", go_map(element)));
        }
        let at = list.iter().position(|known| known.get(merge_key) == element.get(merge_key));
        let deletes = directive(element).as_deref() == Some("delete");
        match (at.and_then(|at| Some((at, list.get_mut(at)?))), deletes) {
            (Some((at, _)), true) => drop(list.remove(at)),
            (Some((_, known)), false) => strategic(known, element, of)?,
            (None, true) => {}
            (None, false) => list.push(element.clone()),
        }
    }
    Ok(())
}

/// A map as Go prints one.
fn go_map(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut shown: Vec<String> = fields.iter().map(|(key, value)| format!("{key}:{}", go_map(value))).collect();
            shown.sort();
            format!("map[{}]", shown.join(" "))
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
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

/// RFC 6902, but for `replace`, which the server also lets set what is not there.
pub(super) fn json_patch(target: &mut Value, patch: &Value) -> Result<(), Refusal> {
    let Some(operations) = patch.as_array() else {
        let kind = if patch.is_object() { "object" } else { "string" };
        return Err(Refusal::bad_request(format!(
            "error decoding patch: json: cannot unmarshal {kind} into Go value of type []handlers.jsonPatchOp"
        )));
    };
    for operation in operations {
        operate(target, operation).ok_or_else(Refusal::unpatchable)?;
    }
    Ok(())
}

fn operate(target: &mut Value, operation: &Value) -> Option<()> {
    let text = |key: &str| operation[key].as_str();
    let path = text("path")?;
    let value = operation.get("value");
    match text("op")? {
        "add" => add(target, path, value?.clone()),
        "remove" => remove(target, path).map(drop),
        "replace" => match target.pointer_mut(path) {
            Some(at) => {
                *at = value?.clone();
                Some(())
            }
            None => add(target, path, value?.clone()),
        },
        "test" => (target.pointer(path).unwrap_or(&Value::Null) == value.unwrap_or(&Value::Null)).then_some(()),
        "move" => {
            let moved = remove(target, text("from")?)?;
            add(target, path, moved)
        }
        "copy" => {
            let copied = target.pointer(text("from")?)?.clone();
            add(target, path, copied)
        }
        _ => None,
    }
}

fn last(path: &str) -> Option<(&str, String)> {
    let (parent, key) = path.rsplit_once('/')?;
    Some((parent, key.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Option<()> {
    let Some((parent, key)) = last(path) else {
        *target = value;
        return Some(());
    };
    match target.pointer_mut(parent)? {
        Value::Object(fields) => drop(fields.insert(key, value)),
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => {
            let at = key.parse::<usize>().ok().filter(|at| *at <= list.len())?;
            list.insert(at, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(target: &mut Value, path: &str) -> Option<Value> {
    let (parent, key) = last(path)?;
    match target.pointer_mut(parent)? {
        Value::Object(fields) => fields.shift_remove(&key),
        Value::Array(list) => {
            let at = key.parse::<usize>().ok().filter(|at| *at < list.len())?;
            Some(list.remove(at))
        }
        _ => None,
    }
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
                "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]},
            }),
            &Shape::Named("Node".into()),
        )
        .unwrap();
        assert_eq!(node["spec"]["taints"], json!([{"key": "b", "effect": "NoExecute"}]));
        let ready_first = json!([{"type": "Ready", "status": "Unknown"}, {"type": "DiskPressure", "status": "False"}]);
        assert_eq!(node["status"]["conditions"], ready_first);
    }

    #[test]
    fn a_strategic_patch_deletes_an_element_and_a_field() {
        let mut pod = json!({"spec": {"containers": [{"name": "a"}, {"name": "b", "image": "x"}], "nodeName": "n"}});
        let patch = json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}], "nodeName": null}});
        strategic(&mut pod, &patch, &Shape::Named("Pod".into())).unwrap();
        assert_eq!(pod, json!({"spec": {"containers": [{"name": "b", "image": "x"}]}}));
    }

    #[test]
    fn a_merge_patch_removes_nulls_and_replaces_lists() {
        let mut object = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "list": [1, 2]});
        merge(&mut object, &json!({"metadata": {"labels": {"a": null, "c": "3"}}, "list": [3]}));
        assert_eq!(object, json!({"metadata": {"labels": {"b": "2", "c": "3"}}, "list": [3]}));
    }

    #[test]
    fn a_json_patch_whose_test_fails_is_refused() {
        let mut object = json!({"a/b": [1, 3]});
        json_patch(&mut object, &json!([{"op": "add", "path": "/a~1b/1", "value": 2}])).unwrap();
        assert_eq!(object, json!({"a/b": [1, 2, 3]}));
        let failed = json_patch(&mut object, &json!([{"op": "test", "path": "/a~1b/0", "value": 9}]));
        assert_eq!(failed.unwrap_err().status()["code"], 422);
        assert!(json_patch(&mut object, &json!([{"op": "remove", "path": "/none"}])).is_err());
    }
}
