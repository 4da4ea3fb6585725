//! Kubernetes objects of add-ons: applied in order, remembered, compared, removed when nobody wants them any more.
//!
//! ```text
//! Addon ─▶ namespaces ─▶ inventory: old ∪ new ─▶ kinds, established ─▶ rights, configuration ─▶ workloads
//!                                                     ─▶ prune: old − new ─▶ inventory: new, with its digest
//! ```
//!
//! The inventory names every object *before* it is applied and until it is gone, so that a run which is cut off leaves
//! nothing that the next one would not find. Changes are server-side applies under the field manager `bouquet`, never
//! forced unless the user says so; drift is what a dry run of the same would change.
//!
//! Order, differences, what to prune and why a workload is not ready are plain functions. This room refuses to touch a
//! cluster by any other way than the client that it is given, and to remove namespaces, custom kinds and claims of storage.

mod call;
mod conflict;
mod difference;
mod inventory;
mod order;
mod readiness;

pub use call::MANAGER;
pub use inventory::Inventory;

use addons::{Addon, Id, Object};
use call::Call;
use futures::stream::{self, StreamExt, TryStreamExt};
use kube::Error as Refusal;
use order::Wave;
use plan::AddonSeen;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use wire::{Pace, Time};

/// Requests about one add-on that are under way at once.
const AT_ONCE: usize = 8;
/// A custom kind is served within a second or two of its definition.
const ESTABLISHED_WITHIN: Duration = Duration::from_mins(1);

/// Why an add-on could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Somebody else manages fields that the add-on wants: who, and which.
    #[error("{object}: {}", .fields.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Conflict {
        /// The object.
        object: Id,
        /// Owners and fields.
        fields: Vec<Conflict>,
    },
    /// The API refused an object, or did not answer.
    #[error("{object}: {refusal}")]
    Refused {
        /// The object.
        object: Id,
        /// The API's words.
        refusal: Refusal,
    },
    /// A custom kind was not served in time.
    #[error("{0} was not established")]
    NotEstablished(Id),
}

pub use conflict::Conflict;

impl Failure {
    /// Whether the same may work a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Failure::Conflict { .. } => false,
            // 404: a namespace or kind that is not served yet. 409 without owners: somebody wrote in between.
            Failure::Refused { refusal: Refusal::Api(status), .. } => {
                matches!(status.code, 404 | 408 | 409 | 429 | 500..=599)
            }
            Failure::Refused { .. } | Failure::NotEstablished(_) => true,
        }
    }
}

fn refused(object: &Id) -> impl FnOnce(Refusal) -> Failure + '_ {
    |refusal| Failure::Refused { object: object.clone(), refusal }
}

/// Applies an add-on and removes what an earlier form of it had. `adopt`: takes fields that others manage. Doing it again
/// changes nothing.
pub async fn install(client: &kube::Client, time: &Time, addon: &Addon, adopt: bool) -> Result<(), Failure> {
    let call = Call(client);
    let waves = order::waves(&addon.objects);
    let home = addons::system_namespace();
    let before = std::iter::once(&home).chain(waves.get(&Wave::Namespaces).into_iter().flatten().copied());
    for namespace in before {
        apply(call, namespace, adopt).await?;
    }
    let wanted = Inventory::of(addon);
    let known = inventory::read(call, addon.name).await.map_err(refused(&inventory::id(addon.name)))?;
    let known = known.unwrap_or_default();
    if known != wanted {
        inventory::write(call, addon.name, &known.with(&wanted)).await?;
    }
    for (_, objects) in waves.range(Wave::Kinds..) {
        let applied = stream::iter(objects.iter().map(|object| apply(call, object, adopt)));
        applied.buffered(AT_ONCE).try_collect::<Vec<()>>().await?;
        for object in objects.iter().filter(|object| order::wave(&object.id().kind) == Wave::Kinds) {
            await_established(call, time, object.id()).await?;
        }
    }
    for gone in inventory::prunable(&known, &wanted) {
        remove_ours(call, &gone).await?;
    }
    if known != wanted {
        inventory::write(call, addon.name, &wanted).await?;
    }
    Ok(())
}

async fn apply(call: Call<'_>, object: &Object, adopt: bool) -> Result<(), Failure> {
    match call.apply(object, adopt).await {
        Ok(()) => Ok(()),
        Err(refusal) => match conflict::of(&refusal) {
            Some(fields) => Err(Failure::Conflict { object: object.id().clone(), fields }),
            None => Err(refused(object.id())(refusal)),
        },
    }
}

async fn await_established(call: Call<'_>, time: &Time, id: &Id) -> Result<(), Failure> {
    let began = time.now();
    loop {
        let there = call.get(id).await.map_err(refused(id))?;
        if there.is_some_and(|kind| readiness::is_established(&kind)) {
            return Ok(());
        }
        let waited = time.now().duration_since(began).unsigned_abs();
        if waited > ESTABLISHED_WITHIN {
            return Err(Failure::NotEstablished(id.clone()));
        }
        time.sleep(Pace::NODE.next(waited)).await;
    }
}

/// Removes an object that the inventory names, unless bouquet no longer manages any of it.
async fn remove_ours(call: Call<'_>, id: &Id) -> Result<(), Failure> {
    let there = call.get(id).await.map_err(refused(id))?;
    if there.is_some_and(|object| conflict::is_managed(&object)) {
        call.delete(id).await.map_err(refused(id))?;
    }
    Ok(())
}

