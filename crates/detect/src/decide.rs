//! From rulings to decisions: what each target should be, and every rule's objection.

use crate::policy::CALLS_RESERVED;
use crate::zone::{Hint, Node, Record, Zone};
use crate::{Family, Memory, Millis, Policy, Report, Rule, Ruling, Target, Vantage, Verdict, poll};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The present.
    pub now_ms: Millis,
    /// The numbers.
    pub policy: &'a Policy,
    /// Every ingress node that the cluster has. Empty means that the list failed, never that there is none.
    pub nodes: &'a BTreeMap<String, Node>,
    /// The newest report of each vantage on each target.
    pub reports: &'a [Report],
    /// The zone as it was read; `None` if it could not be.
    pub zone: Option<&'a Zone>,
    /// What was remembered.
    pub memory: &'a Memory,
    /// Calls made to the provider in the last five minutes.
    pub calls_made: u32,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Delete its records.
    Withdraw,
    /// Make its records.
    Restore,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Because {
    /// Somebody ordered it.
    Pin,
    /// The cluster knows that the node leaves.
    Hint,
    /// The vantages say so.
    Probes(Verdict),
}

/// One target's change, carried out unless a rule forbids it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Of what.
    pub target: Target,
    /// What.
    pub act: Act,
    /// Why.
    pub because: Because,
    /// What is deleted, each as it was just read.
    pub delete: Vec<Record>,
    /// Names at which the target's address is published.
    pub publish: Vec<String>,
    /// The rule that forbids it: the target is held as it is.
    pub held: Option<Rule>,
}

/// What a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alert {
    /// Rule 2: so many of so many nodes are healthy.
    Panic(usize, usize),
    /// Rule 8: the cluster's list of nodes is empty.
    NoNodes,
    /// The zone could not be read.
    NoZone,
    /// Rule 10: it bears our mark, and its address belongs to no node.
    Strange(Record),
    /// Rules 4 and 7: this vantage is not believed.
    Vantage(Vantage, Rule),
    /// Rule 6: nobody can judge this target.
    Unjudged(Target),
}

/// The outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// By target.
    pub rulings: BTreeMap<Target, Ruling>,
    /// Withdrawals first.
    pub decisions: Vec<Decision>,
    /// What a person should look at.
    pub alerts: Vec<Alert>,
    /// To be kept. Withdrawals that were carried out for probes' sake are yet to be [noted](Memory::withdraw) there.
    pub memory: Memory,
}

/// Decides.
pub fn decide(situation: &Situation<'_>) -> Judgement {
    let Situation { now_ms, policy, memory, .. } = *situation;
    let rulings = poll(policy, now_ms, situation.reports, &memory.verdicts);
    let memory = remembered(situation, &rulings);
    let mut judgement = Judgement { alerts: alerts(situation, &rulings), rulings, memory, ..Judgement::default() };
    let Some(zone) = situation.zone.filter(|_| !situation.nodes.is_empty()) else { return judgement };
    let wishes = wishes(situation, &judgement.rulings);
    let mut decisions = withdrawals(situation, zone, &wishes, &judgement.rulings);
    decisions.extend(restores(situation, zone, &wishes));
    judgement.decisions = decisions;
    judgement
}

fn remembered(situation: &Situation<'_>, rulings: &BTreeMap<Target, Ruling>) -> Memory {
    let mut memory = situation.memory.clone();
    memory.forget(situation.policy, situation.now_ms);
    for (target, ruling) in rulings {
        let same = memory.verdicts.get(target).is_some_and(|(verdict, _)| *verdict == ruling.verdict);
        if !same {
            memory.verdicts.insert(target.clone(), (ruling.verdict, situation.now_ms));
        }
    }
    memory
}

/// Whether a target should be published, and why; targets about which nothing is to be done are not here.
fn wishes(situation: &Situation<'_>, rulings: &BTreeMap<Target, Ruling>) -> BTreeMap<Target, (bool, Because)> {
    let mut wishes = BTreeMap::new();
    for (name, node) in situation.nodes {
        for family in node.addresses.keys() {
            let target = Target { node: name.clone(), family: *family };
            if let Some(wish) = wish(situation.now_ms, node, rulings.get(&target)) {
                wishes.insert(target, wish);
            }
        }
    }
    wishes
}

