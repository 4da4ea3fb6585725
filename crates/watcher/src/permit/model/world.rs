//! Processes, a Lease, messages under way, calls under way; and what may happen next.

use super::super::{Ask, Candidate, Change, Granter, Holder, Release, Reply, Roll, Said, Standing, Terms};
use detect::Millis;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use wire::Rng;

const TICK_MS: Millis = 1_000;
/// As short as a clock of whole ticks can tell apart: for searches of every order.
pub(super) const SHORT: Terms = Terms { term_ms: 2_000, call_ms: 2_000, silence_ms: 2_000, margin_ms: 0 };
/// A term in which more than a call can happen: what is broken about grants is then not mended by the waiting.
pub(super) const LONG: Terms = Terms { term_ms: 5_000, call_ms: 2_000, silence_ms: 5_000, margin_ms: 0 };
/// The Lease as it is seen by who would take it, and by who holds it.
const LEASE_MS: Millis = 3_000;
const RENEW_DEADLINE_MS: Millis = 2_000;
/// A message may come so long after its term is over, or never.
const LATE_MS: Millis = 1_000;
/// Each process's clock says something else.
const SKEW_MS: Millis = 100_000;
const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// How often what may happen.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bounds {
    pub ticks: u16,
    pub takes: u16,
    pub renewals: u16,
    pub restarts: u16,
    pub changes: u16,
    pub deaths: u16,
    pub repeats: u16,
    pub releases: u16,
    /// Answers that come later than at once, or not at all.
    pub slow: u16,
    /// Processes that are not on the roll at first.
    pub strangers: usize,
}

impl Bounds {
    pub(super) fn unbounded() -> Self {
        let most = 1_000;
        Bounds {
            ticks: most,
            takes: most,
            renewals: most,
            restarts: most,
            changes: most,
            deaths: 3,
            repeats: most,
            releases: most,
            slow: most,
            strangers: 2,
        }
    }
}

/// A rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Broken {
    TwoGrantsAtOnce,
    GrantsAfterRestart,
    GrantsUnread,
    GrantsOldGenerations,
    CountsFromReceipt,
    AnyReplyWillDo,
    NoWaiting,
    HalfIsEnough,
    TwoChangesAtOnce,
    ChangesUnasked,
    LeaseAloneWhileChanging,
    ThreeBecomeTwo,
    BuriesTheLiving,
    LateReleaseFreesAll,
}

