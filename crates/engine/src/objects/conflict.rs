use super::MANAGER;
use kube::Error;
use serde_json::Value;
use std::fmt;

/// A field that somebody else manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The field manager, as the API names it.
    pub owner: String,
    /// `.spec.replicas`
    pub field: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} manages {}", self.owner, self.field)
    }
}

/// The fields that an apply was refused for; `None` if it was refused for something else.
pub(super) fn of(refusal: &Error) -> Option<Vec<Conflict>> {
    let Error::Api(status) = refusal else { return None };
    let causes = status.details.as_ref().filter(|_| status.code == 409)?.causes.iter();
    let fields: Vec<Conflict> = causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| Conflict { owner: owner(&cause.message), field: cause.field.clone() })
        .collect();
    (!fields.is_empty()).then_some(fields)
}

/// From `conflict with "kubectl" using apps/v1`, or `… with subresource "scale" …`.
fn owner(message: &str) -> String {
    message.split('"').nth(1).unwrap_or(message).to_owned()
}

/// Whether bouquet manages any field of an object.
pub(super) fn is_managed(object: &Value) -> bool {
    let entries = object["metadata"]["managedFields"].as_array();
    entries.into_iter().flatten().any(|entry| entry["manager"] == MANAGER && entry["operation"] == "Apply")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u16, reason: &str) -> Error {
        let cause = serde_json::json!({
            "reason": reason, "message": "conflict with \"kubectl-edit\" using apps/v1", "field": ".spec.replicas",
        });
        let status = serde_json::json!({
            "status": "Failure", "message": "Apply failed with 1 conflict", "reason": "Conflict", "code": code,
            "details": {"causes": [cause]},
        });
        Error::Api(serde_json::from_value(status).unwrap())
    }

    #[test]
    fn a_conflict_names_owner_and_field() {
        let conflict = Conflict { owner: "kubectl-edit".into(), field: ".spec.replicas".into() };
        assert_eq!(of(&refusal(409, "FieldManagerConflict")), Some(vec![conflict]));
    }

    #[test]
    fn other_refusals_are_no_conflicts() {
        assert_eq!(of(&refusal(409, "SomethingElse")), None);
        assert_eq!(of(&refusal(422, "FieldManagerConflict")), None);
    }
}
