//! The half that every vantage is: it grants, to one at a time.

use super::{Ask, Candidate, Refusal, Release, Reply, Roll, Said, Terms};
use detect::Millis;
use std::collections::BTreeMap;

/// What one vantage has granted, and whom it believes in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Granter {
    pub(super) terms: Terms,
    pub(super) started_ms: Millis,
    /// `None` until the Lease was read.
    pub(super) lease: Option<Lease>,
    /// The highest that was granted under, or read.
    pub(super) generation: u64,
    pub(super) grant: Option<Grant>,
    /// When who last asked, granted or not.
    pub(super) heard: BTreeMap<String, Millis>,
}

/// The Lease as last read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lease {
    pub(super) holder: Option<String>,
    pub(super) since_ms: Millis,
    pub(super) roll: Roll,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Grant {
    pub(super) to: Candidate,
    pub(super) number: u64,
    pub(super) until_ms: Millis,
}

impl Granter {
    /// One that has just started.
    pub fn new(terms: Terms, now_ms: Millis) -> Self {
        Granter { terms, started_ms: now_ms, lease: None, generation: 0, grant: None, heard: BTreeMap::new() }
    }

    /// Takes note of the Lease. The first reading must be etcd's own word (a `get` without a resource version), later ones may
    /// be a watch's: what is older than what is known changes nothing.
    pub fn read(&mut self, now_ms: Millis, holder: Option<&str>, roll: &Roll) {
        let known = self.lease.as_ref();
        if known.is_some_and(|lease| lease.roll.generation > roll.generation) {
            return;
        }
        let same = known.filter(|lease| lease.holder.as_deref() == holder);
        let since_ms = same.map_or(now_ms, |lease| lease.since_ms);
        self.generation = self.generation.max(roll.generation);
        self.lease = Some(Lease { holder: holder.map(str::to_owned), since_ms, roll: roll.clone() });
    }

    /// Answers an ask.
    pub fn ask(&mut self, now_ms: Millis, ask: &Ask) -> Reply {
        self.heard.insert(ask.holder.name.clone(), now_ms);
        let said = if let Some(refusal) = self.refusal(now_ms, ask) {
            Said::Refused(refusal)
        } else {
            self.generation = self.generation.max(ask.generation);
            let before = self.grant.as_ref().filter(|grant| grant.to == ask.holder).map_or(0, |grant| grant.number);
            let (number, until_ms) = (before.max(ask.number), now_ms + self.terms.term_ms);
            self.grant = Some(Grant { to: ask.holder.clone(), number, until_ms });
            Said::Granted
        };
        self.forget(now_ms);
        Reply { holder: ask.holder.clone(), number: ask.number, said }
    }

    fn refusal(&self, now_ms: Millis, ask: &Ask) -> Option<Refusal> {
        if self.lease.is_none() {
            return Some(Refusal::Unread);
        }
        if now_ms < self.started_ms + self.terms.term_ms {
            return Some(Refusal::Restarted);
        }
        if ask.generation < self.generation {
            return Some(Refusal::Outdated(self.generation));
        }
        let lasting = self.grant.as_ref().filter(|grant| now_ms < grant.until_ms);
        if let Some(grant) = lasting.filter(|grant| grant.to != ask.holder) {
            return Some(Refusal::Granted { name: grant.to.name.clone(), for_ms: grant.until_ms - now_ms });
        }
        let candidate = self.candidate(now_ms);
        (candidate != Some(&ask.holder.name)).then(|| Refusal::Candidate(candidate.map(str::to_owned)))
    }

    /// Whom it believes in: the Lease's holder, or, once that one has been silent for long, the first by name of the members
    /// that asked within a term. A vantage asks while this is its own name, or [`Granter::may_stand`].
    pub fn candidate(&self, now_ms: Millis) -> Option<&str> {
        let lease = self.lease.as_ref()?;
        if !self.is_silent(now_ms, lease) {
            return lease.holder.as_deref();
        }
        let asks = |name: &&String| {
            let heard = self.heard.get(*name);
            heard.is_some_and(|at_ms| now_ms < at_ms + self.terms.term_ms) && lease.holder.as_ref() != Some(*name)
        };
        lease.roll.members.iter().find(asks).map(String::as_str)
    }

    /// Whether the vantage of this name may ask, as far as this granter knows.
    pub fn may_stand(&self, now_ms: Millis, name: &str) -> bool {
        let Some(lease) = self.lease.as_ref() else { return false };
        if lease.roll.is_small() {
            return false;
        }
        let silent = self.is_silent(now_ms, lease);
        lease.holder.as_deref() == Some(name)
            || silent
                && lease.roll.members.contains(name)
                && self.candidate(now_ms).is_none_or(|candidate| name <= candidate)
    }

    /// Whether it is the turn of the vantage of this name, of all that may stand: the first by name of those that are alive stands
    /// at once, the others only after a term in which nobody was found. Two that stood at the same time would part the voices.
    pub fn is_next(&self, now_ms: Millis, name: &str, is_alive: impl Fn(&str) -> bool) -> bool {
        let Some(lease) = self.lease.as_ref().filter(|lease| lease.holder.as_deref() != Some(name)) else {
            return true;
        };
        let before = lease.roll.members.iter().take_while(|member| member.as_str() < name);
        let mut better = before.filter(|member| lease.holder.as_ref() != Some(*member) && is_alive(member));
        better.next().is_none() || now_ms >= self.silent_from(lease) + self.terms.term_ms
    }

    /// When the vantage of this name may have to stand, if its roll has permits and the Lease is another's.
    pub fn stands_from(&self, name: &str) -> Option<Millis> {
        let lease = self.lease.as_ref().filter(|lease| !lease.roll.is_small())?;
        (lease.holder.as_deref() != Some(name)).then(|| self.silent_from(lease))
    }

    fn is_silent(&self, now_ms: Millis, lease: &Lease) -> bool {
        now_ms >= self.silent_from(lease)
    }

    fn silent_from(&self, lease: &Lease) -> Millis {
        let heard = lease.holder.as_ref().and_then(|holder| self.heard.get(holder)).copied().unwrap_or(0);
        heard.max(lease.since_ms).max(self.started_ms) + self.terms.silence_ms
    }

    /// To whom it has granted what still lasts.
    pub fn granted_to(&self, now_ms: Millis) -> Option<&Candidate> {
        self.grant.as_ref().filter(|grant| now_ms < grant.until_ms).map(|grant| &grant.to)
    }

    /// Frees what was granted. One that comes late frees nothing that was granted after it.
    pub fn release(&mut self, release: &Release) {
        if self.grant.as_ref().is_some_and(|grant| grant.to == release.holder && grant.number <= release.number) {
            self.grant = None;
        }
    }

    /// Drops what no longer matters.
    fn forget(&mut self, now_ms: Millis) {
        let keep_ms = self.terms.term_ms.max(self.terms.silence_ms);
        self.heard.retain(|_, at_ms| now_ms < *at_ms + keep_ms);
        self.grant.take_if(|grant| now_ms >= grant.until_ms);
    }
}
