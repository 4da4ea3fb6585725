use jiff::Timestamp;
use std::time::Duration;

/// The size of a vendor's rate limit, as a token bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Calls that may be made at once after a rest.
    pub burst: f64,
    /// Calls a second that come back.
    pub per_second: f64,
}

/// A token bucket over an injected clock. Decides; does not wait.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    tokens: f64,
    at: Timestamp,
}

impl Bucket {
    pub(crate) fn full(rate: Rate, now: Timestamp) -> Self {
        Bucket { rate, tokens: rate.burst, at: now }
    }

    /// Takes one token, which may leave the bucket in debt, and returns how long to wait before using it.
    pub(crate) fn take(&mut self, now: Timestamp) -> Duration {
        let passed_s = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + passed_s * self.rate.per_second).min(self.rate.burst);
        self.at = now;
        self.tokens -= 1.0;
        if self.tokens >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-self.tokens / self.rate.per_second.max(f64::EPSILON))
        }
    }

    /// Lowers the bucket to what the vendor says is left: others may draw from the same limit.
    pub(crate) fn believe(&mut self, remaining: f64) {
        self.tokens = self.tokens.min(remaining);
    }
}

/// How often to look while waiting: in proportion to the wait so far, so that looking costs few calls in long waits
/// and little time in short ones.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The first and shortest interval.
    pub least: Duration,
    /// The longest interval.
    pub most: Duration,
}

impl Pace {
    /// For vendors with a rate limit: a fiftieth of the wait so far, between half a second and ten.
    pub const VENDOR: Pace = Pace { least: Duration::from_millis(500), most: Duration::from_secs(10) };
    /// For images, which take minutes to half an hour: between five seconds and thirty.
    pub const IMAGE: Pace = Pace { least: Duration::from_secs(5), most: Duration::from_secs(30) };
    /// For machines of our own: between a quarter of a second and two.
    pub const NODE: Pace = Pace { least: Duration::from_millis(250), most: Duration::from_secs(2) };

    /// How long to wait before the next look, `waited` after the first.
    pub fn next(&self, waited: Duration) -> Duration {
        (waited / 50).clamp(self.least, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_bucket_hands_out_tokens_at_its_rate() {
        let mut bucket = Bucket::full(Rate { burst: 2.0, per_second: 1.0 }, Timestamp::UNIX_EPOCH);
        let waits: Vec<u64> = (0..4).map(|_| bucket.take(Timestamp::UNIX_EPOCH).as_secs()).collect();
        assert_eq!(waits, [0, 0, 1, 2]);
    }

    proptest! {
        #[test]
        fn looking_adds_at_most_two_percent_to_a_long_wait(done_ms in 25_000u64..500_000) {
            let done = Duration::from_millis(done_ms);
            let mut at = Duration::ZERO;
            while at < done {
                at += Pace::VENDOR.next(at);
            }
            prop_assert!(at.as_secs_f64() <= done.as_secs_f64() * 1.021);
        }
    }
}
