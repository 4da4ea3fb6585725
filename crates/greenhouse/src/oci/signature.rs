//! Request signatures: draft-cavage HTTP signatures, version 1, as all services check them.

use super::key::UserKey;
use super::reply::Refusal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// How far a client's clock may be off, either way.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
const SIGNED_ALWAYS: &[&str] = &["(request-target)", "host"];
const SIGNED_WITH_BODY: &[&str] = &["content-length", "content-type", "x-content-sha256"];

/// Checks a request's signature, date and body digest. `streamed`: PutObject and UploadPart, whose bodies are not signed.
pub(super) fn verify(
    head: &Parts,
    body: &[u8],
    streamed: bool,
    (key_id, key): (&str, &UserKey),
    now: Timestamp,
    lies: &BTreeSet<&'static str>,
) -> Result<(), Refusal> {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let wrong = Refusal::unauthenticated;
    let fields = header("authorization").and_then(fields).ok_or_else(wrong)?;
    let field = |name: &str| fields.get(name).copied().ok_or_else(wrong);
    if field("algorithm")? != "rsa-sha256" || field("version")? != "1" {
        return Err(wrong());
    }
    if field("keyId")? != key_id && !lies.contains("oci-any-key") {
        return Err(wrong());
    }
    let signed: Vec<String> = field("headers")?.split_whitespace().map(str::to_ascii_lowercase).collect();
    let has_body = matches!(head.method, Method::POST | Method::PUT | Method::PATCH) && !streamed;
    let needed = SIGNED_ALWAYS.iter().chain(SIGNED_WITH_BODY.iter().filter(|_| has_body));
    let mut needed = needed.filter(|name| **name != "x-content-sha256" || !lies.contains("oci-unsigned-digest"));
    if !needed.all(|name| signed.iter().any(|given| given == name)) {
        return Err(wrong());
    }
    let date_header = signed.iter().find(|name| matches!(name.as_str(), "date" | "x-date")).ok_or_else(wrong)?;
    let text = signing_string(head, &signed).ok_or_else(wrong)?;
    let signature = STANDARD.decode(field("signature")?).map_err(|_| wrong())?;
    if !key.verify(text.as_bytes(), &signature) && !lies.contains("oci-signature-unchecked") {
        return Err(wrong());
    }
    if !lies.contains("oci-skew-forgiven") {
        check_date(header(date_header).ok_or_else(wrong)?, now)?;
    }
    if has_body && !lies.contains("oci-digest-unchecked") {
        let digest = STANDARD.encode(Sha256::digest(body));
        let length = header("content-length").and_then(|text| text.parse::<usize>().ok());
        if header("x-content-sha256") != Some(digest.as_str()) || length != Some(body.len()) {
            return Err(wrong());
        }
    }
    Ok(())
}

/// `Signature a="b",c="d"` as a map.
fn fields(authorization: &str) -> Option<BTreeMap<&str, &str>> {
    let mut rest = authorization.strip_prefix("Signature ")?.trim();
    let mut fields = BTreeMap::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        fields.insert(name.trim(), value);
        rest = after.trim_start().strip_prefix(',').unwrap_or(after).trim_start();
    }
    Some(fields)
}

fn signing_string(head: &Parts, signed: &[String]) -> Option<String> {
    let lines = signed.iter().map(|name| {
        let value = match name.as_str() {
            "(request-target)" => {
                let target = head.uri.path_and_query()?.as_str();
                format!("{} {target}", head.method.as_str().to_ascii_lowercase())
            }
            // HTTP/2 has the authority where HTTP/1.1 has a header.
            "host" => match head.headers.get("host") {
                Some(host) => host.to_str().ok()?.to_owned(),
                None => head.uri.authority()?.as_str().to_owned(),
            },
            other => head.headers.get(other)?.to_str().ok()?.to_owned(),
        };
        Some(format!("{name}: {value}"))
    });
    Some(lines.collect::<Option<Vec<_>>>()?.join("\n"))
}

fn check_date(text: &str, now: Timestamp) -> Result<(), Refusal> {
    let date =
        jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).map_err(|_| Refusal::unauthenticated())?;
    if date.duration_since(now).abs() <= SKEW { Ok(()) } else { Err(skewed(date, now)) }
}

/// 401 for a clock that is off.
pub(super) fn skewed(date: Timestamp, now: Timestamp) -> Refusal {
    let word = |at: Timestamp| at.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string();
    let bound = |by: SignedDuration| word(now.checked_add(by).unwrap_or(now));
    let message = format!(
        "Date '{}' is not within allowed clock skew. Current '{}', valid datetime range: ['{}', '{}']",
        word(date),
        word(now),
        bound(-SKEW),
        bound(SKEW + SignedDuration::from_secs(1)),
    );
    Refusal::new(StatusCode::UNAUTHORIZED, "NotAuthenticated", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorization_header_is_read_in_any_order() {
        let read = fields(r#"Signature version="1", keyId="a/b/c",signature="x==""#).unwrap();
        assert_eq!((read["version"], read["keyId"], read["signature"]), ("1", "a/b/c", "x=="));
        assert!(fields("Bearer x").is_none());
        assert!(fields("Signature version").is_none());
    }

    #[test]
    fn five_minutes_either_way_are_forgiven() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let at = |seconds: i64| {
            let date = Timestamp::from_second(1_800_000_000 + seconds).unwrap();
            date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
        };
        assert!(check_date(&at(300), now).is_ok() && check_date(&at(-300), now).is_ok());
        assert!(check_date(&at(301), now).is_err() && check_date(&at(-301), now).is_err());
        assert!(check_date("yesterday", now).is_err());
    }
}
