//! From decisions and wishes to batches: what the provider is asked for, in which order.

mod group;

use super::left::{Left, Reason};
use super::survey::{Ours, Place, Survey};
use super::wish::{Want, Wish};
use super::{Change, Draft, Entry};
use detect::{Act, Decision, Family, Judgement, Millis, Node, Policy, Rule};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a plan rests on.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    /// The present.
    pub now_ms: Millis,
    /// The numbers: freshness, shares, dry run.
    pub policy: &'a Policy,
    /// What was wanted when the zone was surveyed.
    pub wish: &'a Wish,
    /// The zone as it was just read.
    pub survey: &'a Survey,
    /// What [`detect::decide`] made of it.
    pub judgement: &'a Judgement,
    /// Every ingress node.
    pub nodes: &'a BTreeMap<String, Node>,
    /// Records that one call may touch.
    pub batch_most: usize,
    /// How the provider has answered lately.
    pub standing: &'a super::Standing,
}

/// What is to be written, in order, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Withdrawals first.
    pub batches: Vec<Batch>,
    /// Names that are not served as asked, and why; with those of the survey.
    pub left: Vec<Left>,
    /// It is only to be shown.
    pub dry: bool,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What it changes.
    pub change: Change,
    /// What for.
    pub purpose: Purpose,
}

/// What a batch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Nodes that do not serve leave.
    Withdraw,
    /// Names come, change, and get back what they lost.
    Keep,
    /// Names that nobody wants any more go.
    Clear,
}

/// What share of our records may go in five minutes for hosts' sake counts only from so many records on, as with octoDNS.
const CAPPED_FROM: usize = 10;

/// What is to be written. Applied in order, no batch leaves a wanted name without an address that it had, and none touches
/// what is not ours.
pub fn change(intent: &Intent<'_>) -> Plan {
    let Intent { now_ms, policy, survey, .. } = *intent;
    let mut plan = Plan { left: survey.left.clone(), dry: policy.dry_run, ..Plan::default() };
    if now_ms.saturating_sub(survey.read_ms()) > policy.zone_fresh_ms || intent.nodes.is_empty() {
        return plan;
    }
    let orders = Orders::read(intent, &mut plan.left);
    let groups = group::groups(intent, &orders, &mut plan.left);
    let cleared = cleared(intent, &orders, &mut plan.left);
    let pack = |groups: Vec<Change>, purpose| {
        packed(groups, intent.batch_most).into_iter().map(move |change| Batch { change, purpose })
    };
    plan.batches.extend(pack(orders.leave(survey), Purpose::Withdraw));
    plan.batches.extend(pack(groups, Purpose::Keep));
    plan.batches.extend(pack(cleared, Purpose::Clear));
    plan.left.sort();
    plan.left.dedup();
    plan
}

/// What the decisions say, as records.
struct Orders {
    /// By id.
    withdrawn: BTreeSet<String>,
    /// By name: whose addresses come, and which.
    come: BTreeMap<String, Vec<(String, std::net::IpAddr)>>,
}

impl Orders {
    fn read(intent: &Intent<'_>, left: &mut Vec<Left>) -> Self {
        let Intent { survey, nodes, standing, .. } = *intent;
        let carried_out = |decision: &&Decision| decision.held.is_none() || decision.held == Some(Rule::DryRun);
        let mut orders = Orders { withdrawn: BTreeSet::new(), come: BTreeMap::new() };
        for decision in intent.judgement.decisions.iter().filter(carried_out) {
            match decision.act {
                Act::Withdraw => orders.withdrawn.extend(decision.delete.iter().map(|record| record.id.clone())),
                Act::Restore => {
                    let target = &decision.target;
                    let own = nodes.get(&target.node).and_then(|node| node.addresses.get(&target.family));
                    for (name, own) in decision.publish.iter().zip(own.into_iter().cycle()) {
                        orders.come.entry(name.clone()).or_default().push((target.node.clone(), *own));
                    }
                }
            }
        }
        for (name, place) in &survey.places {
            if let Some(said) = standing.refused.get(&(Purpose::Withdraw, name.clone())) {
                left.push(Left { name: name.clone(), why: Reason::Refused(said.clone()) });
                orders.withdrawn.retain(|id| place.addresses.iter().all(|ours| ours.entry.id != *id));
            }
            for family in [Family::V4, Family::V6] {
                if orders.spare(place, family, &standing.doubtful) {
                    left.push(Left { name: name.clone(), why: Reason::LastRecords });
                }
            }
        }
        orders
    }

