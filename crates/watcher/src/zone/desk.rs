//! When the provider is called, and for what: budget, backoff, and what its answers mean for the next call.
//!
//! The desk holds one plan, the newest. It never writes what rests on an old reading if that deletes, reads after every
//! plan and after every answer that leaves something open, and gives up a plan at the first such answer: what is wanted then is
//! for the next plan to say.

use super::plan::{Batch, Plan, Purpose};
use super::{Change, Entry, Listing, Trouble};
use detect::{Millis, Policy};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::Rng;

/// Over which calls are counted, as Cloudflare does.
const WINDOW_MS: Millis = 5 * 60_000;
/// What everything else leaves to withdrawals.
const RESERVED: usize = 100;
/// Between two readings when nothing happens.
const RELIST_MS: Millis = 60_000;
/// How long a change that is no withdrawal waits for others to come with it.
const DEBOUNCE_MS: Millis = 1_000;
/// The longest wait after trouble, and the pace of readings while we are forbidden to write.
const BACKOFF_MOST_MS: Millis = 60_000;
/// For how long a list may still show what was deleted.
const LAG_MS: Millis = 10 * 60_000;
/// For how long a call that was given up may still take effect.
const DOUBT_MS: Millis = 2 * 60_000;
/// The shortest block, for those who say "wait" and mean no time at all.
const BLOCK_LEAST_MS: Millis = 1_000;
/// After this a name that the provider refused is tried again: somebody may have mended what was wrong.
const ASIDE_MS: Millis = 10 * 60_000;

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Read the zone, and tell [`Desk::read`].
    Read,
    /// Write this, and tell [`Desk::wrote`].
    Write(Change),
    /// Nothing before this moment, unless something happens.
    Wait(Millis),
}

/// How the provider has answered lately, for whoever plans and whoever shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What the provider refused at which name, in its words: set aside for a while.
    pub refused: BTreeMap<(Purpose, String), String>,
    /// Ids of records whose deletion was asked for and not answered: they may be gone, or go at any moment.
    pub doubtful: BTreeSet<String>,
    /// Records that went in the last five minutes because nobody wanted them.
    pub cleared: usize,
    /// Records that the zone held when it was full.
    pub full_at: Option<usize>,
    /// Why nothing is written, in the provider's words.
    pub forbidden: Option<String>,
    /// The last trouble, until a call succeeds.
    pub trouble: Option<Trouble>,
}

/// The state of our dealings with the provider.
#[derive(Clone, Debug)]
pub struct Desk {
    rng: Rng,
    fenced: bool,
    freshness_ms: Millis,
    calls_most: usize,
    calls: VecDeque<Millis>,
    /// No calls at all before this.
    blocked_until_ms: Millis,
    /// Answers in a row that left something open.
    failures: u32,
    /// Whether the last of them was to a write: then no reading ends the row.
    at_write: bool,
    /// No reading before this, whoever is impatient.
    rest_until_ms: Millis,
    /// When the zone is to be read next.
    read_at_ms: Millis,
    /// Whether the reading that is due is for a withdrawal's sake.
    urgent: bool,
    read_ms: Option<Millis>,
    records: usize,
    batches: VecDeque<Batch>,
    writing: Option<Batch>,
    /// Ids that were deleted, and when: a list that still shows them is old.
    deleted: BTreeMap<String, Millis>,
    doubtful: BTreeMap<String, Millis>,
    aside: BTreeMap<(Purpose, String), (String, Millis)>,
    cleared: VecDeque<(Millis, usize)>,
    full_at: Option<(usize, Millis)>,
    forbidden: Option<String>,
    trouble: Option<Trouble>,
}

impl Desk {
    /// Nothing is known yet: the zone is read first. `fenced`: [`Keeper::fenced`](super::Keeper::fenced).
    pub fn new(policy: &Policy, fenced: bool, rng: Rng) -> Self {
        Desk {
            rng,
            fenced,
            freshness_ms: policy.zone_fresh_ms,
            calls_most: usize::try_from(policy.calls_most).unwrap_or(usize::MAX),
            calls: VecDeque::new(),
            blocked_until_ms: 0,
            failures: 0,
            at_write: false,
            rest_until_ms: 0,
            read_at_ms: 0,
            urgent: false,
            read_ms: None,
            records: 0,
            batches: VecDeque::new(),
            writing: None,
            deleted: BTreeMap::new(),
            doubtful: BTreeMap::new(),
            aside: BTreeMap::new(),
            cleared: VecDeque::new(),
            full_at: None,
            forbidden: None,
            trouble: None,
        }
    }

