//! A request to the API server: who asks, for what, and the answer.

use super::auth::{User, verb};
use super::objects::{Deletion, Patch, Writer};
use super::refusal::Refusal;
use super::resource::{Place, Resource, find, has_group};
use super::select::Selector;
use super::store::Key;
use super::watch::{self, Subject, Wish};
use super::{Cluster, ClusterId, cluster, cluster_mut, discovery, evict, list, workloads};
use crate::net::Peer;
use crate::world::World;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
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
    let user = User::of(head.extensions.get::<Peer>())?;
    let path = head.uri.path().to_owned();
    let Some(place) = Place::of(&path).filter(|place| has_group(place.group, place.version)) else {
        return itself(world, id, &user, &head.method, &path).await;
    };
    let resource = find(place.group, place.version, place.plural).ok_or_else(Refusal::no_such_resource)?;
    let query = Query::of(head.uri.query().unwrap_or_default());
    let verb = verb(&head.method, &place, query.is("watch")).ok_or_else(Refusal::method_not_allowed)?;
    user.may(verb, resource, &place)?;
    accepts_json(&head)?;
    let body = axum::body::to_bytes(body, BODY_LIMIT_BYTES).await.map_err(|_| Refusal::too_large())?;
    wait_for_etcd(world, id).await?;
    let ask = Ask { resource, place, query, head: &head, body };
    world.with(|state| {
        let before = cluster(state, id).map(|cluster| cluster.store.revision());
        let cluster = cluster_mut(state, id).ok_or_else(Refusal::no_such_resource)?;
        let response = ask.run(world, id, cluster, verb);
        if cluster_mut(state, id).map(|cluster| cluster.store.revision()) != before {
            workloads::wake(world, state, id);
        }
        response
    })
}

/// What the server says of itself.
async fn itself(world: &World, id: ClusterId, user: &User, method: &Method, path: &str) -> Result<Response, Refusal> {
    user.may_get(path)?;
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Refusal::method_not_allowed());
    }
    if discovery::is_health(path) {
        return Ok(match wait_for_etcd(world, id).await {
            Ok(()) => "ok".into_response(),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, discovery::unhealthy(path)).into_response(),
        });
    }
    if path == "/version" {
        let version = world.with(|state| cluster(state, id).map(|cluster| cluster.version.clone()));
        return Ok(axum::Json(discovery::version(&version.unwrap_or_default())).into_response());
    }
    match discovery::document(path) {
        Some(document) => Ok(axum::Json(document).into_response()),
        None => Ok((StatusCode::NOT_FOUND, "404 page not found\n").into_response()),
    }
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
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    fn of(text: &str) -> Self {
        let mut all = BTreeMap::new();
        let uri = format!("/?{text}");
        let parsed =
            uri.parse().ok().and_then(|uri| axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
        for (key, value) in parsed.map(|query| query.0).unwrap_or_default() {
            all.entry(key).or_insert(value);
        }
        Query(all)
    }

    /// The parameter, or empty.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    fn is(&self, name: &str) -> bool {
        matches!(self.text(name), "1" | "true")
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }
}

struct Ask<'a> {
    resource: &'static Resource,
    place: Place<'a>,
    query: Query,
    head: &'a Parts,
    body: Bytes,
}

