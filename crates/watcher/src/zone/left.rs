//! What was not done, and why: for the status page and for Events.

/// A name that is not served as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left {
    /// The whole name.
    pub name: String,
    /// Why.
    pub why: Reason,
}

/// Why a name is left as it is. Each says what would mend it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Reason {
    /// It would be no longer what it is: an alias stands alone.
    #[error("{0} records stand there, and an alias stands alone: remove them, or publish addresses there")]
    Beside(String),
    /// More of our records would go in five minutes than should.
    #[error("it is no longer wanted, but too many records would go at once: it goes later, or by hand")]
    Capped,
    /// A zone below it was handed to other servers.
    #[error("{0} is delegated to other name servers")]
    Delegated(String),
    /// external-dns keeps a note of ownership there.
    #[error("external-dns owns it: exclude the name there, or annotate the object with bouquet.dev/exclude")]
    ExternalDns,
    /// Somebody else's record stands there.
    #[error("there is already {kind} {content}, which is not ours: remove it, or exclude the host")]
    Foreign {
        /// `A`, `CNAME`, …
        kind: String,
        /// What it says.
        content: String,
    },
    /// The plan's records are used up.
    #[error("the zone has no room for it: remove records, or choose a larger plan")]
    Full,
    /// A name would lose its last address of a family.
    #[error("it would be left without an address")]
    LastRecords,
    /// Our own aliases still lead there.
    #[error("it is no longer wanted, but names still lead there: it goes after them")]
    LedTo,
    /// One proxied record makes its whole name so, and shows all others when it goes.
    #[error("a record there that is not ours to change is proxied and ours should not be, or the other way round")]
    Mixed,
    /// The list of hosts is empty, which never deletes.
    #[error("no host is wanted at all: the list may have failed, so nothing goes")]
    NoHosts,
    /// Another cluster's mark is on it, or that of the cluster's own API.
    #[error("it bears the mark {0}, which is not the watcher's")]
    Marked(String),
    /// The name lies in another zone.
    #[error("it is not in the zone {0}")]
    Outside(String),
    /// An alias would lead nowhere.
    #[error("its pool {0} holds no address yet")]
    PoolEmpty(String),
    /// The name is the pool's, which has a setting of its own.
    #[error("it is the pool's own name: TTL and proxying of the pool stand, not the object's")]
    Pools,
    /// The provider refuses it.
    #[error("the provider refuses it: {0}")]
    Refused(String),
    /// Its records do not fit into one call, and would be mixed between two.
    #[error("it has more records than one call can change")]
    TooLarge,
    /// A kind of route could not be listed, and may name it.
    #[error("no route that was seen names it, but not every kind of route could be listed, so it stays")]
    Unseen,
}
