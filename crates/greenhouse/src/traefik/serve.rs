//! What happens to a request at an entry point.

use super::Serving;
use super::arguments::{Arguments, EntryPoint};
use super::routes::Route;
use crate::net::Peer;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wire::{Error, Target};

/// What holds between two machines only, and is not sent on (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHORIZATION,
];

/// An entry point as requests meet it.
struct Entry {
    serving: Serving,
    arguments: Arc<Arguments>,
    point: EntryPoint,
    tls: bool,
    pings: bool,
    /// Whose turn it is among a route's endpoints.
    turn: AtomicUsize,
}

/// What an entry point answers with.
pub(super) fn router(serving: &Serving, arguments: &Arc<Arguments>, name: &str, point: &EntryPoint) -> Router {
    let entry = Arc::new(Entry {
        serving: serving.clone(),
        arguments: arguments.clone(),
        point: point.clone(),
        tls: point.speaks_tls(name),
        pings: arguments.ping.as_deref() == Some(name),
        turn: AtomicUsize::new(0),
    });
    Router::new().fallback(move |request: Request| {
        let entry = entry.clone();
        async move { entry.answer(request).await }
    })
}

impl Entry {
    async fn answer(&self, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        if self.pings && path == "/ping" {
            let is_asked = self.serving.pod.term.is_asked();
            let status = if is_asked { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            return text(status, status.canonical_reason().unwrap_or_default());
        }
        let host = host_of(&request);
        if let Some(port) = self.arguments.redirection(&self.point) {
            return self.redirect(&request, &host, port);
        }
        let table = self.serving.table();
        match table.find(&host, &path, self.tls, self.point.tls).filter(|_| !self.has_lost_its_routes()) {
            None => text(StatusCode::NOT_FOUND, "404 page not found\n"),
            Some(route) => self.forward(route, request).await,
        }
    }

    /// A fault of the world's.
    fn has_lost_its_routes(&self) -> bool {
        let pod = &self.serving.pod;
        pod.doors.world().with(|state| state.faults.strike("node", "no-routes", &pod.node).is_some())
    }

    fn redirect(&self, request: &Request, host: &str, port: u16) -> Response {
        let place = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let authority = if port == 443 { host.to_owned() } else { format!("{host}:{port}") };
        let is_read = matches!(request.method().as_str(), "GET" | "HEAD");
        let status = match (self.point.permanent, is_read) {
            (true, true) => StatusCode::MOVED_PERMANENTLY,
            (true, false) => StatusCode::PERMANENT_REDIRECT,
            (false, true) => StatusCode::FOUND,
            (false, false) => StatusCode::TEMPORARY_REDIRECT,
        };
        let mut response = text(status, status.canonical_reason().unwrap_or_default());
        if let Ok(value) = HeaderValue::try_from(format!("https://{authority}{place}")) {
            response.headers_mut().insert(header::LOCATION, value);
        }
        response
    }

    /// To the next endpoint in turn, over the pod's own wire.
    async fn forward(&self, route: &Route, request: Request) -> Response {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed).checked_rem(route.endpoints.len());
        let Some((address, port)) = turn.and_then(|turn| route.endpoints.get(turn)) else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "no available server\n");
        };
        let client = request.extensions().get::<Peer>().map(|peer| peer.address);
        let (mut head, body) = request.into_parts();
        let host = head.headers.get(header::HOST).cloned();
        let host = host.or_else(|| HeaderValue::try_from(head.uri.authority()?.as_str()).ok());
        sent_on(&mut head.headers, host, client, self.tls);
        let place = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        head.uri = place.into();
        head.extensions = http::Extensions::new();
        let request = http::Request::from_parts(head, wire::Body::new(body));
        let target = Target::plain(address.to_string(), *port);
        match self.serving.pod.wire.call(&target, request).await {
            Ok(answer) => answer.map(Body::new),
            Err(Error::TimedOut(_)) => text(StatusCode::GATEWAY_TIMEOUT, "Gateway Timeout"),
            Err(_) => text(StatusCode::BAD_GATEWAY, "Bad Gateway"),
        }
    }
}

/// The name that a request is for, without its port.
fn host_of(request: &Request) -> String {
    let in_header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = in_header.or_else(|| request.uri().authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The headers as an endpoint sees them: what the client says of itself is not believed.
fn sent_on(headers: &mut HeaderMap, host: Option<HeaderValue>, client: Option<IpAddr>, tls: bool) {
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    let proto = if tls { "https" } else { "http" };
    headers.insert("x-forwarded-proto", HeaderValue::from_static(proto));
    headers.insert("x-forwarded-port", HeaderValue::from_static(if tls { "443" } else { "80" }));
    if let Some(host) = host {
        headers.insert("x-forwarded-host", host.clone());
        headers.insert(header::HOST, host);
    }
    if let Some(address) = client.and_then(|client| HeaderValue::try_from(client.to_string()).ok()) {
        headers.insert("x-forwarded-for", address.clone());
        headers.insert("x-real-ip", address);
    }
}

fn text(status: StatusCode, body: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}
