use super::sign::Covers;
use super::sort::{garbled, json, refused};
use super::{Oci, config};
use crate::{Error, Why};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use wire::{Answer, Call, Line, Repeat, Target};

/// Every call but those that move object bytes.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Bodies of up to 32 MiB over a slow line.
const BYTES_TIMEOUT: Duration = Duration::from_mins(10);
/// Oracle's largest page; what is smaller costs calls.
const PAGE_ITEMS: u32 = 1000;
/// A listing that does not end is a broken server's.
const PAGES_MAX: usize = 1000;

/// The services that are spoken to, each with a host of its own in every region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Instances, images, networks and their work requests.
    Core,
    Identity,
    ObjectStorage,
    Limits,
}

impl Service {
    /// Realm oc1. Source: endpoint templates of Oracle's Python SDK 2.189.0.
    fn host(self, region: &str) -> String {
        match self {
            Service::Core => format!("iaas.{region}.oraclecloud.com"),
            Service::Identity => format!("identity.{region}.oci.oraclecloud.com"),
            Service::ObjectStorage => format!("objectstorage.{region}.oraclecloud.com"),
            Service::Limits => format!("limits.{region}.oci.oraclecloud.com"),
        }
    }

    fn base_path(self) -> &'static str {
        match self {
            Service::Core | Service::Identity => "/20160918",
            Service::ObjectStorage => "",
            Service::Limits => "/20190729",
        }
    }
}

