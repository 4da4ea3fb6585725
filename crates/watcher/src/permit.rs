//! One writer: nothing is written to the zone without a permit that a majority of the vantages has granted.
//!
//! ```text
//! Lease ──read──▶ candidate, Roll ─┬─▶ Granter  (every vantage)  Ask ──▶ Reply: granted for a term, or refused and why
//!                                  └─▶ Holder   (who wants to write)  Replies ──▶ Standing: mute, waiting, live
//! ```
//!
//! A [`Roll`] is the set of vantages that count, with a generation; it lives in the Lease and only changes there. Both
//! halves are synchronous values that take the present as an argument; no two clocks are ever compared.
//!
//! # Why two never write at once
//!
//! Let a holder be *live* while a majority of one roll's members have granted to it, each grant asked under that roll's
//! generation.
//!
//! 1. **A granter has one grant at a time.** It counts the term from receipt, the holder from sending ([`Terms::margin_ms`]
//!    less, for clocks that run unevenly), so that the holder's opinion ends first. A reply bears the number of the ask that it
//!    answers: a late one cannot be taken for the answer to a later ask. Who restarts has forgotten its grant, so it grants
//!    nothing for a term.
//! 2. **Majorities of one roll intersect**, so by 1 two are never live under the same roll at once.
//! 3. **Rolls that follow each other differ by one member**, so that their majorities intersect too: two are never live at once
//!    under g and g+1. g+2 is only written by one who has been live *under g+1*: then a majority of g+1, which intersects every
//!    majority of g, has granted under g+1, and whoever has done that, or has read of it, refuses g for ever (who restarts
//!    reads the Lease from etcd before it grants). So nobody becomes live under g again, and what was granted under g before
//!    had lapsed or was the same holder's. The Lease is changed by compare-and-swap: there is one g+2.
//! 4. **A call begins under a live permit and is given up after [`Terms::call_ms`].** A holder that was not live the moment
//!    before writes nothing for that long, and then only by a zone that it has read since.
//! 5. **Fewer than three on the roll: the Lease alone.** The holder counts from the sending of its last renewal and stops
//!    before a taker's clock has run the Lease's duration; 4 holds as well. From the moment that a change to three is *sent*
//!    such a holder is not live until a later renewal of its own has succeeded: nobody can have read of the third before.
//!    A roll of three never becomes one of two by 3, for then the two left out could be live under the old roll while the
//!    Lease's holder needs nobody.
//! 6. **The dead are buried together.** If so few of a roll's pods still *exist* that they are no majority, nobody can become
//!    live under it again; after a term and a call's time the Lease's holder, itself one of them, makes them the roll. "The
//!    object is gone, so its processes are" is what Kubernetes promises unless somebody deletes by force: `StatefulSet`s stand on the same.
//!
//! Whom a granter *believes in* is not part of the argument. It believes in the Lease's holder as last read; having heard no
//! ask from that one for [`Terms::silence_ms`], in the first by name of the roll's members that ask, whether the API answers or not:
//! a dead holder is replaced in seconds, and without the API too. Belief decides who will be live, never how many.
//!
//! What it stands on besides: clocks that run alike to within the margin and do not stand still (a virtual machine that is
//! suspended and resumed breaks this for one call), and a provider that does nothing late with a request that was given up.

mod granter;
mod holder;
#[cfg(test)]
mod model;
mod roll;
#[cfg(test)]
mod tests;

pub use granter::Granter;
pub use holder::{Holder, Standing};
pub use roll::{Change, Roll, Unchanged};

use detect::Millis;
use serde::{Deserialize, Serialize};

/// How long what lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Terms {
    /// A grant, in milliseconds, as its granter counts.
    pub term_ms: Millis,
    /// A call to the DNS provider is given up after this.
    pub call_ms: Millis,
    /// A candidate that has not asked for this long is taken for dead.
    pub silence_ms: Millis,
    /// By how much two clocks may part within a term or a call.
    pub margin_ms: Millis,
}

impl Default for Terms {
    fn default() -> Self {
        Terms { term_ms: 3_000, call_ms: 3_000, silence_ms: 3_000, margin_ms: 100 }
    }
}

impl Terms {
    /// For those who would rather err than wait.
    pub fn fast() -> Self {
        Terms { term_ms: 1_000, call_ms: 1_000, silence_ms: 1_000, margin_ms: 30 }
    }

    /// Between two asks: three fit into a term.
    pub fn ask_every_ms(&self) -> Millis {
        self.term_ms / 3
    }

    /// What a new holder waits for: whatever its predecessor had begun is over then.
    pub fn patience_ms(&self) -> Millis {
        self.call_ms + self.margin_ms
    }
}

/// One life of one vantage: a process that starts anew is somebody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Candidate {
    /// Name of its pod.
    pub name: String,
    /// Drawn at random when the process started.
    pub life: u64,
}

/// "May I write?"
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ask {
    /// Who asks.
    pub holder: Candidate,
    /// Grows with each ask of one life.
    pub number: u64,
    /// Generation of the roll that it asks under.
    pub generation: u64,
}

/// What one granter answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reply {
    /// The ask that this answers.
    pub holder: Candidate,
    /// Its number.
    pub number: u64,
    /// What comes of it.
    pub said: Said,
}

/// Granted, or why not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Said {
    /// For one term.
    Granted,
    /// Not now.
    Refused(Refusal),
}

/// Why a granter does not grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// It has another candidate.
    #[error("{0:?} is its candidate")]
    Candidate(Option<String>),
    /// What it granted to another still lasts.
    #[error("it has granted to {name} for {for_ms} ms more")]
    Granted {
        /// To whom.
        name: String,
        /// Milliseconds left.
        for_ms: Millis,
    },
    /// The roll has changed: read the Lease.
    #[error("the roll is at generation {0}")]
    Outdated(u64),
    /// It started less than a term ago, and does not know what it granted before.
    #[error("it started less than a term ago")]
    Restarted,
    /// It has not read the Lease yet.
    #[error("it has not read the Lease")]
    Unread,
}

/// "I write no more": frees what was granted by asks up to a number, so that the next need not wait a term.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Release {
    /// Who.
    pub holder: Candidate,
    /// The last ask that it frees.
    pub number: u64,
}