/// Removes an add-on: everything in its inventory but namespaces, custom kinds and claims of storage, then the inventory.
pub async fn uninstall(client: &kube::Client, name: &str) -> Result<(), Failure> {
    let call = Call(client);
    let at = inventory::id(name);
    let Some(known) = inventory::read(call, name).await.map_err(refused(&at))? else { return Ok(()) };
    for gone in inventory::prunable(&known, &Inventory::default()) {
        remove_ours(call, &gone).await?;
    }
    call.delete(&at).await.map_err(refused(&at))
}

/// What is there of add-ons, by name: of those that are wanted and of those that once were. A few requests for each object.
pub async fn look(client: &kube::Client, wanted: &[Addon]) -> Result<BTreeMap<String, AddonSeen>, Refusal> {
    let call = Call(client);
    let mut seen = BTreeMap::new();
    for (name, known) in inventory::all(call).await? {
        let addon = wanted.iter().find(|addon| addon.name == name);
        let looked = match addon {
            Some(addon) => look_at(call, addon, &known).await?,
            None => AddonSeen::default(),
        };
        seen.insert(name, looked);
    }
    Ok(seen)
}

async fn look_at(call: Call<'_>, addon: &Addon, known: &Inventory) -> Result<AddonSeen, Refusal> {
    let wanted = Inventory::of(addon);
    let mut seen = AddonSeen { is_whole: known.digest == wanted.digest, ..AddonSeen::default() };
    let looks = stream::iter(addon.objects.iter().map(|object| compare(call, object)));
    let looks: Vec<Compared> = looks.buffered(AT_ONCE).try_collect().await?;
    for (object, compared) in addon.objects.iter().zip(looks) {
        let id = object.id();
        match compared {
            Compared::Missing => seen.differences.push(format!("{id}: missing")),
            Compared::Conflicts(fields) => {
                seen.conflicts.extend(fields.iter().map(|conflict| format!("{id}: {conflict}")));
            }
            Compared::There { live, changes } => {
                seen.differences.extend(changes.iter().map(|path| format!("{id}: {path}")));
                seen.trouble.extend(trouble(call, id, &live).await?);
            }
        }
    }
    seen.differences.extend(inventory::prunable(known, &wanted).iter().map(|id| format!("{id}: no longer wanted")));
    Ok(seen)
}

enum Compared {
    Missing,
    Conflicts(Vec<Conflict>),
    There { live: Value, changes: Vec<String> },
}

/// Holds an object against what is there, by a dry run.
async fn compare(call: Call<'_>, object: &Object) -> Result<Compared, Refusal> {
    let Some(live) = call.get(object.id()).await? else { return Ok(Compared::Missing) };
    match call.would_be(object).await {
        Ok(applied) => Ok(Compared::There { changes: difference::paths(&live, &applied), live }),
        Err(refusal) => match (conflict::of(&refusal), &refusal) {
            (Some(fields), _) => Ok(Compared::Conflicts(fields)),
            // Gone in between, with its namespace or kind.
            (None, Refusal::Api(status)) if status.code == 404 => Ok(Compared::Missing),
            _ => Err(refusal),
        },
    }
}

/// Why an add-on's workloads are not ready, in words; empty if they are.
pub async fn unready(client: &kube::Client, addon: &Addon) -> Result<Vec<String>, Refusal> {
    let call = Call(client);
    let mut words = Vec::new();
    for object in &addon.objects {
        match call.get(object.id()).await? {
            _ if !readiness::is_workload(&object.id().kind) => {}
            Some(live) => words.extend(trouble(call, object.id(), &live).await?),
            None => words.push(format!("{} is missing", object.id())),
        }
    }
    Ok(words)
}

async fn trouble(call: Call<'_>, id: &Id, live: &Value) -> Result<Option<String>, Refusal> {
    if !readiness::is_workload(&id.kind) {
        return Ok(None);
    }
    let nodes = match readiness::node_selector(live) {
        Some(selector) if id.kind == "DaemonSet" => call.names("/api/v1/nodes", &selector).await?.len(),
        _ => 0,
    };
    if readiness::is_rolled_out(live, nodes) {
        return Ok(None);
    }
    let pods = match (&id.namespace, readiness::pod_selector(live)) {
        (Some(namespace), Some(selector)) => {
            call.list(&format!("/api/v1/namespaces/{namespace}/pods"), &selector).await?
        }
        _ => Vec::new(),
    };
    Ok(Some(format!("{id}: {}", readiness::reason(live, &pods, nodes))))
}

/// Deletes a workload and waits, for no longer than `limit`, until none of its pods is left.
pub async fn stop(client: &kube::Client, time: &Time, id: &Id, limit: Duration) -> Result<(), Refusal> {
    let call = Call(client);
    let Some(live) = call.get(id).await? else { return Ok(()) };
    call.delete(id).await?;
    let (Some(namespace), Some(selector)) = (&id.namespace, readiness::pod_selector(&live)) else { return Ok(()) };
    let began = time.now();
    loop {
        let left = call.names(&format!("/api/v1/namespaces/{namespace}/pods"), &selector).await?;
        let waited = time.now().duration_since(began).unsigned_abs();
        if left.is_empty() || waited > limit {
            return Ok(());
        }
        time.sleep(Pace::NODE.next(waited)).await;
    }
}
