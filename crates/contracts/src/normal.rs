//! The normal form of answers: what chance and the clock have drawn is named by the order of its appearance.

use crate::talk::{Entry, Transcript};
use serde_json::Value;
use std::collections::BTreeMap;

/// A place where the two sides differ.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Index of the question.
    pub at: usize,
    pub question: String,
    /// Pointer into the answer.
    pub place: String,
    pub emulator: String,
    pub real: String,
}

/// Names for what is drawn.
#[derive(Default)]
struct Names {
    known: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
}

impl Names {
    fn of(&mut self, kind: &'static str, drawn: &str) -> String {
        if let Some(name) = self.known.get(drawn) {
            return name.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let name = format!("<{kind} {count}>");
        self.known.insert(drawn.to_owned(), name.clone());
        name
    }
}

/// Rewrites what was drawn.
fn normal(transcript: &Transcript) -> Vec<(String, Value)> {
    let mut names = Names::default();
    let entries = transcript.iter().map(|entry| {
        let Entry { question, answer } = entry;
        let mut body = answer.body.clone();
        draw(&mut body, "", &mut names);
        let mut whole = serde_json::json!({"status": answer.status, "type": answer.content_type, "body": body});
        whole["warnings"] = answer.warnings.clone().into();
        replace(&mut whole, &names);
        let mut question = Value::String(question.clone());
        replace(&mut question, &names);
        (question.as_str().unwrap_or_default().to_owned(), whole)
    });
    entries.collect()
}

/// Finds what is drawn, and gives it a name.
fn draw(value: &mut Value, key: &str, names: &mut Names) {
    match value {
        Value::Object(fields) => {
            let is_list = fields.get("items").is_some() || fields.get("rows").is_some();
            let is_bookmark = fields.get("type").is_some_and(|kind| kind == "BOOKMARK");
            if let Some(meta) = fields.get_mut("metadata").filter(|_| is_list)
                && meta.get("resourceVersion").is_some()
            {
                meta["resourceVersion"] = "<list>".into();
            }
            if is_bookmark
                && let Some(version) =
                    fields.get_mut("object").and_then(|at| at.pointer_mut("/metadata/resourceVersion"))
            {
                *version = "<bookmark>".into();
            }
            if fields.contains_key("generateName")
                && let Some(Value::String(name)) = fields.get("name")
            {
                names.of("generated", name);
            }
            if let Some(Value::Array(owners)) = fields.get_mut("managedFields") {
                // They stand in order of time, which a second's turn can change.
                owners.sort_by_key(|owner| {
                    ["operation", "manager", "subresource"].map(|field| owner.get(field).map(Value::to_string))
                });
            }
            if let Some(Value::Array(causes)) = fields.get_mut("causes")
                && causes.iter().all(|cause| cause["reason"] == "FieldManagerConflict")
            {
                // Several managers' conflicts come in the order of a Go map, which is none.
                causes.sort_by_key(Value::to_string);
            }
            sort_faults_of_custom_kinds(fields);
            for (key, value) in fields.iter_mut() {
                draw(value, key, names);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| draw(value, key, names)),
        Value::String(text) => {
            let drawn = match key {
                "uid" if text.len() == 36 => Some("uid"),
                "resourceVersion" if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() => {
                    Some("version")
                }
                "continue" if !text.is_empty() => Some("continue"),
                "serverAddress" => Some("server"),
                "clusterIP" | "clusterIPs" if text.starts_with("10.") => Some("address"),
                _ => None,
            };
            if let Some(kind) = drawn {
                let name = names.of(kind, text);
                *text = name;
            } else if text.len() >= 20 && text.parse::<jiff::Timestamp>().is_ok() {
                *text = if text.contains('.') { "<time µs>".into() } else { "<time>".into() };
            }
        }
        Value::Number(_) if key == "nodePort" || key == "healthCheckNodePort" => *value = "<node port>".into(),
        _ => {}
    }
}

/// A custom kind's fields are checked in the order of a Go map, which is none; so several faults come in any order, in the message
/// too.
fn sort_faults_of_custom_kinds(status: &mut serde_json::Map<String, Value>) {
    let details = status.get_mut("details").filter(|details| details["group"] == "random.example.com");
    let Some(Value::Array(causes)) = details.and_then(|details| details.get_mut("causes")) else { return };
    causes.sort_by_key(Value::to_string);
    let said = |cause: &Value| Some(format!("{}: {}", cause["field"].as_str()?, cause["message"].as_str()?));
    let Some(said) = causes.iter().map(said).collect::<Option<Vec<_>>>().filter(|said| said.len() > 1) else { return };
    if let Some(Value::String(message)) = status.get_mut("message")
        && let Some((before, _)) = message.clone().split_once(": [")
    {
        *message = format!("{before}: [{}]", said.join(", "));
    }
}

/// Puts names where what they stand for is part of a longer text.
fn replace(value: &mut Value, names: &Names) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|value| replace(value, names)),
        Value::Array(list) => list.iter_mut().for_each(|value| replace(value, names)),
        Value::String(text) => {
            for (drawn, name) in names.known.iter().filter(|(drawn, _)| drawn.len() > 6) {
                if text.contains(drawn.as_str()) {
                    *text = text.replace(drawn.as_str(), name);
                }
            }
            // Whole objects inside messages, and Go's view of two of them.
            for opening in ["Invalid value: \"{", "Invalid value: \"map["] {
                if let Some((before, rest)) = text.clone().split_once(opening)
                    && let Some(end) = rest.rfind("}\": ").or(rest.rfind("]\": "))
                {
                    *text = format!("{before}Invalid value: <object>{}", &rest[end + 2..]);
                }
            }
            for opening in ["in record (", "version: 999999999, current: "] {
                if let Some((before, rest)) = text.clone().split_once(opening) {
                    let rest = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
                    if rest.is_empty() || rest.starts_with(')') {
                        *text = format!("{before}{opening}<version>{rest}");
                    }
                }
            }
            if let Some((before, _)) = text.clone().split_once("\n@@") {
                *text = before.to_owned();
            }
            if let Some((before, rest)) = text.clone().split_once("too old resource version: ")
                && rest.contains('(')
            {
                *text = format!("{before}too old resource version: <version> (<version>)");
            }
        }
        _ => {}
    }
}

