//! Managed fields: who has set what, and who may change it by server-side apply.

use super::fields::Fields;
use super::refusal::Refusal;
use super::schema::Shape;
use super::store::{metadata, seconds};
use super::typed::{self, compare, fields_of};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A manager, as the object's `managedFields` name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manager {
    pub name: String,
    /// `Apply` or `Update`.
    pub applies: bool,
    pub api_version: String,
    /// Empty: the object itself.
    pub subresource: String,
}

impl Manager {
    /// An applier is the same in every version.
    fn is(&self, other: &Manager) -> bool {
        self.name == other.name
            && self.applies == other.applies
            && self.subresource == other.subresource
            && (self.applies || self.api_version == other.api_version)
    }

    /// As conflicts name it.
    fn shown(&self) -> String {
        let mut text = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {:?}", self.subresource);
        }
        if !self.applies {
            text += &format!(" using {}", self.api_version);
        }
        text
    }
}

#[derive(Clone, Debug)]
struct Owned {
    manager: Manager,
    time: Value,
    fields: Fields,
}

/// The owners of an object's fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Owners(Vec<Owned>);

/// A write, as ownership sees it.
pub(super) struct Claim<'a> {
    pub manager: Manager,
    pub shape: &'a Shape,
    /// What this write cannot change: the status, or all but it.
    pub ignored: Fields,
    /// What the entry is dated; `None`: it has no date.
    pub now: Option<Timestamp>,
}

impl Claim<'_> {
    fn time(&self) -> Value {
        self.now.map_or(Value::Null, |now| seconds(now).into())
    }
}

/// What the server itself sets is owned by nobody.
fn unowned() -> Fields {
    let meta =
        ["creationTimestamp", "generation", "managedFields", "name", "namespace", "resourceVersion", "selfLink", "uid"];
    let mut all = Fields::of_names(&[&["apiVersion"], &["kind"], &["metadata"]]);
    for field in meta {
        all = all.union(&Fields::of_names(&[&["metadata", field]]));
    }
    all
}

impl Owners {
    /// Reads `managedFields`; `None` where an entry is none.
    fn read(list: &Value) -> Option<Owners> {
        let mut owners = Vec::new();
        for entry in list.as_array().into_iter().flatten() {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let applies = match entry["operation"].as_str()? {
                "Apply" => true,
                "Update" => false,
                _ => return None,
            };
            let manager = Manager {
                name: text("manager"),
                applies,
                api_version: text("apiVersion"),
                subresource: text("subresource"),
            };
            let fields =
                if entry["fieldsV1"].is_null() { Fields::default() } else { Fields::of_json(&entry["fieldsV1"])? };
            owners.push(Owned { manager, time: entry["time"].clone(), fields });
        }
        Some(Owners(owners))
    }

    /// Those of an object, or nobody where its entries cannot be read.
    fn of(object: &Value) -> Owners {
        Owners::read(&object["metadata"]["managedFields"]).unwrap_or_default()
    }

    fn write(mut self, object: &mut Value) {
        let unowned = unowned();
        for owned in &mut self.0 {
            owned.fields = owned.fields.difference(&unowned);
        }
        self.0.retain(|owned| !owned.fields.is_empty());
        self.0.sort_by(|left, right| {
            let order = |owned: &Owned| {
                let manager = &owned.manager;
                let time = owned.time.as_str().unwrap_or_default().to_owned();
                (!manager.applies, time, manager.name.clone(), manager.api_version.clone(), manager.subresource.clone())
            };
            order(left).cmp(&order(right))
        });
        let entries: Vec<Value> = self.0.iter().map(Owned::to_json).collect();
        let Some(meta) = metadata(object).as_object_mut() else { return };
        if entries.is_empty() {
            meta.shift_remove("managedFields");
        } else {
            meta.insert("managedFields".into(), entries.into());
        }
    }

    fn position(&self, manager: &Manager) -> Option<usize> {
        self.0.iter().position(|owned| owned.manager.is(manager))
    }

    /// Takes from all but one what has been changed and removed; what they had of the former.
    fn lose(&mut self, spared: Option<&Manager>, before: &Value, after: &Value, claim: &Claim<'_>) -> (Owners, Fields) {
        let found = compare(before, after, claim.shape);
        let changed = found.modified.union(&found.added).without_below(&claim.ignored);
        let removed = found.removed.without_below(&claim.ignored);
        let mut conflicts = Owners::default();
        for owned in self.0.iter_mut().filter(|owned| spared.is_none_or(|spared| !owned.manager.is(spared))) {
            let common = owned.fields.intersection(&changed);
            if !common.is_empty() {
                conflicts.0.push(Owned { fields: common.clone(), ..owned.clone() });
                owned.fields = owned.fields.difference(&common);
            }
            owned.fields = owned.fields.difference(&removed);
        }
        (conflicts, changed)
    }

