//! AWS Signature Version 4, in headers and in presigned URLs, and the chain that signs chunks.
//!
//! As Ceph does, any region and the service `s3` are taken from the credential's scope.

use super::refusal::Refusal;
use super::{Keys, escape};
use http::HeaderMap;
use http::request::Parts;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far a client's clock may be off, either way.
const SKEW: SignedDuration = SignedDuration::from_mins(15);
/// The longest that a presigned URL may be good for, in seconds.
const EXPIRES_MAX_S: i64 = 7 * 24 * 3600;

/// What the signature says of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// Nothing.
    Unsigned,
    /// The SHA-256 of the whole, hex.
    Whole(String),
    /// It comes in chunks, each signed or none; a trailer may follow.
    Chunks { is_signed: bool },
}

/// What signs chunks: each signature covers the one before it.
pub(super) struct Chain {
    key: hmac::Key,
    date: String,
    scope: String,
    previous: String,
}

impl Chain {
    /// Whether `signature` is that of the next chunk, or of the trailer.
    pub(super) fn follows(&mut self, kind: &str, covered: &[&[u8]], signature: &str) -> bool {
        let hashes: Vec<String> = covered.iter().map(|bytes| hex::encode(Sha256::digest(bytes))).collect();
        let text = [ALGORITHM, "-", kind, "\n", &self.date, "\n", &self.scope, "\n", &self.previous, "\n"].concat();
        let made = hex::encode(hmac::sign(&self.key, (text + &hashes.join("\n")).as_bytes()));
        let fits = made == signature;
        self.previous = made;
        fits
    }
}

/// The parts of a signature, wherever they stood.
struct Given {
    credential: String,
    signed_headers: String,
    signature: String,
    date: String,
    /// Of a presigned URL, in seconds.
    expires: Option<i64>,
    payload: String,
}

/// Checks who sends a request. The body is not looked at: see [`Payload`].
pub(super) fn verify(
    head: &Parts,
    query: &[(String, String)],
    keys: &Keys,
    now: Timestamp,
    lies: &BTreeSet<&'static str>,
) -> Result<(Payload, Chain), Refusal> {
    let given = match header(&head.headers, "authorization") {
        Some(authorization) => in_header(&head.headers, &authorization)?,
        None if query.iter().any(|(name, _)| name == "X-Amz-Signature") => in_query(query)?,
        None => return Err(Refusal::of("AccessDenied")),
    };
    let malformed = || Refusal::of("AuthorizationHeaderMalformed");
    let (access, scope) = given.credential.split_once('/').ok_or_else(malformed)?;
    let [day, region, "s3", "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return Err(malformed());
    };
    if access != keys.access {
        return Err(Refusal::of("InvalidAccessKeyId"));
    }
    check_date(&given, day, now, lies)?;
    if !given.signed_headers.split(';').any(|name| name == "host") {
        return Err(Refusal::of("SignatureDoesNotMatch"));
    }
    let canonical = canonical(head, query, &given);
    let text = format!("{ALGORITHM}\n{}\n{scope}\n{}", given.date, hex::encode(Sha256::digest(canonical)));
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{}", keys.secret).as_bytes());
    for part in [day, region, "s3", "aws4_request"] {
        key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
    }
    let is_right = hex::encode(hmac::sign(&key, text.as_bytes())) == given.signature;
    if !is_right && !lies.contains("s3-signature-unchecked") {
        return Err(Refusal::of("SignatureDoesNotMatch"));
    }
    let payload = match given.payload.as_str() {
        "UNSIGNED-PAYLOAD" => Payload::Unsigned,
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Payload::Chunks { is_signed: false },
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" | "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => {
            Payload::Chunks { is_signed: true }
        }
        hash if hash.len() == 64 => Payload::Whole(hash.to_owned()),
        _ => return Err(Refusal::of("InvalidArgument")),
    };
    let chain = Chain { key, date: given.date, scope: scope.to_owned(), previous: given.signature };
    Ok((payload, chain))
}

