use serde_json::Value;

/// What the server keeps for itself, and changes with every write or by itself.
const SERVERS: &[&str] = &["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"];

/// Paths of fields that differ between an object as it is and as it would be: `.spec.replicas`, `.spec.ports[0].port`.
/// Values are not told: they may be secret.
pub(super) fn paths(live: &Value, applied: &Value) -> Vec<String> {
    let (mut live, mut applied) = (live.clone(), applied.clone());
    for object in [&mut live, &mut applied] {
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|name, _| !SERVERS.contains(&name.as_str()));
        }
    }
    let mut found = Vec::new();
    compare("", &live, &applied, &mut found);
    found
}

fn compare(at: &str, live: &Value, applied: &Value, found: &mut Vec<String>) {
    match (live, applied) {
        (Value::Object(one), Value::Object(other)) => {
            let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
            for name in names {
                let path = if name.contains(['.', '/']) { format!("{at}[{name}]") } else { format!("{at}.{name}") };
                let none = &Value::Null;
                compare(&path, one.get(name).unwrap_or(none), other.get(name).unwrap_or(none), found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{at}[{index}]"), one, other, found);
            }
        }
        (one, other) if one != other => found.push(at.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_difference_is_told_by_its_path() {
        let live = json!({"spec": {"replicas": 1, "ports": [{"port": 80}], "args": ["a"]}, "data": {"a.b": "x"}});
        let applied =
            json!({"spec": {"replicas": 3, "ports": [{"port": 81}], "args": ["a", "b"]}, "data": {"a.b": "y"}});
        assert_eq!(paths(&live, &applied), [".spec.replicas", ".spec.ports[0].port", ".spec.args", ".data[a.b]"]);
    }

    #[test]
    fn what_is_added_or_taken_away_is_a_difference() {
        assert_eq!(paths(&json!({"spec": {"a": 1}}), &json!({"spec": {"b": 1}})), [".spec.a", ".spec.b"]);
    }

    #[test]
    fn what_the_server_keeps_is_none() {
        let object = |version: &str, ready: u32| {
            let managed = json!([{"manager": "bouquet", "time": version}]);
            json!({"metadata": {"resourceVersion": version, "managedFields": managed}, "status": {"ready": ready}})
        };
        assert_eq!(paths(&object("1", 1), &object("2", 2)), [""; 0]);
    }
}
