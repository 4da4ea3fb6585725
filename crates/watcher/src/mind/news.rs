//! What has happened, told once each.

use crate::status::{Happening, What};
use crate::zone::Standing;
use detect::{Act, Alert, Decision, Rule, Target};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// So many are shown.
const SHOWN: usize = 50;
/// So many wait to be told; beyond, the oldest are lost.
const UNTOLD: usize = 500;

/// The last happenings, and what is still to be told.
#[derive(Default)]
pub(crate) struct News {
    /// The newest first.
    pub shown: VecDeque<Happening>,
    pub untold: VecDeque<Happening>,
    /// The alerts that stand, in words.
    pub alerts: BTreeSet<String>,
    holds: BTreeMap<Target, Rule>,
}

impl News {
    pub fn done(&mut self, at: Timestamp, what: What, subject: &str, text: String) {
        self.tell(Happening { at, what, subject: subject.to_owned(), text, rule: None });
    }

    fn tell(&mut self, happening: Happening) {
        self.shown.push_front(happening.clone());
        self.shown.truncate(SHOWN);
        self.untold.push_back(happening);
        if self.untold.len() > UNTOLD {
            self.untold.pop_front();
        }
    }

    /// Decisions that a rule forbids: told when the rule is another than before.
    pub fn held(&mut self, at: Timestamp, decisions: &[Decision]) {
        let passing = |rule: &Rule| matches!(rule, Rule::FreshZone | Rule::Hold);
        let held: BTreeMap<Target, (Act, Rule)> = decisions
            .iter()
            .filter_map(|decision| Some((decision.target.clone(), (decision.act, decision.held?))))
            .filter(|(_, (_, rule))| !passing(rule))
            .collect();
        for (target, (act, rule)) in &held {
            if self.holds.get(target) != Some(rule) {
                let verb = if *act == Act::Withdraw { "withdrawn" } else { "restored" };
                let text = format!("would be {verb}, but: {}", rule.words());
                self.tell(Happening { at, what: What::Held, subject: target.node.clone(), text, rule: Some(*rule) });
            }
        }
        self.holds = held.into_iter().map(|(target, (_, rule))| (target, rule)).collect();
    }

    /// What stands of alerts: new ones and ended ones are told.
    pub fn alerts(&mut self, at: Timestamp, alerts: &[Alert], provider: &Standing) {
        let mut now: BTreeSet<String> = alerts.iter().map(words).collect();
        now.extend(provider.forbidden.iter().map(|said| format!("the DNS provider does not let us write: {said}")));
        if provider.full_at.is_some() {
            now.insert("the zone takes no more records".into());
        }
        let before = std::mem::replace(&mut self.alerts, now.clone());
        for text in now.difference(&before) {
            self.done(at, What::Alert, "", text.clone());
        }
        for text in before.difference(&now) {
            self.done(at, What::Relief, "", format!("over: {text}"));
        }
    }
}

fn words(alert: &Alert) -> String {
    match alert {
        Alert::Panic(healthy, all) => {
            format!("only {healthy} of {all} ingress nodes are healthy: nothing is withdrawn until more are")
        }
        Alert::NoNodes => "the cluster names no ingress node: nothing is changed".into(),
        Alert::NoZone => "the zone could not be read yet".into(),
        Alert::Strange(record) => {
            format!(
                "{} {} bears our mark, and no node has this address: remove it by hand",
                record.name, record.content
            )
        }
        Alert::Vantage(vantage, rule) => format!("the word of {} does not count: {}", vantage.node, rule.words()),
        Alert::Unjudged(target) => format!("nobody can judge {}: {}", target.node, Rule::Quorum.words()),
    }
}
