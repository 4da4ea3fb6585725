use serde_json::Value;

/// Where two values differ, a line each: `path: this ≠ that`.
pub fn differences(this: &Value, that: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", this, that, &mut lines);
    lines
}

fn compare(path: &str, this: &Value, that: &Value, lines: &mut Vec<String>) {
    match (this, that) {
        (Value::Object(one), Value::Object(other)) => {
            let names: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for name in names {
                compare(&format!("{path}/{name}"), &this[name], &that[name], lines);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (at, (this, that)) in one.iter().zip(other).enumerate() {
                compare(&format!("{path}/{at}"), this, that, lines);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            let only = |these: &[Value], those: &[Value]| -> Vec<String> {
                these.iter().filter(|item| !those.contains(item)).map(ToString::to_string).collect()
            };
            lines.push(format!("{path}: only here {:?}, only there {:?}", only(one, other), only(other, one)));
        }
        _ if this == that => {}
        _ => lines.push(format!("{path}: {this} ≠ {that}")),
    }
}