    /// Rule 1 once more, over everything that is deleted here, with what may have gone unseen counted as gone. Whether it
    /// had to step in.
    fn spare(&mut self, place: &Place, family: Family, doubtful: &BTreeSet<String>) -> bool {
        let of_family = || place.addresses.iter().filter(move |ours| ours.record().family() == family);
        let stays = |ours: &Ours| {
            ours.is_current && !self.withdrawn.contains(&ours.entry.id) && !doubtful.contains(&ours.entry.id)
        };
        let handed_on = of_family().any(|ours| self.inherits(ours));
        if of_family().any(stays) || handed_on {
            return false;
        }
        // The last one goes by the alphabet; `detect` has its reasons for who goes first, and never comes here.
        let last = of_family().filter(|ours| ours.is_current).min_by_key(|ours| doubtful.contains(&ours.entry.id));
        last.is_some_and(|ours| self.withdrawn.remove(&ours.entry.id))
    }

    /// Whether a record that is withdrawn says what another node's is to say: two nodes behind one address.
    fn inherits(&self, ours: &Ours) -> bool {
        self.heir(ours).is_some()
    }

    fn heir(&self, ours: &Ours) -> Option<&str> {
        let come = self.come.get(&ours.entry.name).filter(|_| self.withdrawn.contains(&ours.entry.id))?;
        come.iter().find(|(_, address)| *address == ours.address).map(|(node, _)| node.as_str())
    }

    fn goes(&self, ours: &Ours) -> bool {
        self.withdrawn.contains(&ours.entry.id) && !self.inherits(ours)
    }

    /// The withdrawals, by name.
    fn leave(&self, survey: &Survey) -> Vec<Change> {
        let mut changes = Vec::new();
        for place in survey.places.values() {
            let delete: Vec<Entry> =
                place.addresses.iter().filter(|ours| self.goes(ours)).map(|ours| ours.entry.clone()).collect();
            if delete.is_empty() {
                continue;
            }
            let replace = if self.uncovers(place) { self.restyled(place) } else { Vec::new() };
            changes.push(Change { delete, replace, create: Vec::new() });
        }
        changes
    }

    /// One proxied record hides all addresses of its name: were it to go alone, it would show the rest.
    fn uncovers(&self, place: &Place) -> bool {
        let (hidden, shown): (Vec<&Ours>, Vec<&Ours>) = place.addresses.iter().partition(|ours| ours.entry.proxied);
        !hidden.is_empty() && !shown.is_empty() && place.addresses.iter().any(|ours| self.goes(ours))
    }

    /// Our addresses that stay at a name, and are not as they should be beside what they say.
    fn restyled(&self, place: &Place) -> Vec<(Entry, Draft)> {
        let Some(Want::Addresses(style)) = &place.want else { return Vec::new() };
        let stays = place.addresses.iter().filter(|ours| ours.is_current && !self.withdrawn.contains(&ours.entry.id));
        let wrong = stays.filter(|ours| ours.entry.ttl_s != style.ttl_s || ours.entry.proxied != style.proxied);
        wrong.map(|ours| (ours.entry.clone(), group::redraft(&ours.entry, *style))).collect()
    }
}

/// What nobody wants any more, as far as it may go now.
fn cleared(intent: &Intent<'_>, orders: &Orders, left: &mut Vec<Left>) -> Vec<Change> {
    let Intent { survey, wish, standing, policy, .. } = *intent;
    let (ours, mut spent) = (survey.ours() + standing.cleared, standing.cleared);
    let most = (ours >= CAPPED_FROM).then(|| policy.deletions_most(ours).unwrap_or(ours).max(1));
    let mut changes = Vec::new();
    for (name, place) in survey.places.iter().filter(|(_, place)| place.want.is_none()) {
        let known = place.addresses.iter().filter(|ours| ours.is_known() && !orders.goes(ours));
        let addresses = known.map(|ours| &ours.entry);
        let delete: Vec<Entry> = addresses.chain(&place.aliases).cloned().collect();
        if delete.is_empty() {
            continue;
        }
        // A single name may have more records than the cap: then it goes alone.
        let fits = most.is_none_or(|most| spent == 0 || spent + delete.len() <= most);
        let why = if let Some(said) = standing.refused.get(&(Purpose::Clear, name.clone())) {
            Reason::Refused(said.clone())
        } else if wish.hosts.is_empty() {
            Reason::NoHosts
        } else if !wish.are_all {
            Reason::Unseen
        } else if survey.led_to.contains(name) {
            Reason::LedTo
        } else if !fits {
            Reason::Capped
        } else if delete.len() > intent.batch_most {
            Reason::TooLarge
        } else {
            spent += delete.len();
            changes.push(Change { delete, ..Change::default() });
            continue;
        };
        left.push(Left { name: name.clone(), why });
    }
    changes
}

/// Puts the changes of names together into calls, without parting those of one name.
fn packed(groups: Vec<Change>, most: usize) -> Vec<Change> {
    let mut batches: Vec<Change> = Vec::new();
    for group in groups {
        match batches.last_mut().filter(|batch| batch.records() + group.records() <= most) {
            Some(batch) => {
                batch.delete.extend(group.delete);
                batch.replace.extend(group.replace);
                batch.create.extend(group.create);
            }
            None => batches.push(group),
        }
    }
    batches
}
