//! Counting voices: what all vantages together say of one target.

use crate::probe::Cause;
use crate::{Millis, Policy, Report, Rule, Target, Vantage, View};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is held to be true of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// It serves.
    Serving,
    /// It fails too often.
    Unstable,
    /// It does not serve.
    Down,
    /// Nobody who may say so knows.
    Unknown,
}

/// One vantage's voice, and why it counted or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voice {
    /// Whose.
    pub vantage: Vantage,
    /// What it saw.
    pub view: View,
    /// Why it saw no good.
    pub cause: Option<Cause>,
    /// Whether what it saw last was no good.
    pub failing: bool,
    /// The rule by which it was not counted.
    pub mute: Option<Rule>,
}

/// Fewer decide nothing.
const VOICES_LEAST: usize = 2;

impl Voice {
    /// Whether it sees the target pass, and has not yet come to trust it again: that keeps it from being restored, and is about an
    /// earlier trouble.
    fn recovers(&self) -> bool {
        self.view == View::Down && !self.failing
    }
}

/// What all vantages together say of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Of what.
    pub target: Target,
    /// The outcome.
    pub verdict: Verdict,
    /// Independent voices that say that it serves, and that it does not.
    pub votes: (usize, usize),
    /// Every report there was, also those that did not count.
    pub voices: Vec<Voice>,
}

impl Ruling {
    /// Whether it counts as healthy for rule 2: also where one voice for it is all that is heard, because a dead node takes its
    /// own vantage with it, and must not make those look sick that it was needed to judge. What half of its voices or more doubt just
    /// now is not healthy: what fails on all nodes at once is found out on one of them first.
    pub fn healthy(&self) -> bool {
        let counted = || self.voices.iter().filter(|voice| voice.mute.is_none());
        let steady = counted().filter(|voice| voice.view == View::Up && !voice.failing).count();
        let serves = self.verdict == Verdict::Serving || self.votes.0 > self.votes.1;
        serves && steady * 2 > counted().count()
    }

    /// Whether a majority sees it fail now. A verdict that outlives its majority, because voices are even or see it pass again, keeps
    /// a target out of the zone; it is no reason to take one out.
    pub fn condemned(&self) -> bool {
        let (up, down, _) = count(&self.voices, |voice| !voice.recovers());
        down > up && down >= VOICES_LEAST
    }

    /// Whether somebody has proof that it serves, nobody speaks against it, and there are not two vantages that could judge it:
    /// so it is on clusters of one or two nodes. That withdraws nothing, but it is enough to publish. A node's own word on itself
    /// counts for this only where nobody else is there to look.
    pub fn seen_serving(&self) -> bool {
        let foreign = self.voices.iter().filter(|voice| voice.vantage.node != self.target.node);
        let sites: BTreeSet<&str> = foreign.map(|voice| voice.vantage.site.as_str()).collect();
        let proves = |voice: &&Voice| match voice.mute {
            None => true,
            Some(Rule::Independence) => sites.is_empty(),
            Some(_) => false,
        };
        let serves = |voice: &Voice| voice.view == View::Up && !voice.failing;
        sites.len() < 2 && self.votes.1 == 0 && self.voices.iter().filter(proves).any(serves)
    }
}

/// Counts the voices of each target that any report is about. A majority of at least two sites decides; where there is none, what was held
/// to be true before stays so while two sites are heard at all.
pub fn poll(
    policy: &Policy,
    now_ms: Millis,
    reports: &[Report],
    before: &BTreeMap<Target, (Verdict, Millis)>,
) -> BTreeMap<Target, Ruling> {
    let suspects = suspects(policy, now_ms, reports);
    let answering = answering(policy, now_ms, reports);
    let targets: BTreeSet<&Target> = reports.iter().map(|report| &report.target).collect();
    let mut rulings = BTreeMap::new();
    for target in targets {
        let about = reports.iter().filter(|report| report.target == *target);
        let elsewhere = answering.iter().any(|other| other != target);
        let voices: Vec<Voice> = about.map(|report| voice(policy, now_ms, report, &suspects, elsewhere)).collect();
        let before = before.get(target).map_or(Verdict::Unknown, |(verdict, _)| *verdict);
        let (up, down, unstable) = count(&voices, |voice| before != Verdict::Serving || !voice.recovers());
        let verdict = verdict(up, down, unstable, before);
        let votes = (up, down);
        rulings.insert(target.clone(), Ruling { target: target.clone(), verdict, votes, voices });
    }
    rulings
}

