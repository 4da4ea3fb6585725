//! What happens then, with one rule broken if that is wanted.

use super::{Broken, Event, LATE_MS, Message, NAMES, RENEW_DEADLINE_MS, TICK_MS, What, World, candidate, index};
use crate::permit::{Ask, Change, Granter, Holder, Release, Reply, Roll, Said};

impl World {
    /// It happens; whoever may write then does.
    pub(in super::super) fn happens(&mut self, event: &Event) {
        match event {
            Event::Tick => self.tick(),
            Event::Ask(own) => self.asks(*own),
            Event::Arrives { message, again, slowly } => {
                if *again {
                    self.bounds.repeats -= 1;
                } else {
                    self.messages.remove(message);
                }
                self.bounds.slow -= u16::from(*slowly);
                self.arrives(message, *slowly);
            }
            Event::Reads(index) => self.reads(*index),
            Event::Takes(index, learns) => {
                self.bounds.takes -= 1;
                self.lease.holder = Some(*index);
                self.renewed(*index, *learns);
            }
            Event::Renews(index, learns) => {
                self.bounds.renewals -= 1;
                self.renewed(*index, *learns);
            }
            Event::Restarts(index) => self.restarts(*index),
            Event::Dies(index) => {
                self.bounds.deaths -= 1;
                self.processes[*index].died_ms = Some(self.now_ms);
            }
            Event::Changes(own, change) => self.changes(*own, change),
            Event::Releases(index) => self.releases(*index),
        }
        self.write();
    }

    pub(super) fn tick(&mut self) {
        self.bounds.ticks -= 1;
        self.now_ms += TICK_MS;
        let (now_ms, lasts_ms) = (self.now_ms, self.terms.term_ms + LATE_MS);
        self.messages.retain(|message| now_ms <= message.sent_ms + lasts_ms);
        self.calls.retain(|(_, until_ms)| now_ms < *until_ms);
    }

    pub(super) fn asks(&mut self, own: usize) {
        let now_ms = self.clock(own);
        let process = &mut self.processes[own];
        let ask = process.holder.ask(now_ms);
        let members: Vec<usize> = process.holder.roll().members.iter().map(|name| index(name)).collect();
        for to in members {
            let message = Message { sent_ms: self.now_ms, to, what: What::Ask(ask.clone()) };
            if to == own {
                self.arrives(&message, false);
            } else {
                self.messages.insert(message);
            }
        }
    }

    pub(super) fn arrives(&mut self, message: &Message, slowly: bool) {
        if let What::Write(own, life, version, roll) = &message.what {
            return self.written(*own, *life, (*version, roll), !slowly);
        }
        if self.processes[message.to].died_ms.is_some() {
            return;
        }
        match &message.what {
            What::Ask(ask) => {
                let reply = self.granted(message.to, ask);
                let to = index(&ask.holder.name);
                if slowly {
                    let what = What::Reply(message.to, reply);
                    self.messages.insert(Message { sent_ms: self.now_ms, to, what });
                } else {
                    self.heard(to, message.to, reply);
                }
            }
            What::Reply(from, reply) => self.heard(message.to, *from, reply.clone()),
            What::Release(release) => {
                let late = self.is(Broken::LateReleaseFreesAll);
                let release = Release { number: if late { u64::MAX } else { release.number }, ..release.clone() };
                self.processes[message.to].granter.release(&release);
            }
            What::Write(..) => {}
        }
    }

    pub(super) fn granted(&mut self, own: usize, ask: &Ask) -> Reply {
        let now_ms = self.clock(own);
        let (two, old) = (self.is(Broken::TwoGrantsAtOnce), self.is(Broken::GrantsOldGenerations));
        let granter = &mut self.processes[own].granter;
        if two {
            granter.grant = None;
        }
        if old {
            granter.generation = 0;
        }
        granter.ask(now_ms, ask)
    }

