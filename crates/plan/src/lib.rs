//! The planner: what should be and what is, in; a [`Plan`] and a [`Report`], out.
//!
//! [`make`] is one synchronous function over plain values. The plan leaves the engine nothing to choose but which of
//! the ready steps to run at once; the report says what is blocked, by what, and what would unblock it.
//! [`check`] is the judge of plans: the invariants that no plan may break, whoever made it.
//!
//! ```text
//! Cluster + Lock ─┐
//!                 ├─make─▶ Plan { parent: digest of what was seen, steps: [Planned { step, class, after, cost }] }
//! Observed ───────┘        Report { blocked, notes, bill }
//! ```
//!
//! This crate refuses to do I/O, and to leave `engine` a choice.

mod bill;
mod check;
mod destroy;
mod draft;
mod graph;
mod make;
mod observed;
mod places;
mod removal;
mod steps;
mod workloads;

pub use bill::{Bill, BillLine, bill};
pub use check::{Broken, check};
pub use destroy::{Spare, destroy};
pub use graph::{Cycle, order};
pub use make::{Wish, make, need_of};
pub use observed::{
    AddonSeen, ApiRecord, BOOTSTRAP_LABEL, CloudSeen, Device, FORMED_LABEL, Formation, KubeNode, LOST_LABEL, MeshKey,
    NodeSeen, Observed, ZoneSeen,
};
pub use places::Placement;
pub use steps::{Blocked, CODES, Class, Error, Note, Plan, Planned, Report, Step, StepId, Verb};
