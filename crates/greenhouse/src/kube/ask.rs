//! What one request asks of one resource, and the answer.

use super::api::Query;
use super::deletion::Deletion;
use super::lies::Told;
use super::objects::{Caller, Patch, Writer};
use super::read::{self, Strictness};
use super::refusal::Refusal;
use super::resource::{Place, Resource};
use super::select::Selector;
use super::store::Key;
use super::subresources;
use super::validate::Fault;
use super::watch::{self, Subject, Wish};
use super::{Cluster, ClusterId, evict, list, protobuf, table, workloads};
use crate::world::World;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const BODIES: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// A request that may be answered.
pub(super) struct Ask<'a> {
    pub resource: &'static Resource,
    /// The revision that the server's memory of this resource begins with.
    pub since: u64,
    pub place: Place<'a>,
    pub query: Query,
    pub head: &'a Parts,
    pub body: Bytes,
    pub lies: Told,
}

impl Ask<'_> {
    pub(super) fn run(
        &self,
        world: &World,
        id: ClusterId,
        cluster: &mut Cluster,
        verb: &str,
    ) -> Result<Response, Refusal> {
        let (place, resource) = (&self.place, self.resource);
        let is_misplaced = resource.namespaced && place.namespace.is_empty() && !place.name.is_empty();
        if is_misplaced || !resource.namespaced && !place.namespace.is_empty() {
            return Err(Refusal::no_such_resource());
        }
        if !place.subresource.is_empty() && !subresources::has(resource, place.subresource) {
            return Err(if resource.custom.is_some() {
                Refusal::not_found(resource, place.name)
            } else {
                Refusal::no_such_resource()
            });
        }
        let key = Key::new(resource, place.namespace, place.name);
        let now = world.now();
        match (verb, place.subresource) {
            ("get", "" | "status") => {
                let found = cluster.store.get(&key);
                let found = found.ok_or_else(|| Refusal::not_found(resource, place.name))?;
                Ok(self.show(StatusCode::OK, found, now))
            }
            ("list", _) => {
                let selector = self.selector()?;
                let page = list::page(&cluster.store, resource, place.namespace, &selector, &self.query)?;
                Ok(self.show(StatusCode::OK, &page, now))
            }
            ("watch", _) => self.watch(world, id, cluster),
            ("create", "eviction") => {
                self.check_options("CreateOptions", false)?;
                let body = self.json_body()?;
                let asks = !self.lies.tells("kube-evicts-in-spite-of-budgets");
                evict::evict(cluster, &key, &body, now, self.dry_run(), asks)?;
                Ok(json_response(StatusCode::CREATED, &success(resource, None)))
            }
            ("create", "binding") => {
                let body = self.json_body()?;
                subresources::bind(&mut cluster.store, &key, &body, now)?;
                Ok(json_response(StatusCode::CREATED, &success(resource, None)))
            }
            ("create", "") => {
                self.check_options("CreateOptions", false)?;
                let body = self.json_body()?;
                let mut writer = self.writer(cluster, now, false);
                let made = writer.create(resource, place.namespace, &body, &self.duplicates());
                Ok(self.told(&writer, StatusCode::CREATED, made, now))
            }
            ("update", "finalize") if resource.plural == "namespaces" => {
                let body = self.json_body()?;
                let finalized = subresources::finalize(&mut cluster.store, &key, &body)?;
                Ok(json_response(StatusCode::OK, &finalized))
            }
            ("get" | "update" | "patch", "scale") => self.scale(cluster, &key, verb, now),
            ("update", _) => {
                self.check_options("UpdateOptions", false)?;
                let body = self.json_body()?;
                let mut writer = self.writer(cluster, now, false);
                let is_new = writer.store.get(&key).is_none();
                let made = writer.update(&key, place.subresource, &body, &self.duplicates());
                let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
                Ok(self.told(&writer, status, made, now))
            }
            ("patch", _) => self.patch(cluster, &key, now),
            ("delete", _) => self.delete(world, id, cluster, &key),
            ("deletecollection", _) => self.delete_all(world, id, cluster),
            _ => Err(Refusal::method_not_allowed()),
        }
    }

    fn dry_run(&self) -> bool {
        self.query.text("dryRun") == "All"
    }

    fn writer<'w>(&self, cluster: &'w mut Cluster, now: jiff::Timestamp, applies: bool) -> Writer<'w> {
        let agent = self.head.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let manager = match self.query.text("fieldManager") {
            "" => agent.split('/').next().unwrap_or_default(),
            named => named,
        };
        let strictness = match self.query.text("fieldValidation") {
            _ if applies => Strictness::Ignore,
            "Ignore" => Strictness::Ignore,
            "Strict" => Strictness::Strict,
            _ => Strictness::Warn,
        };
        let caller = Caller {
            manager: if manager.is_empty() { "unknown".into() } else { manager.to_owned() },
            strictness,
            force: self.query.is("force"),
            lies: self.lies.clone(),
        };
        Writer { store: &mut cluster.store, now, dry_run: self.dry_run(), caller, warnings: Vec::new() }
    }

    /// The parameters that writes share.
    fn check_options(&self, kind: &str, applies: bool) -> Result<(), Refusal> {
        let mut faults = Vec::new();
        let dry_run = self.query.text("dryRun");
        if kind == "PatchOptions" {
            if applies && self.query.text("fieldManager").is_empty() {
                faults.push(Fault::required("fieldManager", "is required for apply patch"));
            }
            if !applies && !self.query.text("force").is_empty() {
                faults.push(Fault::forbidden("force", "may not be specified for non-apply patch"));
            }
        }
        if self.query.text("fieldManager").len() > 128 {
            faults.push(Fault::too_long("fieldManager", "may not be more than 128 bytes"));
        }
        if !matches!(dry_run, "" | "All") {
            faults.push(Fault::unsupported("dryRun", &json!([dry_run]), &["All"]));
        }
        let validation = self.query.text("fieldValidation");
        let supported = ["", "Ignore", "Strict", "Warn"];
        if !supported.contains(&validation) {
            faults.push(Fault::unsupported("fieldValidation", &validation.into(), &supported));
        }
        if faults.is_empty() { Ok(()) } else { Err(Refusal::options(kind, &faults)) }
    }

    fn selector(&self) -> Result<Selector, Refusal> {
        let mut selector =
            Selector::read(self.resource, self.query.text("labelSelector"), self.query.text("fieldSelector"))?;
        if self.lies.tells("kube-selects-by-the-first-label") {
            selector.forget_all_but_the_first();
        }
        Ok(selector)
    }

    /// Shows what was read, as the client likes it.
    fn show(&self, status: StatusCode, found: &Value, now: jiff::Timestamp) -> Response {
        if table::is_wanted(&self.head.headers) {
            return json_response(status, &table::of(self.resource, found, now));
        }
        json_response(status, found)
    }

    /// Shows what was written, or why it was not, with the writer's warnings.
    fn told(
        &self,
        writer: &Writer<'_>,
        status: StatusCode,
        written: Result<Arc<Value>, Refusal>,
        now: jiff::Timestamp,
    ) -> Response {
        let mut response = match written {
            Ok(written) => self.show(status, &written, now),
            Err(refusal) => refusal.into_response(),
        };
        for warning in &writer.warnings {
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = HeaderValue::try_from(format!("299 - \"{quoted}\"")) {
                response.headers_mut().append(header::WARNING, value);
            }
        }
        response
    }

    fn watch(&self, world: &World, id: ClusterId, cluster: &Cluster) -> Result<Response, Refusal> {
        let initial_events = self.query.is("sendInitialEvents");
        let (version, match_kind) = (self.query.text("resourceVersion"), self.query.text("resourceVersionMatch"));
        watch::check(initial_events, version, match_kind)?;
        let namespace = self.place.namespace.to_owned();
        let subject = Subject {
            resource: self.resource,
            namespace,
            selector: self.selector()?,
            skips: self.lies.tells("kube-skips-an-event"),
            tables: table::is_wanted(&self.head.headers),
        };
        // Without a wish of the client's, the server ends a watch after 30 to 60 minutes.
        let draw = || world.rng(&format!("watch {id} {}", self.resource.plural)).between(1800, 3600);
        let wish = Wish {
            revision: version.parse().ok(),
            since: self.since,
            bookmarks: self.query.is("allowWatchBookmarks"),
            initial_events,
            timeout: Duration::from_secs(self.query.number("timeoutSeconds").filter(|at| *at > 0).unwrap_or_else(draw)),
        };
        let lines = watch::start(world, id, &cluster.store, subject, &wish);
        Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response())
    }

    fn patch(&self, cluster: &mut Cluster, key: &Key, now: jiff::Timestamp) -> Result<Response, Refusal> {
        let unsupported = || Refusal::unsupported_media(Patch::types(self.resource));
        let kind = Patch::of(&self.content_type()).ok_or_else(Refusal::unknown_patch)?;
        if kind == Patch::Strategic && self.resource.custom.is_some() {
            return Err(unsupported());
        }
        self.check_options("PatchOptions", kind == Patch::Apply)?;
        let patch = if kind == Patch::Apply { self.yaml()? } else { self.json()? };
        let mut writer = self.writer(cluster, now, kind == Patch::Apply);
        let (object, is_new) = match writer.patch(key, self.place.subresource, kind, &patch) {
            Ok((object, is_new)) => (Ok(object), is_new),
            Err(refusal) => (Err(refusal), false),
        };
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(self.told(&writer, status, object, now))
    }

    fn scale(&self, cluster: &mut Cluster, key: &Key, verb: &str, now: jiff::Timestamp) -> Result<Response, Refusal> {
        let mut writer = self.writer(cluster, now, false);
        let scale = subresources::scale(&*writer.current(key)?);
        if verb == "get" {
            return Ok(json_response(StatusCode::OK, &scale));
        }
        let mut wanted = scale;
        if verb == "update" {
            wanted = self.json_body()?;
        } else {
            super::patch::merge(&mut wanted, &self.json()?);
        }
        Ok(json_response(StatusCode::OK, &subresources::rescale(&mut writer, key, &wanted)?))
    }

    fn delete(&self, world: &World, id: ClusterId, cluster: &mut Cluster, key: &Key) -> Result<Response, Refusal> {
        let (options, dry_run) = self.deletion()?;
        if key.resource.plural == "namespaces" && matches!(key.name.as_str(), "default" | "kube-system" | "kube-public")
        {
            return Err(Refusal::forbidden(key.resource, &key.name, "this namespace may not be deleted"));
        }
        let mut writer = Writer { dry_run, ..self.writer(cluster, world.now(), false) };
        let (object, gone) = writer.delete(key, &options)?;
        if gone && !self.resource.shows_what_went() {
            return Ok(json_response(StatusCode::OK, &success(self.resource, Some(&object))));
        }
        if !gone && !dry_run && cluster.controlled {
            workloads::stopping(world, id, key);
        }
        Ok(json_response(StatusCode::OK, &*object))
    }

    fn delete_all(&self, world: &World, id: ClusterId, cluster: &mut Cluster) -> Result<Response, Refusal> {
        let (selector, (options, dry_run)) = (self.selector()?, self.deletion()?);
        let revision = cluster.store.revision();
        let listed = cluster.store.list(self.resource, self.place.namespace);
        let keys: Vec<Key> =
            listed.filter(|(_, object)| selector.matches(object)).map(|(key, _)| key.clone()).collect();
        let mut items = Vec::new();
        for key in keys {
            let mut writer = Writer { dry_run, ..self.writer(cluster, world.now(), false) };
            let (object, gone) = writer.delete(&key, &options)?;
            if !gone && !dry_run && cluster.controlled {
                workloads::stopping(world, id, &key);
            }
            items.push((*object).clone());
        }
        Ok(json_response(StatusCode::OK, &list::wrap(self.resource, items, revision)))
    }

    fn content_type(&self) -> String {
        let value = self.head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.unwrap_or("application/json").split(';').next().unwrap_or_default().trim().to_lowercase()
    }

    /// What the body says twice.
    fn duplicates(&self) -> Vec<String> {
        if self.content_type() == "application/json" { read::duplicates(&self.body) } else { Vec::new() }
    }

    /// The body of a create or update.
    fn json_body(&self) -> Result<Value, Refusal> {
        match self.content_type().as_str() {
            "application/json" => self.json(),
            "application/yaml" => self.yaml(),
            "application/vnd.kubernetes.protobuf" => protobuf::decode(&self.body).ok_or_else(|| {
                let message = "the body of the request was not valid protobuf of a kind that is known here";
                Refusal::bad_request(message)
            }),
            _ => Err(Refusal::unsupported_media(BODIES)),
        }
    }

    fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.body).map_err(|error| read::unreadable(self.resource, &self.body, &error))
    }

    /// YAML, of which JSON is a part.
    fn yaml(&self) -> Result<Value, Refusal> {
        let text = std::str::from_utf8(&self.body).map_err(|error| Refusal::bad_request(error.to_string()))?;
        serde_saphyr::from_str(text).map_err(|error| Refusal::bad_request(format!("error decoding YAML: {error}")))
    }

    /// The options of a deletion, and whether it is only tried: from the body if there is one, and else from the query.
    fn deletion(&self) -> Result<(Deletion, bool), Refusal> {
        let body = if self.body.is_empty() {
            json!({
                "gracePeriodSeconds": self.query.text("gracePeriodSeconds").parse::<i64>().ok(),
                "propagationPolicy": Some(self.query.text("propagationPolicy")).filter(|policy| !policy.is_empty()),
                "dryRun": [self.query.text("dryRun")],
            })
        } else {
            self.json_body()?
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let propagation = text(&body["propagationPolicy"]);
        if let Some(policy) =
            propagation.as_deref().filter(|policy| !matches!(*policy, "Foreground" | "Background" | "Orphan"))
        {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            let fault = Fault::unsupported("propagationPolicy", &policy.into(), &supported);
            return Err(Refusal::options("DeleteOptions", &[fault]));
        }
        let options = Deletion {
            grace_seconds: body["gracePeriodSeconds"].as_i64(),
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
            propagation,
        };
        let dry_run = body["dryRun"].as_array().is_some_and(|list| list.iter().any(|at| at == "All"));
        Ok((options, dry_run))
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

fn json_response(status: StatusCode, body: &impl serde::Serialize) -> Response {
    (status, axum::Json(body)).into_response()
}
