//! What the vendors' REST APIs have in common: where they are, how a request is put together, how JSON is read.

use crate::{Error, Why};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode, Uri};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use std::fmt::Write as _;
use std::time::Duration;
use wire::{Answer, Call, Repeat, Secret, Target};

/// How long a vendor may take over one exchange; their own clients wait between 30 and 60 seconds.
const TIMEOUT: Duration = Duration::from_mins(1);

/// One vendor's API: its address, our credential, and how its refusals are read.
#[derive(Clone)]
pub(crate) struct Rest {
    /// The rate bucket.
    bucket: &'static str,
    /// Without a slash at the end.
    base: String,
    target: Target,
    authorization: Option<HeaderValue>,
    refusal: fn(&'static str, &Answer) -> Error,
}

/// One request, before it has an address and a credential.
pub(crate) struct Ask {
    /// [`Call::name`].
    pub name: &'static str,
    pub method: Method,
    /// Below the base, with its query; built with [`query`] and [`escaped`].
    pub path: String,
    pub body: Content,
    pub repeat: Repeat,
}

/// A request's body.
pub(crate) enum Content {
    None,
    Json(serde_json::Value),
    Form(String),
}

impl Ask {
    pub fn get(name: &'static str, path: impl Into<String>) -> Self {
        Ask { name, method: Method::GET, path: path.into(), body: Content::None, repeat: Repeat::Safe }
    }

    pub fn delete(name: &'static str, path: impl Into<String>) -> Self {
        Ask { method: Method::DELETE, ..Ask::get(name, path) }
    }

    pub fn put(name: &'static str, path: impl Into<String>, body: serde_json::Value) -> Self {
        Ask { method: Method::PUT, body: Content::Json(body), ..Ask::get(name, path) }
    }

    /// A POST that makes something: never sent again when its outcome is unknown.
    pub fn create(name: &'static str, path: impl Into<String>, body: serde_json::Value) -> Self {
        Ask { method: Method::POST, body: Content::Json(body), repeat: Repeat::Never, ..Ask::get(name, path) }
    }

    /// A POST whose second time is the same as its first.
    pub fn act(name: &'static str, path: impl Into<String>, body: serde_json::Value) -> Self {
        Ask { repeat: Repeat::Safe, ..Ask::create(name, path, body) }
    }
}

impl Rest {
    /// `variable` is what users set the endpoint with; it is named when it is no URL.
    pub fn new(
        bucket: &'static str,
        variable: &'static str,
        endpoint: &Uri,
        refusal: fn(&'static str, &Answer) -> Error,
    ) -> Result<Self, Error> {
        let target = Target::of_uri(endpoint)
            .ok_or_else(|| refused(variable, Why::Invalid, format!("{endpoint} is no http or https address")))?;
        let base = endpoint.to_string().trim_end_matches('/').to_owned();
        Ok(Rest { bucket, base, target, authorization: None, refusal })
    }

    /// The same API, with this `Authorization` header. `variable` is named when the credential cannot stand in one.
    pub fn authorized(mut self, variable: &'static str, header: &Secret) -> Result<Self, Error> {
        let unusable = |_| refused(variable, Why::Unauthenticated, "it holds characters that no credential has".into());
        let mut value = HeaderValue::from_str(header.expose()).map_err(unusable)?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    /// A call whose answer is JSON.
    pub fn json<T: DeserializeOwned + 'static>(&self, ask: Ask) -> Result<Call<T, Error>, Error> {
        self.call(ask, parse)
    }

    /// A call of whose answer only success counts.
    pub fn unit(&self, ask: Ask) -> Result<Call<(), Error>, Error> {
        self.call(ask, |_, _| Ok(()))
    }

    /// A call; `read` gets its name and the answer of a success.
    pub fn call<T>(
        &self,
        ask: Ask,
        read: impl Fn(&'static str, &Answer) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<Call<T, Error>, Error> {
        let (name, refusal) = (ask.name, self.refusal);
        let mut request = http::Request::builder()
            .method(ask.method)
            .uri(format!("{}{}", self.base, ask.path))
            .header(ACCEPT, "application/json");
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let (kind, body) = match ask.body {
            Content::None => (None, Bytes::new()),
            Content::Json(value) => (Some("application/json"), value.to_string().into()),
            Content::Form(text) => (Some("application/x-www-form-urlencoded"), text.into()),
        };
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        let request = request.body(body).map_err(|error| refused(name, Why::Invalid, error.to_string()))?;
        Ok(Call {
            name,
            bucket: self.bucket,
            target: self.target.clone(),
            request,
            repeat: ask.repeat,
            timeout: TIMEOUT,
            read: Box::new(
                move |answer| {
                    if answer.status.is_success() { read(name, answer) } else { Err(refusal(name, answer)) }
                },
            ),
        })
    }
}

/// An error that no vendor's answer is behind.
pub(crate) fn refused(call: &'static str, why: Why, message: String) -> Error {
    Error { call, why, vendor_code: None, message }
}

/// The error of an answer that is not what the vendor's documents say. What was in it is not repeated: it may be a
/// secret.
pub(crate) fn garbled(call: &'static str, answer: &Answer, what: &str) -> Error {
    let kind = answer.header("content-type").unwrap_or("no content type");
    let message = format!("the answer cannot be read: {what} ({} bytes of {kind})", answer.body.len());
    Error { call, why: Why::Garbled, vendor_code: Some(answer.status.as_u16().to_string()), message }
}

/// Reads a whole answer as JSON.
pub(crate) fn parse<T: DeserializeOwned>(call: &'static str, answer: &Answer) -> Result<T, Error> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "JSON of another shape",
            serde_json::error::Category::Eof => "JSON that ends too early",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "no JSON",
        };
        garbled(call, answer, &format!("{what} at line {} column {}", error.line(), error.column()))
    })
}

