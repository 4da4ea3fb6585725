//! Objects by their shapes: which fields one has, how two differ, how one is merged into another, what is taken out.

use super::fields::{Fields, Step};
use super::schema::{ListKind, Shape};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Which fields came, changed and went between two states.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Comparison {
    pub added: Fields,
    pub modified: Fields,
    pub removed: Fields,
}

/// The step that leads to a list's element.
fn step_of(element: &Value, of: &Shape, kind: &ListKind) -> Step {
    match kind {
        ListKind::Keyed(keys) => {
            let mut sorted: Vec<&String> = keys.iter().collect();
            sorted.sort();
            let mut written = Map::new();
            for key in sorted {
                let default = || of.fields().and_then(|of| of.field(key)?.default.clone()).map(Value::String);
                let value = element.get(key).filter(|value| !value.is_null()).cloned();
                if let Some(value) = value.or_else(default) {
                    written.insert(key.clone(), value);
                }
            }
            Step::Key(Value::Object(written).to_string())
        }
        _ => Step::Element(element.to_string()),
    }
}

fn keyed<'a>(list: &'a [Value], of: &Shape, kind: &ListKind) -> Vec<(Step, &'a Value)> {
    list.iter().map(|element| (step_of(element, of, kind), element)).collect()
}

/// What an applied configuration says: all of its fields.
pub(super) fn fields_of(value: &Value, shape: &Shape) -> Fields {
    let mut set = Fields::default();
    match (value, shape) {
        _ if shape.is_atomic() => set.member = true,
        (Value::Object(entries), _) => {
            let is_map = !shape.fields().is_some_and(|of| !of.fields.is_empty());
            for (name, entry) in entries {
                let of = shape.field(name).unwrap_or(&Shape::Any);
                let mut below = fields_of(entry, of);
                let is_empty = entry.as_object().is_some_and(Map::is_empty);
                below.member |= entry.is_null() || is_empty || is_map || shape.field(name).is_none();
                set.insert(Step::Field(name.clone()), below);
            }
        }
        (Value::Array(list), Shape::List(of, kind)) => {
            for (step, element) in keyed(list, of, kind) {
                let mut below = fields_of(element, of);
                below.member = true;
                set.insert(step, below);
            }
            set.member |= list.is_empty();
        }
        _ => set.member = true,
    }
    set
}

/// How two states differ.
pub(super) fn compare(before: &Value, after: &Value, shape: &Shape) -> Comparison {
    let mut found = Comparison::default();
    walk(Some(before), Some(after), shape, &mut found);
    found
}

fn walk(before: Option<&Value>, after: Option<&Value>, shape: &Shape, found: &mut Comparison) {
    let kind = match shape {
        Shape::List(of, kind) if *kind != ListKind::Atomic => Some((&**of, kind)),
        _ => None,
    };
    let is_map = |value: Option<&Value>| value.is_none_or(|value| value.is_object() || value.is_null());
    let is_list = |value: Option<&Value>| value.is_none_or(|value| value.is_array() || value.is_null());
    let has_some = [before, after].into_iter().flatten().any(|value| value.is_object() || value.is_array());
    if let Some((of, kind)) = kind.filter(|_| has_some && is_list(before) && is_list(after)) {
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let (left, right) = (list(before), list(after));
        let (left, right): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (keyed(&left, of, kind).into_iter().collect(), keyed(&right, of, kind).into_iter().collect());
        descend(left.keys().chain(right.keys()), |step| (left.get(step).copied(), right.get(step).copied(), of), found);
    } else if !shape.is_atomic() && has_some && is_map(before) && is_map(after) {
        let empty = Map::new();
        let map = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_else(|| empty.clone());
        let (left, right) = (map(before), map(after));
        let steps: Vec<Step> = left.keys().chain(right.keys()).map(|name| Step::Field(name.clone())).collect();
        let pair = |step: &Step| match step {
            Step::Field(name) => (left.get(name), right.get(name), shape.field(name).unwrap_or(&Shape::Any)),
            _ => (None, None, &Shape::Any),
        };
        descend_owned(&steps, pair, found);
    } else {
        match (before, after) {
            (Some(left), Some(right)) => found.modified.member |= left != right,
            _ => {}
        }
    }
    found.added.member |= before.is_none();
    found.removed.member |= after.is_none();
}