fn wish(now_ms: Millis, node: &Node, ruling: Option<&Ruling>) -> Option<(bool, Because)> {
    if let Some(pin) = node.pin.filter(|pin| pin.until_ms.is_none_or(|until_ms| now_ms < until_ms)) {
        return Some((pin.serving, Because::Pin));
    }
    let verdict = ruling.map_or(Verdict::Unknown, |ruling| ruling.verdict);
    match (node.hint, verdict) {
        (Some(Hint::Leaving | Hint::Terminating), _) => Some((false, Because::Hint)),
        (None, Verdict::Down | Verdict::Unstable) => {
            ruling.filter(|ruling| ruling.condemned()).map(|_| (false, Because::Probes(verdict)))
        }
        (None, Verdict::Serving) => Some((true, Because::Probes(verdict))),
        (None, Verdict::Unknown) => {
            ruling.filter(|ruling| ruling.seen_serving()).map(|_| (true, Because::Probes(verdict)))
        }
    }
}

/// What rules 1 and 3 count while withdrawals are gone through.
struct Tally {
    /// Our records left at each name, by family.
    left: BTreeMap<(String, Family), usize>,
    /// Nodes withdrawn for probes' sake within the window.
    withdrawn: BTreeSet<String>,
    /// Records deleted in this change, by node.
    deleted: BTreeMap<String, usize>,
}

fn withdrawals(
    situation: &Situation<'_>,
    zone: &Zone,
    wishes: &BTreeMap<Target, (bool, Because)>,
    rulings: &BTreeMap<Target, Ruling>,
) -> Vec<Decision> {
    let Situation { now_ms, policy, nodes, memory, .. } = *situation;
    let mut tally = Tally {
        left: BTreeMap::new(),
        withdrawn: memory.withdrawn_lately(policy, now_ms).into_iter().map(str::to_owned).collect(),
        deleted: BTreeMap::new(),
    };
    for record in ours(situation, zone) {
        *tally.left.entry((record.name.clone(), record.family())).or_default() += 1;
    }
    let panics = panics(situation, rulings);
    let mut candidates: Vec<(&Target, Because)> =
        wishes.iter().filter(|(_, (serving, _))| !serving).map(|(target, (_, because))| (target, *because)).collect();
    // Orders first, then what the cluster knows, then what has been down for longest.
    let since = |target: &Target| memory.verdicts.get(target).map_or(now_ms, |(_, since_ms)| *since_ms);
    candidates.sort_by_key(|(target, because)| match because {
        Because::Pin => (0, 0),
        Because::Hint => (1, 0),
        Because::Probes(_) => (2, since(target)),
    });
    let mut decisions = Vec::new();
    for (target, because) in candidates {
        let published: Vec<&Record> = ours(situation, zone).filter(|record| record.target() == *target).collect();
        if published.is_empty() {
            continue;
        }
        let least = policy.min_records(nodes.len());
        let delete: Vec<Record> = published.into_iter().filter(|record| tally.spares(record, least)).cloned().collect();
        let held = forbidden(situation, zone, because, panics)
            .or_else(|| delete.is_empty().then_some(Rule::LastRecords))
            .or_else(|| tally.too_many(situation, zone, target, because, delete.len()))
            .or_else(|| policy.dry_run.then_some(Rule::DryRun));
        if held.is_none() {
            tally.take(target, because, &delete);
        }
        decisions.push(Decision {
            target: target.clone(),
            act: Act::Withdraw,
            because,
            delete,
            publish: Vec::new(),
            held,
        });
    }
    decisions
}

impl Tally {
    /// Rule 1.
    fn spares(&self, record: &Record, least: usize) -> bool {
        self.left.get(&(record.name.clone(), record.family())).is_some_and(|left| *left > least)
    }

    /// Rule 3, both halves.
    fn too_many(
        &self,
        situation: &Situation<'_>,
        zone: &Zone,
        target: &Target,
        because: Because,
        records: usize,
    ) -> Option<Rule> {
        let Situation { policy, nodes, .. } = *situation;
        let probes = matches!(because, Because::Probes(_));
        let others = self.withdrawn.iter().filter(|node| **node != target.node).count();
        let rate = probes && others + 1 > policy.withdrawals_most(nodes.len());
        let mut deleted = self.deleted.clone();
        *deleted.entry(target.node.clone()).or_default() += records;
        let beyond_one = deleted.values().sum::<usize>() - deleted.values().max().copied().unwrap_or(0);
        let cap = policy.deletions_most(zone.records.len()).is_some_and(|most| beyond_one > most);
        (rate || cap).then_some(Rule::Rate)
    }

    fn take(&mut self, target: &Target, because: Because, delete: &[Record]) {
        for record in delete {
            if let Some(left) = self.left.get_mut(&(record.name.clone(), record.family())) {
                *left -= 1;
            }
        }
        *self.deleted.entry(target.node.clone()).or_default() += delete.len();
        if matches!(because, Because::Probes(_)) {
            self.withdrawn.insert(target.node.clone());
        }
    }
}

