//! Shapes of answers, as a table of our own says them: `hetzner.shapes`.

use serde_json::Value;
use std::collections::BTreeMap;

/// An answer that somebody was given.
pub struct Answer {
    pub method: String,
    /// Without the API's version and without a query.
    pub path: String,
    pub status: u64,
    /// Null for none.
    pub body: Value,
}

/// Field, whether it must be there, its type.
type Fields<'a> = Vec<(&'a str, bool, &'a str)>;

/// The table.
pub struct Shapes<'a> {
    shapes: BTreeMap<&'a str, Fields<'a>>,
    /// Method, segments of the path, status, the answer's fields.
    calls: Vec<(&'a str, Vec<&'a str>, u64, Fields<'a>)>,
}

impl<'a> Shapes<'a> {
    /// Reads the table.
    pub fn read(text: &'a str) -> Self {
        let mut all = Shapes { shapes: BTreeMap::new(), calls: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (head, rest) = line.split_once(':').unwrap_or_else(|| panic!("no colon: {line}"));
            match head.split(' ').collect::<Vec<_>>()[..] {
                [name] => drop(all.shapes.insert(name, fields(rest))),
                [method, path, status] => {
                    all.calls.push((method, path.split('/').collect(), status.parse().unwrap(), fields(rest)));
                }
                _ => panic!("neither a shape nor a call: {line}"),
            }
        }
        all
    }

    /// What is wrong with an answer.
    pub fn faults(&self, answer: &Answer) -> Vec<String> {
        let mut faults = Vec::new();
        match (answer.status, &answer.body) {
            (400.., body) => self.object("", self.shape("refusal"), body, &mut faults),
            (status, body) => match self.call(answer, status) {
                None => faults.push("no such call, or not with this status".into()),
                Some(none) if none.is_empty() && body.is_null() => {}
                Some(fields) => self.object("", fields, body, &mut faults),
            },
        }
        let at = format!("{} {} {}", answer.method, answer.path, answer.status);
        faults.into_iter().map(|fault| format!("{at}: {fault}")).collect()
    }

    fn call(&self, answer: &Answer, status: u64) -> Option<&Fields<'a>> {
        let asked: Vec<&str> = answer.path.split('/').collect();
        let fits = |path: &[&str]| {
            path.len() == asked.len()
                && path.iter().zip(&asked).all(|(known, asked)| {
                    known == asked || (*known == "*" && asked.bytes().all(|byte| byte.is_ascii_digit()))
                })
        };
        let mut calls = self.calls.iter();
        let found = calls.find(|(method, path, with, _)| *method == answer.method && *with == status && fits(path));
        found.map(|(.., fields)| fields)
    }

    fn shape(&self, name: &str) -> &Fields<'a> {
        self.shapes.get(name).unwrap_or_else(|| panic!("the table has no shape {name}"))
    }

    fn object(&self, at: &str, fields: &Fields<'_>, value: &Value, faults: &mut Vec<String>) {
        let Value::Object(members) = value else {
            return faults.push(format!("{at} is no object: {value}"));
        };
        for unknown in members.keys().filter(|name| fields.iter().all(|(known, ..)| known != name)) {
            faults.push(format!("{at}.{unknown} is nothing that the vendor answers"));
        }
        for (name, is_needed, kind) in fields {
            match members.get(*name) {
                Some(value) => self.value(&format!("{at}.{name}"), kind, value, faults),
                None if *is_needed => faults.push(format!("{at}.{name} is missing")),
                None => {}
            }
        }
    }

    fn value(&self, at: &str, kind: &str, value: &Value, faults: &mut Vec<String>) {
        let (kind, may_be_null) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
        if value.is_null() && may_be_null {
            return;
        }
        if let Some(items) = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) {
            let Value::Array(all) = value else { return faults.push(format!("{at} is no list: {value}")) };
            return all.iter().for_each(|item| self.value(&format!("{at}[]"), items, item, faults));
        }
        if let Some(shape) = kind.strip_prefix('@') {
            return self.object(at, self.shape(shape), value, faults);
        }
        let text = value.as_str();
        let fits = match kind {
            "int" => value.is_u64(),
            "number" => value.is_number(),
            "bool" => value.is_boolean(),
            "text" => value.is_string(),
            "time" => text.is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
            "decimal" => text.is_some_and(|text| text.parse::<f64>().is_ok()),
            "map" => value.as_object().is_some_and(|all| all.values().all(Value::is_string)),
            "object" => value.is_object(),
            "nothing" => false,
            words => text.is_some_and(|text| words.split('|').any(|word| word == text)),
        };
        if !fits {
            faults.push(format!("{at} is not {kind}: {value}"));
        }
    }
}

fn fields(text: &str) -> Fields<'_> {
    let fields = text.split(',').map(str::trim).filter(|field| !field.is_empty());
    let fields = fields.map(|field| {
        let (name, kind) = field.split_once(' ').unwrap_or_else(|| panic!("no type: {field}"));
        let optional = name.strip_suffix('~');
        (optional.unwrap_or(name), optional.is_none(), kind)
    });
    fields.collect()
}

#[test]
fn an_answer_of_another_shape_is_told_with_the_field() {
    let table =
        "thing: id int, name text?, kind a|b, more~ [@thing]\nrefusal: code text\nGET /things/* 200: thing @thing\n";
    let shapes = Shapes::read(table);
    let faults = |path: &str, status, body: &str| {
        let body = serde_json::from_str(body).unwrap();
        shapes.faults(&Answer { method: "GET".into(), path: path.into(), status, body })
    };
    let good = r#"{"thing": {"id": 1, "name": null, "kind": "a", "more": [{"id": 2, "name": "x", "kind": "b"}]}}"#;
    assert!(faults("/things/1", 200, good).is_empty());
    for (path, status, body, fault) in [
        ("/things/1", 200, r#"{"thing": {"id": "1", "name": "", "kind": "a"}}"#, ".thing.id is not int: \"1\""),
        ("/things/1", 200, r#"{"thing": {"id": 1, "kind": "a"}}"#, ".thing.name is missing"),
        ("/things/1", 200, r#"{"thing": {"id": 1, "name": "", "kind": "c"}}"#, ".thing.kind is not a|b: \"c\""),
        (
            "/things/1",
            200,
            r#"{"thing": {"id": 1, "name": "", "kind": "a"}, "x": 1}"#,
            ".x is nothing that the vendor answers",
        ),
        ("/things/1", 404, r#"{"code": null}"#, ".code is not text: null"),
        ("/things/a", 200, good, "no such call, or not with this status"),
    ] {
        assert_eq!(faults(path, status, body), [format!("GET {path} {status}: {fault}")]);
    }
}
