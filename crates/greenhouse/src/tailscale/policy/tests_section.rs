//! The `tests` of a policy: a policy whose own tests fail is not taken.

use super::selector::{Party, range};
use super::{Rules, field, is_tag, strings};
use crate::tailscale::api::Refusal;
use serde_json::{Value, json};

/// Runs the tests; the error is the API's, with what each failed test wanted and got.
pub(in crate::tailscale) fn run(rules: &Rules, tests: Option<&Value>) -> Result<(), Refusal> {
    let mut failed = Vec::new();
    for test in tests.and_then(Value::as_array).into_iter().flatten() {
        let source = field(test, &["src", "user"]).and_then(Value::as_str).unwrap_or_default();
        let mut errors = Vec::new();
        for (names, wanted) in [(&["accept", "allow"], true), (&["deny", "deny"], false)] {
            for target in strings(test, names).map_err(Refusal::bad)? {
                errors.extend(check(rules, source, &target, wanted).map_err(Refusal::bad)?);
            }
        }
        if !errors.is_empty() {
            failed.push(json!({"user": source, "errors": errors}));
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Refusal { data: Some(Value::Array(failed)), ..Refusal::bad("test(s) failed") })
}

fn check(rules: &Rules, source: &str, target: &str, wanted: bool) -> Result<Option<String>, String> {
    let (name, port) = target.rsplit_once(':').ok_or_else(|| format!("tests: {target:?}: missing port"))?;
    let port = port.parse().map_err(|_| format!("tests: {target:?}: invalid port"))?;
    let got = rules.admits(&party(source), &party(name), port);
    let word = |accepted: bool| if accepted { "Accept" } else { "Drop" };
    Ok((got != wanted).then(|| format!("address {target:?}: want: {}, got: {}", word(wanted), word(got))))
}

/// A party that has nothing but what the test says of it.
fn party(name: &str) -> Party {
    let mut party = Party::default();
    if let Some((address, _)) = range(name) {
        party.addresses.push(address);
    } else if is_tag(name) {
        party.tags.push(name.to_owned());
    } else {
        party.user = Some(name.to_owned());
    }
    party
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_fails_names_the_address_and_what_happened() {
        let policy = json!({
            "tagOwners": {"tag:a": []},
            "acls": [{"action": "accept", "src": ["10.0.0.1"], "dst": ["tag:a:80"]}],
        });
        let rules = Rules::read(&policy).unwrap();
        let of = |accept: &str, deny: &str| {
            run(&rules, Some(&json!([{"src": "10.0.0.1", "accept": [accept], "deny": [deny]}])))
        };
        assert!(of("tag:a:80", "tag:a:81").is_ok());
        let refusal = of("tag:a:81", "tag:a:80").unwrap_err();
        assert_eq!(refusal.message, "test(s) failed");
        let errors = &refusal.data.unwrap()[0]["errors"];
        assert_eq!(errors[0], "address \"tag:a:81\": want: Accept, got: Drop");
        assert_eq!(errors[1], "address \"tag:a:80\": want: Drop, got: Accept");
    }
}
