//! A request to the API server: who asks, for what, and whether that may be; [`ask`](super::ask) does it.

use super::ask::Ask;
use super::auth::{User, verb};
use super::lies::Told;
use super::refusal::Refusal;
use super::resource::Place;
use super::roles::{self, Wish};
use super::{ClusterId, cluster, cluster_mut, custom, discovery, openapi, review, workloads};
use crate::net::Peer;
use crate::world::World;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Method, StatusCode, header};
use std::collections::BTreeMap;
use std::time::Duration;

/// The largest body that the API server reads.
const BODY_LIMIT_BYTES: usize = 3 << 20;
/// How long the API server waits for an etcd that has no quorum: 5 s and two elections.
const ETCD_TIMEOUT: Duration = Duration::from_secs(7);

/// Answers a request.
pub(super) async fn answer(world: World, id: ClusterId, request: axum::extract::Request) -> Response {
    match served(&world, id, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn served(world: &World, id: ClusterId, request: axum::extract::Request) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let peer = head.extensions.get::<Peer>();
    let user = world.with(|state| User::of(peer, &head.headers, cluster(state, id), world.now()))?;
    let path = head.uri.path().to_owned();
    let Some(place) = Place::of(&path) else { return itself(world, id, &user, &head, &path).await };
    let lies = world.with(|state| Told(state.lies.clone()));
    let mut query = Query::of(head.uri.query().unwrap_or_default());
    query.repeats_pages = lies.tells("kube-repeats-a-page");
    let body = axum::body::to_bytes(body, BODY_LIMIT_BYTES).await.map_err(|_| Refusal::too_large())?;
    if place.plural.starts_with("selfsubject") {
        let agent = head.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let manager = agent.split('/').next().unwrap_or_default();
        return world.with(|state| {
            let store = &cluster(state, id).ok_or_else(Refusal::no_such_resource)?.store;
            review::answer(store, &user, &place, &body, (manager, world.now()))
        });
    }
    let verb = verb(&head.method, &place, query.is("watch"));
    let asked = verb.unwrap_or(match head.method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        _ => "get",
    });
    if !lies.tells("kube-lets-everybody-in") {
        world.with(|state| may(state, id, &user, asked, &place))?;
    }
    accepts_json(&head)?;
    wait_for_etcd(world, id).await?;
    world.with(|state| {
        let before = cluster(state, id).map(|cluster| cluster.store.revision());
        let cluster = cluster_mut(state, id).ok_or_else(Refusal::no_such_resource)?;
        if !cluster.has_group(place.group, place.version) {
            return Ok(no_page());
        }
        let (resource, since) =
            cluster.resource(place.group, place.version, place.plural).ok_or_else(Refusal::no_such_resource)?;
        let verb = verb.ok_or_else(Refusal::method_not_allowed)?;
        let ask = Ask { resource, since, place, query, head: &head, body, lies };
        let response = ask.run(world, id, cluster, verb);
        if resource.group == "apiextensions.k8s.io" {
            custom::settle(cluster, world.now());
        }
        if cluster_mut(state, id).map(|cluster| cluster.store.revision()) != before {
            workloads::wake(world, state, id);
        }
        response
    })
}

/// 403 where no role allows it.
fn may(state: &crate::world::State, id: ClusterId, user: &User, verb: &str, place: &Place<'_>) -> Result<(), Refusal> {
    let resource = match place.subresource {
        "" => place.plural.to_owned(),
        subresource => format!("{}/{subresource}", place.plural),
    };
    // A namespace is in itself.
    let namespace = if place.plural == "namespaces" && place.group.is_empty() { place.name } else { place.namespace };
    let wish = Wish { verb, group: place.group, resource: &resource, namespace, name: place.name };
    if cluster(state, id).is_some_and(|cluster| roles::allow(&cluster.store, user, wish)) {
        return Ok(());
    }
    let scope = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {namespace:?}")
    };
    let what =
        format!("User {:?} cannot {verb} resource {resource:?} in API group {:?} {scope}", user.name, place.group);
    Err(Refusal::forbidden_place(place, &what))
}

fn no_page() -> Response {
    let head = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (StatusCode::NOT_FOUND, head, "404 page not found\n").into_response()
}

/// What the server says of itself.
async fn itself(world: &World, id: ClusterId, user: &User, head: &Parts, path: &str) -> Result<Response, Refusal> {
    user.may_get(path)?;
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Err(Refusal::method_not_allowed());
    }
    if discovery::is_health(path) {
        return Ok(match wait_for_etcd(world, id).await {
            Ok(()) => "ok".into_response(),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, discovery::unhealthy(path)).into_response(),
        });
    }
    let accept = head.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    world.with(|state| {
        let cluster = cluster(state, id).ok_or_else(Refusal::no_such_resource)?;
        if path == "/version" {
            return Ok(axum::Json(discovery::version(&cluster.version)).into_response());
        }
        let resources = cluster.resources();
        if let Some(document) = discovery::aggregated(path, accept, &resources) {
            return Ok(([(header::CONTENT_TYPE, discovery::AGGREGATED)], document.to_string()).into_response());
        }
        if let Some(document) = openapi::document(path, &resources) {
            return Ok(axum::Json(document).into_response());
        }
        match discovery::document(path, &resources) {
            Some(document) => Ok(axum::Json(document).into_response()),
            None if discovery::is_version_of_a_group(path, &resources) => Err(Refusal::no_such_resource()),
            None => Ok(no_page()),
        }
    })
}

/// Without a quorum neither reads nor writes are answered: both end in the etcd client's timeout.
async fn wait_for_etcd(world: &World, id: ClusterId) -> Result<(), Refusal> {
    let is_there = || world.with(|state| cluster(state, id).is_some_and(|cluster| cluster.available));
    if is_there() {
        return Ok(());
    }
    world.delay(ETCD_TIMEOUT).await;
    if is_there() { Ok(()) } else { Err(Refusal::no_quorum()) }
}

fn accepts_json(head: &Parts) -> Result<(), Refusal> {
    let Some(accept) = head.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else { return Ok(()) };
    let is_json = |kind: &str| {
        matches!(kind.split(';').next().unwrap_or_default().trim(), "application/json" | "*/*" | "application/*")
    };
    if accept.is_empty() || accept.split(',').any(is_json) { Ok(()) } else { Err(Refusal::not_acceptable()) }
}

/// The parameters of a query string, decoded; the first of a name wins.
pub(super) struct Query {
    all: BTreeMap<String, String>,
    /// A lie: tokens lead back.
    pub repeats_pages: bool,
}

impl Query {
    fn of(text: &str) -> Self {
        let mut all = BTreeMap::new();
        let uri = format!("/?{text}");
        let parsed =
            uri.parse().ok().and_then(|uri| axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
        for (key, value) in parsed.map(|query| query.0).unwrap_or_default() {
            all.entry(key).or_insert(value);
        }
        Query { all, repeats_pages: false }
    }

    /// The parameter, or empty.
    pub(super) fn text(&self, name: &str) -> &str {
        self.all.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self.text(name), "1" | "true")
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }
}
