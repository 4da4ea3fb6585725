//! Label and field selectors.

mod labels;

use super::refusal::Refusal;
use super::resource::Resource;
use serde_json::Value;

/// What a list or watch asks for; the default takes everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, String, bool)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
    Above(String, i64),
    Below(String, i64),
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector` as query strings carry them.
    pub(super) fn read(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Refusal> {
        let labels = labels::parse(labels).map_err(Refusal::bad_request)?;
        let fields = fields.split(',').filter(|part| !part.is_empty()).map(|part| field(resource, part));
        Ok(Selector { labels, fields: fields.collect::<Result<_, _>>()? })
    }

    /// A `metav1.LabelSelector`, as workloads and budgets carry it.
    pub(super) fn of_object(selector: &Value) -> Self {
        let mut labels = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            labels.push(Requirement::In(key.clone(), vec![text(value)]));
        }
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let key = text(&expression["key"]);
            let values = expression["values"].as_array().into_iter().flatten().map(text).collect();
            labels.push(match expression["operator"].as_str() {
                Some("NotIn") => Requirement::NotIn(key, values),
                Some("Exists") => Requirement::Exists(key),
                Some("DoesNotExist") => Requirement::Missing(key),
                _ => Requirement::In(key, values),
            });
        }
        Selector { labels, fields: Vec::new() }
    }

    /// A lie.
    pub(super) fn forget_all_but_the_first(&mut self) {
        self.labels.truncate(1);
    }

    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let label = |key: &String| labels.get(key).and_then(Value::as_str);
        let number = |key: &String| label(key).and_then(|at| at.parse::<i64>().ok());
        self.labels.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => label(key).is_some_and(|at| values.iter().any(|value| value == at)),
            Requirement::NotIn(key, values) => label(key).is_none_or(|at| values.iter().all(|value| value != at)),
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Missing(key) => label(key).is_none(),
            Requirement::Above(key, least) => number(key).is_some_and(|at| at > *least),
            Requirement::Below(key, most) => number(key).is_some_and(|at| at < *most),
        }) && self.fields.iter().all(|(path, wanted, equal)| (field_of(object, path) == *wanted) == *equal)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Which fields can be selected by, besides name and namespace.
fn selectable(resource: &Resource) -> &'static [&'static str] {
    match resource.plural {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "nodes" => &["spec.unschedulable"],
        "namespaces" => &["status.phase"],
        "secrets" => &["type"],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "reason",
            "type",
        ],
        _ => &[],
    }
}

fn field(resource: &Resource, part: &str) -> Result<(String, String, bool), Refusal> {
    let (path, wanted, equal) = match (part.split_once("!="), part.split_once('=')) {
        (Some((path, wanted)), _) => (path, wanted, false),
        (None, Some((path, wanted))) => (path, wanted.trim_start_matches('='), true),
        (None, None) => {
            return Err(Refusal::bad_request(format!("invalid selector: '{part}'; can't understand '{part}'")));
        }
    };
    let path = path.trim();
    if !matches!(path, "metadata.name" | "metadata.namespace") && !selectable(resource).contains(&path) {
        let message = if selectable(resource).is_empty() {
            format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        } else {
            format!("field label not supported: {path}")
        };
        return Err(Refusal::bad_request(message));
    }
    Ok((path.to_owned(), wanted.trim().to_owned(), equal))
}

/// A field as selectors compare it: absent text is empty, an absent flag is `false`.
fn field_of(object: &Value, path: &str) -> String {
    let value = path.split('.').fold(object, |at, segment| &at[segment]);
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null if matches!(path, "spec.unschedulable" | "spec.hostNetwork") => "false".into(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::resource::find;
    use super::*;
    use serde_json::json;

    fn selects(labels: &str, fields: &str) -> bool {
        let pod = json!({
            "metadata": {"name": "a", "labels": {"app": "web", "tier": "front"}},
            "spec": {"nodeName": "lily"}, "status": {"phase": "Running"},
        });
        Selector::read(find("", "v1", "pods").unwrap(), labels, fields).unwrap().matches(&pod)
    }

    #[test]
    fn every_form_of_label_requirement_selects() {
        for yes in ["app=web", "app==web,tier!=back", "app in (web, api),tier", "!gone", "app notin (x)", ""] {
            assert!(selects(yes, ""), "{yes}");
        }
        for no in ["app=api", "gone", "!app", "app in (x,y)", "tier notin (front)", "app=web,tier=back"] {
            assert!(!selects(no, ""), "{no}");
        }
    }

    #[test]
    fn a_field_selector_compares_and_refuses_what_is_not_indexed() {
        assert!(selects("", "spec.nodeName=lily,status.phase!=Pending"));
        assert!(!selects("", "metadata.name=b"));
        let refused = Selector::read(find("", "v1", "pods").unwrap(), "", "spec.image=x").unwrap_err();
        assert_eq!(refused.status()["message"], "field label not supported: spec.image");
    }
}
