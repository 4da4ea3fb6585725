//! Who counts.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The vantages whose majority decides, as the Lease has them (annotation `bouquet.dev/roll`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Roll {
    /// Grows by one with each change; 0 is no roll.
    pub generation: u64,
    /// Names of pods.
    pub members: BTreeSet<String>,
}

/// A change of the roll.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// One vantage more.
    Add(String),
    /// One less.
    Remove(String),
    /// Of all members only these still exist, seen for a term and a call's time: see rule 6 of [`crate::permit`].
    Bury {
        /// Members whose pods exist, alive or not.
        left: BTreeSet<String>,
        /// For how long it has been seen that the others do not, in milliseconds.
        seen_ms: u64,
    },
}

/// Why the roll stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Unchanged {
    /// It would be the same, or nobody would be left.
    #[error("there is nothing to change")]
    Nothing,
    /// The Lease is another's, or a change is on its way.
    #[error("the Lease is not held, or a change is on its way")]
    NotHeld,
    /// No majority of the present roll has granted.
    #[error("the permit is not live under the present roll")]
    NotLive,
    /// Three never become two while all three exist.
    #[error("a roll of three is not reduced while a majority of its pods exist")]
    TooFew,
    /// Those that are left are a majority, or have not been alone for long enough, or do not include who asks.
    #[error("those that are left cannot bury the others yet")]
    TooEarly,
}

impl Roll {
    /// Below this the Lease decides alone.
    pub const PERMITS_FROM: usize = 3;

    /// The first roll: of whoever finds no Lease, and those that it hears.
    pub fn founded_by(members: BTreeSet<String>) -> Self {
        Roll { generation: 1, members }
    }

    /// Whether the Lease decides alone.
    pub fn is_small(&self) -> bool {
        self.members.len() < Self::PERMITS_FROM
    }

    /// Members that make a majority.
    pub fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }

    pub(super) fn next(&self, members: BTreeSet<String>) -> Roll {
        Roll { generation: self.generation + 1, members }
    }
}