    /// What to do now.
    pub fn next(&mut self, now_ms: Millis) -> Act {
        self.forget(now_ms);
        if now_ms < self.blocked_until_ms {
            return Act::Wait(self.blocked_until_ms);
        }
        let urgent = self.urgent || self.batches.front().is_some_and(|batch| batch.purpose == Purpose::Withdraw);
        let most = if urgent { self.calls_most } else { self.calls_most.saturating_sub(RESERVED) };
        if let Some(oldest) = self.calls.front().filter(|_| self.calls.len() >= most) {
            return Act::Wait(oldest + WINDOW_MS);
        }
        let is_fresh = self.read_ms.is_some_and(|read_ms| now_ms.saturating_sub(read_ms) <= self.freshness_ms);
        match self.batches.pop_front() {
            Some(batch) if now_ms < self.read_at_ms && (is_fresh || batch.change.delete.is_empty()) => {
                let change = batch.change.clone();
                self.writing = Some(batch);
                Act::Write(change)
            }
            Some(_) => {
                self.batches.clear();
                Act::Read
            }
            None if now_ms < self.read_at_ms => Act::Wait(self.read_at_ms),
            None => Act::Read,
        }
    }

    /// Something has happened that wants the zone read: at once if somebody may have to be withdrawn.
    pub fn look(&mut self, now_ms: Millis, urgent: bool) {
        self.urgent |= urgent;
        let at_ms = if urgent { now_ms } else { now_ms + DEBOUNCE_MS };
        self.read_at_ms = self.read_at_ms.min(at_ms.max(self.rest_until_ms));
    }

    /// The zone was read, with so many calls, the first of them sent at `sent_ms`. What is shown of it is what is still
    /// there.
    pub fn read(
        &mut self,
        sent_ms: Millis,
        now_ms: Millis,
        calls: usize,
        answer: Result<Vec<Entry>, Trouble>,
    ) -> Option<Listing> {
        self.called(now_ms, calls);
        match answer {
            Ok(mut entries) => {
                // A list that still shows what is gone would make a name look fuller than it is.
                entries.retain(|entry| !self.deleted.contains_key(&entry.id));
                let listed: BTreeSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
                self.doubtful.retain(|id, _| listed.contains(id.as_str()));
                // A reading answers for the moment at which it was asked for.
                self.read_ms = Some(sent_ms);
                self.records = entries.len();
                self.urgent = false;
                self.read_at_ms = now_ms + RELIST_MS;
                if !self.at_write {
                    (self.failures, self.trouble, self.forbidden) = (0, None, None);
                }
                Some(Listing { read_ms: sent_ms, entries })
            }
            Err(trouble) => {
                self.at_write = false;
                self.troubled(now_ms, trouble);
                None
            }
        }
    }

    /// Takes the newest plan in the place of any older one.
    pub fn want(&mut self, plan: &Plan) {
        self.batches = if plan.dry { VecDeque::new() } else { plan.batches.iter().cloned().collect() };
        if self.batches.is_empty() {
            // The zone is as it should be, whatever became of the last write.
            (self.failures, self.at_write, self.trouble) = (0, false, None);
        }
    }

    /// What [`Act::Write`] asked for was answered.
    pub fn wrote(&mut self, now_ms: Millis, answer: Result<(), Trouble>) {
        self.called(now_ms, 1);
        let Some(batch) = self.writing.take() else { return };
        match answer {
            Ok(()) => self.made(now_ms, &batch),
            Err(Trouble::Refused(said)) => self.refused(now_ms, batch, said),
            Err(trouble) => {
                if matches!(trouble, Trouble::Lost(_)) && !self.fenced {
                    let ids = batch.change.delete.iter().map(|entry| (entry.id.clone(), now_ms));
                    self.doubtful.extend(ids);
                }
                if matches!(trouble, Trouble::Full(_)) {
                    self.full_at = Some((self.records, now_ms));
                }
                self.at_write = true;
                self.urgent |= batch.purpose == Purpose::Withdraw;
                self.troubled(now_ms, trouble);
            }
        }
    }