fn descend<'a>(
    steps: impl Iterator<Item = &'a Step>,
    pair: impl Fn(&Step) -> (Option<&'a Value>, Option<&'a Value>, &'a Shape),
    found: &mut Comparison,
) {
    let mut seen: Vec<&Step> = Vec::new();
    for step in steps {
        if !seen.contains(&step) {
            seen.push(step);
            let (left, right, shape) = pair(step);
            below(step, left, right, shape, found);
        }
    }
}

fn descend_owned<'a>(
    steps: &[Step],
    pair: impl Fn(&Step) -> (Option<&'a Value>, Option<&'a Value>, &'a Shape),
    found: &mut Comparison,
) {
    for (at, step) in steps.iter().enumerate() {
        if steps.iter().take(at).any(|earlier| earlier == step) {
            continue;
        }
        let (left, right, shape) = pair(step);
        below(step, left, right, shape, found);
    }
}

fn below(step: &Step, left: Option<&Value>, right: Option<&Value>, shape: &Shape, found: &mut Comparison) {
    let mut inner = Comparison::default();
    walk(left, right, shape, &mut inner);
    found.added.insert(step.clone(), inner.added);
    found.modified.insert(step.clone(), inner.modified);
    found.removed.insert(step.clone(), inner.removed);
}

/// Merges an applied configuration into a live object.
pub(super) fn merge(live: &Value, applied: &Value, shape: &Shape) -> Value {
    match (live, applied) {
        _ if shape.is_atomic() => applied.clone(),
        (Value::Object(left), Value::Object(right)) => {
            let mut merged = left.clone();
            for (name, value) in right {
                let of = shape.field(name).unwrap_or(&Shape::Any);
                let entry = match left.get(name) {
                    Some(before) => merge(before, value, of),
                    None => value.clone(),
                };
                merged.insert(name.clone(), entry);
            }
            Value::Object(merged)
        }
        (Value::Array(left), Value::Array(right)) => match shape {
            Shape::List(of, kind) if *kind != ListKind::Atomic => Value::Array(merge_lists(left, right, of, kind)),
            _ => applied.clone(),
        },
        _ => applied.clone(),
    }
}

/// The applied order holds for what was applied; what only the live list has stays where it was before its next one.
fn merge_lists(left: &[Value], right: &[Value], of: &Shape, kind: &ListKind) -> Vec<Value> {
    let (left, right) = (keyed(left, of, kind), keyed(right, of, kind));
    let mut merged = Vec::new();
    let mut done: Vec<&Step> = Vec::new();
    let (mut at_left, mut at_right) = (left.iter().peekable(), right.iter().peekable());
    loop {
        if let Some((step, element)) = at_left.peek() {
            if done.contains(&step) {
                at_left.next();
                continue;
            }
            if !right.iter().any(|(other, _)| other == step) {
                merged.push((*element).clone());
                at_left.next();
                continue;
            }
        }
        let Some((step, element)) = at_right.next() else { break };
        let before = left.iter().find(|(other, _)| other == step);
        merged.push(before.map_or_else(|| (*element).clone(), |(_, before)| merge(before, element, of)));
        done.push(step);
    }
    merged
}

/// Takes every member of `gone` out of an object, with all below it.
pub(super) fn remove(value: &Value, gone: &Fields, shape: &Shape) -> Value {
    match value {
        _ if shape.is_atomic() => value.clone(),
        Value::Object(entries) => {
            let kept = entries.iter().filter_map(|(name, entry)| {
                let Some(below) = gone.below.get(&Step::Field(name.clone())) else {
                    return Some((name.clone(), entry.clone()));
                };
                let of = shape.field(name).unwrap_or(&Shape::Any);
                (!below.member).then(|| (name.clone(), remove(entry, below, of)))
            });
            Value::Object(kept.collect())
        }
        Value::Array(list) => {
            let Shape::List(of, kind) = shape else { return value.clone() };
            let kept = keyed(list, of, kind).into_iter().filter_map(|(step, element)| match gone.below.get(&step) {
                Some(below) if below.member => None,
                Some(below) => Some(remove(element, below, of)),
                None => Some(element.clone()),
            });
            Value::Array(kept.collect())
        }
        _ => value.clone(),
    }
}