impl Ask<'_> {
    fn run(&self, world: &World, id: ClusterId, cluster: &mut Cluster, verb: &str) -> Result<Response, Refusal> {
        let place = &self.place;
        if self.resource.namespaced && place.namespace.is_empty() && !place.name.is_empty() {
            return Err(Refusal::no_such_resource());
        }
        let key = Key::new(self.resource, place.namespace, place.name);
        let of_status = place.subresource == "status" && self.resource.status;
        let is_eviction = place.subresource == "eviction" && self.resource.plural == "pods";
        if !place.subresource.is_empty() && !of_status && !is_eviction {
            return Err(Refusal::no_such_resource());
        }
        let now = world.now();
        let dry_run = self.query.text("dryRun") == "All";
        match verb {
            "get" => {
                let found = cluster.store.get(&key);
                let found = found.ok_or_else(|| Refusal::not_found(self.resource, place.name))?;
                Ok(json_response(StatusCode::OK, &**found))
            }
            "list" => list::answer(&cluster.store, self.resource, place.namespace, &self.selector()?, &self.query),
            "watch" => self.watch(world, id, cluster),
            "create" if is_eviction => {
                let body = self.json_body()?;
                evict::evict(cluster, &key, &body, now, dry_run)?;
                Ok(json_response(StatusCode::CREATED, &success(self.resource, None)))
            }
            "create" => {
                let body = self.json_body()?;
                let mut writer = Writer { store: &mut cluster.store, now, dry_run };
                let made = writer.create(self.resource, place.namespace, body)?;
                Ok(json_response(StatusCode::CREATED, &*made))
            }
            "update" => {
                let body = self.json_body()?;
                let mut writer = Writer { store: &mut cluster.store, now, dry_run };
                Ok(json_response(StatusCode::OK, &*writer.update(&key, of_status, body)?))
            }
            "patch" => self.patch(cluster, &key, of_status, (now, dry_run)),
            "delete" => {
                let options = self.deletion()?;
                let mut writer = Writer { store: &mut cluster.store, now, dry_run };
                let (object, gone) = writer.delete(&key, &options)?;
                if gone && self.resource.plural != "pods" {
                    return Ok(json_response(StatusCode::OK, &success(self.resource, Some(&object))));
                }
                if !gone && !dry_run {
                    workloads::stopping(world, id, &key);
                }
                Ok(json_response(StatusCode::OK, &*object))
            }
            _ => self.delete_all(world, id, cluster, (now, dry_run)),
        }
    }

    fn selector(&self) -> Result<Selector, Refusal> {
        Selector::read(self.resource, self.query.text("labelSelector"), self.query.text("fieldSelector"))
    }

    fn watch(&self, world: &World, id: ClusterId, cluster: &Cluster) -> Result<Response, Refusal> {
        let initial_events = self.query.is("sendInitialEvents");
        if initial_events && self.query.text("resourceVersionMatch") != "NotOlderThan" {
            let message = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return Err(Refusal::bad_request(message));
        }
        let namespace = self.place.namespace.to_owned();
        let subject = Subject { resource: self.resource, namespace, selector: self.selector()? };
        // Without a wish of the client's, the server ends a watch after 30 to 60 minutes.
        let draw = || world.rng(&format!("watch {id} {}", self.resource.plural)).between(1800, 3600);
        let wish = Wish {
            revision: self.query.number("resourceVersion"),
            bookmarks: self.query.is("allowWatchBookmarks"),
            initial_events,
            timeout: Duration::from_secs(self.query.number("timeoutSeconds").filter(|at| *at > 0).unwrap_or_else(draw)),
        };
        let lines = watch::start(world, id, &cluster.store, subject, &wish);
        let head = [(header::CONTENT_TYPE, "application/json")];
        Ok((head, Body::from_stream(lines)).into_response())
    }

    fn patch(
        &self,
        cluster: &mut Cluster,
        key: &Key,
        of_status: bool,
        (now, dry_run): (jiff::Timestamp, bool),
    ) -> Result<Response, Refusal> {
        let kind = Patch::of(&self.content_type()).ok_or_else(|| Refusal::unsupported_media(Patch::TYPES))?;
        if kind == Patch::Apply && self.query.text("fieldManager").is_empty() {
            return Err(Refusal::bad_request(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ));
        }
        let patch = if kind == Patch::Apply { self.yaml()? } else { self.json()? };
        let mut writer = Writer { store: &mut cluster.store, now, dry_run };
        let (object, is_new) = writer.patch(key, of_status, kind, &patch)?;
        Ok(json_response(if is_new { StatusCode::CREATED } else { StatusCode::OK }, &*object))
    }

    fn delete_all(
        &self,
        world: &World,
        id: ClusterId,
        cluster: &mut Cluster,
        (now, dry_run): (jiff::Timestamp, bool),
    ) -> Result<Response, Refusal> {
        let (selector, options) = (self.selector()?, self.deletion()?);
        let listed = cluster.store.list(self.resource, self.place.namespace);
        let keys: Vec<Key> =
            listed.filter(|(_, object)| selector.matches(object)).map(|(key, _)| key.clone()).collect();
        let mut items = Vec::new();
        for key in keys {
            let mut writer = Writer { store: &mut cluster.store, now, dry_run };
            let (object, gone) = writer.delete(&key, &options)?;
            if !gone && !dry_run {
                workloads::stopping(world, id, &key);
            }
            items.push((*object).clone());
        }
        let list = list::wrap(self.resource, items, cluster.store.revision());
        Ok(json_response(StatusCode::OK, &list))
    }

    fn content_type(&self) -> String {
        let value = self.head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.unwrap_or("application/json").split(';').next().unwrap_or_default().trim().to_lowercase()
    }

    /// The body of a create or update.
    fn json_body(&self) -> Result<Value, Refusal> {
        match self.content_type().as_str() {
            "application/json" => self.json(),
            "application/yaml" => self.yaml(),
            _ => Err(Refusal::unsupported_media("application/json, application/yaml")),
        }
    }

    fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Refusal::bad_request(format!(
                "the object provided is unrecognized: couldn't get version/kind; json parse error: {error}"
            ))
        })
    }

    /// YAML, of which JSON is a part.
    fn yaml(&self) -> Result<Value, Refusal> {
        let text = std::str::from_utf8(&self.body).map_err(|error| Refusal::bad_request(error.to_string()))?;
        serde_saphyr::from_str(text).map_err(|error| Refusal::bad_request(format!("error decoding YAML: {error}")))
    }

    fn deletion(&self) -> Result<Deletion, Refusal> {
        let body = if self.body.is_empty() { json!({}) } else { self.json_body()? };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let in_query = self.query.text("gracePeriodSeconds").parse().ok();
        Ok(Deletion {
            grace_seconds: body["gracePeriodSeconds"].as_i64().or(in_query),
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
        })
    }
}

/// The `Status` of a deletion or eviction that went well.
fn success(resource: &Resource, object: Option<&Value>) -> Value {
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    match object {
        Some(object) => {
            let meta = &object["metadata"];
            let mut details = json!({"name": meta["name"], "kind": resource.plural, "uid": meta["uid"]});
            if !resource.group.is_empty() {
                details["group"] = resource.group.into();
            }
            status["details"] = details;
        }
        None => status["code"] = 201.into(),
    }
    status
}

pub(super) fn json_response(status: StatusCode, body: &impl serde::Serialize) -> Response {
    (status, axum::Json(body)).into_response()
}