    fn all(&self) -> Fields {
        self.0.iter().fold(Fields::default(), |all, owned| all.union(&owned.fields))
    }
}

impl Owned {
    fn to_json(&self) -> Value {
        let manager = &self.manager;
        let mut entry = json!({
            "manager": manager.name, "operation": if manager.applies { "Apply" } else { "Update" },
            "apiVersion": manager.api_version, "time": self.time, "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_json(),
        });
        if manager.name.is_empty()
            && let Some(fields) = entry.as_object_mut()
        {
            fields.shift_remove("manager");
        }
        if self.time.is_null()
            && let Some(fields) = entry.as_object_mut()
        {
            fields.shift_remove("time");
        }
        if !manager.subresource.is_empty() {
            entry["subresource"] = manager.subresource.clone().into();
        }
        entry
    }
}

fn without_owners(object: &Value) -> Value {
    let mut bare = object.clone();
    if let Some(meta) = bare.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.shift_remove("managedFields");
    }
    bare
}

/// Notes what an update or patch changes. `live` is what was there, or the empty object of the kind where it is made.
pub(super) fn updated(live: &Value, next: &mut Value, claim: &Claim<'_>) {
    let sent = &next["metadata"]["managedFields"];
    let is_reset = sent.as_array().is_some_and(|list| matches!(list.as_slice(), [only] if is_blank(only)));
    let given = Owners::read(sent).filter(|owners| !owners.0.is_empty() && claim.manager.subresource.is_empty());
    let mut owners = if is_reset { Owners::default() } else { given.unwrap_or_else(|| Owners::of(live)) };
    // Whoever has cleared the list has ended the tracking.
    let is_new = live["metadata"]["uid"].is_null();
    if owners.0.is_empty() && !is_new {
        return Owners::default().write(next);
    }
    let (before, after) = (without_owners(live), without_owners(next));
    let (_, changed) = owners.lose(None, &before, &after, claim);
    let mine = changed.difference(&unowned());
    if !mine.is_empty() {
        let time = claim.time();
        match owners.position(&claim.manager).and_then(|at| owners.0.get_mut(at)) {
            Some(owned) => (owned.fields, owned.time) = (owned.fields.union(&mine), time),
            None => owners.0.push(Owned { manager: claim.manager.clone(), time, fields: mine }),
        }
    }
    owners.write(next);
}

/// Whether all that two states of an object differ in is when their owners wrote.
pub(super) fn differ_in_times_alone(one: &Value, other: &Value) -> bool {
    let timeless = |object: &Value| {
        let mut object = object.clone();
        let entries = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten().filter_map(Value::as_object_mut) {
            entry.shift_remove("time");
        }
        object
    };
    timeless(one) == timeless(other)
}

fn is_blank(entry: &Value) -> bool {
    entry.as_object().is_some_and(|fields| fields.values().all(|value| value.is_null() || value == ""))
}

/// Merges an applied configuration into what is there; the object as it then is, with its owners. `live` is the empty
/// object of the kind where it is made.
pub(super) fn applied(live: &Value, config: &Value, force: bool, claim: &Claim<'_>) -> Result<Value, Refusal> {
    let mut owners = Owners::of(live);
    let is_new = live["metadata"]["uid"].is_null();
    if owners.0.is_empty() && !is_new {
        owners.0.push(before_first_apply(live, claim));
    }
    let (before, config) = (without_owners(live), without_owners(config));
    let merged = typed::merge(&before, &config, claim.shape);
    let last = owners.position(&claim.manager).map(|at| owners.0.remove(at));
    let mine = fields_of(&config, claim.shape).without_below(&claim.ignored);
    // An apply that changes nothing of the object leaves its owner without a time, or with the last.
    let time = last.as_ref().map_or(Value::Null, |last| last.time.clone());
    owners.0.push(Owned { manager: claim.manager.clone(), time, fields: mine });
    let merged = match &last {
        Some(last) => prune(&merged, &last.fields, &owners.all(), claim.shape),
        None => merged,
    };
    let (conflicts, _) = owners.lose(Some(&claim.manager), &before, &merged, claim);
    if !force && !conflicts.0.is_empty() {
        return Err(conflict(&conflicts));
    }
    if let Some(at) = owners.position(&claim.manager).filter(|_| merged != before)
        && let Some(owned) = owners.0.get_mut(at)
    {
        owned.time = claim.time();
    }
    let mut next = merged;
    owners.write(&mut next);
    Ok(next)
}

