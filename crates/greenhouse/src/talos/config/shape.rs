//! Which keys a machine configuration may hold: Talos decodes strictly, and so does the emulator.

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::OnceLock;

const TEXT: &str = include_str!("shapes.txt");

#[derive(Debug)]
enum Shape {
    Scalar,
    Boolean,
    Integer,
    Number,
    Any,
    List(Box<Shape>),
    Map(Box<Shape>),
    Named(&'static str),
}

type Fields = BTreeMap<&'static str, Shape>;

#[derive(Default)]
struct Shapes {
    kinds: BTreeMap<&'static str, Document>,
    named: BTreeMap<&'static str, Fields>,
}

struct Document {
    /// The Talos 1.x release that brought it.
    since: u32,
    /// `None`: its keys are not known here and not looked at.
    fields: Option<Fields>,
}

/// Checks one document of `kind` against what Talos 1.`minor` knows. The error is the decoder's text.
pub(super) fn check(kind: &str, document: &Value, minor: u32) -> Result<(), String> {
    let known = shapes().kinds.get(kind).filter(|known| known.since <= minor);
    let known = known.ok_or_else(|| format!("{kind:?} \"v1alpha1\": not registered"))?;
    let (Some(fields), Some(map)) = (&known.fields, document.as_object()) else { return Ok(()) };
    let mut unknown = Vec::new();
    for (key, value) in map {
        match fields.get(key.as_str()) {
            Some(shape) => fits(shape, value, key, &mut unknown)?,
            None if key == "kind" || key == "apiVersion" => {}
            None => unknown.push(key.clone()),
        }
    }
    match unknown.as_slice() {
        [] => Ok(()),
        keys => Err(format!("unknown keys found during decoding:\n{}", keys.join("\n"))),
    }
}

fn fits(shape: &Shape, value: &Value, path: &str, unknown: &mut Vec<String>) -> Result<(), String> {
    let wrong = |into: &str| Err(format!("cannot unmarshal {path} into {into}"));
    match (shape, value) {
        (_, Value::Null) | (Shape::Any, _) => Ok(()),
        (Shape::Scalar, Value::Array(_) | Value::Object(_)) => wrong("string"),
        (Shape::Boolean, value) if !value.is_boolean() => wrong("bool"),
        (Shape::Integer, value) if !value.is_i64() && !value.is_u64() => wrong("int"),
        (Shape::Number, value) if !value.is_number() => wrong("float64"),
        (Shape::Scalar | Shape::Boolean | Shape::Integer | Shape::Number, _) => Ok(()),
        (Shape::List(of), Value::Array(items)) => {
            items.iter().enumerate().try_for_each(|(at, item)| fits(of, item, &format!("{path}[{at}]"), unknown))
        }
        (Shape::List(_), _) => wrong("a list"),
        (Shape::Map(of), Value::Object(map)) => {
            map.iter().try_for_each(|(key, item)| fits(of, item, &format!("{path}.{key}"), unknown))
        }
        (Shape::Named(name), Value::Object(map)) => {
            let Some(fields) = shapes().named.get(name) else { return Ok(()) };
            map.iter().try_for_each(|(key, item)| {
                let path = format!("{path}.{key}");
                let Some(shape) = fields.get(key.as_str()) else {
                    unknown.push(path);
                    return Ok(());
                };
                fits(shape, item, &path, unknown)
            })
        }
        (Shape::Map(_) | Shape::Named(_), _) => wrong("a mapping"),
    }
}

fn shapes() -> &'static Shapes {
    static SHAPES: OnceLock<Shapes> = OnceLock::new();
    SHAPES.get_or_init(|| {
        let mut shapes = Shapes::default();
        let mut open: Option<(&str, Fields)> = None;
        for line in TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (head, rest) = match line.strip_prefix("  ") {
                Some(rest) => (None, rest),
                None => line.split_once(':').map_or((None, line), |(head, rest)| (Some(head), rest)),
            };
            if let Some(head) = head {
                shapes.close(open.take());
                open = Some((head, Fields::new()));
            }
            if let Some((_, fields)) = &mut open {
                fields.extend(rest.split_whitespace().map(|field| match field.split_once('=') {
                    Some((key, shape)) => (key, read(shape)),
                    None => (field, Shape::Any),
                }));
            }
        }
        shapes.close(open.take());
        shapes
    })
}

impl Shapes {
    fn close(&mut self, open: Option<(&'static str, Fields)>) {
        let Some((head, fields)) = open else { return };
        let mut words = head.split_whitespace();
        if let (Some("kind"), Some(name), Some(since)) = (words.next(), words.next(), words.next()) {
            let since = since.strip_prefix("1.").and_then(|minor| minor.parse().ok()).unwrap_or(0);
            let fields = (!fields.contains_key("*")).then_some(fields);
            self.kinds.insert(name, Document { since, fields });
        } else {
            self.named.insert(head, fields);
        }
    }
}

fn read(text: &'static str) -> Shape {
    let inner = |open: char, close: char| text.strip_prefix(open)?.strip_suffix(close).map(|text| Box::new(read(text)));
    match text {
        "s" => Shape::Scalar,
        "b" => Shape::Boolean,
        "i" => Shape::Integer,
        "f" => Shape::Number,
        "*" => Shape::Any,
        _ => match (inner('[', ']'), inner('{', '}')) {
            (Some(of), _) => Shape::List(of),
            (_, Some(of)) => Shape::Map(of),
            _ => Shape::Named(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_misspelt_key_is_named_with_its_path() {
        let document = json!({"machine": {"kubelet": {"nodeIp": {"validSubnets": []}}}, "cluster": null});
        let error = check("v1alpha1", &document, 14).unwrap_err();
        assert_eq!(error, "unknown keys found during decoding:\nmachine.kubelet.nodeIp");
    }

    #[test]
    fn a_document_newer_than_the_node_is_unknown_to_it() {
        let document = json!({"apiVersion": "v1alpha1", "kind": "KubePrismConfig", "port": 7445});
        assert_eq!(check("KubePrismConfig", &document, 14), Ok(()));
        assert!(check("KubePrismConfig", &document, 13).is_err());
    }

    #[test]
    fn a_string_is_no_boolean() {
        let document = json!({"machine": {"features": {"rbac": "yes, please"}}});
        assert_eq!(check("v1alpha1", &document, 13).unwrap_err(), "cannot unmarshal machine.features.rbac into bool");
    }

    #[test]
    fn every_shape_that_is_named_is_described() {
        fn names(shape: &Shape, all: &mut Vec<&str>) {
            match shape {
                Shape::List(of) | Shape::Map(of) => names(of, all),
                Shape::Named(name) => all.push(name),
                _ => {}
            }
        }
        let shapes = shapes();
        let mut used = Vec::new();
        let documents = shapes.kinds.values().filter_map(|document| document.fields.as_ref());
        documents.chain(shapes.named.values()).flat_map(BTreeMap::values).for_each(|shape| names(shape, &mut used));
        let missing: Vec<_> = used.into_iter().filter(|name| !shapes.named.contains_key(name)).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }
}
