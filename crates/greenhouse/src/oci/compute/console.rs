//! Console histories: what came out of an instance's serial console, as of when it was asked for.

use super::super::State;
use super::super::call::{Call, Site, need};
use super::super::crud::Created;
use super::super::reply::{Answer, Refusal, with_header};
use super::super::resource::{Common, Lifecycle, Naming, Resource, shelved};
use super::Instance;
use axum::Router;
use axum::extract::Path;
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

const CAPTURE: &[&str] = &["definedTags", "displayName", "freeformTags", "instanceId"];
/// The last of the console that is kept, and what one call hands out if nothing is said: 1 MiB, 10 KiB.
const KEPT_BYTES: usize = 1 << 20;
const PART_BYTES: usize = 10 << 10;

/// A captured console.
pub(crate) struct ConsoleHistory {
    common: Common,
    availability_domain: String,
    instance: String,
    data: Bytes,
}

impl Resource for ConsoleHistory {
    const KIND: &'static str = "consolehistory";
    const LACKS: &'static [&'static str] = &["systemTags"];
    shelved!(console_histories);

    fn fields(&self, _state: &State) -> Value {
        json!({"availabilityDomain": self.availability_domain, "instanceId": self.instance})
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(flatten)]
    naming: Naming,
    instance_id: Option<String>,
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/20160918/instanceConsoleHistories", get(list).post(capture))
        .route("/20160918/instanceConsoleHistories/{id}", get(read).delete(delete))
        .route("/20160918/instanceConsoleHistories/{id}/data", get(data))
}

async fn list(call: Call) -> Answer {
    let instance = call.query("instanceId");
    call.list::<ConsoleHistory>(|history| instance.is_none_or(|id| id == history.instance))
}

async fn capture(call: Call) -> Answer {
    let mut details: Details = call.details(CAPTURE)?;
    let id = need(details.instance_id, "instanceId")?;
    let created = call.create(|state| {
        let instance = call.site.find::<Instance>(&state.oci, &id)?;
        if matches!(instance.common.lifecycle, Lifecycle::Provisioning | Lifecycle::Terminated) {
            let word = instance.common.lifecycle.word();
            return Err(Refusal::incorrect_state(format!("The instance {id} is in state {word}, it has no console")));
        }
        details.naming.compartment_id = Some(instance.common.compartment.clone());
        let availability_domain = instance.availability_domain.clone();
        let (region, kind) = (call.site.region.name, ConsoleHistory::KIND);
        let common = Common::new(state, region, kind, details.naming, Lifecycle::Requested)?;
        Ok(ConsoleHistory { common, availability_domain, instance: id, data: Bytes::new() })
    })?;
    if let Created::New(id) = &created {
        record(&call.site, id.clone());
    }
    call.show::<ConsoleHistory>(created.id())
}

/// REQUESTED, GETTING-HISTORY, SUCCEEDED: some seconds.
fn record(site: &Site, id: String) {
    let world = site.world.clone();
    site.world.spawn(async move {
        world.delay_between("oci console requested", 500, 1_500).await;
        world.with(|state| {
            if let Some(history) = state.oci.console_histories.get_mut(&id) {
                history.common.enter(Lifecycle::GettingHistory);
            }
        });
        world.delay_between("oci console history", 2_000, 5_000).await;
        world.with(|state| {
            let Some(history) = state.oci.console_histories.get(&id) else { return };
            let machine = state.oci.instances.get(&history.instance).and_then(|instance| instance.machine);
            let console = machine.and_then(|id| state.machines.get(&id)).map(|machine| machine.console.join("\n"));
            let text = Bytes::from(console.unwrap_or_default());
            let Some(history) = state.oci.console_histories.get_mut(&id) else { return };
            history.data = text.slice(text.len().saturating_sub(KEPT_BYTES)..);
            history.common.enter(Lifecycle::Succeeded);
        });
    });
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<ConsoleHistory>(&id)
}

async fn delete(Path(id): Path<String>, call: Call) -> Answer {
    call.delete::<ConsoleHistory>(&id, |_, _| Ok(()))
}

async fn data(Path(id): Path<String>, call: Call) -> Answer {
    let number = |name: &str, default: usize| match call.query(name).map(str::parse) {
        None => Ok(default),
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => Err(Refusal::invalid(format!("{name} is invalid"))),
    };
    let (from, length) = (number("offset", 0)?, number("length", PART_BYTES)?.min(KEPT_BYTES));
    call.site.world.with(|state| {
        let history = call.site.find::<ConsoleHistory>(&state.oci, &id)?;
        if history.common.lifecycle != Lifecycle::Succeeded {
            return Err(Refusal::incorrect_state(format!("The console history {id} has not succeeded")));
        }
        let from = from.min(history.data.len());
        let to = from.saturating_add(length).min(history.data.len());
        let part = history.data.slice(from..to);
        let answer = ([("content-type", "text/plain")], part).into_response();
        Ok(with_header(answer, "opc-bytes-remaining", &(history.data.len() - to).to_string()))
    })
}