    fn made(&mut self, now_ms: Millis, batch: &Batch) {
        (self.failures, self.at_write, self.trouble, self.forbidden) = (0, false, None, None);
        let change = &batch.change;
        if !self.fenced {
            self.deleted.extend(change.delete.iter().map(|entry| (entry.id.clone(), now_ms)));
        }
        for entry in &change.delete {
            self.doubtful.remove(&entry.id);
        }
        self.records = (self.records + change.create.len()).saturating_sub(change.delete.len());
        if batch.purpose == Purpose::Clear {
            self.cleared.push_back((now_ms, change.delete.len()));
        }
        if !change.delete.is_empty() {
            self.full_at = None;
        }
        if self.batches.is_empty() {
            self.read_at_ms = now_ms;
        }
    }

    /// One name in the batch is refused, and all of it: halves are tried until it stands alone.
    fn refused(&mut self, now_ms: Millis, batch: Batch, said: String) {
        let purpose = batch.purpose;
        let mut names: Vec<String> = batch.change.names().into_iter().map(str::to_owned).collect();
        if names.len() <= 1 {
            self.trouble = Some(Trouble::Refused(said.clone()));
            self.aside.extend(names.into_iter().map(|name| ((purpose, name), (said.clone(), now_ms))));
            if self.batches.is_empty() {
                self.read_at_ms = now_ms;
            }
            return;
        }
        let second: BTreeSet<String> = names.split_off(names.len() / 2).into_iter().collect();
        let (second, first) = batch.change.parted(|name| second.contains(name));
        self.batches.push_front(Batch { change: second, purpose });
        self.batches.push_front(Batch { change: first, purpose });
    }

    fn troubled(&mut self, now_ms: Millis, trouble: Trouble) {
        self.batches.clear();
        self.failures = self.failures.saturating_add(1);
        self.rest_until_ms = match &trouble {
            Trouble::Throttled { wait_ms, .. } => {
                self.blocked_until_ms = now_ms.saturating_add((*wait_ms).max(BLOCK_LEAST_MS));
                self.blocked_until_ms
            }
            Trouble::Forbidden(said) => {
                self.forbidden = Some(said.clone());
                now_ms + BACKOFF_MOST_MS
            }
            // Somebody was faster: what there is now is read at once, unless that goes on and on.
            Trouble::Moved(_) if self.failures == 1 => now_ms,
            _ => now_ms + self.backoff_ms(),
        };
        self.read_at_ms = self.rest_until_ms;
        self.trouble = Some(trouble);
    }

    /// Full jitter: anything up to a bound that doubles.
    fn backoff_ms(&mut self) -> Millis {
        let most = 1_000_u64.saturating_mul(1 << self.failures.min(10)).min(BACKOFF_MOST_MS);
        self.rng.between(0, most)
    }

    fn called(&mut self, now_ms: Millis, calls: usize) {
        self.calls.extend(std::iter::repeat_n(now_ms, calls));
    }

    fn forget(&mut self, now_ms: Millis) {
        let recent = |at_ms: Millis, most_ms: Millis| now_ms.saturating_sub(at_ms) < most_ms;
        self.calls.retain(|at_ms| recent(*at_ms, WINDOW_MS));
        self.cleared.retain(|(at_ms, _)| recent(*at_ms, WINDOW_MS));
        self.deleted.retain(|_, at_ms| recent(*at_ms, LAG_MS));
        self.doubtful.retain(|_, at_ms| recent(*at_ms, DOUBT_MS));
        self.aside.retain(|_, (_, at_ms)| recent(*at_ms, ASIDE_MS));
        self.full_at = self.full_at.filter(|(_, at_ms)| recent(*at_ms, ASIDE_MS));
    }

    /// Calls in the last five minutes.
    pub fn calls_made(&self) -> u32 {
        u32::try_from(self.calls.len()).unwrap_or(u32::MAX)
    }

    /// When the zone was last read.
    pub fn read_ms(&self) -> Option<Millis> {
        self.read_ms
    }

    /// How the provider has answered lately.
    pub fn standing(&self) -> Standing {
        Standing {
            refused: self.aside.iter().map(|(key, (said, _))| (key.clone(), said.clone())).collect(),
            doubtful: self.doubtful.keys().cloned().collect(),
            cleared: self.cleared.iter().map(|(_, records)| records).sum(),
            full_at: self.full_at.map(|(records, _)| records),
            forbidden: self.forbidden.clone(),
            trouble: self.trouble.clone(),
        }
    }
}
