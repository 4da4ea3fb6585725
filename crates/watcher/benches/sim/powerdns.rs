//! For comparison: PowerDNS's own checks (`ifurlup` in a LUA record), as quick as they can be set. A single server decides for
//! itself, on a single failure, so it is soon, and as often wrong as its path loses a check.

use std::time::Duration;
use wire::Rng;

/// How it checks.
pub struct Checks {
    /// `lua-health-checks-interval`, whole seconds.
    interval_ms: u64,
    /// `timeout` of the record, whole seconds.
    timeout_ms: u64,
}

impl Checks {
    /// The least that both can be set to, `minimumFailures` being 1.
    pub const FASTEST: Checks = Checks { interval_ms: 1_000, timeout_ms: 1_000 };

    /// Checks that fail by chance, in a year.
    pub fn false_alarms_a_year(&self, loss: f64) -> f64 {
        365.0 * 24.0 * 3_600_000.0 / self.interval_ms as f64 * loss
    }

    /// From so many deaths to the next answer without the dead: mean and worst.
    pub fn deaths(&self, silent: bool, rounds: u64) -> (Duration, Duration) {
        let mut rng = Rng::seeded(1);
        let one = |rng: &mut Rng| rng.between(0, self.interval_ms) + if silent { self.timeout_ms } else { 0 };
        let took: Vec<u64> = (0..rounds).map(|_| one(&mut rng)).collect();
        let mean_ms = took.iter().sum::<u64>() / rounds.max(1);
        (Duration::from_millis(mean_ms), Duration::from_millis(took.into_iter().max().unwrap_or(0)))
    }
}
