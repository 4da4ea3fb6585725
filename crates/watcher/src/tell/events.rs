//! Kubernetes Events: on an object what is wrong with it, on a node what was done to it.

use crate::face::Counters;
use crate::scene::{Complaint, ObjectRef};
use crate::status::{Happening, What};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use wire::Time;

/// Who says it.
const CONTROLLER: &str = "bouquet.dev/watcher";
/// Events of objects that belong to no namespace live there.
const OF_THE_CLUSTER: &str = "default";
/// What waits to be told; beyond that the oldest is forgotten.
const WAITING_MOST: usize = 64;
/// What was told and may be counted on.
const KNOWN_MOST: usize = 512;
/// Kubernetes' limit on a note, in bytes.
const NOTE_MOST: usize = 1024;
/// What goes on being repeated is counted on at most this often.
const COUNT_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// The API server's own memory of Events, by default.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// Between two calls: Events are never why the API server is slow.
const APART: Duration = Duration::from_millis(250);
/// After a call that failed.
const APART_FAILED: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is said, and of what: said again, it is the same Event with a count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Note {
    about: ObjectRef,
    reason: &'static str,
    action: &'static str,
    warning: bool,
    text: String,
}

/// How often a note was heard, and what Kubernetes knows of that.
#[derive(Clone, Debug)]
struct Heard {
    /// Name of the Event, once it is made.
    event: Option<String>,
    count: i32,
    first: Timestamp,
    last: Timestamp,
    told: Option<Timestamp>,
    waits: bool,
    /// Whether the Event has a series yet: that something comes again is news, that it came a third time is none.
    counted: bool,
}

/// Decides what is told and when; tells nothing.
#[derive(Debug, Default)]
struct Ledger {
    heard: BTreeMap<Note, Heard>,
    waiting: VecDeque<Note>,
    made: u64,
}

impl Ledger {
    /// How many notes were forgotten to make room.
    fn hear(&mut self, note: Note, now: Timestamp) -> u64 {
        self.heard.retain(|_, heard| now.duration_since(heard.last) < FORGOTTEN_AFTER);
        let new = Heard { event: None, count: 0, first: now, last: now, told: None, waits: false, counted: false };
        let heard = self.heard.entry(note.clone()).or_insert(new);
        heard.count = heard.count.saturating_add(1);
        heard.last = now;
        let is_due = heard.told.is_none_or(|told| !heard.counted || now.duration_since(told) >= COUNT_EVERY);
        if is_due && !heard.waits {
            heard.waits = true;
            self.waiting.push_back(note);
        }
        self.make_room()
    }

    fn make_room(&mut self) -> u64 {
        let mut lost = 0;
        while self.waiting.len() > WAITING_MOST {
            if let Some(oldest) = self.waiting.pop_front() {
                self.heard.remove(&oldest);
                lost += 1;
            }
        }
        while self.heard.len() > KNOWN_MOST {
            let quiet = self.heard.iter().filter(|(_, heard)| !heard.waits);
            let Some(oldest) = quiet.min_by_key(|(_, heard)| heard.last).map(|(note, _)| note.clone()) else { break };
            self.heard.remove(&oldest);
        }
        lost
    }

    fn next(&mut self) -> Option<(Note, Heard)> {
        let note = self.waiting.pop_front()?;
        let heard = self.heard.get_mut(&note)?;
        heard.waits = false;
        let heard = heard.clone();
        Some((note, heard))
    }

    /// A name for a new Event: the object's, and what makes it unique.
    fn name(&mut self, about: &ObjectRef, now: Timestamp) -> String {
        const OBJECT_MOST: usize = 200;
        self.made += 1;
        let object = &about.name[..about.name.floor_char_boundary(OBJECT_MOST)];
        let object = object.trim_end_matches(|last: char| !last.is_ascii_alphanumeric());
        format!("{object}.{:x}-{:x}", now.as_microsecond(), self.made)
    }

    fn told(&mut self, note: &Note, event: String, now: Timestamp) {
        if let Some(heard) = self.heard.get_mut(note) {
            heard.counted = heard.event.is_some();
            heard.event = Some(event);
            heard.told = Some(now);
        }
    }

    /// Kubernetes has forgotten the Event: the next is a new one.
    fn gone(&mut self, note: &Note) {
        self.heard.remove(note);
    }
}

/// Tells Events. Clones share what waits; taking something in never waits.
#[derive(Clone)]
pub struct Events {
    pod: Arc<str>,
    time: Time,
    counters: Arc<Counters>,
    ledger: Arc<Mutex<Ledger>>,
    wake: Arc<Notify>,
}

impl Events {
    /// Told in the name of this pod.
    pub fn new(pod: &str, time: Time, counters: Arc<Counters>) -> Self {
        Events { pod: pod.into(), time, counters, ledger: Arc::default(), wake: Arc::default() }
    }

    /// Something cannot be served as written. To be said again for as long as it is so.
    pub fn complain(&self, complaint: &Complaint) {
        self.hear(Note {
            about: complaint.object.clone(),
            reason: complaint.reason,
            action: "Read",
            warning: true,
            text: complaint.message.clone(),
        });
    }

