//! Images: the vendor's own, and snapshots.

use super::answer::{Answer, Refusal, no_content, ok};
use super::catalogue::arch_word;
use super::input::{Id, Input, Query};
use super::{list, stamp};
use crate::factory;
use crate::machine::Arch;
use crate::world::{GreenhouseError, State as Everything, World};
use axum::Router;
use axum::extract::State as Handle;
use axum::routing::get;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) struct Image {
    pub(super) id: u64,
    /// System images have one.
    name: Option<String>,
    pub(super) description: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) arch: Arch,
    /// What a machine made from it has on its disk.
    pub(super) disk: Bytes,
    pub(super) disk_gib: u64,
    pub(super) available: bool,
    /// The server that a snapshot was taken of.
    created_from: Option<(u64, String)>,
    created: Timestamp,
}

/// What a snapshot begins as.
pub(super) struct Draft {
    pub(super) description: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) arch: Arch,
    pub(super) disk: Bytes,
    pub(super) disk_gib: u64,
    pub(super) created_from: Option<(u64, String)>,
    pub(super) available: bool,
}

impl Image {
    pub(super) fn is_snapshot(&self) -> bool {
        self.name.is_none()
    }

    /// Whether a reference (id or, of system images, name) means this one for this architecture.
    pub(super) fn is(&self, reference: &str, arch: Arch) -> bool {
        self.id.to_string() == reference || (self.name.as_deref() == Some(reference) && self.arch == arch)
    }

    pub(super) fn json(&self) -> Value {
        let status = if self.available { "available" } else { "creating" };
        let flavor = self.name.as_deref().and_then(|name| name.split('-').next());
        json!({
            "id": self.id, "type": if self.is_snapshot() { "snapshot" } else { "system" }, "status": status,
            "name": self.name, "description": self.description, "created": stamp(self.created),
            "image_size": if self.is_snapshot() && self.available { json!(0.35) } else { Value::Null },
            "disk_size": self.disk_gib,
            "created_from": self.created_from.as_ref().map(|(id, name)| json!({"id": id, "name": name})),
            "bound_to": null, "os_flavor": flavor.unwrap_or("unknown"),
            "os_version": self.name.as_deref().and_then(|name| name.split_once('-')).map(|(_, version)| version),
            "rapid_deploy": !self.is_snapshot(), "protection": {"delete": false}, "deprecation": null, "deleted": null,
            "labels": self.labels, "architecture": arch_word(self.arch),
        })
    }
}

/// The vendor's own images. What they boot is nothing that this world knows.
pub(super) fn system() -> BTreeMap<u64, Image> {
    const NAMES: &[(u64, &str, &str, Arch)] = &[
        (161_547_269, "ubuntu-24.04", "Ubuntu 24.04", Arch::Amd64),
        (161_547_270, "ubuntu-24.04", "Ubuntu 24.04", Arch::Arm64),
        (45_557_056, "debian-12", "Debian 12", Arch::Amd64),
        (103_908_130, "debian-12", "Debian 12", Arch::Arm64),
    ];
    let image = |(id, name, description, arch): &(u64, &str, &str, Arch)| {
        let image = Image {
            id: *id,
            name: Some((*name).to_owned()),
            description: (*description).to_owned(),
            labels: BTreeMap::new(),
            arch: *arch,
            disk: Bytes::from_static(b"a general-purpose Linux"),
            disk_gib: 5,
            available: true,
            created_from: None,
            created: Timestamp::UNIX_EPOCH,
        };
        (*id, image)
    };
    NAMES.iter().map(image).collect()
}

/// Adds a snapshot; returns its id.
pub(super) fn add(state: &mut Everything, draft: Draft) -> u64 {
    let (id, created) = (state.next_id(), state.now());
    let image = Image {
        id,
        name: None,
        description: draft.description,
        labels: draft.labels,
        arch: draft.arch,
        disk: draft.disk,
        disk_gib: draft.disk_gib,
        available: draft.available,
        created_from: draft.created_from,
        created,
    };
    state.hetzner.images.insert(id, image);
    id
}

pub(super) fn routes() -> Router<World> {
    Router::new().route("/images", get(all)).route("/images/{id}", get(read).put(update).delete(delete))
}

const TYPES: &[&str] = &["system", "snapshot", "backup", "app"];
const STATUSES: &[&str] = &["available", "creating", "unavailable"];
const ARCHITECTURES: &[&str] = &["x86", "arm"];

async fn all(Handle(world): Handle<World>, query: Query) -> Answer {
    let items: Vec<Value> = world.with(|state| state.hetzner.images.values().map(Image::json).collect());
    let fits = |item: &Value| {
        let is = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
        query.wants("type", TYPES, &is("type"))
            && query.wants("status", STATUSES, &is("status"))
            && query.wants("architecture", ARCHITECTURES, &is("architecture"))
    };
    list::page(&query, "images", items.into_iter().filter(fits).collect(), &["id", "name", "created"])
}

async fn read(Handle(world): Handle<World>, Id(id): Id) -> Answer {
    match world.with(|state| state.hetzner.images.get(&id).map(Image::json)) {
        Some(image) => ok(json!({"image": image})),
        None => Err(Refusal::not_found("image", id)),
    }
}

async fn update(Handle(world): Handle<World>, Id(id): Id, input: Input) -> Answer {
    input.only(&["description", "type", "labels"])?;
    let (description, labels) = (input.text("description")?.map(str::to_owned), input.labels()?);
    world.with(|state| {
        let image = state.hetzner.images.get_mut(&id).filter(|image| image.is_snapshot());
        let image = image.ok_or_else(|| Refusal::not_found("image", id))?;
        image.description = description.unwrap_or_else(|| image.description.clone());
        image.labels = labels.unwrap_or_else(|| image.labels.clone());
        ok(json!({"image": image.json()}))
    })
}

async fn delete(Handle(world): Handle<World>, Id(id): Id) -> Answer {
    world.with(|state| match state.hetzner.images.get(&id) {
        None => Err(Refusal::not_found("image", id)),
        Some(image) if !image.is_snapshot() => Err(Refusal::protected("image")),
        Some(image) if !image.available => Err(Refusal::new(409, "conflict", "the image is still being created")),
        Some(_) => {
            state.hetzner.images.remove(&id);
            no_content()
        }
    })
}

pub(super) fn foreign(state: &mut Everything, name: &str) {
    let draft = Draft {
        description: name.to_owned(),
        labels: BTreeMap::new(),
        arch: Arch::Amd64,
        disk: Bytes::from_static(b"somebody's disk"),
        disk_gib: 20,
        created_from: None,
        available: true,
    };
    add(state, draft);
}

/// See [`crate::Greenhouse::snapshot`].
pub(super) fn prebuilt(
    state: &mut Everything,
    labels: &BTreeMap<String, String>,
    extensions: &[&str],
    talos: &str,
    arch: &str,
) -> Result<(), GreenhouseError> {
    let arch = if arch == "arm64" { Arch::Arm64 } else { Arch::Amd64 };
    let disk = factory::prebuilt(state, extensions, talos, "hcloud", arch);
    let disk = disk.ok_or_else(|| GreenhouseError::NoKind(format!("Talos {talos} with {extensions:?}")))?;
    let description = format!("talos {talos}");
    let draft =
        Draft { description, labels: labels.clone(), arch, disk, disk_gib: 10, created_from: None, available: true };
    add(state, draft);
    Ok(())
}