/// What of a configuration does not fit its schema, in the merger's words.
pub(super) fn misfit(value: &Value, shape: &Shape, path: &str) -> Option<String> {
    match (value, shape) {
        (Value::Null, _) | (_, Shape::Any) => None,
        (Value::Object(entries), Shape::Map(of, _)) => {
            entries.iter().find_map(|(name, entry)| misfit(entry, of, &format!("{path}.{name}")))
        }
        (Value::Object(entries), Shape::Named(_) | Shape::Inline(_)) => entries.iter().find_map(|(name, entry)| {
            let path = format!("{path}.{name}");
            match shape.field(name) {
                Some(of) => misfit(entry, of, &path),
                None => Some(format!("{path}: field not declared in schema")),
            }
        }),
        (Value::Array(list), Shape::List(of, kind)) => {
            let elements = keyed(list, of, kind);
            for (at, (step, element)) in elements.iter().enumerate() {
                if *kind != ListKind::Atomic && elements.iter().take(at).any(|(other, _)| other == step) {
                    let word = if *kind == ListKind::Set { "items" } else { "entries for key" };
                    return Some(format!("{path}: duplicate {word} {}", step.shown()));
                }
                let place =
                    if *kind == ListKind::Atomic { format!("{path}[{at}]") } else { format!("{path}{}", step.shown()) };
                if let Some(found) = misfit(element, of, &place) {
                    return Some(found);
                }
            }
            None
        }
        (_, Shape::Map(..) | Shape::Named(_) | Shape::Inline(_)) => {
            Some(format!("{path}: expected map, got {}", shown(value)))
        }
        (_, Shape::List(..)) => Some(format!("{path}: expected list, got {}", shown(value))),
        (Value::Number(_), Shape::Int32 | Shape::Int64 | Shape::Float | Shape::IntOrText | Shape::Quantity)
        | (
            Value::String(_),
            Shape::Text | Shape::Bytes | Shape::Quantity | Shape::IntOrText | Shape::Time | Shape::MicroTime,
        )
        | (Value::Bool(_), Shape::Flag) => None,
        (_, Shape::Int32 | Shape::Int64) => {
            Some(format!("{path}: expected numeric (int or float), got {}", go_type(value)))
        }
        (_, Shape::Flag) => Some(format!("{path}: expected boolean, got {}", go_type(value))),
        _ => Some(format!("{path}: expected string, got {}", shown(value))),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => format!("&value.valueUnstructured{{Value:{}}}", other),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int64",
        Value::Array(_) => "[]interface {}",
        _ => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment() -> Shape {
        Shape::Named("Deployment".into())
    }

    #[test]
    fn a_keyed_list_is_owned_by_its_keys() {
        let applied =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80}]}]}}}});
        let ports = json!({"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}});
        let container = json!({".": {}, "f:name": {}, "f:ports": ports});
        let expected =
            json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": container}}}}});
        assert_eq!(fields_of(&applied, &deployment()).to_json(), expected);
    }

    #[test]
    fn what_is_merged_keeps_its_place() {
        let of = Shape::List(Box::new(Shape::Named("Container".into())), ListKind::Keyed(vec!["name".into()]));
        let live = json!([{"name": "a", "image": "1"}, {"name": "b"}]);
        let merged = merge(&live, &json!([{"name": "c"}, {"name": "b", "image": "2"}]), &of);
        assert_eq!(merged, json!([{"name": "a", "image": "1"}, {"name": "c"}, {"name": "b", "image": "2"}]));
    }

    #[test]
    fn a_comparison_names_what_came_changed_and_went() {
        let found = compare(
            &json!({"metadata": {"labels": {"a": "1", "b": "1"}}}),
            &json!({"metadata": {"labels": {"b": "2", "c": "1"}, "annotations": {"x": "y"}}}),
            &deployment(),
        );
        assert_eq!(found.added.paths(), [".metadata.annotations", ".metadata.annotations.x", ".metadata.labels.c"]);
        assert_eq!(found.modified.paths(), [".metadata.labels.b"]);
        assert_eq!(found.removed.paths(), [".metadata.labels.a"]);
    }
}
