//! Watches: one JSON object a line, for as long as the client stays.

use super::refusal::Refusal;
use super::resource::Resource;
use super::select::Selector;
use super::store::{Event, Store};
use super::validate::Fault;
use super::{ClusterId, cluster, table};
use crate::world::World;
use bytes::Bytes;
use futures::Stream;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A bookmark follows the last one, or the last event, after about this long.
const BOOKMARK: SignedDuration = SignedDuration::from_secs(60);

/// What a watch is of.
#[derive(Clone)]
pub(super) struct Subject {
    pub resource: &'static Resource,
    /// Empty: every namespace.
    pub namespace: String,
    pub selector: Selector,
    /// A lie: every third event is kept back.
    pub skips: bool,
    /// Objects are shown as tables.
    pub tables: bool,
}

impl Subject {
    fn takes(&self, object: &Value) -> bool {
        let place = object["metadata"]["namespace"].as_str().unwrap_or_default();
        (self.namespace.is_empty() || place == self.namespace) && self.selector.matches(object)
    }

    /// The event as this watch sees it: an object may come into the selection, or leave it.
    fn seen(&self, event: &Event) -> Option<Value> {
        if event.key.resource.plural != self.resource.plural || event.key.resource.group != self.resource.group {
            return None;
        }
        let before = event.before.as_ref().is_some_and(|object| self.takes(object));
        let after = !event.deleted && self.takes(&event.after);
        let kind = match (before, after) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        let mut object = (*event.after).clone();
        // What leaves the selection is shown as it was within.
        if let (false, Some(before)) = (after || event.deleted, &event.before) {
            object = (**before).clone();
            object["metadata"]["resourceVersion"] = event.after["metadata"]["resourceVersion"].clone();
        }
        Some(json!({"type": kind, "object": object}))
    }
}

/// How a watch begins and what it wants.
pub(super) struct Wish {
    /// `None` or 0: with everything that is there.
    pub revision: Option<u64>,
    /// What was before, the server does not remember.
    pub since: u64,
    pub bookmarks: bool,
    /// `sendInitialEvents`: a list as events, closed by a marked bookmark.
    pub initial_events: bool,
    pub timeout: Duration,
}

struct Watcher {
    world: World,
    id: ClusterId,
    subject: Subject,
    bookmarks: bool,
    seen: u64,
    lines: VecDeque<Bytes>,
    changed: watch::Receiver<u64>,
    ends: Timestamp,
    next_bookmark: Timestamp,
    over: bool,
}

/// Whether a watch can begin so.
pub(super) fn check(initial_events: bool, version: &str, match_kind: &str) -> Result<(), Refusal> {
    let mut faults = Vec::new();
    if initial_events {
        if match_kind != "NotOlderThan" {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            faults.push(Fault::forbidden("resourceVersionMatch", detail));
            if !match_kind.is_empty() {
                faults.push(Fault::unsupported("resourceVersionMatch", &match_kind.into(), &["NotOlderThan"]));
            }
        }
    } else if !match_kind.is_empty() {
        let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        faults.push(Fault::forbidden("resourceVersionMatch", detail));
    }
    if !faults.is_empty() {
        return Err(Refusal::options("ListOptions", &faults));
    }
    if !version.is_empty() && version.parse::<u64>().is_err() {
        return Err(Refusal::unexpected(not_a_version(version)));
    }
    Ok(())
}

/// What is said of a resource version that is no number.
pub(super) fn not_a_version(version: &str) -> String {
    format!("resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax")
}

/// The lines of a watch.
pub(super) fn start(
    world: &World,
    id: ClusterId,
    store: &Store,
    subject: Subject,
    wish: &Wish,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + use<> {
    let now = world.now();
    let mut watcher = Watcher {
        world: world.clone(),
        id,
        seen: wish.revision.unwrap_or(0),
        lines: VecDeque::new(),
        changed: store.subscribe(),
        bookmarks: wish.bookmarks,
        ends: now.saturating_add(wish.timeout).unwrap_or(Timestamp::MAX),
        next_bookmark: now.saturating_add(BOOKMARK).unwrap_or(Timestamp::MAX),
        over: false,
        subject,
    };
    if watcher.seen == 0 || wish.initial_events {
        watcher.begin_with_all(store, wish.initial_events && wish.bookmarks);
    } else if watcher.seen < store.compacted().max(wish.since) {
        watcher.expire(store);
    }
    futures::stream::unfold(watcher, |mut watcher| async move {
        let line = watcher.next().await?;
        Some((Ok(line), watcher))
    })
}

impl Watcher {
    fn begin_with_all(&mut self, store: &Store, mark_end: bool) {
        let Subject { resource, namespace, selector, .. } = &self.subject;
        let present: Vec<Arc<Value>> = store
            .list(resource, namespace)
            .filter(|(_, object)| selector.matches(object))
            .map(|(_, object)| object.clone())
            .collect();
        for object in present {
            self.push(&json!({"type": "ADDED", "object": *object}));
        }
        self.seen = store.revision();
        if mark_end {
            self.bookmark(true);
        }
    }

    fn expire(&mut self, store: &Store) {
        let message = format!("too old resource version: {} ({})", self.seen, store.compacted());
        self.push(&json!({"type": "ERROR", "object": Refusal::expired(message).status()}));
        self.over = true;
    }

    fn push(&mut self, line: &Value) {
        let mut line = line.clone();
        if self.subject.tables && line["type"] != "ERROR" {
            line["object"] = table::of(self.subject.resource, &line["object"], self.world.now());
        }
        self.lines.push_back(Bytes::from(format!("{line}\n")));
    }

    fn bookmark(&mut self, ends_initial: bool) {
        let mut object = super::decode::empty(self.subject.resource.shape());
        object["kind"] = self.subject.resource.kind.into();
        object["apiVersion"] = self.subject.resource.api_version().into();
        object["metadata"] = json!({"resourceVersion": self.seen.to_string()});
        if ends_initial {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        self.push(&json!({"type": "BOOKMARK", "object": object}));
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            let now = self.world.now();
            if self.over || now >= self.ends {
                return None;
            }
            self.changed.mark_unchanged();
            self.take_events();
            if self.lines.is_empty() && self.bookmarks && now >= self.next_bookmark {
                self.bookmark(false);
            }
            if !self.lines.is_empty() {
                self.next_bookmark = now.saturating_add(BOOKMARK).unwrap_or(Timestamp::MAX);
                continue;
            }
            let wake = if self.bookmarks { self.ends.min(self.next_bookmark) } else { self.ends };
            let wait = Duration::try_from(wake.duration_since(now)).unwrap_or_default();
            tokio::select! {
                biased;
                changed = self.changed.changed() => if changed.is_err() { return None },
                () = self.world.time().sleep(wait) => {}
            }
        }
    }

    fn take_events(&mut self) {
        let (world, id) = (self.world.clone(), self.id);
        world.with(|state| {
            let Some(store) = cluster(state, id).map(|cluster| &cluster.store) else {
                self.over = true;
                return;
            };
            if self.seen < store.compacted() && self.seen > 0 {
                return self.expire(store);
            }
            let skips = |event: &Event| self.subject.skips && event.revision.is_multiple_of(3);
            let events = store.events_after(self.seen).filter(|event| !skips(event));
            let lines: Vec<Value> = events.filter_map(|event| self.subject.seen(event)).collect();
            self.seen = store.revision();
            for line in lines {
                self.push(&line);
            }
        });
    }
}
