//! Deletions: what they ask for, and what holds an object.

use super::custom;
use super::refusal::Refusal;
use super::resource::Resource;
use super::store::{Key, metadata, seconds};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// What a deletion asks for: `DeleteOptions`, from the body or the query.
#[derive(Clone, Debug, Default)]
pub(super) struct Deletion {
    pub grace_seconds: Option<i64>,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    /// `Foreground`, `Background`, `Orphan`.
    pub propagation: Option<String>,
}

/// Namespaces are held by finalizers of their spec.
pub(super) fn is_held_by_its_spec(resource: &Resource, object: &Value) -> bool {
    resource.plural == "namespaces"
        && resource.group.is_empty()
        && object["spec"]["finalizers"].as_array().is_some_and(|list| !list.is_empty())
}

impl Deletion {
    /// Compares the preconditions.
    pub(super) fn check(&self, key: &Key, current: &Value) -> Result<(), Refusal> {
        let meta = &current["metadata"];
        if is_held_by_its_spec(key.resource, current)
            && let Some(uid) = self.uid.as_deref().filter(|uid| meta["uid"] != **uid)
        {
            let at = meta["uid"].as_str().unwrap_or_default();
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {at}");
            return Err(Refusal::conflict(key.resource, &key.name, &why));
        }
        for (wanted, at, field, end) in [
            (&self.uid, &meta["uid"], "UID", "deleted and then recreated"),
            (&self.resource_version, &meta["resourceVersion"], "ResourceVersion", "modified"),
        ] {
            if let Some(wanted) = wanted
                && at.as_str() != Some(wanted)
            {
                let at = at.as_str().unwrap_or_default();
                let why = format!(
                    "the {field} in the precondition ({wanted}) does not match the {field} in record ({at}). The object might have been {end}"
                );
                return Err(Refusal::precondition(key.resource, &key.name, &why));
            }
        }
        Ok(())
    }

    /// The object as it is while it goes; `None` if nothing holds it.
    pub(super) fn mark(&self, key: &Key, current: &Value, now: Timestamp) -> Option<Value> {
        // A namespace that goes is not asked twice.
        if is_held_by_its_spec(key.resource, current) && current["metadata"]["deletionTimestamp"].is_string() {
            return Some(current.clone());
        }
        let grace = self.grace(key.resource, current);
        let mut finalizers = current["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        self.propagate(&mut finalizers);
        // A definition that goes waits until its objects are gone.
        if key.resource.plural == "customresourcedefinitions" && !finalizers.iter().any(|at| at == custom::HOLD) {
            finalizers.push(custom::HOLD.into());
        }
        let held = !finalizers.is_empty() || is_held_by_its_spec(key.resource, current);
        if grace == 0 && !held {
            return None;
        }
        let mut marked = current.clone();
        let before = current["metadata"]["deletionGracePeriodSeconds"].as_i64();
        let is_going = current["metadata"]["deletionTimestamp"].is_string();
        if !is_going || before.is_some_and(|before| grace < before) {
            let begun =
                current["metadata"]["deletionTimestamp"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
            let from = match (begun, before) {
                (Some(end), Some(before)) => end.saturating_sub(SignedDuration::from_secs(before)).unwrap_or(now),
                _ => now,
            };
            let at = from.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(now);
            let meta = metadata(&mut marked);
            meta["deletionTimestamp"] = seconds(at).into();
            if !is_held_by_its_spec(key.resource, current) {
                meta["deletionGracePeriodSeconds"] = grace.into();
            }
            if let Some(generation) = meta["generation"].as_u64().filter(|_| !is_going) {
                meta["generation"] = (generation + 1).into();
            }
        }
        if !finalizers.is_empty() {
            metadata(&mut marked)["finalizers"] = finalizers.into();
        } else if let Some(fields) = metadata(&mut marked).as_object_mut() {
            fields.shift_remove("finalizers");
        }
        if is_held_by_its_spec(key.resource, current) {
            marked["status"] = json!({"phase": "Terminating"});
        }
        Some(marked)
    }

    /// A pod that goes is shown as it went; anything else as it was.
    pub(super) fn last(&self, key: &Key, current: &Value, now: Timestamp) -> Value {
        let mut last = current.clone();
        if key.resource.plural == "pods" && key.resource.group.is_empty() {
            let meta = metadata(&mut last);
            if !meta["deletionTimestamp"].is_string() {
                meta["deletionTimestamp"] = seconds(now).into();
                if let Some(generation) = meta["generation"].as_u64() {
                    meta["generation"] = (generation + 1).into();
                }
            }
            meta["deletionGracePeriodSeconds"] = 0.into();
        }
        last
    }

    /// Foreground deletion and orphaning are work of the garbage collector, which finalizers wait for.
    fn propagate(&self, finalizers: &mut Vec<Value>) {
        let Some(policy) = self.propagation.as_deref() else { return };
        let wanted = match policy {
            "Foreground" => Some("foregroundDeletion"),
            "Orphan" => Some("orphan"),
            _ => None,
        };
        finalizers.retain(|at| at != "foregroundDeletion" && at != "orphan");
        finalizers.extend(wanted.map(Value::from));
    }

    /// Seconds that an object has to end by itself: only pods on a node have something to end.
    fn grace(&self, resource: &Resource, current: &Value) -> i64 {
        let is_bound = current["spec"]["nodeName"].as_str().is_some_and(|name| !name.is_empty());
        let phase = current["status"]["phase"].as_str().unwrap_or_default();
        if resource.plural != "pods" || !is_bound || matches!(phase, "Succeeded" | "Failed") {
            return 0;
        }
        let own = current["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
        match self.grace_seconds.unwrap_or(own) {
            // A negative grace is the shortest there is.
            negative if negative < 0 => 1,
            grace => grace,
        }
    }
}
