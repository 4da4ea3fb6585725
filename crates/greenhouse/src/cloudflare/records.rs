//! `/zones/{zone}/dns_records`: one record at a time.

use super::api::{Answer, Failure, InZone, Page, success};
use super::filter;
use super::record::Record;
use super::zone::Zone;
use super::{Lies, State as Account};
use crate::world::World;
use axum::extract::{Path, Query, State};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The largest page that works (external-dns documents it).
const PAGE_MAX: usize = 5000;

/// One change to a zone.
pub(super) enum Change<'a> {
    Delete(&'a str),
    Patch(&'a str, &'a Value),
    Put(&'a str, &'a Value),
    Post(&'a Value),
}

impl Zone {
    /// Makes a change, or none at all; the result as the API shows it.
    fn change(&mut self, change: &Change<'_>, new_id: String, now: Timestamp, lies: &Lies) -> Result<Value, Failure> {
        match change {
            Change::Delete(id) => self.remove(id).map(|record| json!({"id": record.id})),
            Change::Patch(id, body) => {
                let old = self.record(id)?.clone();
                let new = Record::read(body, Some(&old), &self.name, old.id.clone(), now, lies)?;
                let shown = new.body();
                self.replace(new, lies).map(|()| shown)
            }
            Change::Put(id, body) => {
                let old = self.record(id)?.clone();
                let kept = Some(&old).filter(|_| lies.contains("cloudflare-put-merges"));
                let mut new = Record::read(body, kept, &self.name, old.id.clone(), now, lies)?;
                new.created = old.created;
                let shown = new.body();
                self.replace(new, lies).map(|()| shown)
            }
            Change::Post(body) => {
                let new = Record::read(body, None, &self.name, new_id, now, lies)?;
                let shown = new.body();
                self.insert(new, lies).map(|()| shown)
            }
        }
    }
}

/// Makes changes in order, all or none; their results, or the first error.
pub(super) async fn commit(world: &World, zone: &str, changes: &[Change<'_>]) -> Result<Vec<Value>, Failure> {
    // A write takes some tenths of a second in life.
    world.delay(Duration::from_millis(250)).await;
    world.with(|state| {
        let now = state.now();
        let ids: Vec<String> = changes.iter().map(|_| state.cloudflare.record_id()).collect();
        let (Account { zones, .. }, lies, faults) = (&mut state.cloudflare, &state.lies, &mut state.faults);
        let known = zones.iter_mut().find(|known| known.id == zone).ok_or_else(Failure::no_record)?;
        let mut copy = known.clone();
        let made = changes.iter().zip(ids).map(|(change, id)| copy.change(change, id, now, lies));
        let results = made.collect::<Result<Vec<_>, _>>();
        if results.is_ok() || lies.contains("cloudflare-batch-by-halves") {
            let before = std::mem::replace(known, copy);
            if let Some(seconds) = faults.strike("cloudflare", "stale", &before.name) {
                known.lag(before, now, seconds.parse().unwrap_or(30));
            }
        }
        let results = results?;
        for (change, shown) in changes.iter().zip(&results) {
            let word = match change {
                Change::Delete(_) => "deleted",
                Change::Post(_) => "created",
                Change::Patch(..) | Change::Put(..) => "changed",
            };
            let (kind, name) = (shown["type"].as_str().unwrap_or("record"), shown["name"].as_str().unwrap_or(""));
            state.note(format_args!("dns: {kind} {name} {word}"));
        }
        Ok(results)
    })
}

pub(super) fn read(body: &Bytes) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|_| Failure::bad(9207, "Request body is invalid."))
}

type Ids = Path<BTreeMap<String, String>>;

fn record_of(path: &Ids) -> &str {
    path.get("record").map_or("", String::as_str)
}

async fn one(world: &World, at: &InZone, change: Change<'_>) -> Answer {
    let results = commit(world, &at.zone, &[change]).await?;
    success(results.first().unwrap_or(&Value::Null))
}

pub(super) async fn list(
    State(world): State<World>,
    at: InZone,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    let found = world.with(|state| {
        let now = state.now();
        let zone = state.cloudflare.zones.iter().find(|zone| zone.id == at.zone);
        let records = zone.into_iter().flat_map(|zone| zone.listed(now).values());
        let mut records: Vec<&Record> = records.filter(|record| filter::fits(record, &query, &state.lies)).collect();
        records.sort_by(|a, b| filter::compare(a, b, &query));
        records.into_iter().map(Record::body).collect::<Vec<_>>()
    });
    let mut page = Page::read(&query, 100, PAGE_MAX);
    if world.lies("cloudflare-page-repeats") {
        page.number = 1;
    }
    let found =
        if world.lies("cloudflare-page-short") { found.split_last().map_or(&[][..], |it| it.1) } else { &found };
    page.answer(found)
}

pub(super) async fn show(State(world): State<World>, at: InZone, path: Ids) -> Answer {
    let shown = world.with(|state| {
        let zone = state.cloudflare.zones.iter().find(|zone| zone.id == at.zone).ok_or_else(Failure::no_record)?;
        zone.record(record_of(&path)).map(Record::body)
    });
    success(&shown?)
}

pub(super) async fn create(State(world): State<World>, at: InZone, body: Bytes) -> Answer {
    one(&world, &at, Change::Post(&read(&body)?)).await
}

pub(super) async fn patch(State(world): State<World>, at: InZone, path: Ids, body: Bytes) -> Answer {
    one(&world, &at, Change::Patch(record_of(&path), &read(&body)?)).await
}

pub(super) async fn put(State(world): State<World>, at: InZone, path: Ids, body: Bytes) -> Answer {
    one(&world, &at, Change::Put(record_of(&path), &read(&body)?)).await
}

pub(super) async fn delete(State(world): State<World>, at: InZone, path: Ids) -> Answer {
    let id = record_of(&path);
    let answer = one(&world, &at, Change::Delete(id)).await;
    if answer.is_err() && world.lies("cloudflare-deletes-twice") {
        return success(&json!({ "id": id }));
    }
    answer
}
