//! Waiting for something in the world, and what it looks like when that does not come.

use super::{World, name};
use std::fmt::Write as _;
use std::time::Duration;

impl World {
    /// Waits until it is so, and says how long; panics after so many seconds.
    pub async fn until(&self, what: &str, seconds: u64, is_so: impl Fn(&Self) -> bool) -> Duration {
        match self.is_within(seconds, is_so).await {
            Ok(waited) => waited,
            Err(waited) => panic!("after {waited:?} still not: {what}; {}", self.told()),
        }
    }

    /// Waits until it is so: how long, or how long in vain.
    pub async fn is_within(&self, seconds: u64, is_so: impl Fn(&Self) -> bool) -> Result<Duration, Duration> {
        let begun = self.time.elapsed();
        while !is_so(self) {
            let waited = self.time.elapsed().saturating_sub(begun);
            if waited >= Duration::from_secs(seconds) {
                return Err(waited);
            }
            self.sleep(20).await;
        }
        Ok(self.time.elapsed().saturating_sub(begun))
    }

    /// What broke a rule.
    pub fn broken(&self) -> Vec<String> {
        self.state().broken.clone()
    }

    /// What every vantage thinks, for a failure's message.
    pub fn told(&self) -> String {
        let mut told = {
            let state = self.state();
            format!(
                "published {:?}, serving {:?}, broken {:#?}\nentries {:#?}\n",
                state.published(),
                state.serving(),
                state.broken,
                state.zone.entries
            )
        };
        for node in 0..self.nodes() {
            let Some(process) = self.process(node) else { continue };
            let status = process.status().borrow().clone();
            let seen: Vec<String> = status
                .nodes
                .iter()
                .map(|at| format!("{} {:?} {:?} {}", at.name, at.verdict, at.held, at.reason))
                .collect();
            let now_ms = process.now_ms();
            let standing = process.with(|mind| (mind.holder.standing(now_ms), mind.holder.roll().clone()));
            writeln!(
                told,
                "{} {}: {standing:?} writer {:?} {:?}; {}; alerts {:?}; trouble {:?}",
                name(node),
                self.pod(node).name,
                status.writer,
                status.no_writer,
                seen.join("; "),
                status.alerts,
                status.provider.trouble
            )
            .unwrap();
        }
        told
    }
}
