//! Sets of fields of an object, as managed fields write them (`FieldsV1`).

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One step down into an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Field(String),
    /// An element of a keyed list: its keys as JSON, in order of their names.
    Key(String),
    /// An element of a set, as JSON.
    Element(String),
}

/// A set of paths. The root stands for the object itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields {
    /// Whether the path that leads here is in the set.
    pub member: bool,
    pub below: BTreeMap<Step, Fields>,
}

impl Fields {
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.below.values().all(Fields::is_empty)
    }

    /// The set with nothing but what leads to members.
    fn tidy(mut self) -> Self {
        self.below.retain(|_, below| !below.is_empty());
        self
    }

    pub(super) fn insert(&mut self, step: Step, below: Fields) {
        if !below.is_empty() {
            self.below.insert(step, below);
        }
    }

    fn combine(&self, other: &Fields, keep: fn(bool, bool) -> bool) -> Fields {
        let nothing = Fields::default();
        let steps = self.below.keys().chain(other.below.keys());
        let mut both = Fields { member: keep(self.member, other.member), below: BTreeMap::new() };
        for step in steps {
            if !both.below.contains_key(step) {
                let (left, right) = (self.below.get(step), other.below.get(step));
                let below = left.unwrap_or(&nothing).combine(right.unwrap_or(&nothing), keep);
                both.below.insert(step.clone(), below);
            }
        }
        both.tidy()
    }

    pub(super) fn union(&self, other: &Fields) -> Fields {
        self.combine(other, |left, right| left || right)
    }

    pub(super) fn intersection(&self, other: &Fields) -> Fields {
        self.combine(other, |left, right| left && right)
    }

    pub(super) fn difference(&self, other: &Fields) -> Fields {
        self.combine(other, |left, right| left && !right)
    }

    /// Without the members of `other` and all below them.
    pub(super) fn without_below(&self, other: &Fields) -> Fields {
        let mut rest = Fields { member: self.member && !other.member, below: BTreeMap::new() };
        for (step, below) in &self.below {
            match other.below.get(step) {
                Some(gone) if gone.member => {}
                Some(gone) => drop(rest.below.insert(step.clone(), below.without_below(gone))),
                None => drop(rest.below.insert(step.clone(), below.clone())),
            }
        }
        rest.tidy()
    }

    /// The same with every named field on the way to a member made a member.
    pub(super) fn with_named(&self) -> Fields {
        let below = self.below.iter().map(|(step, below)| {
            let mut below = below.with_named();
            below.member |= matches!(step, Step::Field(_));
            (step.clone(), below)
        });
        Fields { member: self.member, below: below.collect() }
    }

    /// A set of the paths of these names.
    pub(super) fn of_names(paths: &[&[&str]]) -> Fields {
        let mut all = Fields::default();
        for path in paths {
            let mut at = &mut all;
            for name in *path {
                at = at.below.entry(Step::Field((*name).to_owned())).or_default();
            }
            at.member = true;
        }
        all
    }

    /// Every member, as messages write paths: `.spec.containers[name="main"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.walk(&mut String::new(), &mut all);
        all
    }

    /// At each place what is there itself comes before what is below.
    fn walk(&self, path: &mut String, all: &mut Vec<String>) {
        let members = self.below.iter().filter(|(_, below)| below.member);
        all.extend(members.map(|(step, _)| format!("{path}{}", step.shown())));
        for (step, below) in &self.below {
            let length = path.len();
            path.push_str(&step.shown());
            below.walk(path, all);
            path.truncate(length);
        }
    }

    /// `FieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.below.is_empty() {
            fields.insert(".".into(), json!({}));
        }
        for (step, below) in &self.below {
            fields.insert(step.to_text(), below.to_json());
        }
        Value::Object(fields)
    }

    /// Reads `FieldsV1`; `None` where it is none.
    pub(super) fn of_json(value: &Value) -> Option<Fields> {
        let mut read = Fields::default();
        for (name, below) in value.as_object()? {
            if name == "." {
                read.member = true;
                continue;
            }
            let mut inner = Fields::of_json(below)?;
            inner.member |= inner.below.is_empty();
            read.below.insert(Step::of_text(name)?, inner);
        }
        Some(read)
    }
}

impl Step {
    fn to_text(&self) -> String {
        match self {
            Step::Field(name) => format!("f:{name}"),
            Step::Key(keys) => format!("k:{keys}"),
            Step::Element(value) => format!("v:{value}"),
        }
    }

    fn of_text(text: &str) -> Option<Step> {
        let (kind, rest) = text.split_once(':')?;
        Some(match kind {
            "f" => Step::Field(rest.to_owned()),
            "k" => Step::Key(rest.to_owned()),
            "v" => Step::Element(rest.to_owned()),
            _ => return None,
        })
    }

    /// As messages write it.
    pub(super) fn shown(&self) -> String {
        match self {
            Step::Field(name) => format!(".{name}"),
            Step::Element(value) => format!("[={value}]"),
            Step::Key(keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let mut text = String::from("[");
                for (at, (key, value)) in keys.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    let _ = write!(text, "{comma}{key}={value}");
                }
                text + "]"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_and_read_back() {
        let text =
            json!({"f:data": {".": {}, "f:k": {}}, "f:list": {"k:{\"name\":\"a\"}": {".": {}, "f:x": {}}, "v:1": {}}});
        let read = Fields::of_json(&text).unwrap();
        assert_eq!(read.to_json(), text);
        assert_eq!(read.paths(), [".data", ".data.k", ".list[name=\"a\"]", ".list[=1]", ".list[name=\"a\"].x"]);
    }

    #[test]
    fn differences_leave_no_empty_branches() {
        let all = Fields::of_names(&[&["a", "b"], &["a", "c"], &["d"]]);
        let some = Fields::of_names(&[&["a", "b"], &["d"]]);
        assert_eq!(all.difference(&some), Fields::of_names(&[&["a", "c"]]));
        assert_eq!(some.difference(&all), Fields::default());
        assert_eq!(all.without_below(&Fields::of_names(&[&["a"]])), Fields::of_names(&[&["d"]]));
        assert_eq!(all.with_named().paths(), [".a", ".d", ".a.b", ".a.c"]);
    }
}
