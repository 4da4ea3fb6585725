//! All that one watcher knows, and what it does next. Synchronous, with no clock of its own: whoever runs it says what has
//! happened and when, asks for a [`Turn`], and says what came of it.

mod bygone;
mod news;
mod show;

use crate::eyes::Eyes;
use crate::permit::{Candidate, Granter, Holder, Standing, Terms};
use crate::scene::Scene;
use crate::status::{Happening, What};
use crate::zone::{self, Act, Change, Data, Desk, Entry, Intent, Keeper, Left, Listing, Plan, Survey, Trouble, Wish};
use bygone::Bygone;
use detect::{
    Because, Decision, Judgement, Memory, Millis, Policy, Report, Rule, Situation, Target, Vantage, Verdict, View,
    decide,
};
use jiff::Timestamp;
use news::News;
use spec::Publish;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

/// Turns are taken at least this often: reports grow old, holds end.
const TURN_MS: Millis = 1_000;
/// What a vantage said is dropped after this; it has had no voice for long by then.
const FORGET_MS: Millis = 5 * 60_000;

/// Who this watcher is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Me {
    /// Its pod.
    pub pod: String,
    /// Node it runs on.
    pub node: String,
    /// Drawn at random when the process started.
    pub life: u64,
}

/// What shall be in DNS, but for the hosts, which the cluster names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    /// The cluster's name.
    pub cluster: String,
    /// The zone's own name.
    pub zone: String,
    /// The name that holds the serving nodes' addresses.
    pub pool: String,
    /// What stands at the hosts' own names.
    pub publish: Publish,
    /// Seconds.
    pub ttl_s: u32,
    /// Whether Cloudflare stands before the nodes.
    pub proxied: bool,
    /// What the provider makes possible.
    pub keeper: Keeper,
    /// Records that one call may touch.
    pub batch_most: usize,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Read the zone, these names at least, and tell [`Mind::read`].
    Read(Vec<String>),
    /// Write this, give up after the terms' time for a call, and tell [`Mind::wrote`].
    Write(Change),
    /// Nothing before this, unless something happens.
    Wait(Millis),
}

/// What another vantage said, in this one's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When.
    pub at_ms: Millis,
    /// Who it is.
    pub vantage: Vantage,
    /// Whether it trusts itself.
    pub trusted: bool,
    /// What it sees.
    pub reports: Vec<Report>,
}

impl Heard {
    /// Whether the other says the same, times aside.
    fn says_what(&self, other: &Heard) -> bool {
        let said = |heard: &'_ Heard| (heard.vantage.clone(), heard.trusted, heard.reports.len());
        let same =
            |a: &Report, b: &Report| (&a.target, a.view, a.cause, a.failing) == (&b.target, b.view, b.cause, b.failing);
        said(self) == said(other) && self.reports.iter().zip(&other.reports).all(|(a, b)| same(a, b))
    }
}

/// See above.
pub struct Mind {
    /// Who this is.
    pub me: Me,
    /// What it sees itself.
    pub eyes: Eyes,
    /// What it grants to others.
    pub granter: Granter,
    /// What it was granted.
    pub holder: Holder,
    pub(crate) policy: Policy,
    pub(crate) aim: Aim,
    pub(crate) scene: Option<Arc<Scene>>,
    pub(crate) heard: BTreeMap<String, Heard>,
    pub(crate) memory: Memory,
    pub(crate) judgement: Judgement,
    pub(crate) left: Vec<Left>,
    pub(crate) desk: Desk,
    pub(crate) listing: Option<Listing>,
    pub(crate) survey: Survey,
    pub(crate) news: News,
    wish: Option<Wish>,
    former: BTreeSet<(String, IpAddr)>,
    bygone: Bygone,
    writing: Option<Change>,
}

