//! What vantages say to each other: reports, and asks for permits.

use super::{Process, Word};
use crate::mind::Heard;
use crate::permit::{Ask, Reply};
use detect::{Flaps, Memory, Millis};
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Reports go out at least this often.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// And not more often than this, however much happens.
const TELL_GAP: Duration = Duration::from_millis(50);

impl Process {
    /// What this vantage has to say now.
    pub fn word(&self) -> Word {
        let now_ms = self.now_ms();
        self.with(|mind| {
            let vantage = mind.vantage();
            let reports = mind.eyes.reports(now_ms, &vantage);
            Word { now_ms, trusted: mind.eyes.trusts_itself(now_ms), reports, memory: mind.testament(now_ms), vantage }
        })
    }

    /// A peer has said this.
    pub fn told(&self, pod: &str, word: Word) {
        let now_ms = self.now_ms();
        // Clocks have nothing in common but their pace: what counts is how long ago.
        let own = |then_ms: Millis| now_ms.saturating_sub(word.now_ms.saturating_sub(then_ms));
        let reports = word.reports.into_iter().map(|mut report| {
            (report.since_ms, report.probed_ms) = (own(report.since_ms), own(report.probed_ms));
            report
        });
        let heard = Heard { at_ms: now_ms, vantage: word.vantage, trusted: word.trusted, reports: reports.collect() };
        let memory = word.memory.map(|memory| in_clock(memory, own));
        self.with(|mind| mind.told(pod, heard, memory));
        self.wake();
    }

    /// A peer asks for a permit.
    pub fn asked(&self, ask: &Ask) -> Reply {
        let now_ms = self.now_ms();
        self.with(|mind| mind.granter.ask(now_ms, ask))
    }

    /// Each peer is told by itself: who does not answer holds up nobody else.
    pub(super) async fn tell(&self) {
        let mut woken = self.woken.subscribe();
        let mut out = FuturesUnordered::new();
        let mut busy: BTreeMap<String, bool> = BTreeMap::new();
        loop {
            let word = Arc::new(self.word());
            for (pod, peer) in self.peers() {
                if let Some(again) = busy.get_mut(&pod) {
                    *again = true;
                    continue;
                }
                busy.insert(pod.clone(), false);
                let word = word.clone();
                out.push(async move {
                    tokio::join!(self.parts.mouth.tell(&pod, &peer, &word), self.time.sleep(TELL_GAP));
                    pod
                });
            }
            let next = self.time.sleep(TELL_EVERY);
            let mut next = pin!(next);
            loop {
                tokio::select! {
                    biased;
                    Some(pod) = out.next() => {
                        if busy.remove(&pod) == Some(true) {
                            break;
                        }
                    }
                    Ok(()) = woken.changed() => break,
                    () = &mut next => break,
                }
            }
        }
    }

    /// Asks go out at their own pace, whoever has not answered the last one.
    pub(super) async fn ask_permits(&self) {
        let every = Duration::from_millis(self.parts.ask_every_ms);
        let mut out = FuturesUnordered::new();
        loop {
            if let Some((ask, members)) = self.next_ask() {
                let ask = Arc::new(ask);
                for (pod, peer) in self.peers().into_iter().filter(|(pod, _)| members.contains(pod)) {
                    let ask = ask.clone();
                    out.push(async move { (self.parts.mouth.ask(&pod, &peer, &ask).await, pod) });
                }
            }
            let mut next = pin!(self.time.sleep(every));
            loop {
                tokio::select! {
                    biased;
                    Some((reply, pod)) = out.next() => {
                        let now_ms = self.now_ms();
                        if let Some(reply) = reply {
                            self.with(|mind| mind.holder.heard(now_ms, &pod, &reply));
                            self.wake();
                        }
                    }
                    () = &mut next => break,
                }
            }
        }
    }

    fn next_ask(&self) -> Option<(Ask, BTreeSet<String>)> {
        let now_ms = self.now_ms();
        self.with(|mind| {
            let own = mind.me.pod.clone();
            if !mind.granter.may_stand(now_ms, &own) {
                return None;
            }
            let ask = mind.holder.ask(now_ms);
            let reply = mind.granter.ask(now_ms, &ask);
            mind.holder.heard(now_ms, &own, &reply);
            Some((ask, mind.holder.roll().members.clone()))
        })
    }
}

fn in_clock(memory: Memory, own: impl Fn(Millis) -> Millis) -> Memory {
    let flaps = |flaps: Flaps| Flaps { last_ms: own(flaps.last_ms), ..flaps };
    Memory {
        flaps: memory.flaps.into_iter().map(|(target, at)| (target, flaps(at))).collect(),
        withdrawn: memory.withdrawn.into_iter().map(|(at_ms, node)| (own(at_ms), node)).collect(),
        verdicts: memory.verdicts.into_iter().map(|(target, (verdict, ms))| (target, (verdict, own(ms)))).collect(),
    }
}
