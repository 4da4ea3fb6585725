//! Actions: what takes time, and how it ends.

use super::answer::{Answer, Refusal, ok};
use super::input::{Id, Query};
use super::{list, stamp};
use crate::world::{State as Everything, World};
use axum::extract::{Path, State as Handle};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// An action's number.
pub(super) type ActionId = u64;

/// One action.
pub(super) struct Action {
    id: ActionId,
    command: &'static str,
    started: Timestamp,
    finished: Option<Timestamp>,
    /// Percent.
    progress: u8,
    /// Type and id of what it is about.
    resources: Vec<(&'static str, u64)>,
    error: Option<(&'static str, &'static str)>,
}

impl Action {
    pub(super) fn json(&self) -> Value {
        let status = match (&self.error, self.finished) {
            (Some(_), _) => "error",
            (None, Some(_)) => "success",
            (None, None) => "running",
        };
        let resources = self.resources.iter().map(|(kind, id)| json!({"id": id, "type": kind}));
        json!({
            "id": self.id,
            "command": self.command,
            "status": status,
            "progress": self.progress,
            "started": stamp(self.started),
            "finished": self.finished.map(stamp),
            "resources": resources.collect::<Vec<_>>(),
            "error": self.error.map(|(code, message)| json!({"code": code, "message": message})),
        })
    }
}

/// Starts an action.
pub(super) fn begin(state: &mut Everything, command: &'static str, resources: &[(&'static str, u64)]) -> ActionId {
    let id = state.next_id();
    let (started, resources) = (state.now(), resources.to_vec());
    let action = Action { id, command, started, finished: None, progress: 0, resources, error: None };
    state.hetzner.actions.insert(id, action);
    id
}

/// An action that is over as soon as it is begun.
pub(super) fn instant(state: &mut Everything, command: &'static str, resources: &[(&'static str, u64)]) -> ActionId {
    let id = begin(state, command, resources);
    finish(state, id, Ok(()));
    id
}

/// Ends an action: well, or with a code and a message.
pub(super) fn finish(state: &mut Everything, id: ActionId, end: Result<(), (&'static str, &'static str)>) {
    let now = state.now();
    let (endless, fine) =
        (state.lies.contains("hetzner-snapshot-never-ends"), state.lies.contains("hetzner-failure-is-success"));
    if let Some(action) = state.hetzner.actions.get_mut(&id).filter(|it| !endless || it.command != "create_image") {
        action.finished = Some(now);
        action.progress = 100;
        action.error = end.err().filter(|_| !fine);
    }
}

/// Lets an action run for as long as `label` draws between the two bounds (milliseconds of life); its progress shows.
pub(super) async fn run(world: &World, id: ActionId, label: &str, low_ms: u64, high_ms: u64) {
    const STEPS: u32 = 4;
    let whole = Duration::from_millis(world.rng(label).between(low_ms, high_ms));
    for step in 1..=STEPS {
        world.delay(whole / STEPS).await;
        world.with(|state| {
            if let Some(action) = state.hetzner.actions.get_mut(&id) {
                action.progress = u8::try_from(step * 95 / STEPS).unwrap_or(95);
            }
        });
    }
}

/// An action as JSON; null if there is none of that number.
pub(super) fn shown(state: &Everything, id: ActionId) -> Value {
    state.hetzner.actions.get(&id).map_or(Value::Null, Action::json)
}

/// Several.
pub(super) fn all_shown(state: &Everything, ids: &[ActionId]) -> Vec<Value> {
    ids.iter().map(|id| shown(state, *id)).collect()
}

/// `GET /actions/{id}` and `GET /KIND/actions/{id}`.
pub(super) async fn read(Handle(world): Handle<World>, Id(id): Id) -> Answer {
    match world.with(|state| state.hetzner.actions.get(&id).map(Action::json)) {
        Some(action) => ok(json!({"action": action})),
        None => Err(Refusal::not_found("action", id)),
    }
}

/// `GET /actions?id=1&id=2`. Without ids it is gone since 2025-01-30.
pub(super) async fn several(Handle(world): Handle<World>, query: Query) -> Answer {
    let wanted: Vec<u64> = query.all("id").filter_map(|text| text.parse().ok()).collect();
    if wanted.is_empty() {
        return Err(Refusal::new(410, "deprecated_api_endpoint", "listing all actions is no longer possible")
            .with_details(json!({"announcement": "https://docs.hetzner.cloud/changelog"})));
    }
    let items = world.with(|state| {
        let found = wanted.iter().filter_map(|id| state.hetzner.actions.get(id));
        found.map(Action::json).collect()
    });
    list::page(&query, "actions", items, &["id", "command", "status", "started", "finished"])
}

const SORTS: &[&str] = &["id", "command", "status", "progress", "started", "finished"];
const STATUSES: &[&str] = &["running", "success", "error"];

/// `GET /KIND/{id}/actions` and, without an id, `GET /KIND/actions`, of one type of resource.
pub(super) fn of(world: &World, kind: &'static str, id: Option<u64>, query: &Query) -> Answer {
    let items = world.with(|state| {
        let is_about =
            |action: &&Action| action.resources.iter().any(|(of, on)| *of == kind && id.is_none_or(|id| id == *on));
        state.hetzner.actions.values().filter(is_about).map(Action::json).collect::<Vec<_>>()
    });
    let wanted = |item: &Value| query.wants("status", STATUSES, item["status"].as_str().unwrap_or_default());
    list::page(query, "actions", items.into_iter().filter(wanted).collect(), SORTS)
}

/// `GET /KIND/{id}/actions/{command}`, where the command is an action's number.
pub(super) async fn read_of(Handle(world): Handle<World>, Path((_, number)): Path<(String, String)>) -> Answer {
    let id = number.parse().map_err(|_| Refusal::new(404, "not_found", "endpoint not found"))?;
    read(Handle(world), Id(id)).await
}
