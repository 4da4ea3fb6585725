//! The shapes of objects: which fields a type has, and how its lists and maps are merged and owned.
//!
//! Built-in types are a table made from what upstream publishes (OpenAPI v3, and the Go types' tags for pointers and
//! patch keys); shapes of custom kinds are made from their own schemas.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What a value may be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// Anything: maps merge by key, all else is atomic.
    Any,
    Text,
    Int32,
    Int64,
    Float,
    Flag,
    /// Base64.
    Bytes,
    Quantity,
    IntOrText,
    Time,
    MicroTime,
    List(Box<Shape>, ListKind),
    /// `true`: atomic.
    Map(Box<Shape>, bool),
    /// A type of the table.
    Named(String),
    /// A type without a name, of a custom kind.
    Inline(Box<Type>),
}

/// How a list merges and is owned.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ListKind {
    Atomic,
    Set,
    /// By these fields of its elements.
    Keyed(Vec<String>),
}

/// An object with known fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Type {
    pub name: String,
    /// Owned as a whole.
    pub atomic: bool,
    pub fields: Vec<Field>,
    /// What other fields are, where they are allowed.
    pub others: Option<Shape>,
}

/// A field, and how Go writes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub name: String,
    pub shape: Shape,
    /// Zero is kept.
    pub pointer: bool,
    /// Written even if it is zero.
    pub always: bool,
    /// A zero struct is left out.
    pub omit_zero: bool,
    /// What a strategic patch merges its elements by; empty for a set of scalars.
    pub merge_key: Option<String>,
    pub retain_keys: bool,
    /// What a key field is when it is left out.
    pub default: Option<String>,
    /// Its number in protobuf, below those of the Go structs that embed it.
    pub number: Vec<u32>,
}

impl Field {
    /// A field of a custom kind.
    pub(super) fn plain(name: &str, shape: Shape, default: Option<String>) -> Self {
        Field {
            name: name.to_owned(),
            shape,
            pointer: true,
            always: false,
            omit_zero: false,
            merge_key: None,
            retain_keys: false,
            default,
            number: Vec::new(),
        }
    }
}

static TYPES: LazyLock<BTreeMap<&'static str, Type>> = LazyLock::new(|| {
    let lines = include_str!("schema/types.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(read).collect()
});

/// The type of that name.
pub(super) fn named(name: &str) -> Option<&'static Type> {
    TYPES.get(name)
}

impl Shape {
    /// The fields, if it is an object with known ones.
    pub(super) fn fields(&self) -> Option<&Type> {
        match self {
            Shape::Named(name) => named(name),
            Shape::Inline(inline) => Some(inline),
            _ => None,
        }
    }

    /// What a field of this object, or an entry of this map, is.
    pub(super) fn field(&self, name: &str) -> Option<&Shape> {
        match self {
            Shape::Map(of, _) => Some(of),
            Shape::Any => Some(&Shape::Any),
            _ => {
                let of = self.fields()?;
                of.field(name).map(|field| &field.shape).or(of.others.as_ref())
            }
        }
    }

    /// Whether it is owned as a whole.
    pub(super) fn is_atomic(&self) -> bool {
        match self {
            Shape::List(_, kind) => *kind == ListKind::Atomic,
            Shape::Map(_, atomic) => *atomic,
            Shape::Named(_) | Shape::Inline(_) => self.fields().is_some_and(|of| of.atomic),
            Shape::Any => false,
            _ => true,
        }
    }
}

impl Type {
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

fn read(line: &'static str) -> Option<(&'static str, Type)> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let bare = name.trim_end_matches('*');
    let fields = words.filter_map(field).collect();
    Some((bare, Type { name: bare.to_owned(), atomic: name.ends_with('*'), fields, others: None }))
}

