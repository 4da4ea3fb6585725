//! What etcd holds: objects by key, one revision counter, and the last events for those who watch.

use super::resource::Resource;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::watch;
use wire::Rng;

/// Events kept for watches that start in the past; an older start is refused as expired.
const EVENTS_KEPT: usize = 4096;

/// Where an object is.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub resource: &'static Resource,
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub(super) fn new(resource: &'static Resource, namespace: &str, name: &str) -> Self {
        Key { resource, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    fn path(&self) -> (&str, &str, &str, &str) {
        (self.resource.group, self.resource.plural, &self.namespace, &self.name)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.path() == other.path()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.path().cmp(&other.path())
    }
}

/// One change, with what was there before it and what after; a deletion's `after` is the object's last state.
#[derive(Clone)]
pub(super) struct Event {
    pub revision: u64,
    pub key: Key,
    pub before: Option<Arc<Value>>,
    pub after: Arc<Value>,
    pub deleted: bool,
}

pub(super) struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    revision: u64,
    events: VecDeque<Event>,
    /// Events up to here are forgotten.
    compacted: u64,
    changed: watch::Sender<u64>,
    rng: Rng,
}

impl Store {
    pub(super) fn new(rng: Rng) -> Self {
        let changed = watch::Sender::new(1);
        Store { objects: BTreeMap::new(), revision: 1, events: VecDeque::new(), compacted: 1, changed, rng }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Tells of each new revision.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// Objects of a resource in key order; an empty namespace means all of them.
    pub(super) fn list<'a>(
        &'a self,
        resource: &'static Resource,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let first = Key::new(resource, namespace, "");
        self.objects.range(first..).take_while(move |(key, _)| {
            key.resource.plural == resource.plural
                && key.resource.group == resource.group
                && (namespace.is_empty() || key.namespace == namespace)
        })
    }

    /// Everything there is.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.objects.iter()
    }

    pub(super) fn events_after(&self, revision: u64) -> impl Iterator<Item = &Event> {
        let first = self.events.partition_point(|event| event.revision <= revision);
        self.events.range(first..)
    }

    /// Gives a new object its identity, as every create does. It is not stored yet.
    pub(super) fn stamp(&mut self, key: &Key, object: &mut Value, now: Timestamp) {
        object["apiVersion"] = key.resource.api_version().into();
        object["kind"] = key.resource.kind.into();
        let uid = self.uid();
        let metadata = metadata(object);
        metadata["name"] = key.name.clone().into();
        if key.resource.namespaced {
            metadata["namespace"] = key.namespace.clone().into();
        }
        metadata["uid"] = uid.into();
        metadata["creationTimestamp"] = seconds(now).into();
        if key.resource.generation {
            metadata["generation"] = 1.into();
        }
    }

    /// What an object would be once stored, without its revision; `true`: nothing has changed.
    fn next(&self, key: &Key, mut object: Value) -> (Value, bool) {
        let Some(before) = self.objects.get(key) else { return (object, false) };
        metadata(&mut object)["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
        if **before == object {
            return (object, true);
        }
        if key.resource.generation && !same_wish(before, &object) {
            let generation = before["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
            metadata(&mut object)["generation"] = generation.into();
        }
        (object, false)
    }

    /// What an object would be once stored.
    pub(super) fn would_put(&self, key: &Key, object: Value) -> Value {
        self.next(key, object).0
    }

    /// Stores an object under a new revision. One that equals what is there changes nothing, not even the revision.
    pub(super) fn put(&mut self, key: &Key, object: Value) -> Arc<Value> {
        let (mut object, is_same) = self.next(key, object);
        let before = self.objects.get(key).cloned();
        if let Some(before) = before.clone().filter(|_| is_same) {
            return before;
        }
        self.revision += 1;
        metadata(&mut object)["resourceVersion"] = self.revision.to_string().into();
        let after = Arc::new(object);
        self.objects.insert(key.clone(), after.clone());
        self.record(Event { revision: self.revision, key: key.clone(), before, after: after.clone(), deleted: false });
        after
    }

    /// A resource's objects as they were at a revision that is not forgotten, in key order.
    pub(super) fn list_at(
        &self,
        resource: &'static Resource,
        namespace: &str,
        revision: u64,
    ) -> BTreeMap<Key, Arc<Value>> {
        let mut then: BTreeMap<Key, Arc<Value>> =
            self.list(resource, namespace).map(|(key, object)| (key.clone(), object.clone())).collect();
        let first = Key::new(resource, namespace, "");
        let later = self.events.iter().rev().take_while(|event| event.revision > revision);
        for event in later {
            let key = &event.key;
            let is_of = key.resource.plural == resource.plural && key.resource.group == resource.group;
            if !is_of || !namespace.is_empty() && key.namespace != first.namespace {
                continue;
            }
            match &event.before {
                Some(before) => drop(then.insert(key.clone(), before.clone())),
                None => drop(then.remove(key)),
            }
        }
        then
    }

    /// Takes an object out; its last state, at the revision of its deletion.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let before = self.objects.remove(key)?;
        self.revision += 1;
        let mut last = (*before).clone();
        metadata(&mut last)["resourceVersion"] = self.revision.to_string().into();
        let after = Arc::new(last);
        let event = Event {
            revision: self.revision,
            key: key.clone(),
            before: Some(before),
            after: after.clone(),
            deleted: true,
        };
        self.record(event);
        Some(after)
    }

    /// Forgets all events so far.
    pub(super) fn compact(&mut self) {
        self.events.clear();
        self.compacted = self.revision;
    }

    /// A number between two bounds, both included.
    pub(super) fn draw(&mut self, low: u64, high: u64) -> u64 {
        self.rng.between(low, high)
    }

    /// `len` characters of the alphabet that Kubernetes draws name suffixes from.
    pub(super) fn suffix(&mut self, len: usize) -> String {
        self.rng.text(b"bcdfghjklmnpqrstvwxz2456789", len)
    }

    fn uid(&mut self) -> String {
        let mut bytes: [u8; 16] = self.rng.bytes();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = hex::encode(bytes);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    fn record(&mut self, event: Event) {
        self.events.push_back(event);
        if self.events.len() > EVENTS_KEPT
            && let Some(oldest) = self.events.pop_front()
        {
            self.compacted = oldest.revision;
        }
        self.changed.send_replace(self.revision);
    }
}

/// A field of an object, made an object if the client sent something else there.
pub(super) fn child<'a>(object: &'a mut Value, field: &str) -> &'a mut Value {
    if !object.is_object() {
        *object = json!({});
    }
    let field = &mut object[field];
    if !field.is_object() {
        *field = json!({});
    }
    field
}

/// An object's metadata.
pub(super) fn metadata(object: &mut Value) -> &mut Value {
    child(object, "metadata")
}

/// Whether two states of an object want the same: all but metadata and status.
fn same_wish(left: &Value, right: &Value) -> bool {
    let wishes = |object: &Value| {
        let mut fields = object.as_object().cloned().unwrap_or_default();
        fields.remove("metadata");
        fields.remove("status");
        // Where a pod runs is no wish of its author's.
        if let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) {
            spec.remove("nodeName");
        }
        fields
    };
    wishes(left) == wishes(right)
}

/// `metav1.Time`: RFC 3339, whole seconds.
pub(super) fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `metav1.MicroTime`: RFC 3339, six digits.
pub(super) fn micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