/// A header's values, joined and with single spaces, as they are signed.
pub(super) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).peekable();
    values.peek()?;
    let trimmed = values.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "));
    Some(trimmed.collect::<Vec<_>>().join(","))
}

fn in_header(headers: &HeaderMap, authorization: &str) -> Result<Given, Refusal> {
    let fields = authorization.strip_prefix(ALGORITHM).ok_or_else(|| {
        let message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
        Refusal::saying("InvalidRequest", message)
    })?;
    let field = |name: &str| {
        let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
        let found = fields.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned());
        found.ok_or_else(|| Refusal::of("AuthorizationHeaderMalformed"))
    };
    let absent = |name: &str| Refusal::saying("AccessDenied", format!("the request has no {name}"));
    Ok(Given {
        credential: field("Credential")?,
        signed_headers: field("SignedHeaders")?,
        signature: field("Signature")?,
        date: header(headers, "x-amz-date").ok_or_else(|| absent("x-amz-date"))?,
        expires: None,
        payload: header(headers, "x-amz-content-sha256").ok_or_else(|| absent("x-amz-content-sha256"))?,
    })
}

fn in_query(query: &[(String, String)]) -> Result<Given, Refusal> {
    let find = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let field = |name: &str| find(name).ok_or_else(|| Refusal::of("AccessDenied"));
    if field("X-Amz-Algorithm")? != ALGORITHM {
        return Err(Refusal::of("AccessDenied"));
    }
    let expires = field("X-Amz-Expires")?.parse().ok().filter(|expires| (0..=EXPIRES_MAX_S).contains(expires));
    Ok(Given {
        credential: field("X-Amz-Credential")?,
        signed_headers: field("X-Amz-SignedHeaders")?,
        signature: field("X-Amz-Signature")?,
        date: field("X-Amz-Date")?,
        expires: Some(expires.ok_or_else(|| Refusal::of("AccessDenied"))?),
        payload: find("X-Amz-Content-Sha256").unwrap_or_else(|| "UNSIGNED-PAYLOAD".into()),
    })
}

fn check_date(given: &Given, day: &str, now: Timestamp, lies: &BTreeSet<&'static str>) -> Result<(), Refusal> {
    let denied = || Refusal::of("AccessDenied");
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", &given.date).map_err(|_| denied())?;
    let date = date.to_zoned(TimeZone::UTC).map_err(|_| denied())?.timestamp();
    if !given.date.starts_with(day) {
        return Err(Refusal::of("SignatureDoesNotMatch"));
    }
    let age = now.duration_since(date);
    match given.expires {
        None if age.abs() > SKEW && !lies.contains("s3-skew-forgiven") => Err(Refusal::of("RequestTimeTooSkewed")),
        Some(_) if lies.contains("s3-expired-url") => Ok(()),
        Some(expires) if age < -SKEW || age.as_secs() > expires => {
            Err(Refusal::saying("AccessDenied", "Request has expired"))
        }
        _ => Ok(()),
    }
}

/// The canonical request.
fn canonical(head: &Parts, query: &[(String, String)], given: &Given) -> String {
    let path = escape::encode(&escape::decode(head.uri.path()), true);
    let pairs = query.iter().filter(|(name, _)| name != "X-Amz-Signature");
    let mut pairs: Vec<(String, String)> = pairs
        .map(|(name, value)| (escape::encode(name.as_bytes(), false), escape::encode(value.as_bytes(), false)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut text = format!("{}\n{path}\n{}\n", head.method, pairs.join("&"));
    for name in given.signed_headers.split(';') {
        // HTTP/2 has the host in its own place.
        let authority = || head.uri.authority().filter(|_| name == "host").map(ToString::to_string);
        let value = header(&head.headers, name).or_else(authority).unwrap_or_default();
        text.extend([name, ":", &value, "\n"]);
    }
    text + &format!("\n{}\n{}", given.signed_headers, given.payload)
}
