//! What a custom object must be by its schema, in the words of the API server's validator.

use super::super::validate::Fault;
use super::Custom;
use regex::Regex;
use serde_json::Value;

/// Checks an object.
pub(in super::super) fn validate(custom: &Custom, object: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    check(object, &custom.schema, "", &mut faults);
    lists(object, &custom.schema, "", &mut faults);
    faults
}

fn fault(reason: &'static str, field: &str, message: String) -> Fault {
    Fault { reason, field: field.to_owned(), message }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check(value: &Value, schema: &Value, path: &str, faults: &mut Vec<Fault>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let invalid = |detail: &str| {
        fault("FieldValueInvalid", path, format!("Invalid value: {value}: {path} in body should {detail}"))
    };
    let found = kind(value);
    let wanted = match schema["type"].as_str() {
        _ if schema["x-kubernetes-int-or-string"] == true => "integer,string",
        Some(wanted) => wanted,
        None => "",
    };
    let fits = wanted.is_empty()
        || wanted.split(',').any(|wanted| wanted == found || wanted == "number" && found == "integer");
    if !fits {
        let message = format!("Invalid value: {found:?}: {path} in body must be of type {wanted}: {found:?}");
        faults.push(fault("FieldValueTypeInvalid", path, message));
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", allowed.join(", "));
        faults.push(fault("FieldValueNotSupported", path, message));
    }
    if !fits {
        return;
    }
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(0.0);
            if let Some(least) = schema["minimum"].as_f64().filter(|least| number < *least) {
                faults.push(invalid(&format!("be greater than or equal to {least}")));
            }
            if let Some(most) = schema["maximum"].as_f64().filter(|most| number > *most) {
                faults.push(invalid(&format!("be less than or equal to {most}")));
            }
        }
        Value::String(text) => {
            let length = text.chars().count() as u64;
            if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
                faults.push(Fault::too_long(path, &format!("may not be more than {most} bytes")));
            }
            if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
                faults.push(invalid(&format!("be at least {least} chars long")));
            }
            let pattern = schema["pattern"].as_str();
            if let Some(pattern) =
                pattern.filter(|pattern| Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text)))
            {
                faults.push(invalid(&format!("match '{pattern}'")));
            }
        }
        Value::Array(list) => {
            if let Some(most) = schema["maxItems"].as_u64().filter(|most| list.len() as u64 > *most) {
                let message = format!("Too many: {}: must have at most {most} items", list.len());
                faults.push(fault("FieldValueTooMany", path, message));
            }
            for (at, element) in list.iter().enumerate() {
                check(element, &schema["items"], &format!("{path}[{at}]"), faults);
            }
        }
        Value::Object(fields) => {
            let place = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    faults.push(Fault::required(place(name), ""));
                }
            }
            for (name, field) in fields {
                if let Some(below) = schema["properties"].get(name) {
                    check(field, below, &place(name), faults);
                } else if schema["additionalProperties"].is_object() {
                    check(field, &schema["additionalProperties"], &place(name), faults);
                }
            }
        }
        _ => {}
    }
}

/// Sets and keyed lists hold nothing twice.
fn lists(value: &Value, schema: &Value, path: &str, faults: &mut Vec<Fault>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let below = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                let place = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                lists(field, below, &place, faults);
            }
        }
        Value::Array(list) => {
            let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let identity = |element: &Value| match schema["x-kubernetes-list-type"].as_str() {
                Some("map") => {
                    let part = |key: &&str| Some(((*key).to_owned(), element.get(*key)?.clone()));
                    Some(Value::Object(keys.iter().filter_map(part).collect()))
                }
                Some("set") => Some(element.clone()),
                _ => None,
            };
            for (at, element) in list.iter().enumerate() {
                if let Some(own) = identity(element)
                    .filter(|own| list.iter().take(at).any(|other| identity(other).as_ref() == Some(own)))
                {
                    faults.push(Fault::duplicate(format!("{path}[{at}]"), &own));
                }
                lists(element, &schema["items"], &format!("{path}[{at}]"), faults);
            }
        }
        _ => {}
    }
}
