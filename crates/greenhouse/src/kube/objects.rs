//! Reading and writing objects: what create, update, patch and delete do to the store, and what they refuse.

use super::patch;
use super::refusal::Refusal;
use super::resource::{Resource, find};
use super::store::{Key, Store, metadata, seconds};
use jiff::{SignedDuration, Timestamp};
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
    pub(super) const TYPES: &str = "application/json-patch+json, application/merge-patch+json, \
        application/strategic-merge-patch+json, application/apply-patch+yaml";

    pub(super) fn of(content_type: &str) -> Option<Self> {
        match content_type {
            "application/json-patch+json" => Some(Patch::Json),
            "application/merge-patch+json" => Some(Patch::Merge),
            "application/strategic-merge-patch+json" => Some(Patch::Strategic),
            "application/apply-patch+yaml" => Some(Patch::Apply),
            _ => None,
        }
    }
}

/// What a deletion asks for: `DeleteOptions`, from the body or the query.
#[derive(Debug, Default)]
pub(super) struct Deletion {
    pub grace_seconds: Option<i64>,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
}

/// The store, as one request sees it.
pub(super) struct Writer<'a> {
    pub store: &'a mut Store,
    pub now: Timestamp,
    /// `dryRun=All`: everything but the storing.
    pub dry_run: bool,
}