/// One request before it has a host, a date and a signature.
#[derive(Clone)]
pub(super) struct Ask<T> {
    pub name: &'static str,
    pub service: Service,
    pub method: Method,
    /// With its query, without the service's base path.
    pub path: String,
    pub body: Payload,
    pub headers: Vec<(&'static str, String)>,
    pub repeat: Repeat,
    pub read: fn(&'static str, &Answer) -> Result<T, Error>,
}

/// What a request carries.
#[derive(Clone)]
pub(super) enum Payload {
    None,
    Json(Bytes),
    /// Part of an object, which Oracle leaves out of the signature.
    Bytes(Bytes),
}

/// One page of a listing.
#[derive(Clone, Debug)]
pub(super) struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl<T: DeserializeOwned> Ask<T> {
    pub(super) fn get(name: &'static str, service: Service, path: String) -> Self {
        Ask::new(name, service, Method::GET, path, json)
    }

    /// POST that makes something: never sent twice without a look in between.
    pub(super) fn post(name: &'static str, service: Service, path: impl Into<String>, body: &Value) -> Self {
        let ask = Ask::new(name, service, Method::POST, path.into(), json);
        Ask { body: Payload::Json(body.to_string().into()), repeat: Repeat::Never, ..ask }
    }

    pub(super) fn put(name: &'static str, service: Service, path: String, body: &Value) -> Self {
        let ask = Ask::new(name, service, Method::PUT, path, json);
        Ask { body: Payload::Json(body.to_string().into()), ..ask }
    }
}

impl<T: DeserializeOwned> Ask<Page<T>> {
    /// A listing that answers with a bare JSON array. `query` pairs are escaped here.
    pub(super) fn list(name: &'static str, service: Service, path: &str, query: &[(&str, &str)]) -> Self {
        let pairs = query.iter().map(|(key, value)| format!("{key}={}&", escape(value)));
        let path = format!("{path}?{}limit={PAGE_ITEMS}", pairs.collect::<String>());
        Ask::new(name, service, Method::GET, path, page)
    }

    fn at_page(&self, token: &str) -> Self
    where
        T: Clone,
    {
        Ask { path: format!("{}&page={}", self.path, escape(token)), ..self.clone() }
    }
}

impl Ask<()> {
    /// DELETE, and whatever else answers nothing that matters.
    pub(super) fn plain(name: &'static str, service: Service, method: Method, path: String) -> Self {
        Ask::new(name, service, method, path, |_, _| Ok(()))
    }
}

impl<T> Ask<T> {
    pub(super) fn new(
        name: &'static str,
        service: Service,
        method: Method,
        path: String,
        read: fn(&'static str, &Answer) -> Result<T, Error>,
    ) -> Self {
        Ask { name, service, method, path, body: Payload::None, headers: Vec::new(), repeat: Repeat::Safe, read }
    }
}

fn page<T: DeserializeOwned>(call: &'static str, answer: &Answer) -> Result<Page<T>, Error> {
    let next = answer.header("opc-next-page").filter(|token| !token.is_empty()).map(str::to_owned);
    Ok(Page { items: json(call, answer)?, next })
}

impl Oci {
    /// The whole request, signed for `now`. Pure.
    pub(super) fn call<T: 'static>(&self, region: &str, now: Timestamp, ask: &Ask<T>) -> Result<Call<T, Error>, Error> {
        let unable =
            |message: &str| Error { call: ask.name, why: Why::Invalid, vendor_code: None, message: message.to_owned() };
        let (target, origin, prefix) = match &self.endpoint {
            Some(endpoint) => (endpoint.target.clone(), endpoint.origin.clone(), endpoint.prefix.as_str()),
            None if config::is_region(region) => {
                let host = ask.service.host(region);
                (Target::https(host.clone(), 443), format!("https://{host}"), "")
            }
            None => return Err(unable("this is no region")),
        };
        let path = format!("{prefix}{}{}", ask.service.base_path(), ask.path);
        let host = origin.split_once("://").map_or(origin.as_str(), |(_, host)| host);
        let is_write = matches!(ask.method, Method::POST | Method::PUT);
        let (covers, body) = match &ask.body {
            Payload::Json(json) => (Covers::Body(json), json.clone()),
            Payload::None if is_write => (Covers::Body(&[]), Bytes::new()),
            Payload::None => (Covers::Head, Bytes::new()),
            Payload::Bytes(bytes) => (Covers::Head, bytes.clone()),
        };
        let signed = self.signer.headers(&ask.method, &path, host, &covers, now);
        let mut headers = signed.ok_or_else(|| unable("the request cannot be signed"))?;
        if let Payload::Bytes(bytes) = &ask.body {
            headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        }
        for (name, value) in &ask.headers {
            let value = HeaderValue::from_str(value).map_err(|_| unable("a header's value is not text"))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let mut request = http::Request::new(body);
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = format!("{origin}{path}").parse().map_err(|_| unable("the path is no URL"))?;
        *request.headers_mut() = headers;
        let (name, read) = (ask.name, ask.read);
        let timeout = if matches!(ask.body, Payload::Bytes(_)) { BYTES_TIMEOUT } else { TIMEOUT };
        let read = move |answer: &Answer| refused(name, answer, now).and_then(|()| read(name, answer));
        Ok(Call { name, bucket: "oci", target, request, repeat: ask.repeat, timeout, read: Box::new(read) })
    }

    pub(super) async fn send<T: 'static>(&self, line: &Line, region: &str, ask: &Ask<T>) -> Result<T, Error> {
        line.send(self.call(region, line.time().now(), ask)?).await
    }

    /// All pages of a listing.
    pub(super) async fn all<T: DeserializeOwned + Clone + 'static>(
        &self,
        line: &Line,
        region: &str,
        ask: Ask<Page<T>>,
    ) -> Result<Vec<T>, Error> {
        let mut page = self.send(line, region, &ask).await?;
        let mut items = std::mem::take(&mut page.items);
        for _ in 1..PAGES_MAX {
            let Some(token) = page.next else { return Ok(items) };
            page = self.send(line, region, &ask.at_page(&token)).await?;
            items.append(&mut page.items);
        }
        let message = "the listing has no end".to_owned();
        Err(Error { call: ask.name, why: Why::Garbled, vendor_code: None, message })
    }
}

/// Percent-encodes all but unreserved characters, as Oracle's SDKs do for object names and queries.
pub(super) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Reads a header that an answer must have.
pub(super) fn header(call: &'static str, answer: &Answer, name: &str) -> Result<String, Error> {
    let missing = || garbled(call, answer, format!("the answer has no {name} header"));
    answer.header(name).map(str::to_owned).ok_or_else(missing)
}
