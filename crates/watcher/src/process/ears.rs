//! What vantages say to each other: reports, and asks for permits.

use super::Process;
use crate::mind::Heard;
use crate::peer::{Ears, Recollection, Told};
use crate::permit::{Ask, Release, Reply, Standing};
use crate::scene::VantagePod;
use detect::Millis;
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Reports go out at least this often.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Who was heard within this is alive, for whom would stand in its place.
const ALIVE_MS: Millis = 2_000;
/// And not more often than this, however much happens.
const TELL_GAP: Duration = Duration::from_millis(50);

impl Ears for Process {
    fn told(&self, told: Told) -> Told {
        let now_ms = self.now_ms();
        let reports = told.reports(now_ms);
        let trusted = told.sights.iter().all(|sight| sight.trusted);
        let heard = Heard { at_ms: now_ms, vantage: told.vantage, trusted, reports };
        let memory = told.memory.map(|memory| memory.memory(now_ms));
        if self.with(|mind| mind.told(&told.pod, heard, memory)) {
            self.wake();
        }
        self.word()
    }

    fn asked(&self, ask: &Ask) -> Reply {
        let now_ms = self.now_ms();
        self.with(|mind| mind.granter.ask(now_ms, ask))
    }

    fn released(&self, release: &Release) {
        self.with(|mind| mind.granter.release(release));
    }
}

impl Process {
    /// What this vantage has to say now.
    fn word(&self) -> Told {
        let now_ms = self.now_ms();
        self.with(|mind| {
            let vantage = mind.vantage();
            let reports = mind.eyes.reports(now_ms, &vantage);
            let memory = mind.testament(now_ms).map(|memory| Recollection::of(&memory, now_ms));
            let (pod, lag_ms) = (mind.me.pod.clone(), mind.eyes.lag_ms());
            Told { vantage, pod, sights: Told::sights(&reports, now_ms), lag_ms, memory }
        })
    }

    /// Each peer is told by itself: who does not answer holds up nobody else.
    pub(super) async fn tell(&self) {
        let mut moved = self.moved.subscribe();
        let mut out = FuturesUnordered::new();
        // Who is being told, and whether there is something newer for it by now.
        let mut busy: BTreeMap<String, bool> = BTreeMap::new();
        loop {
            let word = Arc::new(self.word());
            for (pod, peer) in self.peers() {
                if let Some(again) = busy.get_mut(&pod) {
                    *again = true;
                    continue;
                }
                busy.insert(pod.clone(), false);
                out.push(self.tell_one(pod, peer, word.clone()));
            }
            let mut next = pin!(self.time.sleep(TELL_EVERY));
            loop {
                tokio::select! {
                    biased;
                    Some((pod, answer)) = out.next() => {
                        if let Some(answer) = answer {
                            self.told(answer);
                        }
                        // It alone has waited: the others have been told.
                        let waits = busy.remove(&pod) == Some(true);
                        if let Some(peer) = self.peers().remove(&pod).filter(|_| waits) {
                            busy.insert(pod.clone(), false);
                            out.push(self.tell_one(pod, peer, Arc::new(self.word())));
                        }
                    }
                    Ok(()) = moved.changed() => break,
                    () = &mut next => break,
                }
            }
        }
    }

    async fn tell_one(&self, pod: String, peer: VantagePod, word: Arc<Told>) -> (String, Option<Told>) {
        let (answer, ()) = tokio::join!(self.parts.mouth.tell(&peer, &word), self.time.sleep(TELL_GAP));
        (pod, answer)
    }

    /// Asks go out at their own pace, whoever has not answered the last one.
    pub(super) async fn ask_permits(&self) {
        let mut out = FuturesUnordered::new();
        loop {
            if let Some((ask, members)) = self.next_ask() {
                let ask = Arc::new(ask);
                for (pod, peer) in self.peers().into_iter().filter(|(pod, _)| members.contains(pod)) {
                    let ask = ask.clone();
                    out.push(async move { (self.parts.mouth.ask(&peer, &ask).await, pod) });
                }
            }
            let mut next = pin!(self.time.sleep(self.ask_pace()));
            loop {
                tokio::select! {
                    biased;
                    Some((reply, pod)) = out.next() => {
                        let now_ms = self.now_ms();
                        if let Some(reply) = reply {
                            let is_turned = self.with(|mind| {
                                let before = mind.holder.standing(now_ms);
                                mind.holder.heard(now_ms, &pod, &reply);
                                !before.is_like(mind.holder.standing(now_ms))
                            });
                            if is_turned {
                                self.wake();
                            }
                        }
                    }
                    () = &mut next => break,
                }
            }
        }
    }

    /// While the candidate lives there is no hurry; as soon as it is taken for dead there is.
    fn ask_pace(&self) -> Duration {
        let (now_ms, every_ms) = (self.now_ms(), self.parts.ask_every_ms);
        let from_ms = self.with(|mind| {
            let is_mute = mind.holder.standing(now_ms) == Standing::Mute;
            mind.granter.stands_from(&mind.me.pod).filter(|_| is_mute)
        });
        let pace_ms = match from_ms {
            Some(from_ms) if now_ms >= from_ms => every_ms / 4,
            Some(from_ms) => every_ms.min(from_ms - now_ms),
            None => every_ms,
        };
        Duration::from_millis(pace_ms)
    }

    fn next_ask(&self) -> Option<(Ask, BTreeSet<String>)> {
        let now_ms = self.now_ms();
        self.with(|mind| {
            let own = mind.me.pod.clone();
            let is_alive =
                |pod: &str| mind.heard.get(pod).is_some_and(|heard| now_ms.saturating_sub(heard.at_ms) < ALIVE_MS);
            let stands = mind.granter.may_stand(now_ms, &own) && mind.granter.is_next(now_ms, &own, is_alive);
            if *self.stopping.borrow() || !stands {
                return None;
            }
            let ask = mind.holder.ask(now_ms);
            let reply = mind.granter.ask(now_ms, &ask);
            mind.holder.heard(now_ms, &own, &reply);
            Some((ask, mind.holder.roll().members.clone()))
        })
    }
}
