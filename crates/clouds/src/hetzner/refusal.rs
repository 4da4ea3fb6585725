//! What Hetzner's error codes mean for us.

use crate::rest::{silent_refusal, why_of_status};
use crate::{Error, Why};
use serde::Deserialize;
use serde_json::Value;
use wire::Answer;

#[derive(Deserialize)]
struct Envelope {
    error: Refusal,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    #[serde(default)]
    message: String,
    /// Of a shape for each code; one that is new must not hide the code.
    #[serde(default)]
    details: Value,
}

/// `invalid_input` names fields, `resource_limit_exceeded` names limits.
#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    fields: Vec<Field>,
    #[serde(default)]
    limits: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(default)]
    messages: Vec<String>,
}

/// Sorts an answer that is no success. Codes: docs.hetzner.cloud, "Errors", and hcloud-go's `error.go`.
pub(crate) fn sort(call: &'static str, answer: &Answer) -> Error {
    let Ok(Envelope { error }) = serde_json::from_slice(&answer.body) else {
        return silent_refusal(call, answer);
    };
    Error {
        call,
        why: why(&error.code, answer),
        vendor_code: Some(format!("{} {}", answer.status.as_u16(), error.code)),
        message: words(error),
    }
}

fn why(code: &str, answer: &Answer) -> Why {
    match code {
        "unauthorized" => Why::Unauthenticated,
        "forbidden" | "token_readonly" | "protected" => Why::Forbidden,
        "resource_limit_exceeded" => Why::Quota,
        "rate_limit_exceeded" => Why::TooFast(answer.retry_after()),
        // Stock comes and goes by the minute; `unsupported_location_for_server_type` and a disabled location are the
        // same to the one who wants a machine: try elsewhere.
        "resource_unavailable"
        | "placement_error"
        | "no_space_left_in_location"
        | "unsupported_location_for_server_type" => Why::Capacity,
        // Somebody else's action runs on it, or what hangs on it is still being taken off. Their own SDK retries
        // `conflict` and not `locked`; both pass.
        "locked"
        | "conflict"
        | "resource_in_use"
        | "must_be_unassigned"
        | "primary_ip_assigned"
        | "server_not_stopped"
        | "firewall_already_applied"
        | "ip_not_available" => Why::Busy,
        "uniqueness_error" => Why::Taken,
        "not_found" | "firewall_resource_not_found" => Why::NotFound,
        "server_error" | "service_error" | "bad_gateway" | "timeout" | "unavailable" | "maintenance" => Why::Trouble,
        "invalid_input" | "json_error" | "invalid_server_type" | "unsupported_error" | "deprecated_api_endpoint" => {
            Why::Invalid
        }
        _ => why_of_status(answer),
    }
}

fn words(error: Refusal) -> String {
    let details: Details = serde_json::from_value(error.details).unwrap_or_default();
    let mut named: Vec<String> = Vec::new();
    for field in details.fields.into_iter().chain(details.limits) {
        match field.messages.as_slice() {
            [] => named.push(field.name),
            messages => named.push(format!("{}: {}", field.name, messages.join(", "))),
        }
    }
    match (error.message.as_str(), named.as_slice()) {
        ("", []) => error.code,
        (message, []) => message.to_owned(),
        (message, named) => format!("{message} [{}]", named.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::tests::{GARBAGE, answer};
    use proptest::prelude::*;

    #[test]
    fn every_documented_refusal_has_its_sort() {
        use Why::{
            Busy, Capacity, Forbidden, Invalid, NotFound, Quota, Taken, TooFast, Trouble, Unauthenticated as Auth,
        };
        let table = [
            (401, "unauthorized", Auth),
            (403, "forbidden", Forbidden),
            (403, "token_readonly", Forbidden),
            (403, "protected", Forbidden),
            (403, "resource_limit_exceeded", Quota),
            (404, "not_found", NotFound),
            (404, "firewall_resource_not_found", NotFound),
            (422, "firewall_resource_not_found", NotFound),
            (409, "conflict", Busy),
            (409, "uniqueness_error", Taken),
            (410, "deprecated_api_endpoint", Invalid),
            (412, "resource_unavailable", Capacity),
            (412, "placement_error", Capacity),
            (422, "no_space_left_in_location", Capacity),
            (422, "unsupported_location_for_server_type", Capacity),
            (422, "invalid_input", Invalid),
            (422, "json_error", Invalid),
            (422, "invalid_server_type", Invalid),
            (422, "resource_in_use", Busy),
            (422, "must_be_unassigned", Busy),
            (422, "server_not_stopped", Busy),
            (422, "firewall_already_applied", Busy),
            (422, "ip_not_available", Busy),
            (423, "locked", Busy),
            (423, "a_new_code", Busy),
            (429, "rate_limit_exceeded", TooFast(None)),
            (500, "server_error", Trouble),
            (502, "bad_gateway", Trouble),
            (503, "maintenance", Trouble),
            (503, "unavailable", Trouble),
            (504, "timeout", Trouble),
            (422, "a_new_code", Invalid),
        ];
        for (status, code, why) in table {
            let body = format!(r#"{{"error":{{"code":"{code}","message":"m","details":null}}}}"#);
            let error = sort("hetzner GET /x", &answer(status, &body));
            assert_eq!(error.why, why, "{status} {code}");
            assert_eq!(error.vendor_code, Some(format!("{status} {code}")));
        }
    }

    #[test]
    fn the_fields_that_are_wrong_are_named() {
        let body = r#"{"error":{"code":"invalid_input","message":"invalid input in field 'user_data'",
            "details":{"fields":[{"name":"user_data","messages":["Too long"]}]}}}"#;
        let error = sort("hetzner POST /servers", &answer(422, body));
        assert_eq!(
            error.to_string(),
            "hetzner POST /servers: invalid input in field 'user_data' [user_data: Too long] (422 invalid_input)"
        );
    }

    #[test]
    fn details_of_a_new_shape_do_not_hide_the_code() {
        for details in ["[]", "7", r#"{"fields": "name"}"#] {
            let body = format!(r#"{{"error": {{"code": "uniqueness_error", "message": "m", "details": {details}}}}}"#);
            assert_eq!(sort("hetzner POST /x", &answer(409, &body)).why, Why::Taken, "{details}");
        }
    }

    #[test]
    fn a_refusal_that_cannot_be_read_is_sorted_by_its_status() {
        for body in GARBAGE {
            assert_eq!(sort("hetzner GET /x", &answer(502, body)).why, Why::Trouble, "{body}");
            assert_eq!(sort("hetzner GET /x", &answer(401, body)).why, Why::Unauthenticated, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_refusal_panics(status in 100u16..1000, body in ".*") {
            let error = sort("hetzner GET /x", &answer(status, &body));
            prop_assert!(error.vendor_code.is_some());
        }
    }
}