    pub(super) fn heard(&mut self, to: usize, from: usize, mut reply: Reply) {
        let now_ms = self.clock(to);
        let (any, receipt, half) =
            (self.is(Broken::AnyReplyWillDo), self.is(Broken::CountsFromReceipt), self.is(Broken::HalfIsEnough));
        let process = &mut self.processes[to];
        if process.died_ms.is_some() {
            return;
        }
        if any && reply.holder == process.holder.own {
            reply.number = process.holder.number;
        }
        if let Some(asked) = process.holder.asked.get_mut(&reply.number).filter(|_| receipt) {
            asked.0 = now_ms;
        }
        process.holder.heard(now_ms, NAMES[from], &reply);
        if half && reply.said == Said::Granted && from == to {
            let other = process.holder.roll.members.iter().find(|name| *name != NAMES[to]).cloned();
            let other = other.unwrap_or_default();
            process.holder.heard(now_ms, &other, &reply);
        }
        if self.is(Broken::NoWaiting) {
            // As though it had been live for long.
            if let Some(live) = self.processes[to].holder.live.as_mut() {
                live.0 = 0;
            }
        }
    }

    pub(super) fn reads(&mut self, index: usize) {
        let now_ms = self.clock(index);
        let holder = self.lease.holder.map(|holder| NAMES[holder]);
        let process = &mut self.processes[index];
        process.granter.read(now_ms, holder, &self.lease.roll);
        process.holder.learn(now_ms, &self.lease.roll);
        if holder != Some(NAMES[index]) {
            process.holder.lost_lease(now_ms);
        }
        process.read = Some((self.lease.version, now_ms));
    }

    /// A write of this process to the Lease was made; it may not learn of it.
    pub(super) fn renewed(&mut self, own: usize, learns: bool) {
        self.lease.version += 1;
        if learns {
            self.reads(own);
            let now_ms = self.clock(own);
            let roll = self.lease.roll.clone();
            self.processes[own].holder.renewed(now_ms, now_ms + RENEW_DEADLINE_MS, &roll);
            let no_waiting = self.is(Broken::NoWaiting);
            if let Some(live) = self.processes[own].holder.live.as_mut().filter(|_| no_waiting) {
                live.0 = 0;
            }
        }
    }

    pub(super) fn restarts(&mut self, index: usize) {
        self.bounds.restarts -= 1;
        let now_ms = self.clock(index);
        let (early, unread) = (self.is(Broken::GrantsAfterRestart), self.is(Broken::GrantsUnread));
        let terms = self.terms;
        let process = &mut self.processes[index];
        let life = process.holder.own.life + 1;
        let mut granter = Granter::new(terms, if early { 0 } else { now_ms });
        if unread {
            // What some cache said long ago.
            granter.read(now_ms, Some("a"), &self.first);
        }
        process.granter = granter;
        process.holder = Holder::new(terms, candidate(index, life));
        process.read = None;
    }

    pub(super) fn changes(&mut self, own: usize, change: &Change) {
        self.bounds.changes -= 1;
        let Some((holder, roll)) = self.changed(own, change) else { return };
        let process = &mut self.processes[own];
        process.holder = holder;
        let life = process.holder.own.life;
        let Some((version, _)) = process.read else { return };
        let what = What::Write(own, life, version, roll);
        self.messages.insert(Message { sent_ms: self.now_ms, to: own, what });
    }

    /// A change of the roll has come to the API: compare and swap. Its answer may be lost.
    pub(super) fn written(&mut self, own: usize, life: u64, write: (u64, &Roll), learns: bool) {
        if self.lease.version != write.0 {
            return;
        }
        self.lease.roll = write.1.clone();
        let process = &self.processes[own];
        let same = process.died_ms.is_none() && process.holder.own.life == life;
        self.renewed(own, learns && same);
    }

    pub(super) fn releases(&mut self, own: usize) {
        self.bounds.releases -= 1;
        // It goes on living, which no real one does, so that a late release meets a later ask.
        let process = &mut self.processes[own];
        let release = process.holder.release();
        let members: Vec<usize> = process.holder.roll().members.iter().map(|name| index(name)).collect();
        for to in members {
            let message = Message { sent_ms: self.now_ms, to, what: What::Release(release.clone()) };
            self.messages.insert(message);
        }
    }

    /// Whoever may begin a call does, and lets it last as long as it may: nothing worse can be done with a permit.
    pub(super) fn write(&mut self) {
        for index in 0..self.processes.len() {
            let (now_ms, until_ms) = (self.clock(index), self.now_ms + self.terms.call_ms);
            let process = &self.processes[index];
            if process.died_ms.is_none() && process.holder.may_write(now_ms, now_ms) {
                let own = process.holder.own.clone();
                self.calls.retain(|(who, _)| *who != own);
                self.calls.push((own, until_ms));
            }
        }
        self.calls.sort();
    }
}
