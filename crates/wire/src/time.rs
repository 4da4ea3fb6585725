use crate::Rng;
use jiff::Timestamp;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// The clock and the seed of a run.
///
/// Sleeping is tokio's, so that a paused runtime makes it virtual; *now* is either the machine's clock or an origin
/// plus what tokio's clock has run since.
#[derive(Clone, Debug)]
pub struct Time {
    clock: Clock,
    rng: Arc<Rng>,
}

#[derive(Clone, Copy, Debug)]
enum Clock {
    System { started: tokio::time::Instant },
    Virtual { origin: Timestamp, started: tokio::time::Instant },
}

/// A wait that ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {} ms", .0.as_millis())]
pub struct Expired(pub Duration);

impl Time {
    /// The machine's own clock, for real runs.
    pub fn system(rng: Rng) -> Self {
        Time { clock: Clock::System { started: tokio::time::Instant::now() }, rng: Arc::new(rng) }
    }

    /// A clock that starts at `origin` and follows tokio's, which a test or a world may have paused. Must be called
    /// inside a runtime.
    pub fn starting_at(origin: Timestamp, rng: Rng) -> Self {
        let clock = Clock::Virtual { origin, started: tokio::time::Instant::now() };
        Time { clock, rng: Arc::new(rng) }
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        match self.clock {
            #[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
            Clock::System { .. } => Timestamp::now(),
            Clock::Virtual { origin, started } => origin.saturating_add(started.elapsed()).unwrap_or(Timestamp::MAX),
        }
    }

    /// Since this clock was made; unlike [`Time::now`] it never goes back, nor leaps when somebody sets the clock.
    pub fn elapsed(&self) -> Duration {
        match self.clock {
            Clock::System { started } | Clock::Virtual { started, .. } => started.elapsed(),
        }
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Waits for `future`, but no longer than `limit`.
    pub async fn within<F: Future>(&self, limit: Duration, future: F) -> Result<F::Output, Expired> {
        tokio::time::timeout(limit, future).await.map_err(|_| Expired(limit))
    }

    /// The same clock with randomness of its own, for one of several that would otherwise draw the same.
    #[must_use]
    pub fn child(&self, label: &str) -> Self {
        Time { clock: self.clock, rng: Arc::new(self.rng.child(label)) }
    }

    /// A source of randomness of its own for whatever `label` names.
    pub fn rng(&self, label: &str) -> Rng {
        self.rng.child(label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_hour_of_virtual_time_passes_at_once() {
        let time = Time::starting_at(Timestamp::UNIX_EPOCH, Rng::seeded(1));
        time.sleep(Duration::from_hours(1)).await;
        assert_eq!(time.now().as_second(), 3600);
        let late = time.within(Duration::from_secs(5), std::future::pending::<()>()).await;
        assert_eq!(late, Err(Expired(Duration::from_secs(5))));
    }
}
