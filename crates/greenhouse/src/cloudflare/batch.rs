//! `/dns_records/batch`: many changes as one transaction.

use super::api::{Answer, Failure, InZone, success};
use super::records::{Change, commit, read};
use crate::world::World;
use axum::extract::State;
use bytes::Bytes;
use serde_json::{Map, Value};

/// Changes in one call on the Free plan.
const CHANGES_MAX: usize = 200;
/// The order in which they are made.
const KINDS: [&str; 4] = ["deletes", "patches", "puts", "posts"];

pub(super) async fn run(State(world): State<World>, at: InZone, body: Bytes) -> Answer {
    let body = read(&body)?;
    let wrong = || Failure::bad(9207, "Request body is invalid.");
    let mut kinds = KINDS;
    if world.lies("cloudflare-batch-posts-first") {
        kinds.reverse();
    }
    let mut changes = Vec::new();
    let mut counts = Vec::new();
    for kind in kinds {
        let items = match body.get(kind) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(items)) => items.as_slice(),
            Some(_) => return Err(wrong()),
        };
        counts.push(items.len());
        for item in items {
            let id = || item.get("id").and_then(Value::as_str).ok_or_else(wrong);
            changes.push(match kind {
                "deletes" => Change::Delete(id()?),
                "patches" => Change::Patch(id()?, item),
                "puts" => Change::Put(id()?, item),
                _ => Change::Post(item),
            });
        }
    }
    if changes.is_empty() || changes.len() > CHANGES_MAX {
        let message = format!("A batch must hold between 1 and {CHANGES_MAX} changes.");
        return Err(Failure::bad(9207, &message));
    }
    let mut results = commit(&world, &at.zone, &changes).await?.into_iter();
    let shown = kinds
        .iter()
        .zip(counts)
        .map(|(kind, count)| ((*kind).to_owned(), results.by_ref().take(count).collect::<Value>()));
    success(&Value::Object(shown.collect::<Map<_, _>>()))
}
