//! The half that wants to write: it asks, and counts what it was granted.

use super::{Ask, Candidate, Change, Release, Reply, Roll, Said, Terms, Unchanged};
use detect::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// What one vantage has been granted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    pub(super) own: Candidate,
    pub(super) terms: Terms,
    pub(super) number: u64,
    pub(super) roll: Roll,
    /// The roll before, while what was granted under it may still last.
    pub(super) before: Option<Roll>,
    /// When each ask was sent, and under which generation.
    pub(super) asked: BTreeMap<u64, (Millis, u64)>,
    /// By generation and granter: until when.
    pub(super) grants: BTreeMap<(u64, String), Millis>,
    /// Until when the Lease is held.
    pub(super) lease_until_ms: Millis,
    /// A change of the roll was sent, and no renewal has succeeded since.
    pub(super) is_changing: bool,
    /// Since when it has been live without a gap, and until when at least.
    pub(super) live: Option<(Millis, Millis)>,
}

/// Whether one may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// There is no permit.
    Mute,
    /// There is one, but what a predecessor began may not be over.
    Waiting {
        /// When it will be.
        until_ms: Millis,
    },
    /// Writes may begin, from a zone whose reading began at `since_ms` or later.
    Live {
        /// When the waiting ended.
        since_ms: Millis,
        /// When the permit ends, unless it is renewed.
        until_ms: Millis,
    },
}

impl Standing {
    /// Whether it allows the same, however long it lasts.
    pub(crate) fn is_like(self, other: Standing) -> bool {
        match (self, other) {
            (Standing::Live { since_ms: a, .. }, Standing::Live { since_ms: b, .. }) => a == b,
            (a, b) => a == b,
        }
    }
}

impl Holder {
    /// One that has just started, and has no permit.
    pub fn new(terms: Terms, own: Candidate) -> Self {
        Holder {
            own,
            terms,
            number: 0,
            roll: Roll::default(),
            before: None,
            asked: BTreeMap::new(),
            grants: BTreeMap::new(),
            lease_until_ms: 0,
            is_changing: false,
            live: None,
        }
    }

    /// The roll as it knows it.
    pub fn roll(&self) -> &Roll {
        &self.roll
    }

    /// Takes note of the roll; an older one than is known changes nothing.
    pub fn learn(&mut self, now_ms: Millis, roll: &Roll) {
        if roll.generation <= self.roll.generation {
            return;
        }
        self.settle(now_ms);
        let old = std::mem::replace(&mut self.roll, roll.clone());
        self.before = (old.generation + 1 == roll.generation).then_some(old);
        let oldest = self.before.as_ref().unwrap_or(&self.roll).generation;
        self.grants.retain(|(generation, _), _| *generation >= oldest);
        self.settle(now_ms);
    }

    /// A write to the Lease that made or kept it ours has succeeded. It was sent at `sent_ms`, and is good until `until_ms`: the
    /// renew deadline, counted from sending.
    pub fn renewed(&mut self, now_ms: Millis, until_ms: Millis, roll: &Roll) {
        self.settle(now_ms);
        self.is_changing = false;
        self.learn(now_ms, roll);
        self.lease_until_ms = until_ms;
        self.settle(now_ms);
    }

    /// The Lease is another's, or is being given up.
    pub fn lost_lease(&mut self, now_ms: Millis) {
        self.settle(now_ms);
        self.lease_until_ms = 0;
        self.settle(now_ms);
    }

    /// What to send to every member of the roll, oneself included, now.
    pub fn ask(&mut self, now_ms: Millis) -> Ask {
        self.settle(now_ms);
        self.number += 1;
        self.asked.insert(self.number, (now_ms, self.roll.generation));
        Ask { holder: self.own.clone(), number: self.number, generation: self.roll.generation }
    }

    /// Takes a member's reply. A refusal takes back nothing: what was granted before lasts.
    pub fn heard(&mut self, now_ms: Millis, member: &str, reply: &Reply) {
        self.settle(now_ms);
        let asked = self.asked.get(&reply.number).filter(|_| reply.holder == self.own && reply.said == Said::Granted);
        let Some(&(sent_ms, generation)) = asked else { return };
        let until_ms = (sent_ms + self.terms.term_ms).saturating_sub(self.terms.margin_ms);
        let lasts = self.grants.entry((generation, member.to_owned())).or_default();
        *lasts = until_ms.max(*lasts);
        self.settle(now_ms);
    }

    /// When the permit ends, if it is live: the later of what the present roll and the one before it give.
    pub fn live_until(&self, now_ms: Millis) -> Option<Millis> {
        let rolls = [Some(&self.roll), self.before.as_ref()];
        let granted = rolls.into_iter().flatten().filter_map(|roll| self.granted_until(roll)).max().unwrap_or(0);
        Some(granted.max(self.alone_until())).filter(|until_ms| now_ms < *until_ms)
    }

