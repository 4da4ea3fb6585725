//! The vendor's own document, where this machine has it: `BOUQUET_HETZNER_OPENAPI` names it, else it lies beside the
//! repository. It is the vendor's and is not in the repository; the table of shapes says as much of it as is needed here.

use crate::shapes::Answer;
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "BOUQUET_HETZNER_OPENAPI";
const BESIDE: &str = "../../../shared/specs/hetzner-cloud.openapi.json";
/// Required fields that the vendor has dropped since: where, which, when.
const DROPPED: &[(&str, &str, &str)] = &[
    ("/components/schemas/server", "datacenter", "2026-07-01"),
    ("/components/schemas/list_primary_ips_response/properties/primary_ips/items", "datacenter", "2026-07-01"),
    ("/components/schemas/server_type", "deprecated", "2026-09-08"),
    ("/components/schemas/image", "deprecated", "2026-09-08"),
];

/// The document.
pub struct Document {
    root: Value,
}

impl Document {
    /// The document, if it is here. A variable that names what is not there is a mistake.
    pub fn find() -> Option<Self> {
        let named = env::var_os(VARIABLE).map(PathBuf::from);
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join(BESIDE);
        let path = named.or_else(|| Some(beside).filter(|path| path.is_file()))?;
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{VARIABLE}: {}: {error}", path.display()));
        let mut root: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (shape, field, when) in DROPPED {
            let required = root.pointer_mut(shape).and_then(|shape| shape["required"].as_array_mut());
            let required = required.unwrap_or_else(|| panic!("{shape} without {field} ({when})"));
            required.retain(|name| name != field);
        }
        nullable(&mut root["components"]["schemas"]);
        Some(Document { root })
    }

    /// What it says against an answer.
    pub fn faults(&self, answer: &Answer) -> Vec<String> {
        let at = format!("{} {} {}", answer.method, answer.path, answer.status);
        let Some(schema) = self.schema(answer) else { return vec![format!("{at}: not in the document")] };
        if schema.is_null() {
            let extra = Some(format!("{at}: an answer where there is none")).filter(|_| !answer.body.is_null());
            return extra.into_iter().collect();
        }
        let root = json!({"allOf": [schema], "components": self.root["components"]});
        let validator = jsonschema::draft202012::new(&root).unwrap_or_else(|error| panic!("{at}: {error}"));
        validator.iter_errors(&answer.body).map(|error| format!("{at}: {}: {error}", error.instance_path())).collect()
    }

    /// The schema of an answer; null where the document has a status without a body.
    fn schema(&self, answer: &Answer) -> Option<Value> {
        let asked: Vec<&str> = answer.path.split('/').collect();
        let fits = |path: &str| {
            let known: Vec<&str> = path.split('/').collect();
            let fits = |(known, asked): (&&str, &&str)| known == asked || known.starts_with('{');
            known.len() == asked.len() && known.iter().zip(&asked).all(fits)
        };
        let paths = self.root["paths"].as_object()?;
        // A path that is spelt out comes before one with a parameter in the same place.
        let (_, operations) =
            paths.iter().filter(|(path, _)| fits(path)).min_by_key(|(path, _)| path.matches('{').count())?;
        let responses = operations.get(answer.method.to_lowercase())?.get("responses")?;
        let status = answer.status.to_string();
        let family = format!("{}xx", answer.status / 100);
        let response = responses.get(&status).or_else(|| responses.get(&family))?;
        Some(response["content"]["application/json"]["schema"].clone())
    }
}

/// OpenAPI 3.0 says `nullable` where JSON Schema has a type of its own.
fn nullable(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(nullable),
        Value::Object(members) => {
            members.values_mut().for_each(nullable);
            if members.remove("nullable") == Some(json!(true)) {
                let plain = Value::Object(std::mem::take(members));
                members.insert("anyOf".into(), json!([plain, {"type": "null"}]));
            }
        }
        _ => {}
    }
}