/// Where two transcripts of one case differ.
pub fn differences(emulator: &Transcript, real: &Transcript) -> Vec<Difference> {
    let (left, right) = (normal(emulator), normal(real));
    let mut all = Vec::new();
    for (at, ((question, left), (_, right))) in left.iter().zip(&right).enumerate() {
        compare(left, right, &mut String::new(), &mut |place, emulator, real| {
            let (place, question) = (place.to_owned(), question.clone());
            all.push(Difference { at, question, place, emulator, real });
        });
    }
    if left.len() != right.len() {
        let (emulator, real) = (left.len().to_string(), right.len().to_string());
        all.push(Difference { at: 0, question: "how much was said".into(), place: String::new(), emulator, real });
    }
    all
}

fn compare(left: &Value, right: &Value, place: &mut String, tell: &mut impl FnMut(&str, String, String)) {
    let length = place.len();
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for key in keys {
                place.push('/');
                place.push_str(key);
                match (left.get(key), right.get(key)) {
                    (Some(left), Some(right)) => compare(left, right, place, tell),
                    (left, right) => tell(place, shown(left), shown(right)),
                }
                place.truncate(length);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (at, (left, right)) in left.iter().zip(right).enumerate() {
                place.push_str(&format!("/{at}"));
                compare(left, right, place, tell);
                place.truncate(length);
            }
        }
        _ if left == right => {}
        _ => tell(place, shown(Some(left)), shown(Some(right))),
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".into(), Value::to_string)
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "  {} {}", self.at, self.question)?;
        writeln!(f, "    at       {}", self.place)?;
        writeln!(f, "    emulator {}", self.emulator)?;
        write!(f, "    real     {}", self.real)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(group: &str, order: [usize; 2]) -> Value {
        let faults = [("spec.colour", "Unsupported value: \"blue\""), ("spec.petals", "Invalid value: 0")];
        let [first, second] = order.map(|at| faults[at]);
        let said = format!("a is invalid: [{}: {}, {}: {}]", first.0, first.1, second.0, second.1);
        let causes = [first, second].map(|(field, message)| json!({"field": field, "message": message}));
        json!({"message": said, "details": {"group": group, "causes": causes}})
    }

    #[test]
    fn only_a_custom_kinds_faults_have_no_order() {
        let normal = |mut answer: Value| {
            draw(&mut answer, "", &mut Names::default());
            answer
        };
        let (custom, builtin) = ("random.example.com", "apps");
        assert_eq!(normal(status(custom, [0, 1])), normal(status(custom, [1, 0])));
        assert_ne!(normal(status(builtin, [0, 1])), normal(status(builtin, [1, 0])));
    }
}
