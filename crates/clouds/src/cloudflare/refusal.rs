//! What Cloudflare's error codes mean for us. Cloudflare publishes no list: these are from its own SDKs, its
//! documents' examples and the fixtures of several clients.

use crate::rest::{silent_refusal, why_of_status};
use crate::{Error, Why};
use http::StatusCode;
use serde::Deserialize;
use wire::Answer;

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    code: u64,
    #[serde(default)]
    message: String,
    /// What is behind a general code such as 1004 or 6003.
    #[serde(default)]
    error_chain: Vec<Reason>,
}

/// Sorts an answer that is no success, or says `"success": false` in one.
pub(super) fn sort(call: &'static str, answer: &Answer) -> Error {
    let refusal = serde_json::from_slice::<Refusal>(&answer.body).ok();
    let Some(reason) = refusal.and_then(|refusal| refusal.errors.into_iter().next()) else {
        return silent_refusal(call, answer);
    };
    let chain: Vec<String> =
        reason.error_chain.iter().map(|cause| format!("{} ({})", cause.message, cause.code)).collect();
    let message = [vec![reason.message], chain].concat().join(": ");
    let vendor_code = Some(format!("{} {}", answer.status.as_u16(), reason.code));
    Error { call, why: why(reason.code, answer), vendor_code, message }
}

fn why(code: u64, answer: &Answer) -> Why {
    match code {
        // A throttled call comes as 429 with one of several codes, and older ones with the code alone.
        _ if answer.status == StatusCode::TOO_MANY_REQUESTS => Why::TooFast(answer.retry_after()),
        // A server in trouble may say any code, that of a refused token among them.
        _ if answer.status.is_server_error() => Why::Trouble,
        971 | 10_100 | 10_300 | 10_429 => Why::TooFast(answer.retry_after()),
        // The record, the zone, the route.
        81_044 | 1001 | 7000 | 7003 => Why::NotFound,
        // A record like it, the same record, a CNAME in the way.
        81_053 | 81_054 | 81_057 | 81_058 => Why::Taken,
        81_045 | 9300 => Why::Quota,
        // The header or the token itself is wrong; 6111 hides in the chain of 6003.
        1000 | 6003 | 6111 | 9103 | 9106 => Why::Unauthenticated,
        // The token is somebody's, and lacks the scope or the zone.
        9109 | 10_000 if answer.status == StatusCode::UNAUTHORIZED => Why::Unauthenticated,
        9109 | 10_000 => Why::Forbidden,
        1004 | 9003 | 9005 => Why::Invalid,
        _ => match why_of_status(answer) {
            // `"success": false` in an answer whose status says otherwise.
            Why::Garbled => Why::Invalid,
            why => why,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::tests::{GARBAGE, answer};
    use proptest::prelude::*;

    #[test]
    fn every_known_code_has_its_sort() {
        use Why::{Forbidden, Invalid, NotFound, Quota, Taken, TooFast, Trouble, Unauthenticated as Auth};
        for (status, code, why) in [
            (400, 6003, Auth),
            (400, 9106, Auth),
            (401, 1000, Auth),
            (400, 1000, Auth),
            (403, 9109, Forbidden),
            (403, 10_000, Forbidden),
            (401, 10_000, Auth),
            (404, 7003, NotFound),
            (404, 7000, NotFound),
            (404, 81_044, NotFound),
            (400, 1004, Invalid),
            (400, 9005, Invalid),
            (400, 81_045, Quota),
            (400, 9300, Quota),
            (400, 81_053, Taken),
            (400, 81_057, Taken),
            (400, 81_058, Taken),
            (429, 971, TooFast(None)),
            (429, 10_000, TooFast(None)),
            (400, 10_429, TooFast(None)),
            (500, 1, Trouble),
            (500, 10_000, Trouble),
            (400, 1, Invalid),
            (200, 1, Invalid),
        ] {
            let body =
                format!(r#"{{"success": false, "errors": [{{"code": {code}, "message": "m"}}], "result": null}}"#);
            assert_eq!(sort("c", &answer(status, &body)).why, why, "{status} {code}");
        }
    }

    #[test]
    fn the_chain_behind_a_general_code_is_told() {
        let body = r#"{"success": false, "errors": [{"code": 1004, "message": "DNS Validation Error",
            "error_chain": [{"code": 9005, "message": "Content for A record is invalid."}]}]}"#;
        let error = sort("cloudflare POST /x", &answer(400, body));
        let told = "cloudflare POST /x: DNS Validation Error: Content for A record is invalid. (9005) (400 1004)";
        assert_eq!(error.to_string(), told);
    }

    #[test]
    fn an_edges_page_is_sorted_by_its_status() {
        for body in GARBAGE {
            assert_eq!(sort("c", &answer(502, body)).why, Why::Trouble, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_refusal_panics(status in 100u16..1000, body in ".*") {
            prop_assert!(sort("c", &answer(status, &body)).vendor_code.is_some());
        }
    }
}