impl Mind {
    /// Knows nothing yet. `anchors`: how many control probes there are.
    pub fn new(now_ms: Millis, me: Me, policy: Policy, terms: Terms, aim: Aim, anchors: usize, rng: wire::Rng) -> Self {
        let own = Candidate { name: me.pod.clone(), life: me.life };
        let desk = Desk::new(&policy, aim.keeper.fenced, rng);
        Mind {
            me,
            eyes: Eyes::new(policy.clone(), anchors),
            granter: Granter::new(terms, now_ms),
            holder: Holder::new(terms, own),
            policy,
            aim,
            scene: None,
            heard: BTreeMap::new(),
            memory: Memory::default(),
            judgement: Judgement::default(),
            left: Vec::new(),
            desk,
            listing: None,
            survey: Survey::default(),
            news: News::default(),
            wish: None,
            former: BTreeSet::new(),
            bygone: Bygone::default(),
            writing: None,
        }
    }

    /// The cluster as it now is.
    pub fn see(&mut self, now_ms: Millis, scene: Arc<Scene>) {
        if let Some(before) = &self.scene {
            for (name, node) in &before.nodes {
                let now = scene.nodes.get(name).map(|node| &node.addresses);
                // A node that is gone altogether may come back; only what was exchanged is known to be wrong.
                let gone =
                    node.addresses.iter().filter(|(family, at)| now.is_some_and(|now| now.get(family) != Some(*at)));
                self.former.extend(gone.map(|(_, address)| (name.clone(), *address)));
            }
            if before.hosts != scene.hosts || before.nodes != scene.nodes {
                self.desk.look(now_ms, false);
            }
        }
        let current = scene.nodes.iter().flat_map(|(name, node)| node.addresses.values().map(|at| (name.clone(), *at)));
        let current: BTreeSet<(String, IpAddr)> = current.collect();
        self.former.retain(|pair| !current.contains(pair));
        let targets = scene.nodes.iter().flat_map(|(name, node)| {
            node.addresses.iter().map(|(family, at)| (Target { node: name.clone(), family: *family }, *at))
        });
        self.eyes.look_at(now_ms, &targets.collect());
        self.scene = Some(scene);
        self.survey_anew();
    }

    /// Who this vantage is to the others.
    pub fn vantage(&self) -> Vantage {
        let node = self.me.node.clone();
        let site = self.scene.as_ref().and_then(|scene| scene.sites.get(&node)).unwrap_or(&node).clone();
        Vantage { node, site }
    }

    /// What another vantage said, and whether that may change a decision. What has been withdrawn is passed on by all, for whoever
    /// is to write next may not have heard whoever wrote; the verdicts are taken over from whoever may write.
    pub fn told(&mut self, pod: &str, heard: Heard, memory: Option<Memory>) -> bool {
        if pod == self.me.pod {
            return false;
        }
        let now_ms = heard.at_ms;
        let is_news = self.heard.get(pod).is_none_or(|before| !before.says_what(&heard));
        self.heard.insert(pod.to_owned(), heard);
        self.heard.retain(|_, heard| now_ms.saturating_sub(heard.at_ms) < FORGET_MS);
        if let Some(memory) = memory {
            self.memory.learn(&memory);
            if !memory.verdicts.is_empty() && self.holder.standing(now_ms) == Standing::Mute {
                self.memory.verdicts = memory.verdicts;
            }
        }
        is_news
    }

    /// What an earlier writer has left behind, where nothing is known yet.
    pub fn recall(&mut self, memory: Memory) {
        if self.memory.flaps.is_empty() && self.memory.withdrawn.is_empty() {
            self.memory.flaps = memory.flaps;
            self.memory.withdrawn = memory.withdrawn;
        }
    }

    /// What the others shall keep: of the writer all, of whoever does not write what was withdrawn.
    pub fn testament(&self, now_ms: Millis) -> Option<Memory> {
        let Memory { flaps, withdrawn, .. } = self.memory.clone();
        if self.holder.standing(now_ms) != Standing::Mute {
            return Some(self.memory.clone());
        }
        let is_empty = flaps.is_empty() && withdrawn.is_empty();
        (!is_empty).then(|| Memory { flaps, withdrawn, ..Memory::default() })
    }