/// What an object had before anybody applied to it belongs to nobody in particular.
fn before_first_apply(live: &Value, claim: &Claim<'_>) -> Owned {
    let empty = super::decode::empty(claim.shape);
    let found = compare(&empty, &without_owners(live), claim.shape);
    let fields = found.added.union(&found.modified).without_below(&claim.ignored).difference(&unowned());
    let manager = Manager {
        name: "before-first-apply".into(),
        applies: false,
        api_version: claim.manager.api_version.clone(),
        subresource: String::new(),
    };
    Owned { manager, time: claim.time(), fields }
}

/// Takes out what the applier had set, has left out, and nobody else has.
fn prune(merged: &Value, last: &Fields, kept: &Fields, shape: &Shape) -> Value {
    let gone = last.with_named().difference(&kept.with_named());
    typed::remove(merged, &gone, shape)
}

fn conflict(conflicts: &Owners) -> Refusal {
    let shown = conflicts.0.iter().map(|owned| (owned.manager.shown(), owned.fields.paths()));
    let mut by_manager: Vec<(String, Vec<String>)> = shown.collect();
    by_manager.sort();
    let mut causes = Vec::new();
    for (manager, paths) in &by_manager {
        for path in paths {
            let message = format!("conflict with {manager}");
            causes.push(json!({"reason": "FieldManagerConflict", "message": message, "field": path}));
        }
    }
    let message = match (causes.len(), by_manager.as_slice()) {
        (1, [(manager, paths)]) => format!("Apply failed with 1 conflict: conflict with {manager}: {}", paths.join("")),
        (count, all) => {
            let listed = all.iter().map(|(manager, paths)| {
                let lines: String = paths.iter().map(|path| format!("\n- {path}")).collect();
                format!("conflicts with {manager}:{lines}")
            });
            let listed: Vec<String> = listed.collect();
            format!("Apply failed with {count} conflicts: {}", listed.join("\n"))
        }
    };
    Refusal::apply_conflict(message, causes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim<'a>(name: &str, applies: bool, shape: &'a Shape) -> Claim<'a> {
        let manager = Manager { name: name.into(), applies, api_version: "v1".into(), subresource: String::new() };
        Claim { manager, shape, ignored: Fields::default(), now: Some(Timestamp::UNIX_EPOCH) }
    }

    #[test]
    fn a_field_that_its_applier_leaves_out_goes_unless_somebody_else_has_it() {
        let shape = Shape::Named("ConfigMap".into());
        let config = |data: Value| json!({"metadata": {"name": "a"}, "data": data});
        let one =
            applied(&json!({}), &config(json!({"k": "1", "l": "1"})), false, &claim("one", true, &shape)).unwrap();
        let mut one = one;
        one["metadata"]["uid"] = "u".into();
        let both = applied(&one, &config(json!({"l": "1"})), false, &claim("two", true, &shape)).unwrap();
        let less = applied(&both, &json!({"metadata": {"name": "a"}}), false, &claim("one", true, &shape)).unwrap();
        assert_eq!(less["data"], json!({"l": "1"}));
        let refused = applied(&less, &config(json!({"l": "2"})), false, &claim("one", true, &shape)).unwrap_err();
        assert_eq!(refused.status()["message"], "Apply failed with 1 conflict: conflict with \"two\": .data.l");
        let forced = applied(&less, &config(json!({"l": "2"})), true, &claim("one", true, &shape)).unwrap();
        assert_eq!(forced["metadata"]["managedFields"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn an_update_takes_what_it_changes() {
        let shape = Shape::Named("ConfigMap".into());
        let mut made = json!({"data": {"k": "1"}});
        updated(&json!({"metadata": {}}), &mut made, &claim("one", false, &shape));
        made["metadata"]["uid"] = "u".into();
        let mut next = made.clone();
        next["data"]["k"] = "2".into();
        updated(&made, &mut next, &claim("two", false, &shape));
        let managers: Vec<&Value> =
            next["metadata"]["managedFields"].as_array().unwrap().iter().map(|at| &at["fieldsV1"]).collect();
        assert_eq!(managers, [&json!({"f:data": {}}), &json!({"f:data": {"f:k": {}}})]);
    }
}
