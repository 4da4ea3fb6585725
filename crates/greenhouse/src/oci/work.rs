//! Work requests: what long changes say of themselves.

use super::State;
use super::call::{Call, Site};
use super::reply::{Answer, Refusal, document, with_header};
use crate::world::State as Everything;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use jiff::Timestamp;
use serde_json::{Value, json};

/// A long change.
pub(crate) struct WorkRequest {
    id: String,
    compartment: String,
    operation: &'static str,
    status: &'static str,
    percent: u64,
    /// What it does to which resource: action, kind, OCID.
    resource: (&'static str, &'static str, String),
    accepted: Timestamp,
    finished: Option<Timestamp>,
    order: u64,
    error: Option<(&'static str, String)>,
}

impl WorkRequest {
    fn shown(&self) -> Value {
        let (action, kind, id) = &self.resource;
        json!({
            "id": self.id,
            "compartmentId": self.compartment,
            "operationType": self.operation,
            "status": self.status,
            "percentComplete": self.percent,
            "timeAccepted": self.accepted,
            "timeStarted": self.accepted,
            "timeFinished": self.finished,
            "resources": [{
                "actionType": if self.finished.is_some() { action } else { "IN_PROGRESS" },
                "entityType": kind,
                "identifier": id,
                "entityUri": format!("/20160918/{kind}s/{id}"),
            }],
        })
    }
}

/// Opens a work request; returns its OCID.
pub(super) fn open(
    state: &mut Everything,
    site: &Site,
    compartment: &str,
    operation: &'static str,
    (action, kind, id): (&'static str, &'static str, &str),
) -> String {
    let order = state.next_id();
    let work = WorkRequest {
        id: state.oci.ocid("coreservicesworkrequest", site.region.name, order),
        compartment: compartment.to_owned(),
        operation,
        status: "IN_PROGRESS",
        percent: 0,
        resource: (action, kind, id.to_owned()),
        accepted: state.now(),
        finished: None,
        order,
        error: None,
    };
    let id = work.id.clone();
    state.oci.work_requests.insert(id.clone(), work);
    id
}

/// It has got this far, in per cent.
pub(super) fn progress(state: &mut Everything, id: &str, percent: u64) {
    if let Some(work) = state.oci.work_requests.get_mut(id) {
        // 100 is for what has finished.
        work.percent = percent.min(99);
    }
}

/// It has succeeded.
pub(super) fn finish(state: &mut Everything, id: &str) {
    close(state, id, "SUCCEEDED");
}

/// It has failed.
pub(super) fn fail(state: &mut Everything, id: &str, code: &'static str, message: &str) {
    if let Some(work) = close(state, id, "FAILED") {
        // The vendor has no word for what was not done to a resource.
        work.resource.0 = "IN_PROGRESS";
        work.error = Some((code, message.to_owned()));
    }
}

fn close<'a>(state: &'a mut Everything, id: &str, status: &'static str) -> Option<&'a mut WorkRequest> {
    let now = state.now();
    if state.lies.contains("oci-work-never-ends") {
        return None;
    }
    let work = state.oci.work_requests.get_mut(id)?;
    work.status = status;
    work.percent = 100;
    work.finished = Some(now);
    Some(work)
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/20160918/workRequests", get(list))
        .route("/20160918/workRequests/{id}", get(read))
        .route("/20160918/workRequests/{id}/errors", get(errors))
        .route("/20160918/workRequests/{id}/logs", get(logs))
}

fn find<'a>(call: &Call, state: &'a State, id: &str) -> Result<&'a WorkRequest, Refusal> {
    state.work_requests.get(id).filter(|_| call.site.holds(id)).ok_or_else(Refusal::not_found)
}

async fn list(call: Call) -> Answer {
    let compartment = call.required("compartmentId")?;
    let resource = call.query("resourceId");
    let found = call.site.world.with(|state| {
        let fits = |work: &&WorkRequest| {
            work.compartment == compartment
                && call.site.holds(&work.id)
                && resource.is_none_or(|id| id == work.resource.2)
        };
        let mut found: Vec<&WorkRequest> = state.oci.work_requests.values().filter(fits).collect();
        found.sort_by_key(|work| std::cmp::Reverse(work.order));
        found.into_iter().map(WorkRequest::shown).collect()
    });
    call.page(found)
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.site.world.with(|state| {
        let work = find(&call, &state.oci, &id)?;
        let answer = document(&work.shown());
        // How long the vendor wants a client to wait before it asks again, in seconds.
        Ok(if work.finished.is_none() { with_header(answer, "retry-after", "15") } else { answer })
    })
}

async fn errors(Path(id): Path<String>, call: Call) -> Answer {
    let all = call.site.world.with(|state| {
        let work = find(&call, &state.oci, &id)?;
        let shown =
            |(code, message): &(&str, String)| json!({"code": code, "message": message, "timestamp": work.finished});
        Ok(work.error.iter().map(shown).collect())
    })?;
    call.page(all)
}

async fn logs(Path(id): Path<String>, call: Call) -> Answer {
    let all = call.site.world.with(|state| {
        let work = find(&call, &state.oci, &id)?;
        let begun = json!({"message": format!("{} accepted", work.operation), "timestamp": work.accepted});
        let ended =
            work.finished.map(|at| json!({"message": format!("{} {}", work.operation, work.status), "timestamp": at}));
        Ok(std::iter::once(begun).chain(ended).collect())
    })?;
    call.page(all)
}