fn fresh(policy: &Policy, now_ms: Millis, report: &Report) -> bool {
    now_ms.saturating_sub(report.probed_ms) <= policy.fresh_ms
}

fn is_down(view: View) -> bool {
    matches!(view, View::Down | View::Unstable)
}

/// Rule 7: vantages that see two or more foreign nodes fail, and most of those that they see, while nobody else who trusts itself
/// sees any of them fail.
fn suspects<'a>(policy: &Policy, now_ms: Millis, reports: &'a [Report]) -> BTreeSet<&'a Vantage> {
    let counts = |report: &&Report| report.trusted && fresh(policy, now_ms, report) && report.view != View::Unknown;
    let foreign = |report: &&Report| report.vantage.node != report.target.node;
    let vantages: BTreeSet<&Vantage> = reports.iter().map(|report| &report.vantage).collect();
    let alone = |vantage: &&Vantage| {
        let seen = || reports.iter().filter(counts).filter(foreign).filter(|report| report.vantage == **vantage);
        let failing: BTreeSet<&str> =
            seen().filter(|report| is_down(report.view)).map(|report| report.target.node.as_str()).collect();
        let all: BTreeSet<&str> = seen().map(|report| report.target.node.as_str()).collect();
        let others = reports.iter().filter(counts).filter(foreign).filter(|report| report.vantage.site != vantage.site);
        let confirmed =
            others.filter(|report| is_down(report.view)).any(|report| failing.contains(report.target.node.as_str()));
        failing.len() >= 2 && failing.len() * 2 > all.len() && !confirmed
    };
    vantages.into_iter().filter(alone).collect()
}

/// Targets whose canary answers to somebody who may say so: what fails *behind* the controller on all others is then not the
/// cluster's trouble.
fn answering(policy: &Policy, now_ms: Millis, reports: &[Report]) -> BTreeSet<Target> {
    let answers = |report: &&Report| {
        let foreign = report.vantage.node != report.target.node;
        report.trusted && foreign && fresh(policy, now_ms, report) && report.view == View::Up && !report.failing
    };
    reports.iter().filter(answers).map(|report| report.target.clone()).collect()
}

fn voice(policy: &Policy, now_ms: Millis, report: &Report, suspects: &BTreeSet<&Vantage>, elsewhere: bool) -> Voice {
    let own = report.vantage.node == report.target.node;
    let mute = if !fresh(policy, now_ms, report) || report.view == View::Unknown {
        Some(Rule::Quorum)
    } else if !report.trusted {
        Some(Rule::Distrust)
    } else if own && report.view == View::Up {
        Some(Rule::Independence)
    } else if suspects.contains(&report.vantage) {
        Some(Rule::Correlated)
    } else if report.cause == Some(Cause::Behind) && is_down(report.view) && !elsewhere {
        Some(Rule::Panic)
    } else {
        None
    };
    Voice { vantage: report.vantage.clone(), view: report.view, cause: report.cause, failing: report.failing, mute }
}

/// Voices by site (rule 5): up, down, and how many of the latter are for "unstable". A site that is not of one mind is for "up".
fn count(voices: &[Voice], counts: impl Fn(&Voice) -> bool) -> (usize, usize, usize) {
    let mut sites: BTreeMap<&str, Vec<View>> = BTreeMap::new();
    for voice in voices.iter().filter(|voice| voice.mute.is_none() && counts(voice)) {
        sites.entry(&voice.vantage.site).or_default().push(voice.view);
    }
    let (mut up, mut down, mut unstable) = (0, 0, 0);
    for views in sites.values() {
        if views.iter().all(|view| is_down(*view)) {
            down += 1;
            unstable += usize::from(views.contains(&View::Unstable));
        } else {
            up += 1;
        }
    }
    (up, down, unstable)
}

fn verdict(up: usize, down: usize, unstable: usize, before: Verdict) -> Verdict {
    if up + down < VOICES_LEAST {
        return Verdict::Unknown;
    }
    if down > up && down >= VOICES_LEAST {
        return if unstable * 2 > down { Verdict::Unstable } else { Verdict::Down };
    }
    if up > down && up >= VOICES_LEAST {
        return Verdict::Serving;
    }
    before
}
