//! Which worlds are the same.

use super::{LEASE_MS, Message, Process, What, World};
use crate::permit::Candidate;
use detect::Millis;
use std::hash::{DefaultHasher, Hash, Hasher};

impl World {
    /// The same for two worlds that only differ by when they are, by how many asks were numbered, and by what is over. That two
    /// others share it, and one goes unexplored, is less likely than one in a thousand million.
    pub(in super::super) fn fingerprint(&self) -> u64 {
        let mut world = self.clone();
        world.normalise();
        let mut hasher = DefaultHasher::new();
        world.hash(&mut hasher);
        hasher.finish()
    }

    pub(super) fn normalise(&mut self) {
        let base = 1_000_000;
        let (shift, terms) = (self.now_ms - base, self.terms);
        for index in 0..self.processes.len() {
            let now_ms = self.clock(index);
            let since = |at_ms: Millis, matters_ms: Millis| at_ms.max(now_ms.saturating_sub(matters_ms)) - shift;
            let Process { granter, holder, read, died_ms } = &mut self.processes[index];
            if let Some(at_ms) = died_ms {
                *at_ms = (*at_ms).max(self.now_ms - terms.term_ms - terms.call_ms) - shift;
            }
            if let Some((_, at_ms)) = read {
                *at_ms = since(*at_ms, LEASE_MS);
            }
            granter.started_ms = since(granter.started_ms, terms.term_ms.max(terms.silence_ms));
            if let Some(lease) = granter.lease.as_mut() {
                lease.since_ms = since(lease.since_ms, terms.silence_ms);
            }
            granter.heard.values_mut().for_each(|at_ms| *at_ms = since(*at_ms, terms.term_ms.max(terms.silence_ms)));
            granter.grant.take_if(|grant| now_ms >= grant.until_ms);
            holder.asked.retain(|_, (sent_ms, _)| now_ms < *sent_ms + terms.term_ms);
            holder.asked.values_mut().for_each(|asked| asked.0 -= shift);
            holder.grants.retain(|_, until_ms| now_ms < *until_ms);
            holder.grants.values_mut().for_each(|until_ms| *until_ms -= shift);
            holder.live = holder.live.filter(|(_, until_ms)| now_ms < *until_ms);
            holder.live = holder.live.map(|(at_ms, until_ms)| (since(at_ms, terms.call_ms), until_ms - shift));
            holder.lease_until_ms = holder.lease_until_ms.max(now_ms) - shift;
            if let Some(grant) = granter.grant.as_mut() {
                grant.until_ms -= shift;
            }
        }
        self.renumber();
        let messages = std::mem::take(&mut self.messages);
        self.messages =
            messages.into_iter().map(|message| Message { sent_ms: message.sent_ms - shift, ..message }).collect();
        self.calls.iter_mut().for_each(|(_, until_ms)| *until_ms -= shift);
        self.now_ms = base;
    }

    /// Asks are counted back from each process's last one.
    pub(super) fn renumber(&mut self) {
        let last: Vec<(Candidate, u64)> =
            self.processes.iter().map(|process| (process.holder.own.clone(), process.holder.number)).collect();
        let back = |who: &Candidate, number: u64| {
            let last = last.iter().find(|(own, _)| own == who).map_or(number, |(_, last)| *last);
            (number + 1_000).saturating_sub(last)
        };
        let mut messages = std::mem::take(&mut self.messages);
        // A reply that nobody waits for any more does nothing.
        messages.retain(|message| match &message.what {
            What::Reply(_, reply) => self.processes[message.to].holder.asked.contains_key(&reply.number),
            _ => true,
        });
        for process in &mut self.processes {
            if let Some(grant) = process.granter.grant.as_mut() {
                grant.number = back(&grant.to, grant.number);
            }
            let own = process.holder.own.clone();
            let asked = std::mem::take(&mut process.holder.asked);
            process.holder.asked = asked.into_iter().map(|(number, at)| (back(&own, number), at)).collect();
            process.holder.number = 0;
        }
        let renumbered = messages.into_iter().map(|mut message| {
            match &mut message.what {
                What::Ask(ask) => ask.number = back(&ask.holder, ask.number),
                What::Reply(_, reply) => reply.number = back(&reply.holder, reply.number),
                What::Release(release) => release.number = back(&release.holder, release.number),
                What::Write(..) => {}
            }
            message
        });
        self.messages = renumbered.collect();
    }
}
