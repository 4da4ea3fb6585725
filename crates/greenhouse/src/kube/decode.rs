//! Reading a body as its type, as Go's JSON does: what is unknown is dropped, what is zero is left out, what is of a wrong
//! type is refused.

use super::quantity;
use super::schema::{Field, Shape, Type};
use super::store::{micros, seconds};
use base64::Engine as _;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// What was read, and the paths of what the type does not have.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub unknown: Vec<String>,
}

/// Why a body cannot be read, in the words of Go's decoder.
pub(super) type Wrong = String;

impl Reader {
    /// Reads an object of a named type.
    pub(super) fn object(&mut self, value: &Value, shape: &Shape) -> Result<Value, Wrong> {
        let name = shape.fields().map(|of| of.name.clone()).unwrap_or_default();
        self.read(value, shape, &Place { within: "", go: String::new(), full: String::new(), root: &name })
    }

    fn read(&mut self, value: &Value, shape: &Shape, at: &Place<'_>) -> Result<Value, Wrong> {
        match (shape, value) {
            (Shape::Any, _) => Ok(value.clone()),
            (_, Value::Null) => Ok(zero(shape)),
            (Shape::Text, Value::String(_)) | (Shape::Flag, Value::Bool(_)) => Ok(value.clone()),
            (Shape::IntOrText, Value::String(_)) => Ok(value.clone()),
            (Shape::IntOrText, Value::Number(number)) if number.is_i64() => Ok(value.clone()),
            (Shape::Int32 | Shape::Int64, Value::Number(number)) => {
                let fits = number.as_i64().is_some_and(|at| *shape == Shape::Int64 || i32::try_from(at).is_ok());
                if fits { Ok(value.clone()) } else { Err(at.wrong(&format!("number {number}"), shape)) }
            }
            (Shape::Float, Value::Number(_)) => Ok(value.clone()),
            (Shape::Bytes, Value::String(text)) => bytes(text),
            (Shape::Quantity, Value::String(text)) => amount(text),
            (Shape::Quantity, Value::Number(number)) => amount(&number.to_string()),
            (Shape::Time, Value::String(text)) => Ok(seconds(time(text, "")?).into()),
            (Shape::MicroTime, Value::String(text)) => Ok(micros(time(text, ".000000")?).into()),
            (Shape::List(of, _), Value::Array(list)) => {
                let read = |(index, element): (usize, &Value)| self.read(element, of, &at.element(index));
                Ok(Value::Array(list.iter().enumerate().map(read).collect::<Result<_, _>>()?))
            }
            (Shape::Map(of, _), Value::Object(entries)) => {
                let mut read = Map::new();
                for (key, entry) in entries {
                    read.insert(key.clone(), self.read(entry, of, &at.entry(key))?);
                }
                Ok(Value::Object(read))
            }
            (Shape::Named(_) | Shape::Inline(_), Value::Object(fields)) => match shape.fields() {
                Some(of) => self.fields(fields, of, at),
                None => Ok(value.clone()),
            },
            _ => Err(at.wrong(kind(value), shape)),
        }
    }

    fn fields(&mut self, given: &Map<String, Value>, of: &Type, at: &Place<'_>) -> Result<Value, Wrong> {
        let mut read: Map<String, Value> = Map::new();
        for (name, value) in given {
            match of.field(name) {
                Some(field) if field.pointer && value.is_null() => {}
                Some(field) => {
                    drop(read.insert(name.clone(), self.read(value, &field.shape, &at.field(&of.name, name))?))
                }
                None => self.unknown.push(at.field(&of.name, name).full),
            }
        }
        let mut written = Map::new();
        for field in &of.fields {
            if let Some(value) = written_as(field, read.shift_remove(&field.name)) {
                written.insert(field.name.clone(), value);
            }
        }
        Ok(Value::Object(written))
    }
}

/// What Go writes for a field; `None`: nothing.
fn written_as(field: &Field, value: Option<Value>) -> Option<Value> {
    if field.pointer {
        return value.or(field.always.then_some(Value::Null));
    }
    let value = value.unwrap_or_else(|| zero(&field.shape));
    let is_struct = field.shape.fields().is_some();
    // Structs that print themselves are never left out.
    let prints_itself = matches!(field.shape, Shape::Time | Shape::MicroTime | Shape::IntOrText) && !field.omit_zero;
    let is_empty = match &value {
        _ if prints_itself => false,
        Value::Null => true,
        Value::Object(fields) => fields.is_empty() && (!is_struct || field.omit_zero),
        Value::Array(list) => list.is_empty(),
        other => is_zero(other),
    };
    (field.always || !is_empty).then_some(value)
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(flag) => !flag,
        _ => false,
    }
}