    /// Until when a majority of this roll has granted, each under its generation.
    fn granted_until(&self, roll: &Roll) -> Option<Millis> {
        if roll.is_small() {
            return None;
        }
        let grant = |member: &String| self.grants.get(&(roll.generation, member.clone())).copied();
        let mut untils: Vec<Millis> = roll.members.iter().filter_map(grant).collect();
        untils.sort_unstable_by(|a, b| b.cmp(a));
        untils.get(roll.majority() - 1).copied()
    }

    /// Until when the Lease alone is a permit.
    fn alone_until(&self) -> Millis {
        let alone = self.roll.is_small() && !self.roll.members.is_empty() && !self.is_changing;
        if alone { self.lease_until_ms } else { 0 }
    }

    /// Carries on what is known of the time without a gap. Called before and after whatever changes it.
    fn settle(&mut self, now_ms: Millis) {
        let since_ms = self.live.filter(|(_, until_ms)| now_ms < *until_ms).map(|(since_ms, _)| since_ms);
        self.live = self.live_until(now_ms).map(|until_ms| (since_ms.unwrap_or(now_ms), until_ms));
        let keep_ms = self.terms.term_ms;
        self.asked.retain(|_, (sent_ms, _)| now_ms < *sent_ms + keep_ms);
        self.grants.retain(|_, until_ms| now_ms < *until_ms);
    }

    /// Whether it may write.
    pub fn standing(&self, now_ms: Millis) -> Standing {
        let live = self.live.filter(|(_, until_ms)| now_ms < *until_ms);
        let (Some((since_ms, _)), Some(until_ms)) = (live, self.live_until(now_ms)) else { return Standing::Mute };
        let since_ms = since_ms + self.terms.patience_ms();
        if now_ms < since_ms { Standing::Waiting { until_ms: since_ms } } else { Standing::Live { since_ms, until_ms } }
    }

    /// Whether a call that changes the zone may begin now, decided from a zone whose reading began at `read_ms`. It must be given up
    /// [`Terms::call_ms`] after *this* moment, however late it is sent.
    pub fn may_write(&self, now_ms: Millis, read_ms: Millis) -> bool {
        matches!(self.standing(now_ms), Standing::Live { since_ms, .. } if since_ms <= read_ms && read_ms <= now_ms)
    }

    /// The roll as it shall be, to be written into the Lease by compare-and-swap at once. From here on, whatever becomes of the
    /// write, the Lease alone is no permit until [`Holder::renewed`].
    pub fn change(&mut self, now_ms: Millis, change: &Change) -> Result<Roll, Unchanged> {
        self.settle(now_ms);
        if now_ms >= self.lease_until_ms || self.is_changing {
            return Err(Unchanged::NotHeld);
        }
        let members = self.changed(now_ms, change)?;
        if members.is_empty() || members == self.roll.members {
            return Err(Unchanged::Nothing);
        }
        self.is_changing = true;
        self.settle(now_ms);
        Ok(self.roll.next(members))
    }

    fn changed(&self, now_ms: Millis, change: &Change) -> Result<BTreeSet<String>, Unchanged> {
        let mut members = self.roll.members.clone();
        if let Change::Bury { left, seen_ms } = change {
            let early = *seen_ms < self.terms.term_ms + self.terms.patience_ms();
            let left: BTreeSet<String> = left.intersection(&members).cloned().collect();
            let own = BTreeSet::from([self.own.name.clone()]);
            let is_theirs = left.is_empty() || left.is_superset(&own);
            let can = !early && is_theirs && left.len() < self.roll.majority();
            return if can { Ok(if left.is_empty() { own } else { left }) } else { Err(Unchanged::TooEarly) };
        }
        let granted = self.granted_until(&self.roll).unwrap_or(0).max(self.alone_until());
        if now_ms >= granted {
            return Err(Unchanged::NotLive);
        }
        match change {
            Change::Add(name) => {
                members.insert(name.clone());
            }
            Change::Remove(_) if members.len() == Roll::PERMITS_FROM => return Err(Unchanged::TooFew),
            Change::Remove(name) => {
                members.remove(name);
            }
            Change::Bury { .. } => {}
        }
        Ok(members)
    }

    /// Gives the permit back: not live from here on. To be sent to every member once no call is under way.
    pub fn release(&mut self) -> Release {
        self.grants.clear();
        self.asked.clear();
        self.lease_until_ms = 0;
        self.live = None;
        Release { holder: self.own.clone(), number: self.number }
    }
}
