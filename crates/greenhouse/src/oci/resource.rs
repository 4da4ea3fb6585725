//! What all resources have in common: identity, tags, a state of life, an etag.

use super::State;
use super::reply::Refusal;
use crate::world::State as Everything;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Free-form tags of one resource; characters of a key and of a value.
const TAGS_MAX: usize = 10;
const TAG_KEY_MAX: usize = 100;
const TAG_VALUE_MAX: usize = 256;
const NAME_MAX: usize = 255;

/// States of life, of all kinds of resources; each kind has some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Lifecycle {
    Provisioning,
    Starting,
    Running,
    Stopping,
    Stopped,
    Terminating,
    Terminated,
    Available,
    Importing,
    Active,
    Deleted,
    Attaching,
    Attached,
    Detaching,
    Detached,
    Requested,
    #[serde(rename = "GETTING-HISTORY")]
    GettingHistory,
    Succeeded,
    Assigned,
}

impl Lifecycle {
    /// The word in JSON.
    pub(super) fn word(self) -> String {
        serde_json::to_value(self).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// What every resource has.
#[derive(Clone)]
pub(super) struct Common {
    pub id: String,
    /// Empty for what the vendor gives to all.
    pub compartment: String,
    pub name: String,
    pub freeform: BTreeMap<String, String>,
    pub defined: Map<String, Value>,
    pub lifecycle: Lifecycle,
    pub created: Timestamp,
    /// Order of creation over all kinds.
    pub order: u64,
    /// Counts changes; makes the etag.
    version: u64,
}

/// The fields that bodies of create and update calls share.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Naming {
    pub compartment_id: Option<String>,
    pub display_name: Option<String>,
    pub freeform_tags: Option<BTreeMap<String, String>>,
    pub defined_tags: Option<Map<String, Value>>,
}

/// A kind of resource, kept on one shelf by OCID.
pub(super) trait Resource: Sized + Send + 'static {
    /// The word in its OCIDs, and its name in messages and delays.
    const KIND: &'static str;
    /// What nearly all have and this kind has not, by the vendor's published models.
    const LACKS: &'static [&'static str] = &[];
    /// The same of its summaries in lists.
    const SUMMARY_LACKS: &'static [&'static str] = Self::LACKS;
    fn shelf(state: &State) -> &BTreeMap<String, Self>;
    fn shelf_mut(state: &mut State) -> &mut BTreeMap<String, Self>;
    fn common(&self) -> &Common;
    fn common_mut(&mut self) -> &mut Common;
    /// What is shown of it beside what all have.
    fn fields(&self, state: &State) -> Value;
}

/// Implements the part of [`Resource`] that is the same for all: shelf and common part.
macro_rules! shelved {
    ($shelf:ident) => {
        fn shelf(state: &crate::oci::State) -> &std::collections::BTreeMap<String, Self> {
            &state.$shelf
        }
        fn shelf_mut(state: &mut crate::oci::State) -> &mut std::collections::BTreeMap<String, Self> {
            &mut state.$shelf
        }
        fn common(&self) -> &crate::oci::resource::Common {
            &self.common
        }
        fn common_mut(&mut self) -> &mut crate::oci::resource::Common {
            &mut self.common
        }
    };
}
pub(super) use shelved;

impl Common {
    /// A new one in this region. Without a display name the vendor makes one of the kind and the time.
    pub(super) fn new(
        state: &mut Everything,
        region: &str,
        kind: &str,
        naming: Naming,
        lifecycle: Lifecycle,
    ) -> Result<Self, Refusal> {
        let compartment = naming.compartment_id.clone().ok_or_else(|| Refusal::missing("compartmentId"))?;
        if !state.oci.has_compartment(&compartment) {
            return Err(Refusal::not_found());
        }
        let order = state.next_id();
        let id = state.oci.ocid(kind, region, order);
        let created = state.now();
        let name = created.strftime(&format!("{kind}%Y%m%d%H%M%S")).to_string();
        let (freeform, defined) = (BTreeMap::new(), Map::new());
        let mut common = Common { id, compartment, name, freeform, defined, lifecycle, created, order, version: 0 };
        common.update(naming)?;
        Ok(common)
    }

    /// One of the things that the vendor gives to all.
    pub(super) fn of_vendor(id: String, name: &str, created: Timestamp, order: u64) -> Self {
        let (freeform, defined, lifecycle) = (BTreeMap::new(), Map::new(), Lifecycle::Available);
        let (compartment, name) = (String::new(), name.to_owned());
        Common { id, compartment, name, freeform, defined, lifecycle, created, order, version: 1 }
    }

    /// Takes the name and tags that are given; tags replace all there were.
    pub(super) fn update(&mut self, naming: Naming) -> Result<(), Refusal> {
        let too_long = |text: &String, most: usize| text.chars().count() > most;
        if let Some(name) = naming.display_name {
            if too_long(&name, NAME_MAX) {
                return Err(Refusal::invalid(format!("displayName must be at most {NAME_MAX} characters")));
            }
            self.name = name;
        }
        if let Some(tags) = naming.freeform_tags {
            let bad = |(key, value): (&String, &String)| {
                key.is_empty() || too_long(key, TAG_KEY_MAX) || too_long(value, TAG_VALUE_MAX)
            };
            if tags.len() > TAGS_MAX || tags.iter().any(bad) {
                return Err(Refusal::invalid("Invalid tags: too many, or a key or value that is too long"));
            }
            self.freeform = tags;
        }
        self.defined = naming.defined_tags.unwrap_or_else(|| std::mem::take(&mut self.defined));
        self.touch();
        Ok(())
    }

    /// Changes the state of life.
    pub(super) fn enter(&mut self, lifecycle: Lifecycle) {
        self.lifecycle = lifecycle;
        self.touch();
    }

    /// Something about it has changed.
    pub(super) fn touch(&mut self) {
        self.version += 1;
    }

    pub(super) fn etag(&self) -> String {
        let digest = Sha256::digest(format!("{} {}", self.id, self.version));
        hex::encode(digest.get(..16).unwrap_or_default())
    }
}

/// A resource as its calls show it.
pub(super) fn shown<R: Resource>(resource: &R, state: &State) -> Value {
    let common = resource.common();
    let mut all = json!({
        "id": common.id,
        "compartmentId": Some(&common.compartment).filter(|id| !id.is_empty()),
        "displayName": common.name,
        "freeformTags": common.freeform,
        "definedTags": common.defined,
        "systemTags": {},
        "lifecycleState": common.lifecycle,
        "timeCreated": common.created,
    });
    if let (Value::Object(all), Value::Object(own)) = (&mut all, resource.fields(state)) {
        all.extend(own);
        all.retain(|name, _| !R::LACKS.contains(&name.as_str()));
    }
    all
}

/// A resource as lists show it.
pub(super) fn summary<R: Resource>(resource: &R, state: &State) -> Value {
    let mut all = shown(resource, state);
    if let Value::Object(all) = &mut all {
        all.retain(|name, _| !R::SUMMARY_LACKS.contains(&name.as_str()));
    }
    all
}
