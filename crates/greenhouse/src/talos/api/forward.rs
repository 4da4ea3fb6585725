//! apid's router: a call may be for another node (`node`) or for several (`nodes`).
//!
//! Works on bytes, whatever the method; `merge` makes one reply of many.

mod merge;

use super::super::boot::Boot;
use super::super::config::PemPair;
use super::super::{node, pki, ports, trust};
use super::roles::{Forwarded, Roles};
use crate::handshake;
use crate::net::From;
use axum::extract::Request;
use axum::response::Response;
use futures::future::join_all;
use http::HeaderValue;
use http_body_util::BodyExt as _;
use std::time::Duration;
use tonic::Status;
use wire::{Identity, Roots, Route, Target, Tls};

/// Where a call goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum To {
    Here,
    One(String),
    Many(Vec<String>),
}

/// Services whose replies can be merged.
const MERGED: &[&str] = &[
    "/machine.MachineService/",
    "/cluster.ClusterService/",
    "/inspect.InspectService/",
    "/storage.StorageService/",
    "/time.TimeService/",
];
/// Methods that answer with a stream: each message is one of many, not a list in one.
const STREAMED: &[&str] =
    &["Dmesg", "Events", "EtcdSnapshot", "Kubeconfig", "Logs", "Read", "HealthCheck", "Pull", "Upgrade"];

/// What the headers ask for (apid, `director.go`).
pub(super) fn destination(boot: &Boot, request: &Request, path: &str) -> Result<To, Status> {
    let headers = request.headers();
    if headers.contains_key("proxyfrom") {
        return Ok(To::Here);
    }
    let values = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok().map(str::to_owned)).collect()
    };
    let (one, many) = (values("node"), values("nodes"));
    if one.len() > 1 {
        return Err(Status::invalid_argument("node metadata must be single-valued"));
    }
    let (control_plane, own) = boot
        .with(|state| {
            let mut own: Vec<String> = ports::all_addresses(state, boot.id).iter().map(ToString::to_string).collect();
            own.extend(["127.0.0.1", "localhost"].map(str::to_owned));
            (node(state, boot.id).is_some_and(super::super::Node::is_control_plane), own)
        })
        .ok_or_else(|| Status::unavailable("connection reset"))?;
    if !control_plane {
        // No client certificate, no way to others.
        let asked: Vec<&String> = one.iter().chain(&many).collect();
        return match asked.as_slice() {
            [] => Ok(To::Here),
            [single] if own.contains(single) => Ok(To::Here),
            _ => Err(Status::permission_denied("no request forwarding")),
        };
    }
    if !many.is_empty() {
        if !MERGED.iter().any(|service| path.starts_with(service))
            || path.ends_with("Upgrade") && path.contains("Lifecycle")
        {
            let method = path.trim_start_matches('/');
            return Err(Status::invalid_argument(format!("one-2-many proxying is not supported for method {method}")));
        }
        return Ok(To::Many(many));
    }
    match one.into_iter().next() {
        Some(target) => Ok(To::One(target)),
        None => Ok(To::Here),
    }
}

/// Passes the call on.
pub(super) async fn send(boot: &Boot, request: Request, roles: &Roles, to: To) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Status::internal("broken request").into_http() };
    let body = body.to_bytes();
    let path = head.uri.path().to_owned();
    let call = |target: String| {
        let mut request = http::Request::new(wire::Body::from(body.clone()));
        request.method_mut().clone_from(&head.method);
        request.uri_mut().clone_from(&head.uri);
        request.headers_mut().clone_from(&head.headers);
        request.headers_mut().remove("node");
        request.headers_mut().remove("nodes");
        request.headers_mut().insert("proxyfrom", HeaderValue::from_static("apid"));
        request.extensions_mut().insert(Forwarded(roles.clone()));
        async move {
            let answer = dial(boot, &target, request).await;
            (target, answer)
        }
    };
    match to {
        To::Here => Status::internal("nothing to forward").into_http(),
        To::One(target) => match call(target).await.1 {
            Ok(answer) => answer.map(axum::body::Body::new),
            Err(status) => status.into_http(),
        },
        To::Many(targets) => {
            let streamed = path.rsplit('/').next().is_some_and(|method| STREAMED.contains(&method));
            let mut answers = join_all(targets.into_iter().map(call)).await;
            if boot.world.lies("talos-dead-silent") {
                answers.retain(|(_, answer)| answer.is_ok());
            }
            if boot.world.lies("talos-node-unnamed") {
                for (target, _) in &mut answers {
                    target.clear();
                }
            }
            merge::answers(answers, streamed)
        }
    }
}

/// To `target:50000` with this node's own client certificate, as `os:impersonator`.
async fn dial(
    boot: &Boot,
    target: &str,
    request: http::Request<wire::Body>,
) -> Result<http::Response<wire::Body>, Status> {
    if target.is_empty() || target.contains(':') && target.parse::<std::net::IpAddr>().is_err() {
        return Err(Status::internal(format!("invalid target {target:?}")));
    }
    let unavailable = |error: &dyn std::fmt::Display| Status::unavailable(format!("connection error: {error}"));
    let (ca, addresses) = boot
        .with(|state| {
            let ca = node(state, boot.id).and_then(|node| Some(node.complete()?.ca.clone()));
            (ca.unwrap_or_default(), trust::resolve(state, boot.id, target))
        })
        .ok_or_else(|| Status::unavailable("connection reset"))?;
    let address = addresses.first().ok_or_else(|| unavailable(&format_args!("lookup {target}: no such host")))?;
    let host = address.to_string();
    let connected = boot.world.connect(From::Machine(boot.id), Route::Direct, &host, 50_000).await;
    let (endpoint, mut peer) = connected.map_err(|error| unavailable(&error))?;
    let roots = Roots::Only(ca.crt.as_deref().map(pki::certificates).unwrap_or_default());
    let tls = Tls { server_name: host.clone(), roots, identity: impersonator(boot, &ca) };
    let there = Target { route: Route::Direct, host, port: 50_000, tls: Some(tls) };
    peer.certificates =
        handshake::check(&there, endpoint.tls.as_ref(), boot.world.now()).map_err(|error| unavailable(&error))?;
    boot.world.exchange(&endpoint, peer, request).await.map_err(|error| unavailable(&error))
}

fn impersonator(boot: &Boot, ca: &PemPair) -> Option<Identity> {
    let wanted = pki::Wanted {
        common_name: "apid",
        organization: Some("os:impersonator"),
        names: Vec::new(),
        addresses: Vec::new(),
        server: false,
        valid: Duration::from_hours(24),
    };
    let now = boot.world.now();
    let issued = pki::issue(ca, &wanted, &mut boot.world.rng(&format!("impersonator {}", boot.id)), now)?;
    Some(Identity::new(issued.chain, issued.key))
}
