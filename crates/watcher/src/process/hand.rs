//! The hand's loop: reads the zone, writes it, and shows what is known.

use super::Process;
use crate::mind::Turn;
use crate::zone::Trouble;
use std::time::Duration;

/// Reading a zone of many pages takes longer than a write, and nobody waits for it to be over.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

impl Process {
    pub(super) async fn hand(&self) {
        let mut woken = self.woken.subscribe();
        loop {
            woken.mark_unchanged();
            let (now_ms, at) = (self.now_ms(), self.time.now());
            let may_write = !*self.stopping.borrow();
            let turn = self.with(|mind| mind.turn(now_ms, at, may_write));
            self.parts.health.turned();
            self.show();
            match turn {
                Turn::Read(names) => {
                    let (sent_ms, before) = (self.now_ms(), self.calls_made());
                    let read = self.parts.provider.read(&self.parts.line, &names);
                    let answer = self.time.within(READ_TIMEOUT, read).await;
                    let answer = answer.unwrap_or_else(|late| Err(Trouble::Lost(late.to_string())));
                    let now_ms = self.now_ms();
                    let calls = self.calls_made().saturating_sub(before);
                    self.parts.counters.provider_called(calls);
                    let provider = &self.parts.provider;
                    let apex = provider.apex().filter(|_| answer.is_ok());
                    self.with(|mind| {
                        if let Some(apex) = apex {
                            mind.learn_zone(&apex, provider.keeper(), provider.batch_most());
                        }
                        mind.read(sent_ms, now_ms, usize::try_from(calls).unwrap_or(usize::MAX), answer);
                    });
                }
                Turn::Write(change) => {
                    // The others keep what this one is about to do.
                    self.moved.send_replace(());
                    let limit = Duration::from_millis(self.parts.call_ms);
                    let answer = self.time.within(limit, self.parts.provider.write(&self.parts.line, &change)).await;
                    let answer = answer.unwrap_or_else(|late| Err(Trouble::Lost(late.to_string())));
                    let (now_ms, at) = (self.now_ms(), self.time.now());
                    self.parts.counters.provider_called(1);
                    self.with(|mind| mind.wrote(now_ms, at, answer));
                }
                Turn::Wait(until_ms) => {
                    tokio::select! {
                        biased;
                        _ = woken.changed() => {}
                        () = self.sleep_until(until_ms) => {}
                    }
                }
            }
        }
    }

    /// Calls to the provider so far: a reading takes as many as the zone has pages.
    fn calls_made(&self) -> u64 {
        self.parts.line.tally().calls.values().sum()
    }

    fn show(&self) {
        let (now_ms, at) = (self.now_ms(), self.time.now());
        let (profile, provider) = self.parts.shown;
        let lost_ms = self.kubernetes_lost_ms();
        let (status, news) = self.with(|mind| (mind.status(now_ms, at, profile, provider, lost_ms), mind.news()));
        for happening in news {
            self.parts.counters.happened(&happening);
            // Nobody waits for who does not listen.
            self.news.try_send(happening).ok();
        }
        self.status.send_replace(std::sync::Arc::new(status));
    }
}
