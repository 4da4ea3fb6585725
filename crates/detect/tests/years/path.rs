//! The way from one vantage to one target: it loses single probes, and now and then everything for a while.

use detect::{Cause, Local, Millis, Outcome, Policy, Schedule, View};

/// Draws that a seed repeats (splitmix64, public domain, Sebastiano Vigna).
pub struct Draws(u64);

impl Draws {
    pub fn seeded(seed: u64) -> Self {
        Draws(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from 0 to 1, never 0.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub fn share(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 1.0) / 9_007_199_254_740_993.0
    }

    /// The time to the next of events that come at random, `mean_ms` apart.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "years in ms"
    )]
    pub fn wait_ms(&mut self, mean_ms: f64) -> Millis {
        (-self.share().ln() * mean_ms) as Millis
    }
}

/// What is wrong with a path.
#[derive(Clone, Copy)]
pub struct Weather {
    /// Share of probes that are lost.
    pub loss: f64,
    /// Mean time between bursts in which all is lost.
    pub burst_every_ms: f64,
    /// How long a burst lasts.
    pub burst_ms: Millis,
}

pub const WEEK_MS: f64 = 7.0 * 24.0 * 3_600_000.0;
/// One probe in a hundred, and a quarter of a minute a week.
pub const USUAL: Weather = Weather { loss: 0.01, burst_every_ms: WEEK_MS, burst_ms: 15_000 };
pub const ROUND_TRIP_MS: Millis = 50;

/// A vantage at work on one target.
pub struct Path<'a> {
    policy: &'a Policy,
    weather: Weather,
    draws: Draws,
    schedule: Schedule,
    local: Local,
    /// Probes that are out: when each began, when it is suspected, when it ends and how.
    out: Vec<(Millis, Option<Millis>, Millis, Outcome)>,
    burst: (Millis, Millis),
    /// The target is dead from then on, with this cause.
    pub death: Option<(Millis, Cause)>,
    /// Passes since the last failure.
    calm: u32,
    /// Whether quiet stretches are skipped.
    skips: bool,
}

impl<'a> Path<'a> {
    pub fn new(policy: &'a Policy, weather: Weather, seed: u64, skips: bool) -> Self {
        let mut draws = Draws::seeded(seed);
        let first_ms = draws.next() % policy.interval_ms;
        let burst_ms = draws.wait_ms(weather.burst_every_ms);
        Path {
            policy,
            weather,
            draws,
            schedule: Schedule::new(first_ms),
            local: Local::new(0),
            out: Vec::new(),
            burst: (burst_ms, burst_ms + weather.burst_ms),
            death: None,
            calm: 0,
            skips,
        }
    }

    /// Goes on until the view changes; when, and to what. `None` if that is not before `end_ms`.
    pub fn change(&mut self, end_ms: Millis) -> Option<(Millis, View)> {
        loop {
            let now_ms = self.next_ms();
            if now_ms >= end_ms {
                return None;
            }
            let before = self.local.view();
            self.step(now_ms);
            if self.local.view() != before {
                return Some((now_ms, self.local.view()));
            }
        }
    }

    fn next_ms(&self) -> Millis {
        let suspected = self.out.iter().filter_map(|(_, suspect_ms, _, _)| *suspect_ms).min();
        let ended = self.out.iter().map(|(_, _, end_ms, _)| *end_ms).min();
        [suspected, ended].into_iter().flatten().min().unwrap_or(Millis::MAX).min(self.schedule.due_ms())
    }

    fn step(&mut self, now_ms: Millis) {
        if let Some(at) = self.out.iter().position(|(_, _, end_ms, _)| *end_ms == now_ms) {
            let (began_ms, _, _, outcome) = self.out.remove(at);
            self.ended(now_ms, began_ms, outcome);
        } else if let Some(probe) = self.out.iter_mut().find(|probe| probe.1 == Some(now_ms)) {
            probe.1 = None;
            let began_ms = probe.0;
            self.schedule.suspect(self.policy, began_ms);
        } else {
            self.begin(now_ms);
        }
    }

    fn ended(&mut self, now_ms: Millis, began_ms: Millis, outcome: Outcome) {
        self.local.observe(self.policy, now_ms, outcome);
        if outcome == Outcome::Pass {
            self.calm += 1;
            self.schedule.passed();
        } else {
            self.calm = 0;
            self.schedule.suspect(self.policy, began_ms);
        }
    }

    fn begin(&mut self, now_ms: Millis) {
        let draw = self.draws.share();
        self.schedule.started(self.policy, now_ms, draw);
        while self.burst.1 <= now_ms {
            let from_ms = self.burst.1 + self.draws.wait_ms(self.weather.burst_every_ms);
            self.burst = (from_ms, from_ms + self.weather.burst_ms);
        }
        let silent_ms = self.policy.connect_timeout_ms;
        let (end_ms, outcome) = match self.death.filter(|(at_ms, _)| *at_ms <= now_ms) {
            Some((_, Cause::Refused)) => (now_ms + ROUND_TRIP_MS, Outcome::Fail(Cause::Refused)),
            Some((_, cause)) => (now_ms + silent_ms, Outcome::Fail(cause)),
            None if self.burst.0 <= now_ms => (now_ms + silent_ms, Outcome::Fail(Cause::Silent)),
            None if self.draws.share() < self.weather.loss => (now_ms + silent_ms, Outcome::Fail(Cause::Silent)),
            None => return self.pass(now_ms),
        };
        let suspect_ms = now_ms + self.policy.suspect_after_ms;
        self.out.push((now_ms, (suspect_ms < end_ms).then_some(suspect_ms), end_ms, outcome));
    }

    /// A probe that passes. Where all has been calm for long, what follows is drawn instead of gone through: passes change
    /// nothing until the next failure.
    fn pass(&mut self, now_ms: Millis) {
        let quiet = self.skips
            && self.death.is_none()
            && self.out.is_empty()
            && self.local.view() == View::Up
            && self.calm >= self.policy.steady_after;
        if quiet {
            self.skip(now_ms);
        }
        self.out.push((now_ms, None, now_ms + ROUND_TRIP_MS, Outcome::Pass));
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "years in ms"
    )]
    fn skip(&mut self, now_ms: Millis) {
        let mean_ms = self.policy.interval_ms as f64 * (1.0 - self.policy.jitter / 2.0);
        let passes = (self.draws.share().ln() / (1.0 - self.weather.loss).ln()).floor();
        let until_failure_ms = (passes * mean_ms) as Millis;
        // Just before the burst, stepping goes on.
        let until_burst_ms = self.burst.0.saturating_sub(now_ms + 2 * self.policy.interval_ms);
        let skipped_ms = until_failure_ms.min(until_burst_ms);
        if skipped_ms > self.policy.interval_ms {
            let failing = skipped_ms == until_failure_ms;
            self.schedule = Schedule::new(now_ms + skipped_ms);
            if failing {
                let begun_ms = now_ms + skipped_ms;
                self.schedule.started(self.policy, begun_ms, 0.5);
                let suspect_ms = begun_ms + self.policy.suspect_after_ms;
                let end_ms = begun_ms + self.policy.connect_timeout_ms;
                self.out.push((begun_ms, Some(suspect_ms), end_ms, Outcome::Fail(Cause::Silent)));
            }
        }
    }
}
