//! Numbers that a user may set, with the defaults that suit 3 to 20 nodes over the internet.

use crate::Millis;
use serde::{Deserialize, Serialize};

/// All that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Between two probes of one target. Jitter only shortens it.
    pub interval_ms: Millis,
    /// Up to this share of the interval is cut off at random; 0.0 to 0.9.
    pub jitter: f64,
    /// A probe that has no connection by then has failed.
    pub connect_timeout_ms: Millis,
    /// A probe that has no answer by then has failed.
    pub timeout_ms: Millis,
    /// A probe without an answer after this makes the target suspect, as does one that failed.
    pub suspect_after_ms: Millis,
    /// Suspicion starts two more probes, this far apart.
    pub suspect_gap_ms: Millis,
    /// So many failures in a row are "down".
    pub down_after: u32,
    /// So many passes in a row are "up" again.
    pub up_after: u32,
    /// So many failures without [`Policy::steady_after`] passes in a row between them are "unstable".
    pub unstable_after: u32,
    /// So many passes in a row clear the count of failures.
    pub steady_after: u32,
    /// A report older than this has no voice.
    pub fresh_ms: Millis,
    /// How long a target stays withdrawn after its first flap; doubles with each.
    pub hold_ms: Millis,
    /// The longest hold.
    pub hold_most_ms: Millis,
    /// A flap is forgotten after this time without another.
    pub flap_memory_ms: Millis,
    /// Rule 3: withdrawals for probes' sake are counted over this time.
    pub rate_window_ms: Millis,
    /// Rule 3: at most this share of the nodes in that time, and at least one.
    pub rate_share: f64,
    /// Rule 3: at most this share of the zone's records in one change, where there are ten or more; one node's records do not count.
    pub delete_share: f64,
    /// Rule 9: a zone that was read longer ago is read anew before anything is deleted.
    pub zone_fresh_ms: Millis,
    /// Rule 4: control probes must have passed within this time.
    pub control_ms: Millis,
    /// Rule 4: who was kept from running for longer than this distrusts what he measured.
    pub lag_most_ms: Millis,
    /// Rule 1: fewest records that a name keeps in a family; `None`: 1, and 2 from four nodes on.
    pub min_records: Option<usize>,
    /// Rule 13: calls to the provider that may be made in five minutes; the last hundred are for withdrawals.
    pub calls_most: u32,
    /// Rule 15: decide and tell, change nothing.
    pub dry_run: bool,
}

/// Rule 13: what restores leave to withdrawals.
pub(crate) const CALLS_RESERVED: u32 = 100;

impl Default for Policy {
    fn default() -> Self {
        Policy {
            interval_ms: 5_000,
            jitter: 0.2,
            connect_timeout_ms: 3_000,
            timeout_ms: 4_000,
            suspect_after_ms: 1_000,
            suspect_gap_ms: 1_000,
            down_after: 3,
            up_after: 6,
            unstable_after: 10,
            steady_after: 10,
            fresh_ms: 15_000,
            hold_ms: 60_000,
            hold_most_ms: 15 * 60_000,
            flap_memory_ms: 60 * 60_000,
            rate_window_ms: 5 * 60_000,
            rate_share: 0.25,
            delete_share: 0.3,
            zone_fresh_ms: 5_000,
            control_ms: 15_000,
            lag_most_ms: 500,
            min_records: None,
            calls_most: 600,
            dry_run: false,
        }
    }
}

impl Policy {
    /// Three times faster, and three times as easily wrong about a path that is down for a second.
    pub fn fast() -> Self {
        Policy {
            interval_ms: 1_000,
            connect_timeout_ms: 800,
            timeout_ms: 1_200,
            suspect_after_ms: 300,
            suspect_gap_ms: 300,
            fresh_ms: 4_000,
            control_ms: 4_000,
            ..Policy::default()
        }
    }

    /// Rule 1 for a cluster of so many ingress nodes.
    pub fn min_records(&self, nodes: usize) -> usize {
        self.min_records.unwrap_or(if nodes >= 4 { 2 } else { 1 })
    }

    /// Rule 3 for a cluster of so many ingress nodes: withdrawals in one window.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of at most some thousand nodes"
    )]
    pub fn withdrawals_most(&self, nodes: usize) -> usize {
        ((nodes as f64 * self.rate_share).floor() as usize).max(1)
    }

    /// Rule 3 for a zone of so many records: deletions in one change beyond one node's; `None` where the cap does not apply.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of at most some hundred thousand records"
    )]
    pub fn deletions_most(&self, records: usize) -> Option<usize> {
        (records >= 10).then(|| (records as f64 * self.delete_share).floor() as usize)
    }
}
