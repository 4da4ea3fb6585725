//! Bodies in protobuf, which Go's typed clients send; answers are JSON, which all of them take.

use super::schema::{Shape, Type};
use super::store::{micros, seconds};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What stands before every object.
const MAGIC: &[u8] = b"k8s\0";

/// Reads an enveloped object; `None` for what is none.
pub(super) fn decode(bytes: &[u8]) -> Option<Value> {
    let envelope = Parts::of(bytes.strip_prefix(MAGIC)?)?;
    let meta = Parts::of(envelope.bytes(1)?)?;
    let kind = meta.text(2)?;
    let of = Shape::Named(kind.clone());
    let mut object = message(&Parts::of(envelope.bytes(2)?)?, of.fields()?, &[])?;
    object.insert("apiVersion".into(), meta.text(1)?.into());
    object.insert("kind".into(), kind.into());
    Some(Value::Object(object))
}

/// A field's payload.
#[derive(Clone, Copy)]
enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// A message's fields by number, in order.
struct Parts<'a>(Vec<(u32, Part<'a>)>);

impl<'a> Parts<'a> {
    fn of(mut rest: &'a [u8]) -> Option<Self> {
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let tag = varint(&mut rest)?;
            let part = match tag & 7 {
                0 => Part::Number(varint(&mut rest)?),
                1 => Part::Number(u64::from_le_bytes(take(&mut rest, 8)?.try_into().ok()?)),
                2 => {
                    let length = usize::try_from(varint(&mut rest)?).ok()?;
                    Part::Bytes(take(&mut rest, length)?)
                }
                5 => Part::Number(u32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?).into()),
                _ => return None,
            };
            parts.push((u32::try_from(tag >> 3).ok()?, part));
        }
        Some(Parts(parts))
    }

    fn bytes(&self, number: u32) -> Option<&'a [u8]> {
        self.0.iter().find_map(|(at, part)| match part {
            Part::Bytes(bytes) if *at == number => Some(*bytes),
            _ => None,
        })
    }

    fn number(&self, number: u32) -> Option<i64> {
        self.0.iter().find_map(|(at, part)| match part {
            Part::Number(value) if *at == number => Some(value.cast_signed()),
            _ => None,
        })
    }

    fn text(&self, number: u32) -> Option<String> {
        String::from_utf8(self.bytes(number)?.to_vec()).ok()
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

/// Reads the fields of a type whose numbers begin with `within`: Go's embedded structs are messages of their own.
fn message(parts: &Parts<'_>, of: &Type, within: &[u32]) -> Option<Map<String, Value>> {
    let mut read = Map::new();
    for (number, part) in &parts.0 {
        let path = [within, &[*number]].concat();
        if let Some(field) = of.fields.iter().find(|field| field.number == path) {
            put(&mut read, &field.name, &field.shape, *part)?;
        } else if of.fields.iter().any(|field| field.number.starts_with(&path))
            && let Part::Bytes(bytes) = part
        {
            read.extend(message(&Parts::of(bytes)?, of, &path)?);
        }
    }
    Some(read)
}

fn put(read: &mut Map<String, Value>, name: &str, shape: &Shape, part: Part<'_>) -> Option<()> {
    match shape {
        Shape::List(of, _) => {
            let list = read.entry(name).or_insert_with(|| json!([]));
            list.as_array_mut()?.push(value(of, part)?);
        }
        Shape::Map(of, _) => {
            let Part::Bytes(bytes) = part else { return None };
            let entry = Parts::of(bytes)?;
            let at = entry.0.iter().find(|(number, _)| *number == 2).map(|(_, part)| *part);
            let held = at.map_or(Some(json!("")), |part| value(of, part))?;
            let map = read.entry(name).or_insert_with(|| json!({}));
            map.as_object_mut()?.insert(entry.text(1).unwrap_or_default(), held);
        }
        _ => drop(read.insert(name.to_owned(), value(shape, part)?)),
    }
    Some(())
}

fn value(shape: &Shape, part: Part<'_>) -> Option<Value> {
    let bytes = match (shape, part) {
        (Shape::Flag, Part::Number(number)) => return Some((number != 0).into()),
        (Shape::Float, Part::Number(number)) => return Some(f64::from_bits(number).into()),
        (_, Part::Number(number)) => return Some(number.cast_signed().into()),
        (_, Part::Bytes(bytes)) => bytes,
    };
    Some(match shape {
        Shape::Text => String::from_utf8(bytes.to_vec()).ok()?.into(),
        Shape::Bytes => STANDARD.encode(bytes).into(),
        Shape::Quantity => Parts::of(bytes)?.text(1).unwrap_or_default().into(),
        Shape::Any => serde_json::from_slice(Parts::of(bytes)?.bytes(1)?).ok()?,
        Shape::IntOrText => {
            let parts = Parts::of(bytes)?;
            let is_text = parts.number(1) == Some(1);
            if is_text { parts.text(3).unwrap_or_default().into() } else { parts.number(2).unwrap_or(0).into() }
        }
        Shape::Time | Shape::MicroTime => {
            let parts = Parts::of(bytes)?;
            let Some(second) = parts.number(1) else { return Some(Value::Null) };
            let nanos = i32::try_from(parts.number(2).unwrap_or(0)).ok()?;
            let at = Timestamp::new(second, nanos).ok()?;
            if *shape == Shape::Time { seconds(at).into() } else { micros(at).into() }
        }
        _ => Value::Object(message(&Parts::of(bytes)?, shape.fields()?, &[])?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, payload: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(payload.len()).unwrap()], payload].concat()
    }

    #[test]
    fn a_config_map_in_an_envelope_is_read() {
        let meta = field(1, b"a");
        let entry = [field(1, b"k"), field(2, b"1")].concat();
        let map = [field(1, &meta), field(2, &entry)].concat();
        let kind = [field(1, b"v1"), field(2, b"ConfigMap")].concat();
        let body = [MAGIC, &field(1, &kind), &field(2, &map)].concat();
        let expected = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1"}});
        assert_eq!(decode(&body), Some(expected));
        assert_eq!(decode(b"k8s"), None);
        assert_eq!(decode(&body[..body.len() - 1]), None, "cut short");
    }
}
