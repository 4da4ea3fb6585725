//! The COSI state: resources of the node, read only.

use super::super::proto::cosi::state_server::State as Resources;
use super::super::proto::cosi::{self as wire, EventType};
use super::super::proto::storage::storage_service_server::StorageService;
use super::super::proto::storage::{Disk, Disks, DisksResponse};
use super::super::{config, node};
use super::resources::{self, Definition};
use super::{Answers, Api, Caller};
use futures::stream::{self, StreamExt as _};
use std::collections::BTreeMap;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Resources for Api {
    type ListStream = Answers<wire::ListResponse>;
    type WatchStream = Answers<wire::WatchResponse>;

    async fn get(&self, request: Request<wire::GetRequest>) -> Result<Response<wire::GetResponse>, Status> {
        let asked = request.get_ref();
        let definition = self.allowed(&request, &asked.namespace, &asked.r#type)?;
        let all = self.look(|state| resources::list(state, self.boot.id, definition))?;
        let found = all.into_iter().find(|resource| id(resource) == asked.id);
        let found = found.ok_or_else(|| {
            Status::not_found(format!("resource {}({}/{}) doesn't exist", asked.r#type, asked.namespace, asked.id))
        })?;
        Ok(Response::new(wire::GetResponse { resource: Some(found) }))
    }

    async fn list(&self, request: Request<wire::ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let asked = request.get_ref();
        let definition = self.allowed(&request, &asked.namespace, &asked.r#type)?;
        let all = self.look(|state| resources::list(state, self.boot.id, definition))?;
        let all = all.into_iter().map(|resource| Ok(wire::ListResponse { resource: Some(resource) }));
        Ok(Response::new(stream::iter(all).boxed()))
    }

    async fn create(&self, _request: Request<wire::WriteRequest>) -> Result<Response<wire::WriteResponse>, Status> {
        Err(Status::permission_denied("write access is not allowed"))
    }

    async fn update(&self, _request: Request<wire::WriteRequest>) -> Result<Response<wire::WriteResponse>, Status> {
        Err(Status::permission_denied("write access is not allowed"))
    }

    async fn destroy(&self, _request: Request<wire::WriteRequest>) -> Result<Response<wire::WriteResponse>, Status> {
        Err(Status::permission_denied("write access is not allowed"))
    }

    async fn watch(&self, request: Request<wire::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let asked = request.get_ref();
        let definition = self.allowed(&request, &asked.namespace, &asked.r#type)?;
        let bootstrap = asked.options.is_some_and(|options| options.bootstrap_contents);
        Ok(Response::new(self.watch_stream(definition, asked.id.clone(), bootstrap)))
    }
}

fn id(resource: &wire::Resource) -> &str {
    resource.metadata.as_ref().map_or("", |metadata| &metadata.id)
}

type Seen = BTreeMap<String, wire::Resource>;

impl Api {
    /// The definition of a type, if this caller may read it there.
    fn allowed<T>(&self, request: &Request<T>, namespace: &str, kind: &str) -> Result<&'static Definition, Status> {
        let denied = |text: String| Err(Status::permission_denied(text));
        let minor = self.look(|state| node(state, self.boot.id).map_or(0, |node| config::minor(&node.system.talos)))?;
        let Some(definition) = resources::definition(kind, minor) else {
            return denied(format!("resource type {kind:?} is not supported"));
        };
        if !namespace.is_empty() && namespace != definition.namespace {
            return denied(format!("namespace {namespace:?} is not supported"));
        }
        let admin = request.extensions().get::<Caller>().is_some_and(|caller| caller.roles.is_admin());
        if definition.sensitive && !admin { denied("not authorized".into()) } else { Ok(definition) }
    }

    /// First an empty message, which clients wait for; then what is there; then what changes.
    fn watch_stream(
        &self,
        definition: &'static Definition,
        only: Option<String>,
        bootstrap: bool,
    ) -> Answers<wire::WatchResponse> {
        let hello = stream::iter([Ok(wire::WatchResponse::default())]);
        let start = (self.clone(), Option::<Seen>::None, false);
        let unflushed = self.boot.world.lies("talos-watch-unflushed");
        let changes = stream::unfold(start, move |(api, seen, over)| {
            let only = only.clone();
            async move {
                if over {
                    return None;
                }
                let found = api.boot.until(|state| {
                    let mut now = snapshot(state, &api, definition);
                    now.retain(|id, _| only.as_ref().is_none_or(|only| only == id));
                    let events = match &seen {
                        None => first(&now, definition, only.as_deref(), bootstrap, unflushed),
                        Some(before) => difference(before, &now),
                    };
                    (seen.is_none() || !events.is_empty()).then_some((events, now))
                });
                let Some((event, now)) = found.await else {
                    let reset = Status::unavailable("error reading from server: connection reset by peer");
                    return Some((Err(reset), (api, None, true)));
                };
                Some((Ok(wire::WatchResponse { event }), (api, Some(now), false)))
            }
        });
        hello.chain(changes).boxed()
    }
}

fn snapshot(state: &crate::world::State, api: &Api, definition: &'static Definition) -> Seen {
    let all = resources::list(state, api.boot.id, definition);
    all.into_iter().map(|resource| (id(&resource).to_owned(), resource)).collect()
}

fn event(kind: EventType, resource: Option<wire::Resource>, old: Option<wire::Resource>) -> wire::Event {
    wire::Event { resource, event_type: kind.into(), old }
}

/// By id: the resource as it is, or a tombstone. By kind: everything, if the contents were asked for.
/// `unflushed` is a lie: the end of the contents is never told.
fn first(
    now: &Seen,
    definition: &Definition,
    only: Option<&str>,
    bootstrap: bool,
    unflushed: bool,
) -> Vec<wire::Event> {
    if let Some(only) = only {
        let Some(resource) = now.get(only) else {
            let metadata = wire::Metadata {
                namespace: definition.namespace.into(),
                r#type: definition.kind.into(),
                id: only.to_owned(),
                version: "undefined".into(),
                phase: "running".into(),
                ..wire::Metadata::default()
            };
            let tombstone = wire::Resource { metadata: Some(metadata), spec: None };
            return vec![event(EventType::Destroyed, Some(tombstone), None)];
        };
        return vec![event(EventType::Created, Some(resource.clone()), None)];
    }
    if !bootstrap {
        return Vec::new();
    }
    let all = now.values().map(|resource| event(EventType::Created, Some(resource.clone()), None));
    all.chain((!unflushed).then(|| event(EventType::Bootstrapped, None, None))).collect()
}

fn difference(before: &Seen, now: &Seen) -> Vec<wire::Event> {
    let changed = now.iter().filter_map(|(id, resource)| match before.get(id) {
        None => Some(event(EventType::Created, Some(resource.clone()), None)),
        Some(old) if old.spec != resource.spec => {
            Some(event(EventType::Updated, Some(resource.clone()), Some(old.clone())))
        }
        Some(_) => None,
    });
    let gone = before.iter().filter(|(id, _)| !now.contains_key(*id));
    changed.chain(gone.map(|(_, old)| event(EventType::Destroyed, Some(old.clone()), None))).collect()
}

#[tonic::async_trait]
impl StorageService for Api {
    async fn disks(&self, _request: Request<()>) -> Result<Response<DisksResponse>, Status> {
        let size = self.look(|state| state.machines.get(&self.boot.id).map_or(0, |machine| machine.disk_gib << 30))?;
        let disk =
            Disk { size, model: "QEMU HARDDISK".into(), device_name: "/dev/sda".into(), r#type: 1, system_disk: true };
        let disks = Disks { metadata: None, disks: vec![disk] };
        Ok(Response::new(DisksResponse { messages: vec![disks] }))
    }
}