impl Writer<'_> {
    /// Creates an object whose body the client has sent. `namespace` and `name` are the path's; an empty name means
    /// that the body names it.
    pub(super) fn create(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        mut body: Value,
    ) -> Result<Arc<Value>, Refusal> {
        check_body(resource, namespace, "", &body)?;
        let name = match (body["metadata"]["name"].as_str(), body["metadata"]["generateName"].as_str()) {
            (Some(name), _) if !name.is_empty() => name.to_owned(),
            (_, Some(prefix)) if !prefix.is_empty() => format!("{prefix}{}", self.store.suffix(5)),
            _ => {
                return Err(Refusal::invalid(
                    resource,
                    "",
                    "metadata.name",
                    "Required value: name or generateName is required",
                ));
            }
        };
        check_name(resource, &name)?;
        self.check_namespace(resource, namespace, &name)?;
        let key = Key::new(resource, namespace, &name);
        if self.store.get(&key).is_some() {
            return Err(Refusal::already_exists(resource, &name));
        }
        if let Some(fields) = metadata(&mut body).as_object_mut() {
            for server_side in
                ["uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "managedFields", "selfLink"]
            {
                fields.shift_remove(server_side);
            }
        }
        if resource.status
            && let Some(fields) = body.as_object_mut()
        {
            // Nodes come with the status that their kubelet writes; everything else is born without one.
            if resource.plural != "nodes" {
                fields.shift_remove("status");
            }
        }
        self.store.stamp(&key, &mut body, self.now);
        default(resource, &mut body);
        Ok(self.put(&key, body))
    }

    /// Replaces an object, or its status alone.
    pub(super) fn update(&mut self, key: &Key, of_status: bool, body: Value) -> Result<Arc<Value>, Refusal> {
        check_body(key.resource, &key.namespace, &key.name, &body)?;
        let current = self.current(key)?;
        self.replace(key, &current, of_status, body)
    }

    /// Patches an object, or its status alone. Apply creates what is not there.
    pub(super) fn patch(
        &mut self,
        key: &Key,
        of_status: bool,
        kind: Patch,
        patch: &Value,
    ) -> Result<(Arc<Value>, bool), Refusal> {
        if kind == Patch::Apply {
            check_body(key.resource, &key.namespace, &key.name, patch)?;
            if !patch["metadata"]["managedFields"].is_null() {
                return Err(Refusal::bad_request("metadata.managedFields must be nil"));
            }
            if self.store.get(key).is_none() && !of_status {
                let mut body = patch.clone();
                metadata(&mut body)["name"] = key.name.clone().into();
                return Ok((self.create(key.resource, &key.namespace, body)?, true));
            }
        }
        let current = self.current(key)?;
        let mut patched = (*current).clone();
        match kind {
            Patch::Merge => patch::merge(&mut patched, patch),
            Patch::Strategic | Patch::Apply => patch::strategic(&mut patched, patch),
            Patch::Json => patch::json_patch(&mut patched, patch)
                .map_err(|why| Refusal::invalid(key.resource, &key.name, "patch", &why))?,
        }
        check_body(key.resource, &key.namespace, &key.name, &patched)?;
        Ok((self.replace(key, &current, of_status, patched)?, false))
    }

    /// Deletes an object, or begins to: pods stop first, finalizers hold. `true`: it is gone.
    pub(super) fn delete(&mut self, key: &Key, options: &Deletion) -> Result<(Arc<Value>, bool), Refusal> {
        let current = self.current(key)?;
        let meta = &current["metadata"];
        for (wanted, at, field) in [
            (&options.uid, &meta["uid"], "UID"),
            (&options.resource_version, &meta["resourceVersion"], "ResourceVersion"),
        ] {
            if let Some(wanted) = wanted
                && at.as_str() != Some(wanted)
            {
                let at = at.as_str().unwrap_or_default();
                let why = format!(
                    "the {field} in the precondition ({wanted}) does not match the {field} in record ({at}). The object might have been deleted and then recreated"
                );
                return Err(Refusal::conflict(key.resource, &key.name, &why));
            }
        }
        let grace = grace(key.resource, &current, options);
        let held = meta["finalizers"].as_array().is_some_and(|list| !list.is_empty())
            || key.resource.plural == "namespaces" && key.resource.group.is_empty();
        if grace == 0 && !held {
            if self.dry_run {
                return Ok((current, true));
            }
            let last = self.store.remove(key).unwrap_or(current);
            return Ok((last, true));
        }
        let asked_before = meta["deletionTimestamp"].is_string();
        let mut marked = (*current).clone();
        let shorter = meta["deletionGracePeriodSeconds"].as_i64().is_none_or(|before| grace < before);
        if !asked_before || shorter {
            let at = self.now.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(self.now);
            let meta = metadata(&mut marked);
            meta["deletionTimestamp"] = seconds(at).into();
            meta["deletionGracePeriodSeconds"] = grace.into();
        }
        if key.resource.plural == "namespaces" {
            marked["status"] = json!({"phase": "Terminating"});
        }
        Ok((self.put(key, marked), false))
    }

    fn current(&self, key: &Key) -> Result<Arc<Value>, Refusal> {
        self.store.get(key).cloned().ok_or_else(|| Refusal::not_found(key.resource, &key.name))
    }

    fn replace(&mut self, key: &Key, current: &Value, of_status: bool, body: Value) -> Result<Arc<Value>, Refusal> {
        let (resource, name) = (key.resource, &key.name);
        let version = body["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !version.is_empty() && Some(version) != current["metadata"]["resourceVersion"].as_str() {
            return Err(Refusal::modified(resource, name));
        }
        let uid = body["metadata"]["uid"].as_str();
        if uid.is_some() && uid != current["metadata"]["uid"].as_str() {
            let why = "Precondition failed: UID in precondition does not match UID in object meta";
            return Err(Refusal::conflict(resource, name, why));
        }
        let mut next = if of_status { (*current).clone() } else { body.clone() };
        if of_status {
            next["status"] = body["status"].clone();
        } else if resource.status {
            keep(&mut next, current, "status");
        }
        for field in [
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "name",
            "namespace",
        ] {
            keep(metadata(&mut next), &current["metadata"], field);
        }
        next["apiVersion"] = resource.api_version().into();
        next["kind"] = resource.kind.into();
        check_change(resource, name, current, &next)?;
        let is_over = next["metadata"]["deletionTimestamp"].is_string()
            && !current["metadata"]["finalizers"].is_null()
            && next["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty)
            && grace(resource, &next, &Deletion::default()) == 0;
        if is_over && !self.dry_run {
            return Ok(self.store.remove(key).unwrap_or_else(|| Arc::new(next)));
        }
        Ok(self.put(key, next))
    }

    fn put(&mut self, key: &Key, object: Value) -> Arc<Value> {
        if self.dry_run { Arc::new(object) } else { self.store.put(key, object) }
    }

    fn check_namespace(&self, resource: &Resource, namespace: &str, name: &str) -> Result<(), Refusal> {
        let Some(namespaces) = find("", "v1", "namespaces").filter(|_| resource.namespaced) else { return Ok(()) };
        let Some(found) = self.store.get(&Key::new(namespaces, "", namespace)) else {
            return Err(Refusal::not_found(namespaces, namespace));
        };
        if found["status"]["phase"] == "Terminating" {
            let what = format!("unable to create new content in namespace {namespace} because it is being terminated");
            return Err(Refusal::forbidden(resource, name, &what));
        }
        Ok(())
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

/// Kind, version, name and namespace of a body must be those of the path it was sent to.
fn check_body(resource: &Resource, namespace: &str, name: &str, body: &Value) -> Result<(), Refusal> {
    let Some(fields) = body.as_object() else {
        return Err(Refusal::bad_request("the object provided is unrecognized: it is not a JSON object"));
    };
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if kind.is_empty() || version.is_empty() {
        let message = "Object 'Kind' is missing, or 'apiVersion' is";
        return Err(Refusal::bad_request(message));
    }
    if kind != resource.kind || version != resource.api_version() {
        return Err(Refusal::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: no kind {kind:?} is registered there",
            resource.kind
        )));
    }
    let meta = &body["metadata"];
    let in_body = meta["name"].as_str().unwrap_or_default();
    if !name.is_empty() && !in_body.is_empty() && in_body != name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({in_body}) does not match the name on the URL ({name})"
        )));
    }
    let in_body = meta["namespace"].as_str().unwrap_or_default();
    if resource.namespaced && !in_body.is_empty() && in_body != namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// RFC 1123 subdomain; RBAC names may hold more.
