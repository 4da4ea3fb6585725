//! Names, labels, annotations, finalizers, owners.

use super::super::resource::Resource;
use super::{Fault, LABEL, is_label};
use serde_json::{Value, json};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// A new object's metadata.
pub(super) fn object(resource: &Resource, object: &Value, faults: &mut Vec<Fault>) {
    let meta = &object["metadata"];
    let name = meta["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        faults.push(Fault::required("metadata.name", "name or generateName is required"));
    } else if resource.group != "rbac.authorization.k8s.io" {
        self::name(resource, name, faults);
    }
    common(meta, faults);
}

/// The metadata of an object that is replaced.
pub(super) fn change(object: &Value, before: &Value, faults: &mut Vec<Fault>) {
    let (meta, old) = (&object["metadata"], &before["metadata"]);
    common(meta, faults);
    if old["deletionTimestamp"].is_string() {
        let list = |meta: &Value| meta["finalizers"].as_array().cloned().unwrap_or_default();
        let known = list(old);
        let new: Vec<String> = list(meta).iter().filter(|at| !known.contains(at)).map(Value::to_string).collect();
        if !new.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                new.join(", ")
            );
            faults.push(Fault::forbidden("metadata.finalizers", &detail));
        }
    }
    for field in ["uid"] {
        if meta[field] != old[field] {
            faults.push(Fault::invalid(format!("metadata.{field}"), &meta[field], "field is immutable"));
        }
    }
}

fn common(meta: &Value, faults: &mut Vec<Fault>) {
    labels(&meta["labels"], "metadata.labels", faults);
    for name in sorted_keys(&meta["annotations"]) {
        key_of(&name.to_lowercase(), name, "metadata.annotations", faults);
    }
    owners(&meta["ownerReferences"], faults);
    for (at, finalizer) in meta["finalizers"].as_array().into_iter().flatten().enumerate() {
        let text = finalizer.as_str().unwrap_or_default();
        let field = format!("metadata.finalizers[{at}]");
        let before = faults.len();
        key_of(text, text, &field, faults);
        let standard = ["kubernetes", "orphan", "foregroundDeletion"];
        if faults.len() == before && !text.contains('/') && !standard.contains(&text) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            faults.push(Fault::invalid(field, finalizer, detail));
        }
    }
}

fn name(resource: &Resource, name: &str, faults: &mut Vec<Fault>) {
    let value = json!(name);
    match (resource.group, resource.plural) {
        ("", "namespaces" | "services") => {
            if name.len() > 63 {
                faults.push(Fault::invalid("metadata.name", &value, "must be no more than 63 bytes"));
            }
            if name.contains('.') {
                faults.push(Fault::invalid("metadata.name", &value, "must not contain dots"));
            } else if !is_label(name) {
                faults.push(Fault::invalid("metadata.name", &value, LABEL));
            }
        }
        _ => {
            if name.len() > 253 {
                faults.push(Fault::invalid("metadata.name", &value, "must be no more than 253 characters"));
            }
            if !name.split('.').all(is_label) {
                faults.push(Fault::invalid("metadata.name", &value, SUBDOMAIN));
            }
        }
    }
}

fn sorted_keys(map: &Value) -> Vec<&String> {
    let mut keys: Vec<&String> = map.as_object().into_iter().flatten().map(|(key, _)| key).collect();
    keys.sort();
    keys
}

/// A map of labels.
pub(super) fn labels(map: &Value, field: &str, faults: &mut Vec<Fault>) {
    for name in sorted_keys(map) {
        key(name, field, faults);
        let value = map[name].as_str().unwrap_or_default();
        if value.len() > 63 {
            faults.push(Fault::invalid(field, &json!(value), "must be no more than 63 bytes"));
        }
        if !value.is_empty() && !is_name_part(value) {
            faults.push(Fault::invalid(field, &json!(value), VALUE));
        }
    }
}

/// A qualified name.
pub(super) fn key(name: &str, field: &str, faults: &mut Vec<Fault>) {
    key_of(name, name, field, faults);
}

fn key_of(name: &str, shown: &str, field: &str, faults: &mut Vec<Fault>) {
    let shown = json!(shown);
    let mut wrong = |detail: &str| faults.push(Fault::invalid(field, &shown, detail));
    let parts: Vec<&str> = name.split('/').collect();
    let part = match parts.as_slice() {
        [part] => *part,
        [prefix, part] => {
            if prefix.is_empty() {
                wrong("prefix part must be non-empty");
            } else if !prefix.split('.').all(is_label) {
                wrong(&format!("prefix part {SUBDOMAIN}"));
            }
            *part
        }
        _ => {
            let detail = NAME_PART.replacen("name part", "a qualified name", 1);
            return wrong(&format!(
                "{detail} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
        }
    };
    if part.is_empty() {
        wrong("name part must be non-empty");
    } else if part.len() > 63 {
        wrong("name part must be no more than 63 bytes");
    }
    if !is_name_part(part) {
        wrong(NAME_PART);
    }
}

fn is_name_part(text: &str) -> bool {
    let end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && end(text.bytes().next())
        && end(text.bytes().last())
}

fn owners(list: &Value, faults: &mut Vec<Fault>) {
    let mut controller: Option<&Value> = None;
    for (at, owner) in list.as_array().into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().unwrap_or_default().is_empty() {
                let place = format!("metadata.ownerReferences[{at}].{field}");
                let fault = match field {
                    "apiVersion" => Fault::invalid(place, &owner[field], "version must not be empty"),
                    _ => Fault::required(place, "must not be empty"),
                };
                faults.push(fault);
            }
        }
        if owner["controller"] == true {
            if let Some(first) = controller {
                let text = |owner: &Value, field: &str| owner[field].as_str().unwrap_or_default().to_owned();
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {}/{} and {}/{}",
                    text(first, "kind"),
                    text(first, "name"),
                    text(owner, "kind"),
                    text(owner, "name"),
                );
                faults.push(Fault::invalid("metadata.ownerReferences", list, &detail));
            } else {
                controller = Some(owner);
            }
        }
    }
}
