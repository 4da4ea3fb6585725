//! Writing objects: what create, update, patch and apply do to the store, and what they refuse.

use super::deletion::Deletion;
use super::fields::Fields;
use super::owners::{self, Claim, Manager};
use super::patch;
use super::read::{self, Strictness};
use super::refusal::Refusal;
use super::resource::{Resource, find};
use super::store::{Key, Store, metadata};
use super::validate::{self, Fault};
use super::{decode, defaults, prepare};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// How a patch is to be understood, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patch {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl Patch {
    pub(super) fn of(content_type: &str) -> Option<Self> {
        match content_type {
            "application/json-patch+json" => Some(Patch::Json),
            "application/merge-patch+json" => Some(Patch::Merge),
            "application/strategic-merge-patch+json" => Some(Patch::Strategic),
            "application/apply-patch+yaml" => Some(Patch::Apply),
            _ => None,
        }
    }

    /// The types that a kind can be patched with: strategic patches need a built-in type.
    pub(super) fn types(resource: &Resource) -> &'static str {
        if resource.custom.is_some() {
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        } else {
            "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
             application/apply-patch+yaml"
        }
    }
}

/// Who writes, and how.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    /// The field manager.
    pub manager: String,
    pub strictness: Strictness,
    /// Apply over conflicts.
    pub force: bool,
    /// What to leave untrue; see `LIES`.
    pub lies: super::lies::Told,
}

/// The store, as one request sees it.
pub(super) struct Writer<'a> {
    pub store: &'a mut Store,
    pub now: Timestamp,
    /// `dryRun=All`: everything but the storing.
    pub dry_run: bool,
    pub caller: Caller,
    /// For the answer's headers.
    pub warnings: Vec<String>,
}

impl<'a> Writer<'a> {
    /// For a controller, which nobody asks for its manners.
    pub(super) fn of_controller(store: &'a mut Store, now: Timestamp) -> Self {
        Writer { store, now, dry_run: false, caller: Caller::default(), warnings: Vec::new() }
    }

    /// Creates an object whose body the client has sent. `namespace` is the path's.
    pub(super) fn create(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        body: &Value,
        duplicates: &[String],
    ) -> Result<Arc<Value>, Refusal> {
        let mut object = self.read(resource, body, duplicates)?;
        check_namespace(resource, namespace, &object)?;
        if let Some(meta) = metadata(&mut object).as_object_mut() {
            meta.shift_remove("deletionTimestamp");
            meta.shift_remove("deletionGracePeriodSeconds");
        }
        let empty = decode::empty(resource.shape());
        owners::updated(&empty, &mut object, &self.claim(resource, "", false));
        self.make(resource, namespace, object)
    }

