//! The zone: what is in it, whose it is, and what shall change.

use async_trait::async_trait;
use detect::Millis;
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
    /// The zone's records: all that the provider lists, and at least those at `names` and those that bear a mark of ours.
    async fn read(&self, line: &Line, names: &[String]) -> Result<Vec<Entry>, Trouble>;

    /// Makes the change, whole or not at all, in one call; fenced by what was read where the protocol can.
    async fn write(&self, line: &Line, change: &Change) -> Result<(), Trouble>;

    /// Records that one call may touch.
    fn batch_most(&self) -> usize;
}
