use crate::cluster::{FirstContact, Node as ClusterNode, Place, Role, Taint};
use crate::code;
use crate::fault::{Faults, help};
use crate::fields::{At, Fields, mapping, shown, word};
use crate::labels::{read_labels, read_taints};
use crate::names;
use crate::patches::read_patches;
use crate::place::read_on;
use crate::size::Sizes;
use crate::tree::{Entry, Node};
use std::collections::BTreeMap;

/// Keys of a node.
pub(crate) const NODE_KEYS: &[&str] =
    &["role", "on", "cpus", "memory", "disk", "first-contact", "labels", "taints", "patches"];

pub(crate) const ROLES: &[(&str, Role)] = &[("control-plane", Role::ControlPlane), ("worker", Role::Worker)];
pub(crate) const FIRST_CONTACTS: &[(&str, FirstContact)] =
    &[("user-data", FirstContact::UserData), ("maintenance", FirstContact::Maintenance)];

/// A node as far as it could be read.
pub(crate) struct NodeDraft {
    pub(crate) name: At<String>,
    pub(crate) role: Option<At<Role>>,
    /// `None` if any of them was unreadable.
    pub(crate) places: Option<Vec<At<Place>>>,
    first_contact: Option<At<FirstContact>>,
    labels: BTreeMap<String, String>,
    taints: Vec<Taint>,
    patches: Vec<String>,
}

/// Reads `nodes`, as many as can be named.
pub(crate) fn read_nodes(entry: &Entry, faults: &mut Faults) -> Option<Vec<NodeDraft>> {
    let entries = mapping(&entry.value, "`nodes`", faults)?;
    if entries.is_empty() {
        let remedy = help("add `rose: { role: control-plane, on: hetzner/hel1/cax11 }`");
        faults.error(code::MISSING_KEY, &entry.key_span, "`nodes` is empty", remedy);
        return None;
    }
    Some(entries.into_iter().map(|entry| read_node(entry, faults)).collect())
}

fn read_node(entry: &Entry, faults: &mut Faults) -> NodeDraft {
    let name = At { value: entry.key.as_str(), span: entry.key_span.clone() };
    names::check_label(&name, "a node", faults);
    let mut draft = NodeDraft {
        name: At { value: entry.key.clone(), span: entry.key_span.clone() },
        role: None,
        places: None,
        first_contact: None,
        labels: BTreeMap::new(),
        taints: Vec::new(),
        patches: Vec::new(),
    };
    let owner = format!("node `{}`", shown(&entry.key));
    let Some(fields) = Fields::read(&entry.value, &owner, &entry.key_span, NODE_KEYS, faults) else { return draft };
    let role = fields.require("role", "worker", faults);
    draft.role = role.and_then(|node| word(node, "role", ROLES, faults));
    let beside = Sizes::read(&fields, &owner, faults);
    let on = fields.require("on", "hetzner/hel1/cax11", faults);
    draft.places = on.and_then(|on| read_on(on, &owner, &beside, faults));
    draft.first_contact = fields.get("first-contact").and_then(|node| read_first_contact(node, faults));
    draft.labels = fields.get("labels").map(|node| read_labels(node, &owner, faults)).unwrap_or_default();
    draft.taints = fields.get("taints").map(|node| read_taints(node, &owner, faults)).unwrap_or_default();
    draft.patches = fields.get("patches").map(|node| read_patches(node, &owner, faults)).unwrap_or_default();
    draft.check_first_contact(faults);
    draft
}

pub(crate) fn read_first_contact(node: &Node, faults: &mut Faults) -> Option<At<FirstContact>> {
    word(node, "first contact", FIRST_CONTACTS, faults)
}

impl NodeDraft {
    fn check_first_contact(&self, faults: &mut Faults) {
        let own_machine = self.places.iter().flatten().any(|place| matches!(place.value, Place::Address(_)));
        if let Some(At { value: FirstContact::UserData, span }) = &self.first_contact
            && own_machine
        {
            let message = format!("node `{}` may be a machine of your own, which has no user data", self.name.value);
            faults.error(code::FIRST_CONTACT, span, message, help("write `first-contact: maintenance`"));
        }
    }

    /// The node with every default filled in. `None` if a part was unreadable.
    pub(crate) fn settle(self, cluster_wide: Option<FirstContact>) -> Option<(String, ClusterNode)> {
        let role = self.role?.value;
        let places: Vec<Place> = self.places?.into_iter().map(|place| place.value).collect();
        let first_contact = first_contact(role, &places, self.first_contact.map(|at| at.value), cluster_wide);
        let NodeDraft { name, labels, taints, patches, .. } = self;
        Some((name.value, ClusterNode { role, places, first_contact, labels, taints, patches }))
    }
}

/// The node's own word, else the cluster's, else by what user data would give away: OCI shows it to any reader of the
/// instance and cannot change it, and a control plane's holds CA keys. A machine of the owner's own has none at all.
fn first_contact(
    role: Role,
    places: &[Place],
    own: Option<FirstContact>,
    cluster_wide: Option<FirstContact>,
) -> FirstContact {
    let owned = places.iter().any(|place| matches!(place, Place::Address(_)));
    let readable = places.iter().any(|place| matches!(place, Place::Cloud(place) if place.cloud == "oci"));
    if owned {
        FirstContact::Maintenance
    } else if let Some(said) = own.or(cluster_wide) {
        said
    } else if readable && role == Role::ControlPlane {
        FirstContact::Maintenance
    } else {
        FirstContact::UserData
    }
}
