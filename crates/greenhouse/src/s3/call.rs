//! A request whose sender is known: where it goes, and its body as it was meant.

use super::refusal::Refusal;
use super::signature::{self, Payload};
use super::{DOMAIN, Keys, LOCATIONS, checksum, chunks, escape};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method};
use jiff::Timestamp;
use md5::{Digest, Md5};
use sha2::Sha256;
use std::collections::BTreeSet;

/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 1024;

/// A request.
pub(super) struct Call {
    pub method: Method,
    /// Empty: the service itself.
    pub bucket: String,
    /// Empty: the bucket itself.
    pub key: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Header name and value of the checksum that came with the body.
    pub checksum: Option<(String, String)>,
    /// It came in chunks with a trailer.
    pub is_trailing: bool,
    /// The world's.
    pub lies: BTreeSet<&'static str>,
}

impl Call {
    pub(super) fn read(
        head: &Parts,
        body: &Bytes,
        keys: &Keys,
        now: Timestamp,
        lies: &BTreeSet<&'static str>,
    ) -> Result<Self, Refusal> {
        let query = escape::query(head.uri.query().unwrap_or_default());
        let (payload, chain) = signature::verify(head, &query, keys, now, lies)?;
        let mut trailers = Vec::new();
        let body = match payload {
            Payload::Unsigned => body.clone(),
            Payload::Whole(hash) if hash == hex::encode(Sha256::digest(body)) => body.clone(),
            Payload::Whole(_) if lies.contains("s3-digest-unchecked") => body.clone(),
            Payload::Whole(_) => return Err(Refusal::of("XAmzContentSHA256Mismatch")),
            Payload::Chunks { is_signed } => {
                let whole = chunks::decode(body, is_signed.then_some(chain))?;
                let declared = signature::header(&head.headers, "x-amz-decoded-content-length");
                let declared = declared.ok_or_else(|| Refusal::of("MissingContentLength"))?;
                if declared.parse() != Ok(whole.bytes.len()) {
                    return Err(Refusal::of("IncompleteBody"));
                }
                trailers = whole.trailers;
                whole.bytes
            }
        };
        let host = signature::header(&head.headers, "host");
        let host = host.or_else(|| head.uri.authority().map(ToString::to_string)).unwrap_or_default();
        let (bucket, key) = place(&host, head.uri.path())?;
        let checksum = given_checksum(&head.headers, &trailers);
        let is_trailing = !trailers.is_empty();
        let (method, headers) = (head.method.clone(), head.headers.clone());
        let lies = lies.clone();
        let call = Call { method, bucket, key, query, headers, body, checksum, is_trailing, lies };
        call.check_digests()?;
        Ok(call)
    }

    /// Whether the world tells this lie.
    pub(super) fn lies(&self, name: &'static str) -> bool {
        self.lies.contains(name)
    }

    /// A query parameter's value; of one without a value, the empty text.
    pub(super) fn query(&self, wanted: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    /// The same, empty taken for absent.
    pub(super) fn given(&self, wanted: &str) -> Option<&str> {
        self.query(wanted).filter(|value| !value.is_empty())
    }

    /// A number among the query parameters.
    pub(super) fn number(&self, wanted: &str) -> Result<Option<usize>, Refusal> {
        let number = self.given(wanted).map(str::parse).transpose();
        number.map_err(|_| Refusal::saying("InvalidArgument", format!("{wanted} is no number")))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as text.
    pub(super) fn text(&self) -> Result<&str, Refusal> {
        std::str::from_utf8(&self.body).map_err(|_| Refusal::of("MalformedXML"))
    }

    fn check_digests(&self) -> Result<(), Refusal> {
        if let Some(wanted) = self.header("content-md5") {
            let wanted = STANDARD.decode(wanted).ok().filter(|digest| digest.len() == 16);
            if wanted.ok_or_else(|| Refusal::of("InvalidDigest"))? != Md5::digest(&self.body).as_slice() {
                return Err(Refusal::of("BadDigest"));
            }
        }
        let Some((name, value)) = &self.checksum else { return Ok(()) };
        let made = name.strip_prefix("x-amz-checksum-").and_then(|kind| checksum::of(kind, &self.body));
        let is_right = made.is_none_or(|made| *value == STANDARD.encode(made));
        if is_right || self.lies("s3-checksum-unchecked") { Ok(()) } else { Err(Refusal::of("BadDigest")) }
    }
}

fn given_checksum(headers: &HeaderMap, trailers: &[(String, String)]) -> Option<(String, String)> {
    checksum::KINDS.iter().find_map(|kind| {
        let name = format!("x-amz-checksum-{kind}");
        let trailing = trailers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let value = signature::header(headers, &name).or(trailing)?;
        Some((name, value))
    })
}

/// Bucket and key, from the host's name or from the path.
fn place(host: &str, path: &str) -> Result<(String, String), Refusal> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let of_host = LOCATIONS.iter().find_map(|location| name.strip_suffix(&format!(".{location}.{DOMAIN}")));
    let path = path.trim_start_matches('/');
    let (bucket, key) = match of_host {
        Some(bucket) => (bucket, path),
        None => path.split_once('/').unwrap_or((path, "")),
    };
    let text = |raw: &str| String::from_utf8(escape::decode(raw));
    let (Ok(bucket), Ok(key)) = (text(bucket), text(key)) else { return Err(Refusal::of("InvalidArgument")) };
    if key.len() > KEY_BYTES_MAX {
        return Err(Refusal::of("KeyTooLongError"));
    }
    Ok((bucket, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_by_the_host_or_by_the_path() {
        let at = |host: &str, path: &str| {
            let (bucket, key) = place(host, path).unwrap();
            [bucket, key].join(" ")
        };
        assert_eq!(at("nbg1.your-objectstorage.com", "/b/a/k%20ey"), "b a/k ey");
        assert_eq!(at("b.nbg1.your-objectstorage.com:443", "/a/k%2Fey"), "b a/k/ey");
        assert_eq!(at("127.0.0.1:4433", "/b"), "b ");
        assert_eq!(at("127.0.0.1:4433", "/"), " ");
        assert_eq!(place("h", &format!("/b/{}", "k".repeat(1025))), Err(Refusal::of("KeyTooLongError")));
    }
}