    /// Whether a call that changes the zone is under way.
    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// What to do next. `willing`: whether this vantage would write at all.
    pub fn turn(&mut self, now_ms: Millis, at: Timestamp, willing: bool) -> Turn {
        let Some(scene) = self.scene.clone() else { return Turn::Wait(now_ms + TURN_MS) };
        self.judge(now_ms, &scene);
        self.news.alerts(at, &self.judgement.alerts, &self.desk.standing());
        if self.writing.is_some() {
            return Turn::Wait(now_ms + TURN_MS);
        }
        self.give_up(now_ms, &scene);
        if let (Some(_), Standing::Waiting { until_ms }) = (&self.listing, self.holder.standing(now_ms)) {
            // A reading that begins now says nothing for a write, and would be in the way of the one that does.
            return Turn::Wait(until_ms.min(now_ms + TURN_MS));
        }
        let plan = self.plan(now_ms, &scene);
        self.left.clone_from(&plan.left);
        let may_write = willing && self.desk.read_ms().is_some_and(|read_ms| self.holder.may_write(now_ms, read_ms));
        if may_write {
            self.news.held(at, &self.judgement.decisions);
            self.desk.want(&plan);
        } else {
            self.desk.want(&Plan::default());
        }
        if matches!(self.holder.standing(now_ms), Standing::Live { .. }) {
            self.look_if_needed(now_ms, willing && !may_write);
        }
        match self.desk.next(now_ms) {
            Act::Read => Turn::Read(self.names(&scene)),
            Act::Write(change) => self.begin(now_ms, change),
            Act::Wait(until_ms) => Turn::Wait(until_ms.min(now_ms + TURN_MS)),
        }
    }

    /// What a node had that is taken to have left the cluster is no longer true.
    fn give_up(&mut self, now_ms: Millis, scene: &Scene) {
        let records = || self.survey.zone.records.iter().filter(|record| !scene.nodes.contains_key(&record.node));
        let absent: BTreeSet<String> = records().map(|record| record.node.clone()).collect();
        let is_certain = !scene.nodes.is_empty() && scene.unseen.is_empty();
        let Some(node) = self.bygone.next(now_ms, &absent, is_certain) else { return };
        let held = records().filter(|record| record.node == node).map(|record| (node.clone(), record.content));
        let held: Vec<(String, IpAddr)> = held.collect();
        self.former.extend(held);
        self.survey_anew();
    }

    /// The intent is remembered, and so told to the others, before the call: whoever comes next knows of the flap.
    fn begin(&mut self, now_ms: Millis, change: Change) -> Turn {
        let withdrawn = self.carried_out(&change, detect::Act::Withdraw);
        for decision in withdrawn.iter().filter(|decision| matches!(decision.because, Because::Probes(_))) {
            self.memory.withdraw(&self.policy, &decision.target, now_ms);
        }
        self.writing = Some(change.clone());
        Turn::Write(change)
    }

    /// Decisions that a change carries out.
    fn carried_out(&self, change: &Change, act: detect::Act) -> Vec<Decision> {
        let gone = |decision: &Decision| {
            decision.delete.iter().any(|record| change.delete.iter().any(|entry| entry.id == record.id))
        };
        let come = |decision: &Decision| {
            let node = self.scene.as_ref().and_then(|scene| scene.nodes.get(&decision.target.node));
            let address = node.and_then(|node| node.addresses.get(&decision.target.family));
            address.is_some_and(|address| {
                change
                    .create
                    .iter()
                    .any(|draft| draft.data == Data::Address(*address) && decision.publish.contains(&draft.name))
            })
        };
        let decisions =
            self.judgement.decisions.iter().filter(|decision| decision.act == act && decision.held.is_none());
        let done =
            decisions.filter(|decision| if act == detect::Act::Withdraw { gone(decision) } else { come(decision) });
        done.cloned().collect()
    }

