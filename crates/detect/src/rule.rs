//! The safety rules, by the numbers under which the documentation explains them.

use serde::{Deserialize, Serialize};

/// What may forbid a change, or makes a voice not count. Numbers that are missing here hold by construction: nothing is decided from an
/// empty list (8), and an address that may not be published never becomes a target (16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rule {
    /// 1: no name loses its last records.
    LastRecords,
    /// 2: when fewer than half the nodes are healthy, something else is wrong.
    Panic,
    /// 3: few withdrawals in a while, few deletions at once.
    Rate,
    /// 4: a vantage that cannot reach the internet, or was kept from running, has no voice.
    Distrust,
    /// 5: a vantage's word on its own node counts only against it; one site has one voice.
    Independence,
    /// 6: one voice decides nothing.
    Quorum,
    /// 7: a vantage that sees several nodes fail which others see well is the one that fails.
    Correlated,
    /// 9: nothing is deleted that was not just read.
    FreshZone,
    /// 10: only what bears our mark and a node's address is deleted.
    Ownership,
    /// 13: the provider's budget of calls.
    Budget,
    /// 14: a name that somebody else owns is left alone.
    Foreign,
    /// 15: dry run.
    DryRun,
    /// After a flap a target stays withdrawn for a while.
    Hold,
}

impl Rule {
    /// In plain words, as a reason.
    pub fn words(self) -> &'static str {
        match self {
            Rule::LastRecords => "a name would lose its last records",
            Rule::Panic => "fewer than half of the nodes are healthy: something else is wrong",
            Rule::Rate => "too many withdrawals in a short time",
            Rule::Distrust => "the vantage does not trust itself",
            Rule::Independence => "a vantage proves nothing about its own node or site",
            Rule::Quorum => "fewer than two independent vantages have a fresh voice",
            Rule::Correlated => "the vantage sees several nodes fail that others see well",
            Rule::FreshZone => "the zone has not been read just now",
            Rule::Ownership => "the record is not ours, or holds no address of a node",
            Rule::Budget => "the budget of calls to the DNS provider is used up",
            Rule::Foreign => "somebody else owns the name",
            Rule::DryRun => "dry run",
            Rule::Hold => "the node has just been withdrawn and must first hold still",
        }
    }
}
