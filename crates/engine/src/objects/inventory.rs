//! What an add-on has in the cluster, kept in the cluster: a ConfigMap an add-on.

use super::call::Call;
use super::{Failure, apply};
use addons::{Addon, Id, Object, SYSTEM};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Error;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Label of inventories: the add-on's name.
const LABEL: &str = "bouquet.dev/inventory";
const OBJECTS: &str = "objects";
const DIGEST: &str = "digest";

/// Never pruned: with them goes what users have put there.
const KEPT: &[&str] = &["Namespace", "CustomResourceDefinition", "PersistentVolumeClaim"];

/// The objects of an add-on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// All that may be there.
    pub objects: BTreeSet<Id>,
    /// Of what was applied, in full; `None` while it is under way.
    pub digest: Option<String>,
}

impl Inventory {
    /// What an add-on will have.
    pub fn of(addon: &Addon) -> Self {
        let mut digest = Sha256::new();
        for object in &addon.objects {
            digest.update(object.digest());
        }
        Inventory {
            objects: addon.objects.iter().map(|object| object.id().clone()).collect(),
            digest: Some(hex::encode(digest.finalize())),
        }
    }

    /// Both together, on the way from one to the other.
    pub(super) fn with(&self, other: &Inventory) -> Self {
        Inventory { objects: self.objects.union(&other.objects).cloned().collect(), digest: None }
    }

    fn config_map(&self, addon: &str) -> ConfigMap {
        let objects: Vec<&Id> = self.objects.iter().collect();
        // Ids hold nothing but text.
        let text = serde_json::to_string_pretty(&objects).unwrap_or_default();
        let digest = self.digest.as_ref().map(|digest| (DIGEST.to_owned(), digest.clone()));
        let data: BTreeMap<String, String> = std::iter::once((OBJECTS.to_owned(), text)).chain(digest).collect();
        let metadata = ObjectMeta {
            name: Some(name(addon)),
            namespace: Some(SYSTEM.to_owned()),
            labels: Some([(LABEL.to_owned(), addon.to_owned())].into()),
            ..ObjectMeta::default()
        };
        ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }
    }

    /// What cannot be read is as if it were not there: nothing is pruned that is not named.
    fn of_config_map(map: &Value) -> Self {
        let objects = map["data"][OBJECTS].as_str().and_then(|text| serde_json::from_str(text).ok());
        let digest = map["data"][DIGEST].as_str().map(str::to_owned);
        Inventory { digest: digest.filter(|_| objects.is_some()), objects: objects.unwrap_or_default() }
    }
}

fn name(addon: &str) -> String {
    format!("bouquet-inventory-{addon}")
}

/// Where an add-on's inventory is.
pub(super) fn id(addon: &str) -> Id {
    Object::of(&Inventory::default().config_map(addon)).id().clone()
}

/// What the one has and the other does not, and may be removed. Workloads go first, so that nothing runs without what it
/// refers to.
pub(super) fn prunable(known: &Inventory, wanted: &Inventory) -> Vec<Id> {
    let is_wanted = |id: &Id| wanted.objects.iter().any(|other| other.is_same(id));
    let gone = known.objects.iter().filter(|id| !KEPT.contains(&id.kind.as_str()) && !is_wanted(id));
    let mut gone: Vec<Id> = gone.cloned().collect();
    gone.sort_by_key(|id| std::cmp::Reverse(super::order::wave(&id.kind)));
    gone
}

pub(super) async fn read(call: Call<'_>, addon: &str) -> Result<Option<Inventory>, Error> {
    Ok(call.get(&id(addon)).await?.map(|map| Inventory::of_config_map(&map)))
}

/// Nobody else has a say in it.
pub(super) async fn write(call: Call<'_>, addon: &str, inventory: &Inventory) -> Result<(), Failure> {
    apply(call, &Object::of(&inventory.config_map(addon)), true).await
}

/// Every inventory, by add-on.
pub(super) async fn all(call: Call<'_>) -> Result<BTreeMap<String, Inventory>, Error> {
    let maps = call.list(&format!("/api/v1/namespaces/{SYSTEM}/configmaps"), LABEL).await?;
    let named = maps.iter().filter_map(|map| {
        let addon = map["metadata"]["labels"][LABEL].as_str()?;
        Some((addon.to_owned(), Inventory::of_config_map(map)))
    });
    Ok(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(kind: &str, version: &str, name: &str) -> Id {
        Id {
            api_version: version.into(),
            kind: kind.into(),
            plural: format!("{}s", kind.to_lowercase()),
            namespace: None,
            name: name.into(),
        }
    }

    fn inventory(ids: &[Id]) -> Inventory {
        Inventory { objects: ids.iter().cloned().collect(), digest: Some("d".into()) }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let before = inventory(&[id("Deployment", "apps/v1", "a"), id("Secret", "v1", "b")]);
        let map = serde_json::to_value(before.config_map("x")).unwrap();
        assert_eq!(Inventory::of_config_map(&map), before);
    }

    #[test]
    fn a_damaged_inventory_names_nothing() {
        let map = serde_json::json!({"data": {"objects": "[{]", "digest": "d"}});
        assert_eq!(Inventory::of_config_map(&map), Inventory::default());
    }

    #[test]
    fn what_is_no_longer_wanted_goes_workloads_first() {
        let known = inventory(&[id("ConfigMap", "v1", "a"), id("Deployment", "apps/v1", "b"), id("Secret", "v1", "c")]);
        let wanted = inventory(&[id("Secret", "v1", "c")]);
        let gone: Vec<String> = prunable(&known, &wanted).iter().map(ToString::to_string).collect();
        assert_eq!(gone, ["Deployment b", "ConfigMap a"]);
    }

    #[test]
    fn namespaces_kinds_and_claims_stay() {
        let known = inventory(&[
            id("Namespace", "v1", "a"),
            id("CustomResourceDefinition", "apiextensions.k8s.io/v1", "b"),
            id("PersistentVolumeClaim", "v1", "c"),
        ]);
        assert_eq!(prunable(&known, &Inventory::default()), []);
    }

    #[test]
    fn another_version_of_its_api_is_the_same_object() {
        let known = inventory(&[id("CronJob", "batch/v1beta1", "a")]);
        assert_eq!(prunable(&known, &inventory(&[id("CronJob", "batch/v1", "a")])), []);
    }
}