    /// What is known of the zone itself once it was read.
    pub fn learn_zone(&mut self, apex: &str, keeper: Keeper, batch_most: usize) {
        apex.clone_into(&mut self.aim.zone);
        (self.aim.keeper, self.aim.batch_most) = (keeper, batch_most);
    }

    /// The zone was read, beginning at `sent_ms`, with so many calls.
    pub fn read(&mut self, sent_ms: Millis, now_ms: Millis, calls: usize, answer: Result<Vec<Entry>, Trouble>) {
        if let Some(listing) = self.desk.read(sent_ms, now_ms, calls, answer) {
            self.listing = Some(listing);
            self.survey_anew();
        }
    }

    /// The write that a turn asked for was answered.
    pub fn wrote(&mut self, now_ms: Millis, at: Timestamp, answer: Result<(), Trouble>) {
        let Some(change) = self.writing.take() else { return };
        if answer.is_ok() {
            let withdrawn = self.carried_out(&change, detect::Act::Withdraw);
            let restored = self.carried_out(&change, detect::Act::Restore);
            let others = change.records() > 0 && withdrawn.is_empty() && restored.is_empty();
            for decision in &withdrawn {
                self.news.done(at, What::Withdrawn, &decision.target.node, self.why(decision));
            }
            for decision in &restored {
                self.news.done(at, What::Restored, &decision.target.node, self.why(decision));
            }
            if others {
                let names: Vec<&str> = change.names().into_iter().take(3).collect();
                let more = change.names().len().saturating_sub(names.len());
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                let text = format!("{} records changed at {}{more}", change.records(), names.join(", "));
                self.news.done(at, What::Names, &self.aim.zone.clone(), text);
            }
        }
        self.desk.wrote(now_ms, answer);
    }

    fn why(&self, decision: &Decision) -> String {
        match decision.because {
            Because::Pin => "somebody ordered it".into(),
            Because::Hint => "the cluster says that it is leaving".into(),
            Because::Probes(Verdict::Serving) => "it serves again".into(),
            Because::Probes(_) => self.seen(&decision.target),
        }
    }

    /// Who sees what of a target, in one sentence.
    pub(crate) fn seen(&self, target: &Target) -> String {
        let Some(ruling) = self.judgement.rulings.get(target) else { return "nobody has seen it yet".into() };
        let counted = ruling.voices.iter().filter(|voice| voice.mute.is_none());
        let said = counted.map(|voice| match (voice.view, voice.cause) {
            (View::Up, _) => format!("{}: serves", voice.vantage.node),
            (View::Down, Some(cause)) => format!("{}: {}", voice.vantage.node, cause.words()),
            (View::Unstable, Some(cause)) => format!("{}: again and again {}", voice.vantage.node, cause.words()),
            _ => format!("{}: not sure", voice.vantage.node),
        });
        let said: Vec<String> = said.collect();
        if said.is_empty() { "no vantage has a voice about it".into() } else { said.join(", ") }
    }

    fn judge(&mut self, now_ms: Millis, scene: &Scene) {
        let mut reports = self.eyes.reports(now_ms, &self.vantage());
        reports.extend(self.heard.values().flat_map(|heard| heard.reports.iter().cloned()));
        reports.retain(|report| scene.nodes.contains_key(&report.target.node));
        self.judgement = decide(&Situation {
            now_ms,
            policy: &self.policy,
            nodes: &scene.nodes,
            reports: &reports,
            zone: self.listing.as_ref().map(|_| &self.survey.zone),
            memory: &self.memory,
            calls_made: self.desk.calls_made(),
        });
        self.memory = self.judgement.memory.clone();
    }

