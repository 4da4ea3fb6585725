//! The zone: what is in it, whose it is, and what shall change.
//!
//! ```text
//! Provider ──read──▶ Listing ─┐
//! scene ──▶ Wish ─────────────┼─survey──▶ Survey: places of ours; names left alone, and why
//!                             │              │
//!              detect::decide ◀── its zone ──┤
//!                     │                      │
//!                 Judgement ──────change─────┴──▶ Plan: batches, each made whole or not at all
//!                                                  │
//! Desk: when to read, which batch to write, when to wait ◀──┘ ──write──▶ Provider
//! ```
//!
//! A record is ours if it bears our mark ([`node_mark`], [`alias_mark`]) and says what we would say; a name is ours if
//! nobody else has an address or an alias there. This room refuses to touch anything else, to leave a name that is
//! wanted without an address, to delete because a list is empty, and to act on a listing that is not fresh.

mod desk;
mod left;
mod mark;
mod plan;
mod survey;
mod wish;

pub use desk::{Act, Desk, Standing};
pub use left::{Left, Reason};
pub use mark::{MARK_MOST, alias_mark, node_mark};
pub use plan::{Batch, Intent, Plan, Purpose, change};
pub use survey::{Survey, survey};
pub use wish::{Keeper, Wish};

use async_trait::async_trait;
use detect::Millis;
use std::collections::BTreeSet;
use std::net::IpAddr;
use wire::Line;

/// What a zone holds, as far as it concerns us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// When the reading ended.
    pub read_ms: Millis,
    /// Every record that the provider lists.
    pub entries: Vec<Entry>,
}

/// A record as the provider has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// By which the provider, or its client, knows it.
    pub id: String,
    /// The whole name, in lower case, without a dot at the end.
    pub name: String,
    /// What it says.
    pub data: Data,
    /// Seconds; 1 is Cloudflare's "automatic".
    pub ttl_s: u32,
    /// Whether Cloudflare answers with its own addresses.
    pub proxied: bool,
    /// The mark or comment beside it.
    pub mark: Option<String>,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME; without a dot at the end.
    Alias(String),
    /// TXT.
    Text(String),
    /// Anything else: kind and content.
    Other(String, String),
}

impl Data {
    /// `A`, `AAAA`, `CNAME`, …
    pub fn kind(&self) -> &str {
        match self {
            Data::Address(IpAddr::V4(_)) => "A",
            Data::Address(IpAddr::V6(_)) => "AAAA",
            Data::Alias(_) => "CNAME",
            Data::Text(_) => "TXT",
            Data::Other(kind, _) => kind,
        }
    }

    /// What stands behind the kind.
    pub fn content(&self) -> String {
        match self {
            Data::Address(address) => address.to_string(),
            Data::Alias(content) | Data::Text(content) | Data::Other(_, content) => content.clone(),
        }
    }
}

/// A record that shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The whole name.
    pub name: String,
    /// What it says.
    pub data: Data,
    /// Seconds.
    pub ttl_s: u32,
    /// Whether Cloudflare answers with its own addresses.
    pub proxied: bool,
    /// Our mark.
    pub mark: String,
}

/// One change of a zone, made whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What goes, each as it was just read.
    pub delete: Vec<Entry>,
    /// What is replaced, each as it was just read.
    pub replace: Vec<(Entry, Draft)>,
    /// What is new.
    pub create: Vec<Draft>,
}

impl Change {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.delete.is_empty() && self.replace.is_empty() && self.create.is_empty()
    }

    /// Records that it touches.
    pub fn records(&self) -> usize {
        self.delete.len() + self.replace.len() + self.create.len()
    }

    /// Names that it touches.
    pub fn names(&self) -> BTreeSet<&str> {
        let entries = self.delete.iter().chain(self.replace.iter().map(|(entry, _)| entry));
        entries.map(|entry| entry.name.as_str()).chain(self.create.iter().map(|draft| draft.name.as_str())).collect()
    }

    /// In two: what touches names of which `is_first` says so, and the rest.
    pub fn parted(self, is_first: impl Fn(&str) -> bool) -> (Change, Change) {
        let (mut first, mut rest) = (Change::default(), Change::default());
        (first.delete, rest.delete) = self.delete.into_iter().partition(|entry| is_first(&entry.name));
        (first.replace, rest.replace) = self.replace.into_iter().partition(|(entry, _)| is_first(&entry.name));
        (first.create, rest.create) = self.create.into_iter().partition(|draft| is_first(&draft.name));
        (first, rest)
    }
}

/// Why the provider did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Too many calls: none before so many milliseconds are over.
    #[error("the DNS provider wants no calls for {wait_ms} ms: {said}")]
    Throttled {
        /// Milliseconds.
        wait_ms: Millis,
        /// The provider's words.
        said: String,
    },
    /// The credential is not good, or not for this zone. Trying again does not mend it; somebody may.
    #[error("the DNS provider does not let us: {0}")]
    Forbidden(String),
    /// The zone takes no more records.
    #[error("the zone is full: {0}")]
    Full(String),
    /// The zone is not as it was read: read anew.
    #[error("the zone has changed meanwhile: {0}")]
    Moved(String),
    /// No answer, or one that says nothing: it is unknown whether the change was made.
    #[error("the DNS provider does not answer: {0}")]
    Lost(String),
    /// It refuses this change, and will again.
    #[error("the DNS provider refuses: {0}")]
    Refused(String),
}

/// Who keeps the zone. One file a provider.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The zone's records: all that the provider lists, and at least those at `names` and those that bear a mark of ours. May
    /// take several calls.
    async fn read(&self, line: &Line, names: &[String]) -> Result<Vec<Entry>, Trouble>;

    /// Makes the change, whole or not at all, in one call; fenced by what was read where the protocol can.
    async fn write(&self, line: &Line, change: &Change) -> Result<(), Trouble>;

    /// Records that one call may touch.
    fn batch_most(&self) -> usize;

    /// What it makes possible, as far as it is known: the whole only after the first reading.
    fn keeper(&self) -> Keeper;

    /// The zone's own name; `None` before the first reading.
    fn apex(&self) -> Option<String>;
}