fn check_name(resource: &Resource, name: &str) -> Result<(), Refusal> {
    if resource.group == "rbac.authorization.k8s.io" {
        return Ok(());
    }
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |part: &str| {
        part.bytes().all(|byte| letter(byte) || byte == b'-')
            && part.bytes().next().is_some_and(letter)
            && part.bytes().last().is_some_and(letter)
    };
    if name.len() <= 253 && name.split('.').all(label) {
        return Ok(());
    }
    let why = format!(
        "Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
    );
    Err(Refusal::invalid(resource, name, "metadata.name", &why))
}

/// What may not change once it is set.
fn check_change(resource: &Resource, name: &str, current: &Value, next: &Value) -> Result<(), Refusal> {
    let fixed: &[&str] = match resource.plural {
        "nodes" => &["providerID", "podCIDR"],
        "pods" => &["nodeName", "hostNetwork"],
        "deployments" | "daemonsets" => &["selector"],
        _ => &[],
    };
    for field in fixed {
        let before = &current["spec"][*field];
        if !before.is_null() && *before != next["spec"][*field] {
            return Err(Refusal::invalid(
                resource,
                name,
                &format!("spec.{field}"),
                "Invalid value: field is immutable",
            ));
        }
    }
    Ok(())
}

/// The defaults that somebody looks at.
fn default(resource: &Resource, body: &mut Value) {
    let mut set = |path: &[&str], value: Value| {
        let at = path.iter().fold(&mut *body, |at, field| {
            if !at.is_object() {
                *at = json!({});
            }
            &mut at[*field]
        });
        if at.is_null() {
            *at = value;
        }
    };
    match resource.plural {
        "namespaces" => {
            set(&["spec", "finalizers"], json!(["kubernetes"]));
            set(&["status", "phase"], "Active".into());
        }
        "pods" => {
            set(&["spec", "restartPolicy"], "Always".into());
            set(&["spec", "terminationGracePeriodSeconds"], 30.into());
            set(&["spec", "schedulerName"], "default-scheduler".into());
            set(&["spec", "serviceAccountName"], "default".into());
            set(&["status", "phase"], "Pending".into());
        }
        "deployments" => set(&["spec", "replicas"], 1.into()),
        "services" => set(&["spec", "type"], "ClusterIP".into()),
        "secrets" => set(&["type"], "Opaque".into()),
        _ => {}
    }
}

/// Seconds that a deletion gives an object to end by itself: only pods on a node have something to end.
fn grace(resource: &Resource, current: &Value, options: &Deletion) -> i64 {
    let is_bound = current["spec"]["nodeName"].as_str().is_some_and(|name| !name.is_empty());
    if resource.plural != "pods" || !is_bound {
        return 0;
    }
    let own = current["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    options.grace_seconds.unwrap_or(own).max(0)
}