/// What a bare HTTP status means, where the vendor's own code says no more.
pub(crate) fn why_of_status(answer: &Answer) -> Why {
    match answer.status {
        StatusCode::UNAUTHORIZED => Why::Unauthenticated,
        StatusCode::FORBIDDEN => Why::Forbidden,
        StatusCode::NOT_FOUND => Why::NotFound,
        StatusCode::CONFLICT | StatusCode::LOCKED => Why::Busy,
        StatusCode::TOO_MANY_REQUESTS => Why::TooFast(answer.retry_after()),
        StatusCode::REQUEST_TIMEOUT => Why::Trouble,
        status if status.is_server_error() => Why::Trouble,
        status if status.is_client_error() => Why::Invalid,
        // Neither success nor refusal: a redirect to a portal, an upgrade. No vendor here documents one.
        _ => Why::Garbled,
    }
}

/// The error of a refusal whose body says nothing that can be read (an edge's HTML page, an empty body).
pub(crate) fn silent_refusal(call: &'static str, answer: &Answer) -> Error {
    Error {
        call,
        why: why_of_status(answer),
        vendor_code: Some(answer.status.as_u16().to_string()),
        message: format!("refused without a reason that can be read ({} bytes)", answer.body.len()),
    }
}

/// A query or form from pairs, escaped; without the question mark.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={}", escaped(value))).collect();
    pairs.join("&")
}

/// Percent-encodes all but RFC 3986's unreserved characters, so that it can stand in a path or a query.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// For fields that vendors write as `null` where they mean nothing or an empty list.
pub(crate) fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An answer as a server might send it.
    pub(crate) fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: http::HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    /// Bodies that no vendor documents and every proxy sends some day.
    pub(crate) const GARBAGE: [&str; 8] = [
        "",
        "<html><body>502 Bad Gateway</body></html>",
        "{\"servers\": [{\"id\": 1",
        "null",
        "[]",
        "\"text\"",
        "{\"error\": 7, \"errors\": {}, \"message\": []}",
        "\u{0}\u{1}{",
    ];

    #[test]
    fn a_garbled_answer_names_the_call_and_repeats_nothing_of_the_body() {
        let error = parse::<u32>("vendor GET /things", &answer(200, "\"tskey-secret\"")).unwrap_err();
        assert_eq!(error.why, Why::Garbled);
        let shown = error.to_string();
        assert!(shown.starts_with("vendor GET /things: "), "{shown}");
        assert!(!shown.contains("tskey"), "{shown}");
    }

    #[test]
    fn an_endpoint_or_token_that_cannot_be_sent_is_named_by_its_variable() {
        let ftp = Uri::from_static("ftp://example.com/");
        let Err(error) = Rest::new("x", "X_ENDPOINT", &ftp, silent_refusal) else { panic!("taken") };
        assert_eq!((error.call, error.why), ("X_ENDPOINT", Why::Invalid));
        let rest = Rest::new("x", "X", &Uri::from_static("https://example.com/v1/"), silent_refusal).unwrap();
        let Err(error) = rest.authorized("X_TOKEN", &Secret::new("a\nb")) else { panic!("taken") };
        assert_eq!((error.call, error.why), ("X_TOKEN", Why::Unauthenticated));
    }

    #[test]
    fn a_credential_does_not_show_in_a_printed_request() {
        let rest = Rest::new("x", "X", &Uri::from_static("https://example.com/v1/"), silent_refusal).unwrap();
        let rest = rest.authorized("X_TOKEN", &Secret::new("Bearer hunter2")).unwrap();
        let call = rest.unit(Ask::get("x GET /a", "/a")).unwrap();
        assert_eq!(call.request.uri(), "https://example.com/v1/a");
        assert!(!format!("{:?}", call.request).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn any_text_can_stand_in_a_path(text in ".*") {
            let rest = Rest::new("x", "X", &Uri::from_static("https://example.com"), silent_refusal).unwrap();
            let path = format!("/{}?{}", escaped(&text), query(&[("q", &text)]));
            prop_assert!(rest.unit(Ask::get("x GET /", path)).is_ok());
        }
    }
}
