//! Definitions of custom kinds: what they must be, and the resources that come of them.

use super::super::Cluster;
use super::super::fields::Fields;
use super::super::owners::{Claim, Manager, updated};
use super::super::resource::{Resource, find};
use super::super::store::{Key, Store, seconds};
use super::super::validate::Fault;
use super::{Custom, shape_of};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

/// The finalizer that a definition gets when its deletion is asked for.
pub(in super::super) const HOLD: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Checks a definition.
pub(in super::super) fn validate_definition(object: &Value, faults: &mut Vec<Fault>) {
    let (meta, spec) = (&object["metadata"], &object["spec"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if text(&meta["name"]) != format!("{}.{}", text(&spec["names"]["plural"]), text(&spec["group"])) {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        faults.push(Fault::invalid("metadata.name", &meta["name"], detail));
    }
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (at, version) in versions.iter().enumerate() {
        if version["schema"]["openAPIV3Schema"].is_null() {
            faults.push(Fault::required(format!("spec.versions[{at}].schema.openAPIV3Schema"), ""));
        }
    }
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let shown: Value = versions.iter().map(internal).collect();
        faults.push(Fault::invalid("spec.versions", &shown, "must have exactly one version marked as storage version"));
        faults.push(Fault::invalid("status.storedVersions", &Value::Null, "must have at least one stored version"));
    }
}

/// A version as the server holds it, which is how its error shows it.
fn internal(version: &Value) -> Value {
    json!({
        "Name": version["name"], "Served": version["served"], "Storage": version["storage"], "Deprecated": false,
        "DeprecationWarning": null, "Schema": null, "Subresources": null, "AdditionalPrinterColumns": null,
        "SelectableFields": null,
    })
}

/// Has the server act on definitions: new ones are established, those that go take their objects along.
pub(in super::super) fn settle(cluster: &mut Cluster, now: Timestamp) {
    let Some(definitions) = find("apiextensions.k8s.io", "v1", "customresourcedefinitions") else { return };
    let all: Vec<(Key, Value)> =
        cluster.store.list(definitions, "").map(|(key, object)| (key.clone(), (**object).clone())).collect();
    let mut customs = Vec::new();
    for (key, object) in all {
        let resources = resources_of(&object);
        if object["metadata"]["deletionTimestamp"].is_string() {
            take_away(&mut cluster.store, &key, object, &resources);
            continue;
        }
        if object["status"]["conditions"].as_array().is_none_or(Vec::is_empty) {
            establish(&mut cluster.store, &key, object, now);
        }
        for resource in resources {
            let known = cluster
                .customs
                .iter()
                .find(|known| known.0.plural == resource.plural && known.0.group == resource.group);
            let since = known.map_or(cluster.store.revision(), |known| known.1);
            customs.push((resource, since));
        }
    }
    cluster.customs = customs;
}

fn take_away(store: &mut Store, key: &Key, mut object: Value, resources: &[&'static Resource]) {
    for resource in resources {
        let keys: Vec<Key> = store.list(resource, "").map(|(key, _)| key.clone()).collect();
        for key in keys {
            store.remove(&key);
        }
    }
    if let Some(list) = object["metadata"]["finalizers"].as_array_mut() {
        list.retain(|at| at != HOLD);
        if list.is_empty() {
            store.remove(key);
        } else {
            store.put(key, object);
        }
    }
}

/// The names are accepted, the kind served.
fn establish(store: &mut Store, key: &Key, object: Value, now: Timestamp) {
    let mut next = object.clone();
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "lastTransitionTime": seconds(now), "reason": reason, "message": message,
        })
    };
    next["status"] = json!({
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "acceptedNames": object["spec"]["names"],
        "storedVersions": object["status"]["storedVersions"],
    });
    let manager = Manager {
        name: "kube-apiserver".into(),
        applies: false,
        api_version: key.resource.api_version(),
        subresource: "status".into(),
    };
    let claim = Claim { manager, shape: key.resource.shape(), ignored: Fields::default(), now: Some(now) };
    updated(&object, &mut next, &claim);
    store.put(key, next);
}

/// The resources that a definition's served versions make.
fn resources_of(object: &Value) -> Vec<&'static Resource> {
    let spec = &object["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let served = spec["versions"].as_array().into_iter().flatten().filter(|version| version["served"] == true);
    let resource = |version: &Value| {
        let schema = version["schema"]["openAPIV3Schema"].clone();
        let columns = version["additionalPrinterColumns"].as_array().into_iter().flatten();
        let columns =
            columns.map(|column| (text(&column["name"]), text(&column["type"]), text(&column["jsonPath"]))).collect();
        let custom = Custom { shape: shape_of(&schema, true), schema, columns };
        let short = names["shortNames"].as_array().into_iter().flatten().map(text).collect();
        let has_status = version["subresources"]["status"].is_object();
        intern(Wanted {
            group: text(&spec["group"]),
            version: text(&version["name"]),
            plural: text(&names["plural"]),
            kind: text(&names["kind"]),
            short,
            namespaced: spec["scope"] == "Namespaced",
            status: has_status,
            custom,
        })
    };
    served.map(resource).collect()
}

struct Wanted {
    group: String,
    version: String,
    plural: String,
    kind: String,
    short: Vec<String>,
    namespaced: bool,
    status: bool,
    custom: Custom,
}

/// Resources live as long as the process: equal ones are one, and each is a few kilobytes at most.
fn intern(wanted: Wanted) -> &'static Resource {
    static KNOWN: Mutex<Vec<&'static Resource>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let is_it = |resource: &&&'static Resource| {
        resource.group == wanted.group
            && resource.version == wanted.version
            && resource.plural == wanted.plural
            && resource.kind == wanted.kind
            && resource.short == wanted.short
            && resource.namespaced == wanted.namespaced
            && resource.status == wanted.status
            && resource.custom == Some(&wanted.custom)
    };
    if let Some(found) = known.iter().find(is_it) {
        return found;
    }
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let short: Vec<&'static str> = wanted.short.into_iter().map(leak).collect();
    let made: &'static Resource = Box::leak(Box::new(Resource {
        group: leak(wanted.group),
        version: leak(wanted.version),
        plural: leak(wanted.plural),
        kind: leak(wanted.kind),
        short: Box::leak(short.into_boxed_slice()),
        namespaced: wanted.namespaced,
        status: wanted.status,
        generation: true,
        custom: Some(Box::leak(Box::new(wanted.custom))),
    }));
    known.push(made);
    made
}
