//! Who asks, by client certificate or by a service account's token, and what that user may do.
//!
//! Talos starts its API servers with `--anonymous-auth=false`: without either everything is 401, health and version included.

use super::refusal::Refusal;
use super::resource::Place;
use super::{Cluster, tokens};
use crate::net::Peer;
use http::{HeaderMap, header};
use jiff::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Who a certificate says it is: CN and O.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct User {
    pub name: String,
    pub groups: Vec<String>,
}

impl User {
    /// Reads the leaf that the handshake has verified, or else the bearer's token; nobody is 401.
    pub(super) fn of(
        peer: Option<&Peer>,
        headers: &HeaderMap,
        cluster: Option<&Cluster>,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let leaf = peer.and_then(|peer| peer.certificates.as_ref()?.first());
        let bearer = || {
            let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
            let (scheme, token) = value.split_once(' ')?;
            tokens::holder(cluster?, token.trim(), now).filter(|_| scheme.eq_ignore_ascii_case("bearer"))
        };
        leaf.and_then(|der| Self::read(der)).or_else(bearer).ok_or_else(Refusal::unauthorized)
    }

    fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let groups = subject.iter_organization().filter_map(|group| group.as_str().ok().map(str::to_owned)).collect();
        Some(User { name, groups })
    }

    pub(super) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == "system:masters")
    }

    /// Health, version and discovery are open to whoever has authenticated, other paths to masters.
    pub(super) fn may_get(&self, path: &str) -> Result<(), Refusal> {
        const OPEN: &[&str] = &["/healthz", "/livez", "/readyz", "/version", "/api", "/apis", "/openapi"];
        let is_open = OPEN
            .iter()
            .any(|open| path.strip_prefix(open).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
        if is_open || self.is_master() {
            return Ok(());
        }
        Err(Refusal::forbidden_path(format!("forbidden: User {:?} cannot get path {path:?}", self.name)))
    }
}

/// The API's verb for a method at a place; `None`: not allowed there.
pub(super) fn verb(method: &http::Method, place: &Place<'_>, is_watch: bool) -> Option<&'static str> {
    let is_object = !place.name.is_empty();
    match (method.as_str(), is_object) {
        ("GET" | "HEAD", true) => Some("get"),
        ("GET" | "HEAD", false) if is_watch => Some("watch"),
        ("GET" | "HEAD", false) => Some("list"),
        ("POST", false) => Some("create"),
        ("POST", true) if !place.subresource.is_empty() => Some("create"),
        ("PUT", true) => Some("update"),
        ("PATCH", true) => Some("patch"),
        ("DELETE", true) => Some("delete"),
        ("DELETE", false) => Some("deletecollection"),
        _ => None,
    }
}
