//! The provider's calls: how long they take, what becomes of them, and who may make them at once.

use super::At;
use super::zone::{Begun, Keeping};
use async_trait::async_trait;
use detect::Millis;
use std::time::Duration;
use watcher::zone::{Change, Entry, Keeper, Provider, Trouble};
use wire::Line;

/// What becomes of a call.
enum Fate {
    Done,
    LostBefore,
    LostAfter,
    Throttled(Millis),
}

#[async_trait]
impl Provider for At {
    async fn read(&self, _: &Line, _: &[String]) -> Result<Vec<Entry>, Trouble> {
        let (fate, at_ms, all_ms) = self.fate("read");
        self.world.sleep(at_ms).await;
        let entries = self.world.state().zone.listed(self.world.now_ms());
        self.world.sleep(all_ms - at_ms).await;
        self.answered(fate).await.map(|()| entries)
    }

    async fn write(&self, _: &Line, change: &Change) -> Result<(), Trouble> {
        let (fate, at_ms, all_ms) = self.fate("write");
        let limit_ms = self.call_most_ms();
        let call = self.begin_write(limit_ms);
        let begun = Begun { at_ms: self.world.now_ms(), leaving: self.world.told_to_leave(self.node) };
        let arrives = matches!(fate, Fate::Done | Fate::LostAfter) && at_ms <= limit_ms;
        // A request that was sent takes effect, or not, whatever becomes of its sender meanwhile; but not after the call's
        // time, for then it was given up.
        let (at, change) = (self.clone(), change.clone());
        let effect = tokio::spawn(async move {
            if !arrives {
                at.world.state().zone.under_way.remove(&call);
                return Ok(());
            }
            at.world.sleep(at_ms).await;
            let now_ms = at.world.now_ms();
            let mut state = at.world.state();
            let made = state.make(&begun, now_ms, &change);
            state.zone.under_way.remove(&call);
            made
        });
        self.world.sleep(all_ms).await;
        self.answered(fate).await?;
        match self.world.time.within(Duration::ZERO, effect).await {
            Ok(Ok(made)) => made,
            _ => Err(Trouble::Lost("no answer".into())),
        }
    }

    fn batch_most(&self) -> usize {
        200
    }

    fn keeper(&self) -> Keeper {
        Keeper { alias_at_apex: true, alias_beside: true, proxies: true, fenced: false, records_most: Some(200) }
    }

    fn apex(&self) -> Option<String> {
        Some("example.com".into())
    }
}

impl At {
    fn call_most_ms(&self) -> Millis {
        watcher::start::terms(&self.world.config).call_ms
    }

    /// What becomes of a call; when it takes effect, and when it is answered, in milliseconds from now.
    fn fate(&self, what: &str) -> (Fate, Millis, Millis) {
        let state = self.world.state();
        let keeping = &state.zone.keeping;
        let mut draw = self.draw(what);
        let all_ms = draw.between(keeping.call_ms.0, keeping.call_ms.1);
        let (at_ms, percent) = (draw.between(0, all_ms), draw.below(100));
        let is_away = !keeping.up || keeping.cut.contains(&self.node) || !state.is_online(self.node);
        let Keeping { lost_before, lost_after, throttled, .. } = *keeping;
        let fate = match percent {
            _ if is_away => Fate::LostBefore,
            at if at < lost_before => Fate::LostBefore,
            at if at < lost_before + lost_after => Fate::LostAfter,
            at if at < lost_before + lost_after + throttled => Fate::Throttled(draw.between(0, 20_000)),
            _ => Fate::Done,
        };
        (fate, at_ms, all_ms)
    }

    async fn answered(&self, fate: Fate) -> Result<(), Trouble> {
        match fate {
            Fate::Done => Ok(()),
            Fate::LostBefore | Fate::LostAfter => {
                let wait_ms = self.draw("lost").between(0, 4_000);
                self.world.sleep(wait_ms).await;
                Err(Trouble::Lost("no answer".into()))
            }
            Fate::Throttled(wait_ms) => Err(Trouble::Throttled { wait_ms, said: "slow down".into() }),
        }
    }

    /// Notes that a write begins, and who else could write now.
    fn begin_write(&self, limit_ms: Millis) -> u64 {
        let now_ms = self.world.now_ms();
        let others: Vec<usize> =
            (0..self.world.nodes()).filter(|node| *node != self.node && self.world.may_write(*node)).collect();
        let mut state = self.world.state();
        let zone = &mut state.zone;
        zone.next_call += 1;
        let call = zone.next_call;
        zone.under_way.retain(|_, (_, until_ms)| now_ms < *until_ms);
        let also: Vec<usize> =
            zone.under_way.values().map(|(node, _)| *node).filter(|node| *node != self.node).collect();
        zone.under_way.insert(call, (self.node, now_ms + limit_ms));
        if !also.is_empty() || !others.is_empty() {
            let both =
                format!("at {now_ms} ms: n{} writes while {also:?} are writing and {others:?} may write", self.node);
            state.broken.push(both);
        }
        call
    }
}
