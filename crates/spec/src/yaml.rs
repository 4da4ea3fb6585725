//! The only module that knows the YAML parser: text in, a tree of plain values with byte spans out.
//!
//! serde stops at the first value it dislikes, so nothing here is typed: the tree is walked by readers of our own,
//! which report every fault of a file at once. Duplicate keys are kept as they stand, for the same reason. Nothing is
//! flattened or untagged, since serde would buffer such values and lose their spans.

use crate::Span;
use crate::tree::{Entry, Node, Value};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, MessageFormatter, NonFiniteFloatPolicy, Options, Spanned};
use std::fmt;

/// Why text is not YAML.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The parser's words, one line, without a place.
    pub(crate) message: String,
    /// Where, if the parser says so; always within the text.
    pub(crate) span: Option<Span>,
}

/// Parses one document. Numbers keep their spelling: `1.10` is a version to us, not the number 1.1.
pub(crate) fn parse(text: &str) -> Result<Node, Refusal> {
    match serde_saphyr::from_str_with_options::<Raw>(text, options()) {
        Ok(raw) => Ok(raw.settle(text)),
        Err(error) => Err(refusal(text, &error)),
    }
}

/// Parses any number of documents, as a patch may hold.
pub(crate) fn parse_all(text: &str) -> Result<Vec<Node>, Refusal> {
    match serde_saphyr::from_str_multiple_with_options::<Raw, Vec<Raw>>(text, options()) {
        Ok(documents) => Ok(documents.into_iter().map(|raw| raw.settle(text)).collect()),
        Err(error) => Err(refusal(text, &error)),
    }
}

/// Parses one document of a fixed shape, as bouquet writes them itself; the first fault is all there is.
pub(crate) fn parse_typed<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    let strict = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    serde_saphyr::from_str_with_options(text, strict).map_err(|error| refusal(text, &error))
}

/// Writes a value as YAML text.
pub(crate) fn write(value: &serde_json::Value) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|error| error.to_string())
}

fn options() -> Options {
    serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // `on:` and `off` are words, not YAML 1.1 truth values.
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        emit_comments: false,
        with_snippet: false,
    }
}

fn refusal(text: &str, error: &serde_saphyr::Error) -> Refusal {
    let message = serde_saphyr::UserMessageFormatter.format_message(error);
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let span = error.location().map(|location| {
        let at = span(text, &location);
        // Parsers point between characters; people look at one.
        let next = text.get(at.end..).and_then(|rest| rest.chars().next()).filter(|c| !c.is_whitespace());
        if at.is_empty() { at.start..at.end + next.map_or(0, char::len_utf8) } else { at }
    });
    Refusal { message, span }
}

/// Byte span of a location, cut to the text and to character boundaries whatever the parser says. Syntax errors come
/// with line and column only.
fn span(text: &str, location: &Location) -> Span {
    let at = |offset: Option<u64>| offset.and_then(|offset| usize::try_from(offset).ok());
    let start = at(location.span().byte_offset()).unwrap_or_else(|| byte_of(text, location)).min(text.len());
    let end = start.saturating_add(at(location.span().byte_len()).unwrap_or(0)).min(text.len());
    text.floor_char_boundary(start)..text.ceil_char_boundary(end)
}

fn byte_of(text: &str, location: &Location) -> usize {
    let at = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let line = text.split_inclusive('\n').take(at(location.line())).map(str::len).sum::<usize>();
    let column = text.get(line..).map_or(0, |rest| rest.chars().take(at(location.column())).map(char::len_utf8).sum());
    line + column
}

/// A node as the parser hands it over, its spans not yet looked up.
struct Raw(Spanned<RawValue>);

enum RawValue {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Spanned::<RawValue>::deserialize(from).map(Raw)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(RawValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = from.next_entry()? {
            entries.push(entry);
        }
        Ok(RawValue::Map(entries))
    }
}

impl Raw {
    fn settle(self, text: &str) -> Node {
        let Raw(Spanned { value, referenced, defined }) = self;
        let mut span = span(text, &referenced);
        let value = match value {
            RawValue::Null => Value::Null,
            RawValue::Bool(value) => Value::Bool(value),
            RawValue::Number(value) => Value::Number(spelling(text, &defined).unwrap_or(value)),
            RawValue::Text(value) => Value::Text(value),
            RawValue::List(items) => Value::List(items.into_iter().map(|item| item.settle(text)).collect()),
            RawValue::Map(entries) => Value::Map(entries.into_iter().map(|entry| settle_entry(entry, text)).collect()),
        };
        // The parser knows where a collection begins; it ends where its last child does, or with its bracket.
        let (last, bracket) = match &value {
            Value::List(items) => (items.last().map(|item| item.span.end), ']'),
            Value::Map(entries) => (entries.last().map(|entry| entry.value.span.end), '}'),
            _ => return Node { value, span },
        };
        span.end = span.end.max(last.unwrap_or(0));
        let after = text.get(span.end..).unwrap_or_default();
        let gap = after.len() - after.trim_start().len();
        if after.trim_start().starts_with(bracket) {
            span.end += gap + bracket.len_utf8();
        }
        Node { value, span }
    }
}

fn settle_entry((key, value): (Spanned<String>, Raw), text: &str) -> Entry {
    let key_span = span(text, &key.referenced);
    let mut value = value.settle(text);
    // A value that is not written down has no place of its own.
    if matches!(value.value, Value::Null) && value.span.is_empty() {
        value.span = key_span.clone();
    }
    Entry { key: key.value, key_span, value }
}

fn spelling(text: &str, location: &Location) -> Option<String> {
    let written = text.get(span(text, location))?.trim();
    (!written.is_empty()).then(|| written.to_owned())
}
