//! The zone and its provider, and the rules that no write may break.

use super::{POOL, State, address};
use detect::Millis;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use watcher::zone::{Change, Data, Draft, Entry, Trouble};

/// Nobody is surprised by what somebody else did within this: read, decided, written.
const HASTE_MS: Millis = 10_000;
/// So long after most nodes have fallen sick everybody who may speak knows it.
const KNOWN_MS: Millis = 40_000;

/// How the provider does its work.
#[derive(Clone, Debug)]
pub struct Keeping {
    pub up: bool,
    /// Nodes that do not reach it.
    pub cut: BTreeSet<usize>,
    /// Between these a call takes, in milliseconds.
    pub call_ms: (u64, u64),
    /// Shares of calls, in percent.
    pub lost_before: u64,
    pub lost_after: u64,
    pub throttled: u64,
    /// Lists show what there was at that moment.
    pub stale_from_ms: Option<Millis>,
}

impl Default for Keeping {
    fn default() -> Self {
        Keeping {
            up: true,
            cut: BTreeSet::new(),
            call_ms: (200, 1_000),
            lost_before: 0,
            lost_after: 0,
            throttled: 0,
            stale_from_ms: None,
        }
    }
}

/// How a call was begun.
pub(super) struct Begun {
    pub at_ms: Millis,
    /// Nodes that leave, by the last that whoever makes it was told by the cluster: of what was taken back while it did not reach
    /// the API it cannot know.
    pub leaving: BTreeSet<usize>,
}

/// All records, whosever.
pub struct Zone {
    pub entries: Vec<Entry>,
    pub keeping: Keeping,
    pub writes: usize,
    /// When somebody else last took one of our records away, or when a list last hid that.
    pub meddled_ms: Option<Millis>,
    next_id: u64,
    pub(super) next_call: u64,
    /// Calls that may still take effect: by node, and until when.
    pub(super) under_way: BTreeMap<u64, (usize, Millis)>,
    /// What there was before each change, and when it was changed.
    past: Vec<(Millis, Vec<Entry>)>,
    /// Nodes withdrawn, and when.
    withdrawn: Vec<(Millis, usize)>,
}

impl Default for Zone {
    fn default() -> Self {
        let mut zone = Zone {
            entries: Vec::new(),
            keeping: Keeping::default(),
            writes: 0,
            meddled_ms: None,
            next_id: 0,
            next_call: 0,
            under_way: BTreeMap::new(),
            past: Vec::new(),
            withdrawn: Vec::new(),
        };
        zone.add("mail.example.com", Data::Address(IpAddr::from([203, 0, 113, 9])), None);
        zone
    }
}

impl Zone {
    /// A person, or another program, makes a record.
    pub fn add(&mut self, name: &str, data: Data, mark: Option<&str>) {
        let draft = Draft { name: name.into(), data, ttl_s: 300, proxied: false, mark: String::new() };
        let entry = self.entry(&draft);
        self.entries.push(Entry { mark: mark.map(str::to_owned), ..entry });
    }

    /// A person deletes one of our addresses, and not the last.
    pub fn meddle(&mut self, now_ms: Millis, which: u64) {
        let ours: Vec<String> = self.pool().map(|entry| entry.id.clone()).collect();
        if ours.len() > 1 {
            let id = &ours[usize::try_from(which % ours.len() as u64).unwrap()];
            self.past.push((now_ms, self.entries.clone()));
            self.entries.retain(|entry| entry.id != *id);
            self.meddled_ms = Some(now_ms);
        }
    }

    /// Whether the record that is nobody's business is as it was.
    pub fn is_foreign_untouched(&self) -> bool {
        self.entries.iter().any(|entry| entry.name == "mail.example.com" && entry.mark.is_none())
    }

    /// Whether the pool holds an address of ours.
    pub fn holds(&self, address: IpAddr) -> bool {
        let held = |entry: &&Entry| entry.data == Data::Address(address) && entry.mark.is_some();
        self.pool().any(|entry| held(&entry))
    }

