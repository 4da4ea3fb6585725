//! One call as a handler sees it: authenticated, with its query and body at hand.

use super::key::UserKey;
use super::region::Region;
use super::reply::{Answer, Refusal, document, with_header};
use super::signature;
use crate::world::World;
use axum::extract::{FromRequest, Request};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The largest body of a call that is not an upload.
const DETAILS_BYTES_MAX: usize = 1 << 20;
/// The largest object or part that is taken. In life 50 GiB.
const UPLOAD_BYTES_MAX: usize = 256 << 20;
/// The longest page, and the one that is sent when none is asked for.
const PAGE_MAX: usize = 1000;
const PAGE_DEFAULT: usize = 100;

/// Which region's services are called, in which world.
#[derive(Clone)]
pub(super) struct Site {
    pub world: World,
    pub region: &'static Region,
}

/// A call.
pub(super) struct Call {
    pub site: Site,
    pub head: Parts,
    pub body: Bytes,
    /// The account is suspended: limits are zero, and all else is refused before it gets here.
    pub suspended: bool,
    query: BTreeMap<String, String>,
    /// The world's.
    lies: BTreeSet<&'static str>,
}

impl FromRequest<Site> for Call {
    type Rejection = Refusal;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Refusal> {
        let mut call = Call::unsigned(request, site).await?;
        call.authenticate()?;
        if site.world.fault("oci", "suspended", "").is_some() {
            call.suspended = true;
            if !call.head.uri.path().starts_with("/20190729/") {
                return Err(Refusal::not_found());
            }
        }
        Ok(call)
    }
}

impl Call {
    /// Reads a call without asking who makes it.
    pub(super) async fn unsigned(request: Request, site: &Site) -> Result<Self, Refusal> {
        let (head, body) = request.into_parts();
        let limit = if is_upload(&head) { UPLOAD_BYTES_MAX } else { DETAILS_BYTES_MAX };
        let body = axum::body::to_bytes(body, limit).await.map_err(|_| {
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", "The request entity is too large.")
        })?;
        let query = axum::extract::Query::try_from_uri(&head.uri).map_err(|_| Refusal::unreadable())?.0;
        let lies = site.world.with(|state| state.lies.clone());
        Ok(Call { site: site.clone(), head, body, suspended: false, query, lies })
    }

    fn authenticate(&self) -> Result<(), Refusal> {
        let now = self.site.world.now();
        if self.site.world.fault("oci", "clock-skew", "").is_some() {
            let slow = now.checked_sub(SignedDuration::from_mins(6)).unwrap_or(now);
            return Err(signature::skewed(slow, now));
        }
        if !self.site.region.subscribed {
            return Err(Refusal::unauthenticated());
        }
        let key_id = self.site.world.with(|state| state.oci.key_id());
        let key = (key_id.as_str(), UserKey::get());
        signature::verify(&self.head, &self.body, is_upload(&self.head), key, now, &self.lies)
    }

    /// Whether the world tells this lie.
    pub(super) fn lies(&self, name: &'static str) -> bool {
        self.lies.contains(name)
    }

    /// A query parameter.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// A query parameter, or 400.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.query(name).filter(|value| !value.is_empty()).ok_or_else(|| Refusal::missing(name))
    }

    /// A header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The body, which may have only the fields in `known`: those of the vendor's published model of this call.
    pub(super) fn details<T: DeserializeOwned>(&self, known: &[&str]) -> Result<T, Refusal> {
        let value: Value = serde_json::from_slice(&self.body).map_err(|_| Refusal::unreadable())?;
        read(value, known)
    }

    /// Checks `if-match` against an etag.
    pub(super) fn check_match(&self, etag: &str) -> Result<(), Refusal> {
        match self.header("if-match") {
            Some(wanted) if wanted != "*" && wanted != etag && !self.lies("oci-etag-ignored") => {
                let message =
                    format!("The etag provided {wanted} does not match the current etag {etag} of the resource");
                Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "NoEtagMatch", message))
            }
            _ => Ok(()),
        }
    }

    /// One page of `all`, a bare array, with `opc-next-page` if there is more.
    pub(super) fn page(&self, all: Vec<Value>) -> Answer {
        let (page, next) = self.cut(all)?;
        Ok(with_next(document(&Value::Array(page)), next.as_deref()))
    }

    /// The page that is asked for, and the token of the next one.
    pub(super) fn cut(&self, all: Vec<Value>) -> Result<(Vec<Value>, Option<String>), Refusal> {
        let limit = match self.query("limit").map(str::parse::<usize>) {
            None => PAGE_DEFAULT,
            Some(Ok(limit)) if (1..=PAGE_MAX).contains(&limit) => limit,
            Some(_) => return Err(Refusal::invalid(format!("limit must be between 1 and {PAGE_MAX}"))),
        };
        let from = match self.query("page") {
            None => 0,
            Some(token) => offset(token).ok_or_else(|| Refusal::invalid("Invalid page token"))?,
        };
        let end = from.saturating_add(limit);
        let is_told = !self.lies("oci-pages-end-early");
        let from = if end < all.len() && self.lies("oci-page-repeats") { 0 } else { from };
        let next = (end < all.len() && is_told).then(|| URL_SAFE_NO_PAD.encode(format!("from {end}")));
        Ok((all.into_iter().skip(from).take(limit).collect(), next))
    }
}

fn offset(token: &str) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    std::str::from_utf8(&bytes).ok()?.strip_prefix("from ")?.parse().ok()
}

/// Adds the header that says that there is more.
pub(super) fn with_next(response: Response, next: Option<&str>) -> Response {
    match next {
        Some(token) => with_header(response, "opc-next-page", token),
        None => response,
    }
}

/// Reads a part of a body that may have only the fields in `known`.
pub(super) fn read<T: DeserializeOwned>(value: Value, known: &[&str]) -> Result<T, Refusal> {
    let Value::Object(fields) = &value else { return Err(Refusal::unreadable()) };
    if fields.keys().any(|name| !known.contains(&name.as_str())) {
        return Err(Refusal::unreadable());
    }
    serde_json::from_value(value).map_err(|_| Refusal::invalid("Unable to process JSON input"))
}

/// A field of a body that must be there.
pub(super) fn need<T>(field: Option<T>, name: &str) -> Result<T, Refusal> {
    field.ok_or_else(|| Refusal::missing(name))
}

/// PutObject and UploadPart.
fn is_upload(head: &Parts) -> bool {
    let mut segments = head.uri.path().split('/').skip(1);
    head.method == Method::PUT
        && matches!(segments.next(), Some("n" | "p"))
        && segments.any(|segment| matches!(segment, "o" | "u"))
}
