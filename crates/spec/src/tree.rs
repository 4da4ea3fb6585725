use crate::Span;

/// One value of a file, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it is spelt in the file.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the file's order; a key may stand twice.
    Map(Vec<Entry>),
}

/// One line of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// What the value is, in words that complete "found …".
    pub(crate) fn shape(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("the truth value `{value}`"),
            Value::Number(spelling) => format!("the number {spelling}"),
            Value::Text(_) => "text".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The same value as JSON, without places. Of a key that stands twice, the last stays.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(spelling) => json_number(spelling),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect(),
        }
    }
}

/// YAML spells some numbers (0x1F, 1_000) as JSON does not.
fn json_number(spelling: &str) -> serde_json::Value {
    let plain = spelling.replace('_', "");
    let radix = |prefix: &str, radix: u32| {
        plain.strip_prefix(prefix).and_then(|digits| u64::from_str_radix(digits, radix).ok()).map(Into::into)
    };
    radix("0x", 16)
        .or_else(|| radix("0o", 8))
        .or_else(|| radix("0b", 2))
        .or_else(|| plain.parse::<i64>().ok().map(Into::into))
        .or_else(|| plain.parse::<u64>().ok().map(Into::into))
        .or_else(|| plain.parse::<f64>().ok().map(Into::into))
        .unwrap_or_else(|| spelling.into())
}