impl Broken {
    pub(super) const ALL: [Broken; 14] = [
        Broken::TwoGrantsAtOnce,
        Broken::GrantsAfterRestart,
        Broken::GrantsUnread,
        Broken::GrantsOldGenerations,
        Broken::CountsFromReceipt,
        Broken::AnyReplyWillDo,
        Broken::NoWaiting,
        Broken::HalfIsEnough,
        Broken::TwoChangesAtOnce,
        Broken::ChangesUnasked,
        Broken::LeaseAloneWhileChanging,
        Broken::ThreeBecomeTwo,
        Broken::BuriesTheLiving,
        Broken::LateReleaseFreesAll,
    ];
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Event {
    Tick,
    /// It asks; its own granter hears at once.
    Ask(usize),
    /// A message arrives; it may arrive again, and its answer may take its time.
    Arrives {
        message: Message,
        again: bool,
        slowly: bool,
    },
    Reads(usize),
    /// Whether it learns that it has the Lease.
    Takes(usize, bool),
    Renews(usize, bool),
    Restarts(usize),
    /// It and its object are no more.
    Dies(usize),
    Changes(usize, Change),
    Releases(usize),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Message {
    sent_ms: Millis,
    to: usize,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum What {
    Ask(Ask),
    Reply(usize, Reply),
    Release(Release),
    /// A change of the roll, on its way to the API with the version that it was read at, from this process in this life.
    Write(usize, u64, u64, Roll),
}

impl Message {
    /// Which process it comes from; `None` for what is on its way to the API.
    fn from(&self) -> Option<usize> {
        match &self.what {
            What::Ask(ask) => Some(index(&ask.holder.name)),
            What::Reply(from, _) => Some(*from),
            What::Release(release) => Some(index(&release.holder.name)),
            What::Write(..) => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    granter: Granter,
    holder: Holder,
    /// The Lease's version as last read, and when that was first seen.
    read: Option<(u64, Millis)>,
    died_ms: Option<Millis>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Lease {
    holder: Option<usize>,
    roll: Roll,
    version: u64,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct World {
    terms: Terms,
    now_ms: Millis,
    processes: Vec<Process>,
    lease: Lease,
    /// The roll at first.
    first: Roll,
    messages: BTreeSet<Message>,
    /// Whose calls are under way, and until when at most.
    calls: Vec<(Candidate, Millis)>,
    bounds: Bounds,
    broken: Option<Broken>,
}

fn candidate(index: usize, life: u64) -> Candidate {
    Candidate { name: NAMES[index].to_owned(), life }
}

fn index(name: &str) -> usize {
    NAMES.iter().position(|known| *known == name).unwrap()
}

impl World {
    /// So many vantages on the roll, which have all read that the first has the Lease, and some that are not on it.
    pub(super) fn of(members: usize, terms: Terms, bounds: Bounds) -> Self {
        let now_ms = 1_000_000;
        let more = if bounds.changes > 0 { bounds.strangers } else { 0 };
        let count = members + more;
        let names = NAMES[..members].iter().map(|name| (*name).to_owned()).collect();
        let roll = Roll { generation: 7, members: names };
        let process = |index: usize| {
            let long_ago = SKEW_MS * index as u64;
            let mut granter = Granter::new(terms, long_ago);
            granter.read(long_ago, Some("a"), &roll);
            let mut holder = Holder::new(terms, candidate(index, 0));
            holder.learn(long_ago, &roll);
            Process { granter, holder, read: Some((0, now_ms + SKEW_MS * index as u64)), died_ms: None }
        };
        let processes = (0..count).map(process).collect();
        let lease = Lease { holder: Some(0), roll: roll.clone(), version: 0 };
        let mut world = World {
            first: roll.clone(),
            terms,
            now_ms,
            processes,
            lease,
            messages: BTreeSet::new(),
            calls: Vec::new(),
            bounds,
            broken: None,
        };
        world.begin();
        world
    }

    /// The first has had the Lease and all grants for long.
    fn begin(&mut self) {
        let bounds = std::mem::replace(&mut self.bounds, Bounds::unbounded());
        for _ in 0..3 {
            self.happens(&Event::Tick);
            self.renewed(0, true);
            for index in 1..self.processes.len() {
                self.reads(index);
            }
            if !self.lease.roll.is_small() {
                self.happens(&Event::Ask(0));
            }
            while let Some(message) = self.messages.first().cloned() {
                self.happens(&Event::Arrives { message, again: false, slowly: false });
            }
        }
        self.bounds = bounds;
    }

    /// Two are taken from the roll, one after the other, while only the next two hear of it.
    pub(super) fn shrinking(mut self) -> Self {
        let bounds = std::mem::replace(&mut self.bounds, Bounds::unbounded());
        let last = self.lease.roll.members.clone();
        for name in last.into_iter().rev().take(2) {
            self.happens(&Event::Changes(0, Change::Remove(name)));
            while let Some(message) = self.messages.iter().find(|message| message.from().is_none()).cloned() {
                self.happens(&Event::Arrives { message, again: false, slowly: false });
            }
            self.happens(&Event::Tick);
            self.happens(&Event::Ask(0));
            for to in [1, 2] {
                let asked = self.messages.iter().find(|message| message.to == to).cloned();
                if let Some(message) = asked {
                    self.happens(&Event::Arrives { message, again: false, slowly: false });
                }
            }
            self.messages.clear();
        }
        self.bounds = bounds;
        self
    }

    pub(super) fn breaking(mut self, broken: Broken) -> Self {
        self.broken = Some(broken);
        self
    }

    fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    fn clock(&self, index: usize) -> Millis {
        self.now_ms + SKEW_MS * index as u64
    }

    /// How many have a call under way.
    pub(super) fn writers(&self) -> usize {
        self.calls.len()
    }

    /// All that may happen next.
    pub(super) fn events(&self) -> Vec<Event> {
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

    fn events_of(&self, index: usize, events: &mut Vec<Event>) {
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

    fn changes_of(&self, own: usize, events: &mut Vec<Event>) {
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
    fn changed(&self, own: usize, change: &Change) -> Option<(Holder, Roll)> {
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
    fn another(&self, own: usize, change: &Change, roll: &mut Roll) {
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
    pub(super) fn draw(&self, rng: &mut Rng, cut: u64) -> Option<Event> {
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

    /// It happens; whoever may write then does.
    pub(super) fn happens(&mut self, event: &Event) {
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

    fn tick(&mut self) {
        self.bounds.ticks -= 1;
        self.now_ms += TICK_MS;
        let (now_ms, lasts_ms) = (self.now_ms, self.terms.term_ms + LATE_MS);
        self.messages.retain(|message| now_ms <= message.sent_ms + lasts_ms);
        self.calls.retain(|(_, until_ms)| now_ms < *until_ms);
    }

    fn asks(&mut self, own: usize) {
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

    fn arrives(&mut self, message: &Message, slowly: bool) {
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

    fn granted(&mut self, own: usize, ask: &Ask) -> Reply {
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

    fn heard(&mut self, to: usize, from: usize, mut reply: Reply) {
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

    fn reads(&mut self, index: usize) {
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
    fn renewed(&mut self, own: usize, learns: bool) {
        self.lease.version += 1;
        if learns {
            self.reads(own);
            let now_ms = self.clock(own);
            let roll = self.lease.roll.clone();
            self.processes[own].holder.renewed(now_ms, now_ms + RENEW_DEADLINE_MS, &roll);
            if self.is(Broken::NoWaiting) {
                if let Some(live) = self.processes[own].holder.live.as_mut() {
                    live.0 = 0;
                }
            }
        }
    }

    fn restarts(&mut self, index: usize) {
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

    fn changes(&mut self, own: usize, change: &Change) {
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
    fn written(&mut self, own: usize, life: u64, write: (u64, &Roll), learns: bool) {
        if self.lease.version != write.0 {
            return;
        }
        self.lease.roll = write.1.clone();
        let process = &self.processes[own];
        let same = process.died_ms.is_none() && process.holder.own.life == life;
        self.renewed(own, learns && same);
    }

    fn releases(&mut self, own: usize) {
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
    fn write(&mut self) {
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

    /// The same for two worlds that only differ by when they are, by how many asks were numbered, and by what is over. That two
    /// others share it, and one goes unexplored, is less likely than one in a thousand million.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut world = self.clone();
        world.normalise();
        let mut hasher = DefaultHasher::new();
        world.hash(&mut hasher);
        hasher.finish()
    }

    fn normalise(&mut self) {
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
    fn renumber(&mut self) {
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
