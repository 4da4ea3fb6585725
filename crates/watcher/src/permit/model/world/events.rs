//! What may happen next.

use super::{Broken, Event, LEASE_MS, NAMES, What, World, index};
use crate::permit::{Change, Holder, Roll, Standing};
use std::collections::BTreeSet;
use wire::Rng;

impl World {
    /// All that may happen next.
    pub(in super::super) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.bounds.ticks > 0 {
            events.push(Event::Tick);
        }
        for message in &self.messages {
            let is_answered = self.bounds.slow > 0 && matches!(message.what, What::Ask(_) | What::Write(..));
            for slowly in [false, true].into_iter().take(1 + usize::from(is_answered)) {
                let repeats = 1 + usize::from(self.bounds.repeats > 0 && !matches!(message.what, What::Write(..)));
                for again in [false, true].into_iter().take(repeats) {
                    events.push(Event::Arrives { message: message.clone(), again, slowly });
                }
            }
        }
        for index in (0..self.processes.len()).filter(|index| self.processes[*index].died_ms.is_none()) {
            self.events_of(index, &mut events);
        }
        events
    }

    pub(super) fn events_of(&self, index: usize, events: &mut Vec<Event>) {
        let (process, now_ms) = (&self.processes[index], self.clock(index));
        let has_asked = process.holder.asked.values().any(|(sent_ms, _)| *sent_ms == now_ms);
        if process.granter.may_stand(now_ms, NAMES[index]) && !has_asked {
            events.push(Event::Ask(index));
        }
        let is_current = process.read.is_some_and(|(version, _)| version == self.lease.version);
        if !is_current {
            events.push(Event::Reads(index));
        }
        let small = self.lease.roll.is_small();
        let lapsed = process.read.is_some_and(|(_, seen_ms)| now_ms >= seen_ms + LEASE_MS);
        let is_own = self.lease.holder == Some(index);
        // With permits the Lease may move at any time, for whatever reason.
        if self.bounds.takes > 0 && is_current && !is_own && (lapsed || !small || self.lease.holder.is_none()) {
            let learns = [true, false].into_iter().take(1 + usize::from(small));
            events.extend(learns.map(|learns| Event::Takes(index, learns)));
        }
        if self.bounds.renewals > 0 && is_current && is_own {
            events.extend([true, false].map(|learns| Event::Renews(index, learns)));
        }
        if self.bounds.restarts > 0 {
            events.push(Event::Restarts(index));
        }
        if self.bounds.deaths > 0 && self.processes.iter().filter(|process| process.died_ms.is_none()).count() > 1 {
            events.push(Event::Dies(index));
        }
        if self.bounds.releases > 0 && process.holder.standing(now_ms) != Standing::Mute {
            events.push(Event::Releases(index));
        }
        if self.bounds.changes > 0 && is_current && is_own {
            self.changes_of(index, events);
        }
    }

    pub(super) fn changes_of(&self, own: usize, events: &mut Vec<Event>) {
        let alive = |index: &usize| self.processes[*index].died_ms.is_none();
        let mut changes: Vec<Change> = (0..self.processes.len())
            .map(|index| {
                let name = NAMES[index].to_owned();
                if self.lease.roll.members.contains(&name) { Change::Remove(name) } else { Change::Add(name) }
            })
            .collect();
        let (left, gone): (Vec<usize>, Vec<usize>) =
            self.lease.roll.members.iter().map(|name| index(name)).partition(alive);
        if let Some(died_ms) = gone.iter().filter_map(|index| self.processes[*index].died_ms).max() {
            let left = left.into_iter().map(|index| NAMES[index].to_owned()).collect();
            changes.push(Change::Bury { left, seen_ms: self.now_ms - died_ms });
        } else if self.is(Broken::BuriesTheLiving) {
            changes.push(Change::Bury { left: BTreeSet::from([NAMES[own].to_owned()]), seen_ms: 1_000_000 });
        }
        for change in changes {
            if self.changed(own, &change).is_some() {
                events.push(Event::Changes(own, change));
            }
        }
    }

    /// The roll that the process would write, and itself afterwards.
    pub(super) fn changed(&self, own: usize, change: &Change) -> Option<(Holder, Roll)> {
        let (mut holder, now_ms) = (self.processes[own].holder.clone(), self.clock(own));
        let mut judge = holder.clone();
        if self.is(Broken::ChangesUnasked) {
            let all = holder.roll.members.iter().map(|name| ((holder.roll.generation, name.clone()), now_ms + 1));
            judge.grants.extend(all);
        }
        let is_fourth = self.is(Broken::ThreeBecomeTwo) && holder.roll.members.len() == 3;
        if is_fourth {
            judge.roll.members.insert("nobody".into());
            judge.grants.insert((holder.roll.generation, "nobody".into()), now_ms + 1);
        }
        let mut roll = judge.change(now_ms, change).ok()?;
        roll.members.remove("nobody");
        if self.is(Broken::TwoChangesAtOnce) {
            self.another(own, change, &mut roll);
        }
        holder.is_changing = !self.is(Broken::LeaseAloneWhileChanging);
        (roll.members != holder.roll.members).then_some((holder, roll))
    }

    /// A second change of the same kind, which no roll allows.
    pub(super) fn another(&self, own: usize, change: &Change, roll: &mut Roll) {
        let names = NAMES[..self.processes.len()].iter().map(|name| (*name).to_owned());
        match change {
            Change::Add(_) => {
                let out: Option<String> = names.into_iter().find(|name| !roll.members.contains(name));
                roll.members.extend(out);
            }
            Change::Remove(_) if roll.members.len() > 3 => {
                let other = roll.members.iter().find(|name| *name != NAMES[own]).cloned();
                roll.members.retain(|name| Some(name) != other.as_ref());
            }
            Change::Remove(_) | Change::Bury { .. } => {}
        }
    }

    /// One of the things that may happen, those that lead on more often. `cut` has a bit for each process that is on the far side
    /// of a partition, where the API is not.
    pub(in super::super) fn draw(&self, rng: &mut Rng, cut: u64) -> Option<Event> {
        let events = self.events();
        let far = |index: usize| cut >> index & 1 == 1;
        let weight = |event: &Event| match event {
            Event::Tick => 10,
            Event::Ask(_) => 12,
            Event::Arrives { message, .. } if message.from().is_some_and(|from| far(from) != far(message.to)) => 0,
            Event::Arrives { again: false, slowly: false, .. } => 8,
            Event::Reads(own) | Event::Takes(own, _) | Event::Renews(own, _) | Event::Changes(own, _) if far(*own) => 0,
            Event::Reads(_) => 4,
            Event::Arrives { .. } | Event::Renews(..) | Event::Changes(..) => 2,
            Event::Takes(..) | Event::Restarts(_) | Event::Dies(_) | Event::Releases(_) => 1,
        };
        let mut at = rng.below(events.iter().map(weight).sum());
        events.into_iter().find(|event| {
            let own = weight(event);
            let hit = at < own;
            at = at.saturating_sub(own);
            hit
        })
    }
}