fn field(word: &str) -> Option<Field> {
    let (name, rest) = word.split_once(':')?;
    let (mut shape, mut rest) = shape(rest)?;
    let mut field = Field::plain(name, Shape::Any, None);
    field.pointer = false;
    while let Some(mark) = rest.chars().next() {
        rest = rest.get(1..)?;
        let end = rest.find(['?', '!', '~', '^', '+', '%', '*', '#']).unwrap_or(rest.len());
        match mark {
            '?' => field.pointer = true,
            '!' => field.always = true,
            '0' => field.omit_zero = true,
            '^' => field.retain_keys = true,
            '#' => {
                field.number = rest.get(..end)?.split('/').filter_map(|number| number.parse().ok()).collect();
                rest = rest.get(end..)?;
            }
            '%' => set_kind(&mut shape, ListKind::Set),
            '*' => {
                if let Shape::Map(_, atomic) = &mut shape {
                    *atomic = true;
                }
            }
            '@' => {
                let keys = rest.get(..end)?.split(',').map(str::to_owned).collect();
                set_kind(&mut shape, ListKind::Keyed(keys));
                rest = rest.get(end..)?;
            }
            '~' => {
                field.merge_key = Some(rest.get(..end)?.to_owned());
                rest = rest.get(end..)?;
            }
            '=' => {
                field.default = Some(rest.get(..end)?.to_owned());
                rest = rest.get(end..)?;
            }
            _ => {}
        }
    }
    field.shape = shape;
    Some(field)
}

fn set_kind(shape: &mut Shape, wanted: ListKind) {
    if let Shape::List(_, kind) = shape {
        *kind = wanted;
    }
}

/// Reads a shape; the rest are marks.
fn shape(text: &str) -> Option<(Shape, &str)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (of, rest) = shape(inner)?;
        return Some((Shape::List(Box::new(of), ListKind::Atomic), rest.strip_prefix(']')?));
    }
    if let Some(inner) = text.strip_prefix('<') {
        let (of, rest) = shape(inner)?;
        return Some((Shape::Map(Box::new(of), false), rest.strip_prefix('>')?));
    }
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(text.len());
    // `Time0`: the mark that a zero is left out follows names that end in a letter.
    let name = text.get(..end)?;
    let name = name.strip_suffix('0').unwrap_or(name);
    let rest = text.get(name.len()..)?;
    let shape = match name {
        "any" => Shape::Any,
        "str" => Shape::Text,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "float64" => Shape::Float,
        "bool" => Shape::Flag,
        "bytes" => Shape::Bytes,
        "Quantity" => Shape::Quantity,
        "IntOrString" => Shape::IntOrText,
        "Time" => Shape::Time,
        "MicroTime" => Shape::MicroTime,
        other => Shape::Named(other.to_owned()),
    };
    Some((shape, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read_whole() {
        let lines = include_str!("schema/types.txt").lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let (name, read) = read(line).unwrap();
            assert_eq!(read.fields.len(), line.split(' ').count() - 1, "{name}");
            for field in &read.fields {
                let mut shape = &field.shape;
                while let Shape::List(of, _) | Shape::Map(of, _) = shape {
                    shape = of;
                }
                if let Shape::Named(of) = shape {
                    assert!(named(of).is_some(), "{name}.{} is of {of}", field.name);
                }
            }
        }
    }

    #[test]
    fn marks_are_told_apart() {
        let ports = named("ServiceSpec").unwrap().field("ports").unwrap();
        let keys = ListKind::Keyed(vec!["port".into(), "protocol".into()]);
        assert_eq!(ports.shape, Shape::List(Box::new(Shape::Named("ServicePort".into())), keys));
        assert_eq!(ports.merge_key.as_deref(), Some("port"));
        let created = named("ObjectMeta").unwrap().field("creationTimestamp").unwrap();
        assert!(created.omit_zero && created.shape == Shape::Time);
        assert!(named("LabelSelector").unwrap().atomic);
        assert_eq!(named("ServicePort").unwrap().field("protocol").unwrap().default.as_deref(), Some("TCP"));
    }
}
