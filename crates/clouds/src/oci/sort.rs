use crate::{Error, Why};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wire::Answer;

/// Oracle refuses requests whose `Date` is further off than this, in seconds.
/// Source: docs.oracle.com, "Request Signatures": five minutes.
const SKEW_MAX_S: i64 = 300;

/// The body of every refusal.
#[derive(Deserialize)]
struct Refusal {
    code: String,
    #[serde(default)]
    message: String,
}

/// `Ok` if the answer is a success; else what it means. `signed_at` is when the request was signed.
pub(super) fn refused(call: &'static str, answer: &Answer, signed_at: Timestamp) -> Result<(), Error> {
    let status = answer.status;
    if status.is_success() {
        return Ok(());
    }
    let Ok(refusal) = serde_json::from_slice::<Refusal>(&answer.body) else {
        return Err(without_words(call, answer, signed_at));
    };
    let why = why(status, &refusal, answer, signed_at);
    let mut message = refusal.message;
    if why == Why::ClockSkew {
        message = skew_words(answer, signed_at);
    }
    Err(Error { call, why, vendor_code: Some(format!("{} {}", status.as_u16(), refusal.code)), message })
}

/// HEAD has no body, and proxies answer in HTML: the status alone decides.
fn without_words(call: &'static str, answer: &Answer, signed_at: Timestamp) -> Error {
    let nothing = Refusal { code: String::new(), message: String::new() };
    let why = match why(answer.status, &nothing, answer, signed_at) {
        // A 4xx without Oracle's words says nothing about the request: it may come from anybody on the way.
        Why::Invalid if !answer.body.is_empty() => Why::Garbled,
        other => other,
    };
    let message = match why {
        Why::ClockSkew => skew_words(answer, signed_at),
        _ if answer.body.is_empty() => "no reason was given".to_owned(),
        _ => "the answer is not Oracle's JSON".to_owned(),
    };
    Error { call, why, vendor_code: Some(answer.status.as_u16().to_string()), message }
}

fn why(status: StatusCode, refusal: &Refusal, answer: &Answer, signed_at: Timestamp) -> Why {
    let said = refusal.message.to_ascii_lowercase();
    match (status.as_u16(), refusal.code.as_str()) {
        (_, "LimitExceeded" | "QuotaExceeded") => Why::Quota,
        // The code beside it is a bare InternalError: only the message tells (facts G-OCI 1).
        (500, _) if said.contains("out of host capacity") || said.contains("out of capacity") => Why::Capacity,
        (_, "TooManyRequests") | (429, _) => Why::TooFast(answer.retry_after()),
        (401, _) if skew_s(answer, signed_at).is_some_and(|skew| skew.abs() > SKEW_MAX_S) => Why::ClockSkew,
        (401, _) => Why::Unauthenticated,
        (403, _) => Why::Forbidden,
        (404, _) => Why::NotFound,
        // Its resource is gone: the same request needs another token, not a wait.
        (409, "InvalidatedRetryToken" | "BucketAlreadyExists" | "NotAuthorizedOrResourceAlreadyExists") => Why::Taken,
        // Something is in it: no wait empties it.
        (409, "BucketNotEmpty") => Why::Invalid,
        (409, _) => Why::Busy,
        (408 | 500 | 502..=599, _) => Why::Trouble,
        _ => Why::Invalid,
    }
}

/// How far this machine's clock is behind Oracle's, in seconds; negative if it is ahead.
fn skew_s(answer: &Answer, signed_at: Timestamp) -> Option<i64> {
    let theirs = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(answer.header("date")?).ok()?;
    Some(theirs.as_second().saturating_sub(signed_at.as_second()))
}

fn skew_words(answer: &Answer, signed_at: Timestamp) -> String {
    let skew = skew_s(answer, signed_at).unwrap_or(0);
    let side = if skew > 0 { "behind" } else { "ahead of" };
    format!("this machine's clock is {} s {side} Oracle's, which refuses more than {SKEW_MAX_S} s", skew.abs())
}

