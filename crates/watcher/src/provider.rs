//! Who keeps the zone: one file a provider. Each reads a zone into a [`Listing`](crate::zone::Listing)'s entries, makes a
//! [`Change`](crate::zone::Change) in one call, and sorts the provider's refusals into [`Trouble`].
//!
//! None of them waits or sends twice: when to call, and whether again, is the [`Desk`](crate::zone::Desk)'s to say.

pub mod cloudflare;
pub mod rfc2136;

use crate::zone::Trouble;
use clouds::{Error, Why};
use detect::Millis;
use std::time::Duration;

/// How long one exchange with a provider may take. A call that was given up may still take effect: whoever is next to write
/// waits this long first.
pub const CALL_MOST: Duration = Duration::from_secs(10);

/// How long a provider is left alone that wants no calls and does not say for how long: Cloudflare's block.
const BLOCK_MS: Millis = 5 * 60_000;

/// What an error means that is the same with all providers.
fn trouble(error: &Error) -> Trouble {
    let said = error.to_string();
    match error.why {
        Why::TooFast(wait) => {
            let wait_ms = wait.map_or(BLOCK_MS, |wait| Millis::try_from(wait.as_millis()).unwrap_or(BLOCK_MS));
            Trouble::Throttled { wait_ms, said }
        }
        Why::Unauthenticated | Why::Forbidden | Why::ClockSkew => Trouble::Forbidden(said),
        Why::Quota => Trouble::Full(said),
        Why::NotFound | Why::Taken | Why::Busy => Trouble::Moved(said),
        Why::Invalid => Trouble::Refused(said),
        // What cannot be read may have been an answer to a change that was made.
        Why::Trouble | Why::Garbled | Why::Capacity => Trouble::Lost(said),
    }
}