/// Rules that look at the whole, before any single record.
fn forbidden(situation: &Situation<'_>, zone: &Zone, because: Because, panics: bool) -> Option<Rule> {
    let Situation { now_ms, policy, calls_made, .. } = *situation;
    if now_ms.saturating_sub(zone.read_ms) > policy.zone_fresh_ms {
        return Some(Rule::FreshZone);
    }
    if panics && because != Because::Pin {
        return Some(Rule::Panic);
    }
    (calls_made >= policy.calls_most).then_some(Rule::Budget)
}

fn restores(situation: &Situation<'_>, zone: &Zone, wishes: &BTreeMap<Target, (bool, Because)>) -> Vec<Decision> {
    let Situation { now_ms, policy, memory, calls_made, .. } = *situation;
    let mut decisions = Vec::new();
    for (target, (serving, because)) in wishes {
        let there: BTreeSet<&str> = ours(situation, zone)
            .filter(|record| record.target() == *target)
            .map(|record| record.name.as_str())
            .collect();
        let missing = zone.names.iter().filter(|name| !there.contains(name.as_str()) && !zone.foreign.contains(name));
        let publish: Vec<String> = missing.cloned().collect();
        if !serving || publish.is_empty() {
            continue;
        }
        let held_until_ms = memory.held_until_ms(policy, target).filter(|_| *because != Because::Pin);
        let held = if now_ms.saturating_sub(zone.read_ms) > policy.zone_fresh_ms {
            Some(Rule::FreshZone)
        } else if held_until_ms.is_some_and(|until_ms| now_ms < until_ms) {
            Some(Rule::Hold)
        } else if calls_made + CALLS_RESERVED >= policy.calls_most {
            Some(Rule::Budget)
        } else {
            policy.dry_run.then_some(Rule::DryRun)
        };
        let (target, because) = (target.clone(), *because);
        decisions.push(Decision { target, act: Act::Restore, because, delete: Vec::new(), publish, held });
    }
    decisions
}

/// Rule 10 and 14: records that bear our mark, hold their node's address, and stand at a name that is nobody else's.
fn ours<'a>(situation: &Situation<'a>, zone: &'a Zone) -> impl Iterator<Item = &'a Record> {
    let nodes = situation.nodes;
    zone.records.iter().filter(move |record| belongs(nodes, record) && !zone.foreign.contains(&record.name))
}

fn belongs(nodes: &BTreeMap<String, Node>, record: &Record) -> bool {
    nodes.get(&record.node).and_then(|node| node.addresses.get(&record.family())) == Some(&record.content)
}

/// Nodes that are healthy in some family, and all.
fn healthy(situation: &Situation<'_>, rulings: &BTreeMap<Target, Ruling>) -> (usize, usize) {
    let serving = rulings.values().filter(|ruling| ruling.healthy());
    let names: BTreeSet<&str> = serving.map(|ruling| ruling.target.node.as_str()).collect();
    let healthy = situation.nodes.keys().filter(|name| names.contains(name.as_str())).count();
    (healthy, situation.nodes.len())
}

/// Rule 2.
fn panics(situation: &Situation<'_>, rulings: &BTreeMap<Target, Ruling>) -> bool {
    let (healthy, all) = healthy(situation, rulings);
    healthy * 2 < all
}

fn alerts(situation: &Situation<'_>, rulings: &BTreeMap<Target, Ruling>) -> Vec<Alert> {
    let mut alerts = Vec::new();
    if situation.nodes.is_empty() {
        alerts.push(Alert::NoNodes);
    } else if panics(situation, rulings) {
        let (healthy, all) = healthy(situation, rulings);
        alerts.push(Alert::Panic(healthy, all));
    }
    match situation.zone {
        None => alerts.push(Alert::NoZone),
        Some(zone) => {
            let strange = zone.records.iter().filter(|record| !belongs(situation.nodes, record));
            alerts.extend(strange.cloned().map(Alert::Strange));
        }
    }
    let mute = rulings.values().flat_map(|ruling| &ruling.voices).filter_map(|voice| {
        let rule = voice.mute.filter(|rule| matches!(rule, Rule::Distrust | Rule::Correlated))?;
        Some((&voice.vantage, rule))
    });
    let mute: BTreeSet<(&Vantage, Rule)> = mute.collect();
    alerts.extend(mute.into_iter().map(|(vantage, rule)| Alert::Vantage(vantage.clone(), rule)));
    let unjudged = rulings.values().filter(|ruling| ruling.verdict == Verdict::Unknown);
    alerts.extend(unjudged.map(|ruling| Alert::Unjudged(ruling.target.clone())));
    alerts
}
