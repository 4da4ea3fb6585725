//! Runs the steps of a plan: every step as soon as all before it are done, side by side, each once.

use crate::event::{Event, Listener, StepState};
use futures::stream::{FuturesUnordered, StreamExt};
use plan::{Plan, Planned, StepId};
use std::collections::{BTreeMap, BTreeSet};

/// How a plan's steps ended.
#[derive(Debug)]
pub(crate) struct Ended<E> {
    pub done: BTreeSet<StepId>,
    pub failed: BTreeMap<StepId, E>,
    /// Not begun, because something before them failed.
    pub skipped: BTreeSet<StepId>,
}

/// Runs `work` for every step. A step that fails takes along only what waits for it.
pub(crate) async fn run<'a, E, F>(plan: &'a Plan, listener: &Listener, work: impl Fn(&'a Planned) -> F) -> Ended<E>
where
    F: Future<Output = Result<(), E>> + 'a,
{
    let mut ended = Ended { done: BTreeSet::new(), failed: BTreeMap::new(), skipped: BTreeSet::new() };
    let mut waiting: Vec<&Planned> = plan.steps.iter().collect();
    let mut running = FuturesUnordered::new();
    loop {
        waiting.retain(|&planned| {
            let lost = |id: &StepId| ended.failed.contains_key(id) || ended.skipped.contains(id);
            if planned.after.iter().any(lost) {
                listener(Event::step(planned, StepState::Skipped));
                ended.skipped.insert(planned.id.clone());
                return false;
            }
            if !planned.after.iter().all(|id| ended.done.contains(id)) {
                return true;
            }
            listener(Event::step(planned, StepState::Started));
            let step = work(planned);
            running.push(async move { (planned, step.await) });
            false
        });
        let Some((planned, result)) = running.next().await else { break };
        match result {
            Ok(()) => {
                listener(Event::step(planned, StepState::Done));
                ended.done.insert(planned.id.clone());
            }
            Err(error) => {
                listener(Event::step(planned, StepState::Failed));
                ended.failed.insert(planned.id.clone(), error);
            }
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::{Step, Verb};
    use std::sync::{Arc, Mutex};

    fn plan(steps: &[(&str, &[&str])]) -> Plan {
        let planned = |(id, after): &(&str, &[&str])| Planned {
            id: (*id).into(),
            step: Step::DeleteKey { id: (*id).into() },
            class: plan::Class::Destroy,
            node: None,
            after: after.iter().map(|id| (*id).into()).collect(),
            cost: None,
        };
        let steps = steps.iter().map(planned).collect();
        Plan { verb: Verb::Apply, cluster: "test".into(), parent: String::new(), steps }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_takes_along_only_what_waits_for_it() {
        let plan = plan(&[("a", &[]), ("b", &["a"]), ("c", &["b"]), ("d", &[])]);
        let listener: Listener = Arc::new(|_| ());
        let ended = run(&plan, &listener, |planned| async move { if planned.id == "a" { Err("no") } else { Ok(()) } });
        let ended = ended.await;
        assert_eq!(ended.done.into_iter().collect::<Vec<_>>(), ["d"]);
        assert_eq!(ended.failed.into_keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(ended.skipped.into_iter().collect::<Vec<_>>(), ["b", "c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_run_side_by_side_does() {
        let plan = plan(&[("a", &[]), ("b", &[]), ("c", &["a", "b"])]);
        let started = Arc::new(Mutex::new(Vec::new()));
        let heard = started.clone();
        let listener: Listener = Arc::new(move |event| {
            if let Event::Step { id, state: StepState::Started, .. } = event {
                heard.lock().unwrap().push(id);
            }
        });
        let clock = tokio::time::Instant::now();
        run::<(), _>(&plan, &listener, |_| async {
            tokio::time::sleep(std::time::Duration::from_secs(10)).await;
            Ok(())
        })
        .await;
        assert_eq!(clock.elapsed().as_secs(), 20);
        assert_eq!(*started.lock().unwrap(), ["a", "b", "c"]);
    }
}
