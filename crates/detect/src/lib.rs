//! The watcher's mind: has this node failed to serve?
//!
//! ```text
//! probes ──Local──▶ Report ─┐  one vantage's opinion of one node's address
//! probes ──Local──▶ Report ─┤
//!                           ├─poll──▶ Ruling ─┐  serving, unstable, down, unknown; and who saw what
//! control probes ──Trust────┘                 ├─decide──▶ Decision: withdraw, restore or hold, and the rule that says so
//! cluster hints, pins ────────────────────────┤
//! the zone as just read, Memory ──────────────┘
//! ```
//!
//! A **vantage** is one replica of the watcher; a **target** is one address of one ingress node. Each vantage keeps a
//! [`Local`] for each target, and tells the others its [`Report`]. Whoever may write asks [`decide`], which
//! first counts voices and then lets every [`Rule`] object. What it remembers from one decision to the next
//! ([`Memory`]: flaps, holds, what was withdrawn lately) is a value that whoever is next takes over.
//!
//! It does not know what a socket, a DNS provider or Kubernetes is, and has no clock: the present is an argument, in
//! milliseconds of a clock that only goes forward.

mod decide;
mod local;
mod memory;
mod policy;
mod poll;
mod probe;
mod rule;
mod schedule;
mod trust;
mod zone;

pub use decide::{Act, Alert, Because, Decision, Judgement, Situation, decide};
pub use local::{Local, View};
pub use memory::{Flaps, Memory};
pub use policy::Policy;
pub use poll::{Ruling, Verdict, Voice, poll};
pub use probe::{Cause, Outcome};
pub use rule::Rule;
pub use schedule::Schedule;
pub use trust::Trust;
pub use zone::{Hint, Node, Pin, Record, Zone};

use serde::{Deserialize, Serialize};

/// Milliseconds of a clock that only goes forward, the same for all who are compared.
pub type Millis = u64;

/// An address family; each lives and is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

/// One address of one ingress node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// Name of the node.
    pub node: String,
    /// Which of its addresses.
    pub family: Family,
}

/// Who probes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vantage {
    /// Name of the node it runs on; a watcher has one vantage a node.
    pub node: String,
    /// What it shares its fate with: a region, an uplink. Vantages of one site have one voice.
    pub site: String,
}

/// One vantage's opinion of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whose.
    pub vantage: Vantage,
    /// Of what.
    pub target: Target,
    /// What it sees.
    pub view: View,
    /// Why it sees no good, from the last probe that failed.
    pub cause: Option<Cause>,
    /// Its last probe failed, or is not answered in time; one that serves is then doubted, and no more.
    pub failing: bool,
    /// When it last changed its mind.
    pub since_ms: Millis,
    /// When its last probe ended.
    pub probed_ms: Millis,
    /// Whether it trusts itself: see [`Trust`].
    pub trusted: bool,
}
