//! Processes, a Lease, messages under way, calls under way; and what may happen next.

mod events;
mod happens;
mod normal;

use crate::permit::{Ask, Candidate, Change, Granter, Holder, Release, Reply, Roll, Terms};
use detect::Millis;
use std::collections::BTreeSet;

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
}