/// What Go has where nothing was sent.
fn zero(shape: &Shape) -> Value {
    match shape {
        Shape::Text => "".into(),
        Shape::Int32 | Shape::Int64 | Shape::Float | Shape::IntOrText => 0.into(),
        Shape::Quantity => "0".into(),
        Shape::Flag => false.into(),
        Shape::Named(_) | Shape::Inline(_) => match shape.fields() {
            Some(of) => {
                let fields = of.fields.iter().filter_map(|field| Some((field.name.clone(), written_as(field, None)?)));
                Value::Object(fields.collect())
            }
            None => Value::Null,
        },
        Shape::Any | Shape::Bytes | Shape::Time | Shape::MicroTime | Shape::List(..) | Shape::Map(..) => Value::Null,
    }
}

/// The object of which nothing is said.
pub(super) fn empty(shape: &Shape) -> Value {
    zero(shape)
}

fn bytes(text: &str) -> Result<Value, Wrong> {
    let standard = base64::engine::general_purpose::STANDARD;
    match standard.decode(text) {
        Ok(_) => Ok(text.into()),
        Err(_) => {
            let is_base64 = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '=');
            let at = text.find(|letter| !is_base64(letter)).unwrap_or(text.len());
            Err(format!("illegal base64 data at input byte {at}"))
        }
    }
}

fn amount(text: &str) -> Result<Value, Wrong> {
    quantity::canonical(text).map(Value::String).ok_or_else(|| {
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".to_owned()
    })
}

fn time(text: &str, fraction: &str) -> Result<Timestamp, Wrong> {
    text.parse().map_err(|_| {
        format!("parsing time {text:?} as \"2006-01-02T15:04:05{fraction}Z07:00\": cannot parse {text:?} as \"2006\"")
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Where the reader is.
struct Place<'a> {
    /// The type whose field this is.
    within: &'a str,
    /// The path as Go's errors name it: without indices and keys.
    go: String,
    /// The path as strict decoding names it.
    full: String,
    root: &'a str,
}

impl<'a> Place<'a> {
    fn field(&self, within: &'a str, name: &str) -> Place<'a> {
        let join = |path: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        Place { within, go: join(&self.go), full: join(&self.full), root: self.root }
    }

    fn element(&self, index: usize) -> Place<'a> {
        Place { within: self.within, go: self.go.clone(), full: format!("{}[{index}]", self.full), root: self.root }
    }

    fn entry(&self, key: &str) -> Place<'a> {
        Place { within: self.within, go: self.go.clone(), full: format!("{}.{key}", self.full), root: self.root }
    }

    fn wrong(&self, what: &str, shape: &Shape) -> Wrong {
        let wanted = go_name(shape);
        if self.go.is_empty() {
            return format!("json: cannot unmarshal {what} into Go value of type v1.{}", self.root);
        }
        format!("json: cannot unmarshal {what} into Go struct field {}.{} of type {wanted}", self.within, self.go)
    }
}

fn go_name(shape: &Shape) -> String {
    match shape {
        Shape::Text => "string".into(),
        Shape::Int32 => "int32".into(),
        Shape::Int64 => "int64".into(),
        Shape::Float => "float64".into(),
        Shape::Flag => "bool".into(),
        Shape::Bytes => "[]uint8".into(),
        Shape::Quantity => "resource.Quantity".into(),
        Shape::IntOrText => "intstr.IntOrString".into(),
        Shape::Time => "v1.Time".into(),
        Shape::MicroTime => "v1.MicroTime".into(),
        Shape::Any => "interface {}".into(),
        Shape::List(of, _) => format!("[]{}", go_name(of)),
        Shape::Map(of, _) => format!("map[string]{}", go_name(of)),
        Shape::Named(name) => format!("v1.{name}"),
        Shape::Inline(_) => "struct".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(kind: &str, value: &Value) -> (Result<Value, Wrong>, Vec<String>) {
        let mut reader = Reader::default();
        (reader.object(value, &Shape::Named(kind.into())), reader.unknown)
    }

    #[test]
    fn zero_values_go_and_pointers_keep_theirs() {
        let (read, unknown) = read(
            "DeploymentSpec",
            &json!({"replicas": 0, "paused": false, "x": 1, "selector": null, "template": {"spec": {"y": 1}}}),
        );
        let template = json!({"metadata": {}, "spec": {"containers": null}});
        assert_eq!(read.unwrap(), json!({"replicas": 0, "selector": null, "template": template, "strategy": {}}));
        assert_eq!(unknown, ["x", "template.spec.y"]);
    }

    #[test]
    fn a_wrong_type_is_named_as_go_names_it() {
        let (read, _) = read("Deployment", &json!({"spec": {"replicas": "three"}}));
        let expected = "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32";
        assert_eq!(read.unwrap_err(), expected);
    }
}
