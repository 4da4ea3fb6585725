//! The Lease's loop: standing for it, keeping it, and keeping its roll.

use super::Process;
use crate::lease::{Candidacy, LeaseTimes, LeaseTrouble, Leases};
use crate::mind::Heard;
use crate::permit::{Change, Roll, Standing};
use detect::Millis;
use std::collections::BTreeSet;
use std::time::Duration;

/// Who was heard within this is alive.
const ALIVE_MS: Millis = 3_000;

impl Process {
    /// Stands for the Lease, and keeps it while it is ours; ends, the Lease given back, once the process retires.
    pub async fn stand(&self, api: &dyn Leases, times: LeaseTimes) {
        let own = self.with(|mind| mind.me.pod.clone());
        let mut candidacy = Candidacy::new(&own, times);
        let mut alone_since_ms = None;
        let mut stopping = self.stopping.subscribe();
        while !*stopping.borrow_and_update() {
            if candidacy.roll().is_none() {
                candidacy.hears(self.alive());
            }
            let change = self.change(&candidacy, &own, &mut alone_since_ms);
            if self.yields(&candidacy, &own) {
                self.give_back(api, &mut candidacy).await;
            }
            let aside = self.stands_aside(&own) || self.is_stranger(&candidacy, &own);
            match api.turn(&mut candidacy, aside, change.as_ref()).await {
                Ok(written) => self.learn(&candidacy, &own, written),
                Err(LeaseTrouble::Conflict) => self.learn(&candidacy, &own, false),
                Err(trouble) => tracing::debug!(%trouble, "the Lease"),
            }
            self.wake();
            tokio::select! {
                biased;
                _ = stopping.changed() => {}
                () = self.time.sleep(Duration::from_millis(times.retry_ms)) => {}
            }
        }
        self.give_back(api, &mut candidacy).await;
    }

    async fn give_back(&self, api: &dyn Leases, candidacy: &mut Candidacy) {
        let now_ms = self.now_ms();
        self.with(|mind| mind.holder.lost_lease(now_ms));
        if let Err(trouble) = api.release(candidacy).await {
            tracing::debug!(%trouble, "the Lease is not given back");
        }
    }

    /// Vantages that were heard just now, and are not on their way out.
    fn alive(&self) -> BTreeSet<String> {
        let now_ms = self.now_ms();
        self.with(|mind| {
            let stays = |pod: &&String| {
                let at = mind.scene.as_ref().and_then(|scene| scene.vantages.get(*pod));
                at.is_some_and(|at| !at.terminating)
            };
            let heard = mind.heard.iter().filter(|(_, heard)| now_ms.saturating_sub(heard.at_ms) < ALIVE_MS);
            heard.map(|(pod, _)| pod).filter(stays).cloned().collect()
        })
    }

    /// Not on a roll of which some live, and too few for a majority: only one of these can bury the rest, so the Lease is theirs.
    fn is_stranger(&self, candidacy: &Candidacy, own: &str) -> bool {
        let Some(roll) = candidacy.roll().filter(|roll| !roll.members.contains(own)) else { return false };
        let now_ms = self.now_ms();
        let is_alive = |heard: &Heard| now_ms.saturating_sub(heard.at_ms) < ALIVE_MS;
        let alive = self
            .with(|mind| roll.members.iter().filter(|member| mind.heard.get(*member).is_some_and(is_alive)).count());
        0 < alive && alive < roll.majority()
    }

    /// It has the Lease, and can do nothing with it.
    fn yields(&self, candidacy: &Candidacy, own: &str) -> bool {
        let now_ms = self.now_ms();
        let is_mute = self.with(|mind| mind.holder.standing(now_ms) == Standing::Mute);
        is_mute && candidacy.holder() == Some(own) && self.is_stranger(candidacy, own)
    }

    /// Another has what it granted, or is better placed.
    fn stands_aside(&self, own: &str) -> bool {
        let now_ms = self.now_ms();
        self.with(|mind| {
            let granted = mind.granter.granted_to(now_ms).is_some_and(|to| to.name != own);
            let candidate = mind.granter.candidate(now_ms).is_some_and(|name| name != own);
            granted || candidate
        })
    }

    fn learn(&self, candidacy: &Candidacy, own: &str, written: bool) {
        let now_ms = self.now_ms();
        let Some(roll) = candidacy.roll() else { return };
        self.with(|mind| {
            mind.granter.read(now_ms, candidacy.holder(), roll);
            mind.holder.learn(now_ms, roll);
            match candidacy.held_until() {
                Some(until_ms) if written => mind.holder.renewed(now_ms, until_ms, roll),
                None if candidacy.holder() != Some(own) => mind.holder.lost_lease(now_ms),
                _ => {}
            }
        });
    }

    /// How the roll shall change, if the Lease is ours: who lives joins, who is no more leaves, one at a time.
    fn change(&self, candidacy: &Candidacy, own: &str, alone_since_ms: &mut Option<Millis>) -> Option<Roll> {
        let (now_ms, roll) = (self.now_ms(), candidacy.roll()?);
        candidacy.held_until().filter(|until_ms| now_ms < *until_ms)?;
        let mut alive = self.alive();
        alive.insert(own.to_owned());
        self.with(|mind| {
            let scene = mind.scene.clone()?;
            let comes = alive.iter().find(|pod| !roll.members.contains(*pod));
            let left: BTreeSet<String> =
                roll.members.iter().filter(|member| scene.vantages.contains_key(*member)).cloned().collect();
            let goes = roll.members.iter().find(|member| !left.contains(*member));
            if goes.is_none() {
                *alone_since_ms = None;
            }
            let since_ms = *alone_since_ms.get_or_insert(now_ms);
            // Without a permit nobody joins; the dead can be buried nevertheless.
            let added = comes.and_then(|pod| mind.holder.change(now_ms, &Change::Add(pod.clone())).ok());
            if added.is_some() {
                return added;
            }
            let removed = goes.map(|member| mind.holder.change(now_ms, &Change::Remove(member.clone())));
            match removed? {
                Ok(roll) => Some(roll),
                Err(_) => mind.holder.change(now_ms, &Change::Bury { left, seen_ms: now_ms - since_ms }).ok(),
            }
        })
    }
}
