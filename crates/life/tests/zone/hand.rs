//! What the watcher's loop does with a provider, without its eyes: nodes serve because a test says so.
#![allow(dead_code, reason = "shared by tests of which none needs all of it")]

use detect::{Family, Memory, Millis, Node, Pin, Policy, Situation, decide};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use watcher::scene::Host;
use watcher::zone::{Act, Change, Desk, Intent, Keeper, Left, Provider, Trouble, Wish, change, survey};
use wire::{Line, Rng};

/// The loop.
pub struct Hand {
    pub provider: Box<dyn Provider>,
    pub line: Line,
    pub wish: Wish,
    pub nodes: BTreeMap<String, Node>,
    pub desk: Desk,
    pub left: Vec<Left>,
    policy: Policy,
    wrote_ms: Millis,
    /// What is about to be written, where a test has something to do first.
    due: Option<Change>,
}

/// Hosts under a zone, of a cluster called `blumen`.
pub fn wish(zone: &str, hosts: &[&str]) -> Wish {
    let full = |name: &str| if name.is_empty() { zone.to_owned() } else { format!("{name}.{zone}") };
    let nothing =
        Keeper { alias_at_apex: false, alias_beside: false, proxies: false, fenced: false, records_most: None };
    Wish {
        cluster: "blumen".into(),
        zone: zone.into(),
        pool: full("lb"),
        publish: spec::Publish::Pool,
        ttl_s: 60,
        proxied: false,
        hosts: hosts.iter().map(|name| (full(name), Host::default())).collect(),
        are_all: true,
        former: BTreeSet::new(),
        keeper: nothing,
    }
}

fn node(address: &str) -> Node {
    let addresses = [(Family::V4, address.parse().unwrap())].into();
    Node { addresses, hint: None, pin: Some(Pin { serving: true, until_ms: None }) }
}

impl Hand {
    /// With two nodes that serve.
    pub fn new(provider: Box<dyn Provider>, line: Line, wish: Wish) -> Self {
        let policy = Policy::default();
        let desk = Desk::new(&policy, provider.keeper().fenced, Rng::seeded(7));
        let nodes = [("rose", "203.0.113.1"), ("lily", "203.0.113.2")];
        let nodes = nodes.map(|(name, address)| (name.to_owned(), node(address))).into();
        Hand { provider, line, wish, nodes, desk, left: Vec::new(), policy, wrote_ms: 0, due: None }
    }

    pub fn now_ms(&self) -> Millis {
        self.line.time().elapsed().as_millis().try_into().unwrap()
    }

    /// When the last write was answered.
    pub fn wrote_ms(&self) -> Millis {
        self.wrote_ms
    }

    pub fn calls(&self, name: &str) -> u64 {
        self.line.tally().calls.get(name).copied().unwrap_or_default()
    }

    pub fn all_calls(&self) -> u64 {
        self.line.tally().calls.values().sum()
    }

    /// Orders a node in or out.
    pub fn serve(&mut self, name: &str, serving: bool) {
        self.nodes.get_mut(name).unwrap().pin = Some(Pin { serving, until_ms: None });
        self.desk.look(self.now_ms(), !serving);
    }

    /// Works for so long.
    pub async fn settle(&mut self, for_ms: Millis) {
        let end_ms = self.now_ms() + for_ms;
        while self.now_ms() < end_ms {
            self.step(end_ms, true).await;
        }
    }

    /// Works until there is nothing to do for a while: for servers whose clock is everybody's.
    pub async fn rest(&mut self) {
        loop {
            let now_ms = self.now_ms();
            match self.desk.clone().next(now_ms) {
                Act::Wait(until_ms) if until_ms > now_ms + 5_000 => return,
                _ => self.step(now_ms + 5_000, true).await,
            }
        }
    }

    /// Works until something is to be written, and writes it with the next step.
    pub async fn step_until_write(&mut self) {
        while self.due.is_none() {
            let end_ms = self.now_ms() + 1_000;
            self.step(end_ms, false).await;
        }
    }

    async fn step(&mut self, end_ms: Millis, writes: bool) {
        let now_ms = self.now_ms();
        let act = self.due.take().map_or_else(|| self.desk.next(now_ms), Act::Write);
        match act {
            Act::Wait(until_ms) => {
                let wait_ms = until_ms.min(end_ms).saturating_sub(now_ms).max(1);
                self.line.time().sleep(Duration::from_millis(wait_ms)).await;
            }
            Act::Write(change) if !writes => self.due = Some(change),
            Act::Write(change) => {
                let answer = self.provider.write(&self.line, &change).await;
                self.wrote_ms = self.now_ms();
                self.desk.wrote(self.wrote_ms, answer);
            }
            Act::Read => self.read(now_ms).await,
        }
    }

    async fn read(&mut self, sent_ms: Millis) {
        let names: Vec<String> = self.wish.hosts.keys().chain([&self.wish.pool]).cloned().collect();
        let before = self.all_calls();
        let answer = self.provider.read(&self.line, &names).await;
        let (now_ms, calls) = (self.now_ms(), self.all_calls() - before);
        let Some(listing) = self.desk.read(sent_ms, now_ms, calls.try_into().unwrap(), answer) else { return };
        let standing = self.desk.standing();
        let keeper = self.provider.keeper();
        let records_most = [keeper.records_most, standing.full_at].into_iter().flatten().min();
        let wish = Wish { keeper: Keeper { records_most, ..keeper }, ..self.wish.clone() };
        let survey = survey(&listing, &wish, &self.nodes);
        let judgement = decide(&Situation {
            now_ms,
            policy: &self.policy,
            nodes: &self.nodes,
            reports: &[],
            zone: Some(&survey.zone),
            memory: &Memory::default(),
            calls_made: self.desk.calls_made(),
        });
        let plan = change(&Intent {
            now_ms,
            policy: &self.policy,
            wish: &wish,
            survey: &survey,
            judgement: &judgement,
            nodes: &self.nodes,
            batch_most: self.provider.batch_most(),
            standing: &standing,
        });
        self.desk.want(&plan);
        self.left = plan.left;
    }

    /// Writes what is due, and tells how it went.
    pub async fn write_due(&mut self) -> Result<(), Trouble> {
        let change = self.due.take().unwrap();
        let answer = self.provider.write(&self.line, &change).await;
        self.desk.wrote(self.now_ms(), answer.clone());
        answer
    }
}
