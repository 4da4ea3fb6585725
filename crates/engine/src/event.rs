use plan::{Class, Planned, StepId};
use serde::Serialize;
use std::sync::Arc;

/// Everything the engine has to say while it works. Bars, plain lines and JSON are renderings of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A step has changed its state.
    Step {
        /// Its name in the plan.
        id: StepId,
        /// The node it is about.
        node: Option<String>,
        /// The variant of [`plan::Step`].
        kind: String,
        /// What it means for what runs.
        class: Class,
        /// Its state now.
        state: StepState,
    },
    /// A long step is further than it was.
    Progress {
        /// The step.
        id: StepId,
        /// What is being done, in a few words.
        what: String,
        /// Bytes done, 0 if it is not about bytes.
        done_bytes: u64,
        /// Bytes in all, 0 if unknown.
        total_bytes: u64,
    },
    /// Something to know.
    Note {
        /// Node or resource.
        subject: String,
        /// One sentence.
        text: String,
    },
    /// Something has failed.
    Error {
        /// `BQnnnn`.
        code: String,
        /// One sentence.
        message: String,
        /// What to do about it.
        help: Option<String>,
        /// The step that it failed in.
        step: Option<StepId>,
    },
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It has begun.
    Started,
    /// It is done.
    Done,
    /// It has failed.
    Failed,
    /// It was not begun, because something before it failed.
    Skipped,
}

/// Whoever hears the engine's events.
pub type Listener = Arc<dyn Fn(Event) + Send + Sync>;

impl Event {
    pub(crate) fn step(planned: &Planned, state: StepState) -> Self {
        Event::Step {
            id: planned.id.clone(),
            node: planned.node.clone(),
            kind: planned.id.split('/').next().unwrap_or_default().to_owned(),
            class: planned.class,
            state,
        }
    }
}
