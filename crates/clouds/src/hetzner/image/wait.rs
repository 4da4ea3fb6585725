use super::CALL;
use crate::rest::refused;
use crate::{Error, Why};
use jiff::Timestamp;
use std::time::Duration;
use wire::{Line, Pace};

/// A wait for a state that takes as long as it takes, up to a limit.
pub(super) struct Wait<'a> {
    line: &'a Line,
    /// `the snapshot to be taken`.
    what: &'static str,
    limit: Duration,
    began: Timestamp,
}

impl<'a> Wait<'a> {
    pub(super) fn new(line: &'a Line, what: &'static str, limit: Duration) -> Self {
        Wait { line, what, limit, began: line.time().now() }
    }

    /// Waits for the next look; an error once the limit is behind.
    pub(super) async fn pause(&self, pace: Pace) -> Result<(), Error> {
        let waited = self.line.time().now().duration_since(self.began).unsigned_abs();
        if waited >= self.limit {
            let message = format!("waited {} minutes for {}", self.limit.as_secs() / 60, self.what);
            return Err(refused(CALL, Why::Trouble, message));
        }
        self.line.time().sleep(pace.next(waited)).await;
        Ok(())
    }
}
