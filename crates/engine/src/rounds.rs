//! Round and round: look, plan, do, until there is nothing left to do or nothing that helps.

use crate::event::{Event, Listener};
use crate::reach::{Reach, Subject};
use crate::site::Site;
use crate::{Error, observe, schedule, step};
use plan::{Blocked, Observed, Plan, Report, Spare, Step, StepId};
use spec::CloudPlace;
use std::collections::{BTreeMap, BTreeSet};

/// More rounds than this and something goes in circles.
const ROUNDS_MAX: usize = 8;

/// How a run ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Steps that were done and changed something.
    pub changed: usize,
    /// Steps that failed for good, with what they failed of: code, message.
    pub failed: BTreeMap<StepId, (String, String)>,
    /// What could not be planned.
    pub blocked: Vec<Blocked>,
    /// What was seen last.
    pub observed: Observed,
}

impl Outcome {
    /// Whether everything that was wanted is there.
    pub fn is_ok(&self) -> bool {
        self.failed.is_empty() && self.blocked.is_empty()
    }
}

/// Brings the world to what the file says. Events go to `listener` as things happen.
pub async fn apply(reach: &Reach, subject: &Subject, listener: &Listener) -> Result<Outcome, Error> {
    let plans = |observed: &Observed| plan::make(&reach.wish(subject), observed);
    circle(reach, subject, listener, None, plans).await
}

/// Removes everything of the cluster.
pub async fn destroy(reach: &Reach, subject: &Subject, spare: Spare, listener: &Listener) -> Result<Outcome, Error> {
    let plans = |observed: &Observed| plan::destroy(&reach.wish(subject), observed, spare);
    circle(reach, subject, listener, None, plans).await
}

/// Does exactly what a plan says, once, and looks at what has become of it.
pub async fn carry_out(
    reach: &Reach,
    subject: &Subject,
    plan: &Plan,
    observed: &Observed,
    listener: &Listener,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    one_round(reach, subject, plan, observed, listener, &mut outcome).await;
    outcome.observed = observe(reach, subject, &BTreeSet::new()).await?;
    Ok(outcome)
}

/// A fresh look everywhere: what of the cluster is still there, in words. Empty is the proof that nothing is.
pub async fn proof(reach: &Reach, subject: &Subject) -> Result<Vec<String>, Error> {
    let observed = observe(reach, subject, &BTreeSet::new()).await?;
    let mut left: Vec<String> = observed
        .found()
        .filter(|found| found.ours || found.left_behind)
        .map(|found| format!("{} (id {})", found.key, found.id))
        .collect();
    left.extend(observed.devices.iter().filter(|device| device.ours).map(|device| format!("device {}", device.name)));
    left.extend(observed.keys.iter().map(|key| format!("auth key {}", key.id)));
    let records = observed.zone.iter().flat_map(|zone| &zone.records);
    left.extend(records.filter(|record| record.ours).map(|record| format!("record {} {}", record.kind, record.name)));
    Ok(left)
}

async fn circle(
    reach: &Reach,
    subject: &Subject,
    listener: &Listener,
    first: Option<Observed>,
    plans: impl Fn(&Observed) -> (Plan, Report),
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let mut refused: BTreeSet<CloudPlace> = BTreeSet::new();
    let mut given_up = BTreeSet::new();
    let mut told = BTreeSet::new();
    let mut observed = match first {
        Some(observed) => observed,
        None => observe(reach, subject, &refused).await?,
    };
    for _ in 0..ROUNDS_MAX {
        let (plan, report) = plans(&observed);
        for note in report.notes {
            if told.insert((note.subject.clone(), note.text.clone())) {
                listener(Event::Note { subject: note.subject, text: note.text });
            }
        }
        outcome.blocked = report.blocked;
        if plan.is_empty() {
            outcome.failed.clear();
            break;
        }
        outcome.failed.clear();
        let before = (outcome.changed, refused.len());
        let vain = one_round(reach, subject, &plan, &observed, listener, &mut outcome).await;
        refused.extend(vain.places);
        given_up.extend(vain.nodes);
        observed = Observed { given_up: given_up.clone(), ..observe(reach, subject, &refused).await? };
        if (outcome.changed, refused.len()) == before && !outcome.failed.is_empty() {
            break;
        }
    }
    outcome.observed = observed;
    Ok(outcome)
}

/// What is not tried again in this run.
#[derive(Default)]
struct Vain {
    /// Refused for lack of stock.
    places: BTreeSet<CloudPlace>,
    /// Did not come up in their time.
    nodes: BTreeSet<String>,
}

/// Runs a plan's steps.
async fn one_round(
    reach: &Reach,
    subject: &Subject,
    plan: &Plan,
    observed: &Observed,
    listener: &Listener,
    outcome: &mut Outcome,
) -> Vain {
    let site = Site::new(reach, subject, observed);
    let ended = schedule::run(plan, listener, |planned| step::run(site.clone(), planned, listener.clone())).await;
    let mut vain = Vain::default();
    for planned in &plan.steps {
        if ended.done.contains(&planned.id) && planned.class != plan::Class::Wait {
            outcome.changed += 1;
        }
        let Some(error) = ended.failed.get(&planned.id) else { continue };
        let (code, message) = (error.code().to_owned(), error.to_string());
        if let (Step::LaunchMachine { node, place, .. }, true) = (&planned.step, error.is_capacity()) {
            listener(Event::Note { subject: node.clone(), text: format!("{place} has no room now: {message}") });
            vain.places.insert(place.clone());
        } else {
            let joins = matches!(planned.step, Step::JoinMesh { .. } | Step::Introduce { .. });
            if let (true, Some(node), Error::Late { .. }) = (joins, &planned.node, error) {
                vain.nodes.insert(node.clone());
            }
            let step = Some(planned.id.clone());
            listener(Event::Error { code: code.clone(), message: message.clone(), help: error.help(), step });
        }
        outcome.failed.insert(planned.id.clone(), (code, message));
    }
    vain
}