    fn plan(&self, now_ms: Millis, scene: &Scene) -> Plan {
        let (Some(wish), Some(_)) = (&self.wish, &self.listing) else { return Plan::default() };
        zone::change(&Intent {
            now_ms,
            policy: &self.policy,
            wish,
            survey: &self.survey,
            judgement: &self.judgement,
            nodes: &scene.nodes,
            batch_most: self.aim.batch_most,
            standing: &self.desk.standing(),
        })
    }

    /// The zone is read anew while suspicion ripens, so that the withdrawal need not wait for it; and for whatever waits for a
    /// fresh reading. Who has just become the writer has read nothing yet that it may go by, and knows from no older reading what
    /// is published: it looks at once.
    fn look_if_needed(&mut self, now_ms: Millis, is_new: bool) {
        let read_ms = self.desk.read_ms().unwrap_or(0);
        let age_ms = now_ms.saturating_sub(read_ms);
        let waits = |act: detect::Act| {
            let decisions = self.judgement.decisions.iter().filter(move |decision| decision.act == act);
            decisions.filter(|decision| decision.held.is_none() || decision.held == Some(Rule::FreshZone)).count() > 0
        };
        let stale = age_ms > self.policy.zone_fresh_ms;
        let ripens = age_ms * 2 > self.policy.zone_fresh_ms && self.is_suspicious();
        if is_new || ripens || stale && waits(detect::Act::Withdraw) {
            self.desk.look(now_ms, true);
        } else if stale && waits(detect::Act::Restore) {
            self.desk.look(now_ms, false);
        }
    }

    /// Whether a node that is published looks wrong to somebody, and is not yet judged.
    fn is_suspicious(&self) -> bool {
        let published: BTreeSet<Target> = self.survey.zone.records.iter().map(detect::Record::target).collect();
        let serving = |target: &Target| {
            self.judgement.rulings.get(target).is_none_or(|ruling| ruling.verdict == Verdict::Serving)
        };
        let others = self.heard.values().flat_map(|heard| &heard.reports);
        let others = others.filter(|report| matches!(report.view, View::Down | View::Unstable));
        let suspects = self.eyes.suspects().into_iter().chain(others.map(|report| report.target.clone()));
        suspects.into_iter().any(|target| published.contains(&target) && serving(&target))
    }

    fn survey_anew(&mut self) {
        let (Some(scene), Some(listing)) = (&self.scene, &self.listing) else { return };
        let Aim { cluster, zone, pool, .. } = self.aim.clone();
        let wish = Wish {
            cluster,
            zone,
            pool,
            publish: self.aim.publish,
            ttl_s: self.aim.ttl_s,
            proxied: self.aim.proxied,
            hosts: scene.hosts.clone(),
            are_all: scene.unseen.is_empty(),
            former: self.former.clone(),
            keeper: self.keeper(),
        };
        self.survey = zone::survey(listing, &wish, &scene.nodes);
        self.wish = Some(wish);
    }

    /// What the provider makes possible; a zone that was full holds no more than it held then, whatever its plan promises.
    fn keeper(&self) -> Keeper {
        let full_at = self.desk.standing().full_at;
        let most = [self.aim.keeper.records_most, full_at].into_iter().flatten().min();
        Keeper { records_most: most, ..self.aim.keeper }
    }

    /// Names that must be read where the provider does not list a zone.
    fn names(&self, scene: &Scene) -> Vec<String> {
        let pools = scene.hosts.values().filter_map(|host| host.pool.clone());
        let held = self.survey.zone.records.iter().map(|record| record.name.clone());
        let names: BTreeSet<String> =
            scene.hosts.keys().cloned().chain(pools).chain(held).chain([self.aim.pool.clone()]).collect();
        names.into_iter().collect()
    }

    /// What has happened since this was last asked.
    pub fn news(&mut self) -> VecDeque<Happening> {
        std::mem::take(&mut self.news.untold)
    }
}