    fn pool(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.name == POOL && matches!(entry.data, Data::Address(_)))
    }

    fn entry(&mut self, draft: &Draft) -> Entry {
        self.next_id += 1;
        let Draft { name, data, ttl_s, proxied, mark } = draft.clone();
        Entry { id: self.next_id.to_string(), name, data, ttl_s, proxied, mark: Some(mark) }
    }

    /// What a list shows. What somebody else did is news for as long as lists hide it.
    pub(super) fn listed(&mut self, now_ms: Millis) -> Vec<Entry> {
        let hides = |at_ms: &Millis| self.keeping.stale_from_ms.is_some_and(|from_ms| from_ms < *at_ms);
        if self.meddled_ms.as_ref().is_some_and(hides) {
            self.meddled_ms = Some(now_ms);
        }
        let stale = self.keeping.stale_from_ms.and_then(|ms| self.past.iter().find(|(until_ms, _)| ms < *until_ms));
        stale.map_or(&self.entries, |(_, entries)| entries).clone()
    }

    fn apply(&mut self, change: &Change) -> Result<(), Trouble> {
        let mut old = change.delete.iter().chain(change.replace.iter().map(|(old, _)| old));
        if old.any(|old| !self.entries.contains(old)) {
            return Err(Trouble::Moved("a record is not as it was read".into()));
        }
        self.writes += 1;
        self.entries.retain(|entry| !change.delete.contains(entry));
        for (old, new) in &change.replace {
            self.entries.retain(|entry| entry != old);
            let entry = self.entry(new);
            self.entries.push(Entry { id: old.id.clone(), ..entry });
        }
        for draft in &change.create {
            let entry = self.entry(draft);
            if self.entries.iter().any(|other| other.name == entry.name && other.data == entry.data) {
                return Err(Trouble::Refused(format!("{} has {} already", entry.name, entry.data.content())));
            }
            self.entries.push(entry);
        }
        Ok(())
    }
}

fn is_ours(entry: &Entry) -> bool {
    let mark = entry.mark.as_deref().and_then(|mark| mark.strip_prefix("bouquet/test/"));
    let address = |node: &str| node.strip_prefix('n').and_then(|at| at.parse().ok()).map(address);
    match (mark, &entry.data) {
        (Some("host/alias"), Data::Alias(to)) => to == POOL,
        (Some(node), Data::Address(own)) => address(node) == Some(*own),
        _ => false,
    }
}

impl State {
    fn node_of(&self, data: &Data) -> Option<usize> {
        (0..self.up.len()).find(|node| *data == Data::Address(address(*node)))
    }

    /// Makes a change that was begun so, and looks what it does to the rules.
    pub(super) fn make(&mut self, begun: &Begun, now_ms: Millis, change: &Change) -> Result<(), Trouble> {
        let old = || change.delete.iter().chain(change.replace.iter().map(|(old, _)| old));
        let foreign: Vec<String> = old().filter(|entry| !is_ours(entry)).map(|entry| format!("{entry:?}")).collect();
        let before = self.zone.pool().count();
        self.zone.past.push((now_ms, self.zone.entries.clone()));
        self.zone.apply(change)?;
        let after = self.zone.pool().count();
        let mut broken: Vec<String> =
            foreign.into_iter().map(|entry| format!("{entry} is not ours, and went")).collect();
        let is_meddled = self.zone.meddled_ms.is_some_and(|at_ms| now_ms - at_ms < HASTE_MS);
        let least = if self.up.len() >= 4 { 2 } else { 1 };
        if after < before && after < least && !is_meddled {
            broken.push(format!("the pool has {after} records left of {before}"));
        }
        let gone =
            change.delete.iter().filter(|entry| entry.name == POOL).filter_map(|entry| self.node_of(&entry.data));
        for node in gone.collect::<Vec<usize>>() {
            broken.extend(self.withdraw(begun, now_ms, node));
        }
        self.broken.extend(broken.into_iter().map(|what| format!("at {now_ms} ms: {what}")));
        Ok(())
    }

    /// A node's address has gone, by a call that was begun so: what that broke.
    fn withdraw(&mut self, begun: &Begun, now_ms: Millis, node: usize) -> Vec<String> {
        let since_ms = self.sick_since_ms.filter(|since_ms| now_ms - since_ms > KNOWN_MS);
        let mut broken = Vec::new();
        if since_ms.is_some() {
            broken.push(format!("n{node} is withdrawn though fewer than half have served since {since_ms:?}"));
        }
        // What was decided while it was to leave may be done just after.
        let left = self.hinted.get(&node).is_some_and(|at_ms| now_ms - at_ms < HASTE_MS);
        if left || self.leaves(node) || begun.leaving.contains(&node) {
            return broken;
        }
        let (fell_ms, fell) = &self.fell;
        if fell.contains(&node) && *fell_ms < begun.at_ms {
            broken.push(format!("n{node} is withdrawn though all fell with it"));
        }
        // Rule 3 is remembered by those who live on.
        self.zone.withdrawn.retain(|(at_ms, _)| now_ms - at_ms < 5 * 60_000 - HASTE_MS);
        let others: BTreeSet<usize> =
            self.zone.withdrawn.iter().map(|(_, node)| *node).filter(|at| *at != node).collect();
        let most = (self.up.len() / 4).max(1);
        let remembered =
            self.zone.withdrawn.iter().map(|(at_ms, _)| *at_ms).min().is_some_and(|ms| self.crashed_ms < ms);
        if others.len() + 1 > most && remembered {
            broken.push(format!("n{node} is withdrawn after {others:?}"));
        }
        self.zone.withdrawn.push((now_ms, node));
        broken
    }
}