    /// Gives a new object what the server gives it, and stores it.
    fn make(&mut self, resource: &'static Resource, namespace: &str, mut object: Value) -> Result<Arc<Value>, Refusal> {
        let meta = metadata(&mut object);
        if meta["resourceVersion"].as_str().is_some_and(|version| !version.is_empty() && version != "0") {
            return Err(Refusal::unexpected("resourceVersion should not be set on objects to be created"));
        }
        let name = match (meta["name"].as_str(), meta["generateName"].as_str()) {
            (Some(name), _) if !name.is_empty() => name.to_owned(),
            (_, Some(prefix)) if !prefix.is_empty() => {
                let suffix = if self.caller.lies.tells("kube-generates-one-name") {
                    "aaaaa".into()
                } else {
                    self.store.suffix(5)
                };
                format!("{prefix}{suffix}")
            }
            _ => String::new(),
        };
        self.check_namespace_lives(resource, namespace, &name)?;
        defaults::admit(resource, &mut object);
        if let Some(fields) = metadata(&mut object).as_object_mut() {
            for server_side in
                ["uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "selfLink", "generation"]
            {
                fields.shift_remove(server_side);
            }
            fields.shift_remove("deletionGracePeriodSeconds");
        }
        let key = Key::new(resource, namespace, &name);
        prepare::create(resource, &mut object, self.store);
        self.store.stamp(&key, &mut object, self.now);
        if name.is_empty()
            && let Some(fields) = metadata(&mut object).as_object_mut()
        {
            fields.shift_remove("name");
        }
        self.refuse(resource, &name, self.faults(resource, &object, None))?;
        if let Some(present) = self.store.get(&key) {
            let goes = present["metadata"]["deletionTimestamp"].is_string();
            return Err(if goes {
                Refusal::still_goes(resource, &name)
            } else {
                Refusal::already_exists(resource, &name)
            });
        }
        Ok(self.put(&key, object))
    }

    /// Replaces an object, or its status alone.
    pub(super) fn update(
        &mut self,
        key: &Key,
        subresource: &str,
        body: &Value,
        duplicates: &[String],
    ) -> Result<Arc<Value>, Refusal> {
        let mut object = self.read(key.resource, body, duplicates)?;
        check_identity(key, &object)?;
        if self.store.get(key).is_none() && subresource.is_empty() && key.resource.made_by_update() {
            let sent = object["metadata"]["uid"].as_str().unwrap_or_default();
            if !sent.is_empty() {
                return Err(Refusal::other_uid(key, sent, ""));
            }
            let empty = decode::empty(key.resource.shape());
            owners::updated(&empty, &mut object, &self.claim(key.resource, "", false));
            return self.make(key.resource, &key.namespace, object);
        }
        let current = self.current(key)?;
        let sent_version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        if sent_version.is_empty() && key.resource.custom.is_some() {
            let fault = Fault::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            return Err(Refusal::invalid_kind(key.resource.group, key.resource.plural, &key.name, &[fault]));
        }
        owners::updated(&current, &mut object, &self.claim(key.resource, subresource, false));
        self.replace(key, &current, subresource, object)
    }

    /// Patches an object, or its status alone. Apply creates what is not there; `true` if it did.
    pub(super) fn patch(
        &mut self,
        key: &Key,
        subresource: &str,
        kind: Patch,
        patch: &Value,
    ) -> Result<(Arc<Value>, bool), Refusal> {
        if kind == Patch::Apply {
            return self.apply(key, subresource, patch);
        }
        let current = self.current(key)?;
        let mut patched = (*current).clone();
        match kind {
            Patch::Merge => {
                if !patch.is_object() {
                    return Err(Refusal::bad_request(not_a_map(patch)));
                }
                patch::merge(&mut patched, patch);
            }
            Patch::Strategic => {
                if !patch.is_object() {
                    return Err(Refusal::bad_request(not_a_map(patch)));
                }
                patch::strategic(&mut patched, patch, key.resource.shape()).map_err(Refusal::unexpected)?;
            }
            _ => patch::json_patch(&mut patched, patch)?,
        }
        let mut object = self.read(key.resource, &patched, &[]).map_err(|refusal| {
            let refusal = if kind == Patch::Strategic { refusal.of_conversion() } else { refusal };
            refusal.of_patch(&patched)
        })?;
        check_identity(key, &object)?;
        owners::updated(&current, &mut object, &self.claim(key.resource, subresource, false));
        Ok((self.replace(key, &current, subresource, object)?, false))
    }

    fn apply(&mut self, key: &Key, subresource: &str, config: &Value) -> Result<(Arc<Value>, bool), Refusal> {
        let resource = key.resource;
        read::check_applied(resource, &key.name, config)?;
        check_identity(key, config)?;
        let shape = resource.shape();
        let existing = self.store.get(key).cloned();
        if existing.is_none() && !subresource.is_empty() {
            return Err(Refusal::not_found(resource, &key.name));
        }
        let mut config = config.clone();
        let named = config["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if let Some(problem) = super::typed::misfit(&config, shape, "") {
            let message = format!(
                "failed to create typed patch object ({}/{named}; {}/{}, Kind={}): {problem}",
                config["metadata"]["namespace"].as_str().unwrap_or_default(),
                resource.group,
                resource.version,
                resource.kind,
            );
            return Err(Refusal::unexpected(message));
        }
        if let Some(uid) = config["metadata"]["uid"].as_str().filter(|_| existing.is_none()) {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(Refusal::conflict(resource, &key.name, &why));
        }
        if existing.is_none() {
            metadata(&mut config)["name"] = key.name.clone().into();
        }
        let live = existing.clone().map_or_else(|| decode::empty(shape), |live| (*live).clone());
        let claim = self.claim(resource, subresource, true);
        let force = self.caller.force || self.caller.lies.tells("kube-hides-conflicts");
        let applied = owners::applied(&live, &config, force, &claim)?;
        let unconverted = |refusal: Refusal| {
            let place = format!("{}/{named}", config["metadata"]["namespace"].as_str().unwrap_or_default());
            let kind = format!("{}, Kind={}", resource.api_version(), resource.kind);
            let why = refusal.why_unhandled();
            Refusal::unexpected(format!(
                "failed to convert new object ({place}; {kind}) to proper version: unable to convert unstructured object to {kind}: {why}"
            ))
        };
        let mut object = self.read(resource, &applied, &[]).map_err(unconverted)?;
        // Defaults may have put back what the merge took away: then nothing has changed (upstream's
        // ignoreManagedFieldsTimestampsTransformer).
        if owners::differ_in_times_alone(&object, &live) {
            object = live.clone();
        }
        if self.caller.lies.tells("kube-forgets-appliers") {
            metadata(&mut object)["managedFields"] = live["metadata"]["managedFields"].clone();
        }
        match existing {
            Some(current) => Ok((self.replace(key, &current, subresource, object)?, false)),
            None => Ok((self.make(resource, &key.namespace, object)?, true)),
        }
    }

    /// Deletes an object, or begins to; see [`Deletion`]. `true`: it is gone.
    pub(super) fn delete(&mut self, key: &Key, options: &Deletion) -> Result<(Arc<Value>, bool), Refusal> {
        let current = self.current(key)?;
        options.check(key, &current)?;
        let marked = options.mark(key, &current, self.now);
        let Some(marked) = marked.filter(|_| !self.caller.lies.tells("kube-ignores-finalizers")) else {
            if self.dry_run {
                return Ok((current, true));
            }
            let mut last = options.last(key, &current, self.now);
            if let Some(removed) = self.store.remove(key).filter(|_| key.resource.shows_what_went()) {
                metadata(&mut last)["resourceVersion"] = removed["metadata"]["resourceVersion"].clone();
            }
            return Ok((Arc::new(last), true));
        };
        Ok((self.put(key, marked), false))
    }

    /// Stores a workload whose replicas have been changed by its scale.
    pub(super) fn store_scaled(&mut self, key: &Key, mut next: Value) -> Result<Arc<Value>, Refusal> {
        let current = self.current(key)?;
        let mut claim = self.claim(key.resource, "scale", false);
        claim.ignored = Fields::of_names(&[&["status"]]);
        owners::updated(&current, &mut next, &claim);
        self.replace(key, &current, "", next)
    }

    pub(super) fn current(&self, key: &Key) -> Result<Arc<Value>, Refusal> {
        self.store.get(key).cloned().ok_or_else(|| Refusal::not_found(key.resource, &key.name))
    }

    fn claim<'s>(&self, resource: &'s Resource, subresource: &str, applies: bool) -> Claim<'s> {
        let manager = Manager {
            name: self.caller.manager.clone(),
            applies,
            api_version: resource.api_version(),
            subresource: subresource.to_owned(),
        };
        // A scale's owner has no time.
        let now = (subresource != "scale").then_some(self.now);
        Claim { manager, shape: resource.shape(), ignored: ignored(resource, subresource), now }
    }

    fn read(&mut self, resource: &Resource, body: &Value, duplicates: &[String]) -> Result<Value, Refusal> {
        let (mut object, problems) = read::body(resource, body)?;
        let problems = duplicates.iter().map(|field| format!("duplicate field {field:?}")).chain(problems);
        let problems: Vec<String> = problems.collect();
        match self.caller.strictness {
            Strictness::Ignore => {}
            Strictness::Warn => self.warnings.extend(problems),
            Strictness::Strict if problems.is_empty() => {}
            Strictness::Strict => {
                return Err(read::unhandled(resource, &format!("strict decoding error: {}", problems.join(", "))));
            }
        }
        if !self.caller.lies.tells("kube-leaves-defaults-out") {
            defaults::fill(resource, &mut object);
        }
        Ok(object)
    }

    fn refuse(&self, resource: &Resource, name: &str, faults: Vec<Fault>) -> Result<(), Refusal> {
        if faults.is_empty() { Ok(()) } else { Err(Refusal::invalid(resource, name, &faults)) }
    }

    fn faults(&self, resource: &Resource, object: &Value, before: Option<&Value>) -> Vec<Fault> {
        let mut faults = validate::object(resource, object, before);
        if resource.custom.is_some() && before.is_some() {
            // The server looks at the metadata of a changed custom object three times, and tells of it three times.
            let once = faults.clone();
            faults.extend(once.iter().chain(&once).cloned());
        }
        faults.extend(self.misshapen(resource, object));
        faults
    }

    /// What of a custom object does not fit its schema.
    fn misshapen(&self, resource: &Resource, object: &Value) -> Vec<Fault> {
        let custom = resource.custom.filter(|_| !self.caller.lies.tells("kube-takes-any-shape"));
        custom.map(|custom| super::custom::validate(custom, object)).unwrap_or_default()
    }

    fn replace(&mut self, key: &Key, current: &Value, subresource: &str, object: Value) -> Result<Arc<Value>, Refusal> {
        let (resource, name) = (key.resource, &key.name);
        let mut next = if subresource.is_empty() {
            self.wish(resource, current, object)
        } else {
            status(resource, current, object)
        };
        let uid = next["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let known = current["metadata"]["uid"].as_str().unwrap_or_default();
        let version = next["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let is_stale = !version.is_empty() && Some(version) != current["metadata"]["resourceVersion"].as_str();
        if !uid.is_empty() && uid != known && (version.is_empty() || is_stale) {
            return Err(Refusal::other_uid(key, &uid, known));
        }
        if is_stale && !self.caller.lies.tells("kube-takes-stale-updates") {
            return Err(Refusal::modified(resource, name));
        }
        for field in [
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "name",
            "namespace",
            "selfLink",
        ] {
            keep(metadata(&mut next), &current["metadata"], field);
        }
        if uid.is_empty() {
            keep(metadata(&mut next), &current["metadata"], "uid");
        }
        next["apiVersion"] = resource.api_version().into();
        next["kind"] = resource.kind.into();
        if subresource.is_empty() {
            prepare::update(resource, current, &mut next, self.store);
            // A deployment's annotations are part of what is wanted: they go on to its replica sets.
            let notes = |object: &Value| object["metadata"]["annotations"].clone();
            if resource.plural == "deployments" && notes(current) != notes(&next) {
                let generation = current["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
                metadata(&mut next)["generation"] = generation.into();
            }
            self.refuse(resource, name, self.faults(resource, &next, Some(current)))?;
        } else {
            let faults = validate::status(resource, &next, current).into_iter().chain(self.misshapen(resource, &next));
            self.refuse(resource, name, faults.collect())?;
        }
        if self.is_over(key, current, &next) && !self.dry_run {
            // What is shown is the last state; its deletion has a revision of its own.
            self.store.remove(key);
            return Ok(Arc::new(next));
        }
        Ok(self.put(key, next))
    }

    /// The next state but for its status.
    fn wish(&self, resource: &Resource, current: &Value, mut object: Value) -> Value {
        if resource.status && !self.caller.lies.tells("kube-writes-status-with-the-rest") {
            keep(&mut object, current, "status");
        }
        object
    }

    /// Whether the last thing that held an object has let it go.
    fn is_over(&self, key: &Key, current: &Value, next: &Value) -> bool {
        let has = |object: &Value| object["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
        current["metadata"]["deletionTimestamp"].is_string()
            && has(current)
            && !has(next)
            && current["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
            && !super::deletion::is_held_by_its_spec(key.resource, next)
    }

    fn put(&mut self, key: &Key, object: Value) -> Arc<Value> {
        if self.dry_run && !self.caller.lies.tells("kube-persists-dry-runs") {
            return Arc::new(self.store.would_put(key, object));
        }
        self.store.put(key, object)
    }

    fn check_namespace_lives(&self, resource: &Resource, namespace: &str, name: &str) -> Result<(), Refusal> {
        let Some(namespaces) = find("", "v1", "namespaces").filter(|_| resource.namespaced) else { return Ok(()) };
        let Some(found) = self.store.get(&Key::new(namespaces, "", namespace)) else {
            return Err(Refusal::not_found(namespaces, namespace));
        };
        if found["status"]["phase"] == "Terminating" {
            return Err(Refusal::terminating(resource, name, namespace));
        }
        Ok(())
    }
}

fn not_a_map(patch: &Value) -> String {
    let kind = match patch {
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        _ => "number",
    };
    format!("error decoding patch: json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}")
}

/// The next state of an object whose status alone is written.
fn status(resource: &Resource, current: &Value, mut object: Value) -> Value {
    let names: Vec<String> =
        current.as_object().into_iter().chain(object.as_object()).flat_map(|at| at.keys().cloned()).collect();
    for name in names.iter().filter(|name| !matches!(name.as_str(), "status" | "metadata")) {
        keep(&mut object, current, name);
    }
    let sent = object["metadata"].clone();
    if resource.custom.is_some() {
        object["metadata"] = current["metadata"].clone();
        for field in ["managedFields", "resourceVersion"] {
            keep(metadata(&mut object), &sent, field);
        }
    } else if resource.group == "apps" {
        keep(metadata(&mut object), &current["metadata"], "labels");
    }
    object
}

/// What a write at this place cannot change, and so does not own.
fn ignored(resource: &Resource, subresource: &str) -> Fields {
    match subresource {
        "status" if resource.custom.is_some() => Fields::of_names(&[&["spec"], &["metadata"]]),
        "status" if resource.group == "apps" => Fields::of_names(&[&["spec"], &["metadata", "labels"]]),
        "status" => Fields::of_names(&[&["spec"]]),
        "" if resource.status => Fields::of_names(&[&["status"]]),
        _ => Fields::default(),
    }
}

/// Makes `field` what it was, absent included.
fn keep(next: &mut Value, current: &Value, field: &str) {
    let Some(fields) = next.as_object_mut() else { return };
    match current.get(field) {
        Some(value) => drop(fields.insert(field.to_owned(), value.clone())),
        None => drop(fields.shift_remove(field)),
    }
}

fn check_namespace(resource: &Resource, namespace: &str, object: &Value) -> Result<(), Refusal> {
    let in_body = object["metadata"]["namespace"].as_str().unwrap_or_default();
    if resource.namespaced && !in_body.is_empty() && in_body != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Refusal::bad_request(message));
    }
    Ok(())
}

/// Name and namespace of a body must be those of the path it was sent to.
fn check_identity(key: &Key, object: &Value) -> Result<(), Refusal> {
    let in_body = object["metadata"]["name"].as_str().unwrap_or_default();
    if !in_body.is_empty() && in_body != key.name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({in_body}) does not match the name on the URL ({})",
            key.name
        )));
    }
    check_namespace(key.resource, &key.namespace, object)
}