/// Reads a JSON body.
pub(super) fn json<T: DeserializeOwned>(call: &'static str, answer: &Answer) -> Result<T, Error> {
    serde_json::from_slice(&answer.body).map_err(|error| garbled(call, answer, error.to_string()))
}

/// For answers that are not what Oracle documents.
pub(super) fn garbled(call: &'static str, answer: &Answer, message: String) -> Error {
    Error { call, why: Why::Garbled, vendor_code: Some(answer.status.as_u16().to_string()), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::time::Duration;

    const NOON: &str = "2026-11-23T12:00:00Z";

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_str(value).unwrap()));
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn sorted(status: u16, code: &str, message: &str) -> Why {
        let body = serde_json::json!({"code": code, "message": message}).to_string();
        refused("oci test", &answer(status, &[], &body), NOON.parse().unwrap()).unwrap_err().why
    }

    #[test]
    fn oracles_words_are_sorted() {
        assert_eq!(sorted(500, "InternalError", "Out of host capacity."), Why::Capacity);
        assert_eq!(sorted(500, "InternalError", "Internal error"), Why::Trouble);
        let limit = "The following service limits were exceeded: standard-a1-core-count.";
        assert_eq!(sorted(400, "LimitExceeded", limit), Why::Quota);
        assert_eq!(sorted(400, "QuotaExceeded", ""), Why::Quota);
        assert_eq!(sorted(400, "InvalidParameter", ""), Why::Invalid);
        assert_eq!(sorted(404, "NotAuthorizedOrNotFound", ""), Why::NotFound);
        assert_eq!(sorted(409, "IncorrectState", ""), Why::Busy);
        assert_eq!(sorted(409, "Conflict", "subnet references the VNIC"), Why::Busy);
        assert_eq!(sorted(409, "InvalidatedRetryToken", ""), Why::Taken);
        assert_eq!(sorted(403, "NotAllowed", ""), Why::Forbidden);
        assert_eq!(sorted(503, "ServiceUnavailable", ""), Why::Trouble);
    }

    #[test]
    fn a_rate_limit_keeps_its_wait() {
        let slow = answer(429, &[("retry-after", "7")], r#"{"code":"TooManyRequests","message":"for the tenant"}"#);
        let error = refused("oci test", &slow, NOON.parse().unwrap()).unwrap_err();
        assert_eq!(error.why, Why::TooFast(Some(Duration::from_secs(7))));
        assert_eq!(error.vendor_code.as_deref(), Some("429 TooManyRequests"));
    }

    #[test]
    fn a_wrong_clock_is_told_apart_from_a_wrong_key() {
        let body =
            r#"{"code":"NotAuthenticated","message":"The required information … was not provided or was incorrect."}"#;
        let near = answer(401, &[("date", "Mon, 23 Nov 2026 12:04:59 GMT")], body);
        let far = answer(401, &[("date", "Mon, 23 Nov 2026 12:06:00 GMT")], body);
        let now = NOON.parse().unwrap();
        assert_eq!(refused("oci test", &near, now).unwrap_err().why, Why::Unauthenticated);
        let error = refused("oci test", &far, now).unwrap_err();
        assert_eq!(error.why, Why::ClockSkew);
        assert!(error.message.contains("360 s behind"), "{}", error.message);
    }

    #[test]
    fn html_from_a_proxy_is_no_verdict_of_oracles() {
        let html = answer(400, &[], "<html>blocked</html>");
        assert_eq!(refused("oci test", &html, NOON.parse().unwrap()).unwrap_err().why, Why::Garbled);
        let down = answer(502, &[], "<html>bad gateway</html>");
        assert_eq!(refused("oci test", &down, NOON.parse().unwrap()).unwrap_err().why, Why::Trouble);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(status in 100u16..600, date in any::<String>(), body in any::<String>()) {
            let date: String = date.chars().filter(char::is_ascii_graphic).collect();
            let _ = refused("oci test", &answer(status, &[("date", &date)], &body), NOON.parse().unwrap());
        }
    }
}