    /// Something was done to a node, or was not; what is about no node is not told here.
    pub fn happened(&self, happening: &Happening) {
        let (reason, action, warning) = match happening.what {
            What::Withdrawn => ("Withdrawn", "Withdraw", true),
            What::Restored => ("Restored", "Restore", false),
            What::Held => ("Held", "Hold", true),
            What::Names | What::Alert | What::Relief => return,
        };
        // Events on nodes bear the name in place of the unique id, as the kubelet's do: `kubectl describe node` looks for both.
        let about = ObjectRef {
            api_version: "v1".into(),
            kind: "Node".into(),
            namespace: String::new(),
            name: happening.subject.clone(),
            uid: happening.subject.clone(),
        };
        self.hear(Note { about, reason, action, warning, text: happening.text.clone() });
    }

    /// Tells what waits, for as long as it is polled.
    pub async fn run(&self, client: kube::Client) {
        loop {
            let Some((note, heard)) = self.with(Ledger::next) else {
                self.wake.notified().await;
                continue;
            };
            let told = self.time.within(TIMEOUT, self.tell(&client, &note, &heard)).await;
            let well = match told {
                Ok(Ok(())) => true,
                Ok(Err(kube::Error::Api(status))) if status.code == 404 && heard.event.is_some() => {
                    self.with(|ledger| ledger.gone(&note));
                    true
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, object = note.about.name, reason = note.reason, "an Event is not taken");
                    self.lost(&note)
                }
                Err(_) => self.lost(&note),
            };
            self.time.sleep(if well { APART } else { APART_FAILED }).await;
        }
    }

    fn lost(&self, note: &Note) -> bool {
        self.counters.events_lost(1);
        self.with(|ledger| ledger.gone(note));
        false
    }

    async fn tell(&self, client: &kube::Client, note: &Note, heard: &Heard) -> Result<(), kube::Error> {
        let namespace = if note.about.namespace.is_empty() { OF_THE_CLUSTER } else { &note.about.namespace };
        let events: Api<Event> = Api::namespaced(client.clone(), namespace);
        let now = self.time.now();
        let name = if let Some(name) = &heard.event {
            // What is counted on changes nothing but its series.
            let last = MicroTime(heard.last);
            let series = json!({"series": {"count": heard.count, "lastObservedTime": last}});
            events.patch(name, &PatchParams::default(), &Patch::Merge(series)).await?;
            name.clone()
        } else {
            let name = self.with(|ledger| ledger.name(&note.about, now));
            events.create(&PostParams::default(), &event(note, heard, &name, namespace, &self.pod)).await?;
            name
        };
        self.with(|ledger| ledger.told(note, name, now));
        Ok(())
    }

    fn hear(&self, note: Note) {
        let lost = self.with(|ledger| ledger.hear(note, self.time.now()));
        self.counters.events_lost(lost);
        self.wake.notify_one();
    }

    fn with<R>(&self, work: impl FnOnce(&mut Ledger) -> R) -> R {
        work(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn event(note: &Note, heard: &Heard, name: &str, namespace: &str, pod: &str) -> Event {
    let about = &note.about;
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Event {
        metadata: ObjectMeta { name: text(name), namespace: text(namespace), ..ObjectMeta::default() },
        action: text(note.action),
        event_time: Some(MicroTime(heard.first)),
        note: text(&note.text[..note.text.floor_char_boundary(NOTE_MOST)]),
        reason: text(note.reason),
        regarding: Some(ObjectReference {
            api_version: text(&about.api_version),
            kind: text(&about.kind),
            name: text(&about.name),
            namespace: text(&about.namespace),
            uid: text(&about.uid),
            ..ObjectReference::default()
        }),
        reporting_controller: text(CONTROLLER),
        reporting_instance: text(pod),
        type_: text(if note.warning { "Warning" } else { "Normal" }),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &str) -> Note {
        let about = ObjectRef { name: name.into(), ..ObjectRef::default() };
        Note { about, reason: "BadAnnotation", action: "Read", warning: true, text: "no".into() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_repeated_complaint_is_one_event_that_is_counted_on_at_once_and_then_each_five_minutes() {
        let mut ledger = Ledger::default();
        let mut calls = Vec::new();
        for second in (0..1_200).step_by(10) {
            assert_eq!(ledger.hear(note("shop"), at(second)), 0);
            if let Some((note, heard)) = ledger.next() {
                calls.push((second, heard.event.is_some(), heard.count));
                ledger.told(&note, "shop.1".into(), at(second));
            }
        }
        assert_eq!(calls, [(0, false, 1), (10, true, 2), (310, true, 32), (610, true, 62), (910, true, 92)]);
    }

    #[test]
    fn a_storm_is_bounded_and_the_newest_is_kept() {
        let mut ledger = Ledger::default();
        let lost: u64 = (0..10_000).map(|number| ledger.hear(note(&number.to_string()), at(0))).sum();
        assert_eq!(lost, 10_000 - WAITING_MOST as u64);
        assert_eq!((ledger.waiting.len(), ledger.heard.len()), (WAITING_MOST, WAITING_MOST));
        assert_eq!(ledger.waiting.back().map(|note| note.about.name.as_str()), Some("9999"));
        for second in 1..2_000 {
            ledger.hear(note(&second.to_string()), at(second));
            let (note, _) = ledger.next().unwrap();
            ledger.told(&note, "x".into(), at(second));
        }
        assert!(ledger.heard.len() <= KNOWN_MOST + 1);
    }

    #[test]
    fn an_events_name_is_one_that_kubernetes_takes() {
        let mut ledger = Ledger::default();
        let about = note(&format!("{}-b", "a".repeat(199))).about;
        let name = ledger.name(&about, at(1));
        assert_eq!(name, format!("{}.f4240-1", "a".repeat(199)));
        assert_ne!(ledger.name(&about, at(1)), name);
    }
}
