//! What clients send: path ids, queries, JSON bodies.
//!
//! Bodies are read more strictly than the vendor reads them: a field that the API does not have is refused, where the
//! real one would ignore it, so that a misspelt optional field shows here.

use super::answer::Refusal;
use super::labels;
use crate::world::World;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use bytes::Bytes;
use http::request::Parts;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The `{id}` of a path.
pub(super) struct Id(pub u64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Ok(Path(segments)) = path else { return Err(Refusal::field("id", "must be an integer")) };
        let id = segments.iter().find(|(name, _)| name == "id").and_then(|(_, text)| text.parse().ok());
        id.map(Id).ok_or_else(|| Refusal::field("id", "must be an integer"))
    }
}

/// The query, in order; keys may repeat.
pub(super) struct Query {
    pairs: Vec<(String, String)>,
    /// The world's lies, for lists.
    lies: BTreeSet<&'static str>,
}

impl FromRequestParts<World> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, world: &World) -> Result<Self, Refusal> {
        let found = axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, world).await;
        let found = found.map_err(|_| Refusal::new(400, "invalid_input", "invalid query"))?;
        Ok(Query { pairs: found.0, lies: world.with(|state| state.lies.clone()) })
    }
}

impl Query {
    #[cfg(test)]
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Query { pairs, lies: BTreeSet::new() }
    }

    /// Whether the world tells this lie.
    pub(super) fn lies(&self, name: &'static str) -> bool {
        self.lies.contains(name)
    }

    pub(super) fn one(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    pub(super) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// A number, or `default`.
    pub(super) fn number(&self, key: &str, default: u64) -> Result<u64, Refusal> {
        let Some(text) = self.one(key) else { return Ok(default) };
        text.parse().ok().filter(|number| *number > 0).ok_or_else(|| Refusal::field(key, "must be a positive integer"))
    }

    /// Whether `value` is among the wanted ones, or none is wanted. `*_known` values apart from these are no filter:
    /// hcloud-python sends `status=50`, its page size, and the API lets it.
    pub(super) fn wants(&self, key: &str, known: &[&str], value: &str) -> bool {
        let mut wanted = self.all(key).filter(|wanted| known.contains(wanted)).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| wanted == value)
    }
}

/// A JSON object, or nothing, which is the empty object.
#[derive(Debug)]
pub(super) struct Input(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Input {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let unreadable = || Refusal::new(400, "json_error", "unable to parse the request body as JSON");
        let bytes = Bytes::from_request(request, state).await.map_err(|_| unreadable())?;
        if bytes.is_empty() {
            return Ok(Input(Map::new()));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Input(fields)),
            _ => Err(unreadable()),
        }
    }
}

impl Input {
    /// Refuses fields that the call does not have.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(Refusal::field(key, "unknown field")),
            None => Ok(()),
        }
    }

    /// A field that is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::field(name, "must be a string")),
        }
    }

    pub(super) fn needed_text(&self, name: &str) -> Result<&str, Refusal> {
        let found = self.text(name)?.filter(|text| !text.is_empty());
        found.ok_or_else(|| Refusal::field(name, "Missing data for required field."))
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Refusal::field(name, "must be a boolean")),
        }
    }

    pub(super) fn list(&self, name: &str) -> Result<&[Value], Refusal> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(Refusal::field(name, "must be an array")),
        }
    }

    /// An object inside; the empty one if it is not there.
    pub(super) fn object(&self, name: &str) -> Result<Input, Refusal> {
        match self.get(name) {
            None => Ok(Input(Map::new())),
            Some(Value::Object(fields)) => Ok(Input(fields.clone())),
            Some(_) => Err(Refusal::field(name, "must be an object")),
        }
    }

    /// Names or ids of things: both strings and numbers are taken, as the API does.
    pub(super) fn reference(&self, name: &str) -> Result<Option<String>, Refusal> {
        self.get(name).map(|value| as_reference(name, value)).transpose()
    }

    /// `labels`, if they are given.
    pub(super) fn labels(&self) -> Result<Option<BTreeMap<String, String>>, Refusal> {
        let Some(value) = self.get("labels") else { return Ok(None) };
        let Value::Object(pairs) = value else { return Err(Refusal::field("labels", "must be an object")) };
        let mut found = BTreeMap::new();
        for (key, value) in pairs {
            let Value::String(value) = value else {
                return Err(Refusal::field("labels", "label values must be strings"));
            };
            if !labels::is_key(key) || !labels::is_value(value) {
                return Err(Refusal::field("labels", format!("invalid label '{key}'")));
            }
            found.insert(key.clone(), value.clone());
        }
        Ok(Some(found))
    }
}

pub(super) fn as_reference(name: &str, value: &Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if number.is_u64() => Ok(number.to_string()),
        _ => Err(Refusal::field(name, "must be a name or an ID")),
    }
}
