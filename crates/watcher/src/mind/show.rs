//! What is shown: everything that the mind knows, as a [`Status`].

use super::Mind;
use crate::permit::Standing;
use crate::status::{NameStatus, NodeStatus, ProviderStatus, Status, VantageStatus, VoiceStatus};
use crate::zone::Data;
use detect::{Act, Because, Hint, Millis, Rule, Target, Verdict, Voice};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// The present, in both clocks.
#[derive(Clone, Copy)]
struct Now {
    ms: Millis,
    at: Timestamp,
}

impl Now {
    fn at_ms(self, ms: Millis) -> Timestamp {
        let ago = i64::try_from(self.ms).unwrap_or(i64::MAX).saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX));
        self.at.checked_sub(SignedDuration::from_millis(ago)).unwrap_or(self.at)
    }
}

impl Mind {
    /// All of it, for showing. `kubernetes_lost_ms`: since when the Kubernetes API has not answered.
    pub fn status(
        &self,
        now_ms: Millis,
        at: Timestamp,
        profile: &'static str,
        provider: &'static str,
        kubernetes_lost_ms: Option<Millis>,
    ) -> Status {
        let now = Now { ms: now_ms, at };
        let standing = self.desk.standing();
        let writer = self.granter.granted_to(now_ms).map(|to| to.name.clone());
        let writer = if self.holder.standing(now_ms) == Standing::Mute { writer } else { Some(self.me.pod.clone()) };
        let no_writer = writer.is_none().then(|| "no vantage has a permit of a majority".to_owned());
        Status {
            cluster: self.aim.cluster.clone(),
            version: env!("CARGO_PKG_VERSION"),
            at,
            vantage: self.own(now_ms),
            vantages: self.vantages(now_ms),
            profile,
            dry_run: self.policy.dry_run,
            writer,
            no_writer,
            nodes: self.nodes(now),
            names: self.names_shown(),
            alerts: self.news.alerts.iter().cloned().collect(),
            decisions: self.news.shown.iter().cloned().collect(),
            provider: ProviderStatus {
                kind: provider,
                read: self.desk.read_ms().map(|read_ms| now.at_ms(read_ms)),
                trouble: standing.trouble.map(|trouble| trouble.to_string()),
                calls: self.desk.calls_made(),
                records: self.survey.records,
            },
            kubernetes_lost: kubernetes_lost_ms.map(|lost_ms| now.at_ms(lost_ms)),
        }
    }

    fn own(&self, now_ms: Millis) -> VantageStatus {
        let detect::Vantage { node, site } = self.vantage();
        let trusted = self.eyes.trusts_itself(now_ms);
        VantageStatus { pod: self.me.pod.clone(), node, site, trusted, heard_ms_ago: Some(0) }
    }

    /// This one, those that were heard, and those that should have been.
    fn vantages(&self, now_ms: Millis) -> Vec<VantageStatus> {
        let pods = self.scene.iter().flat_map(|scene| &scene.vantages);
        let silent = pods.filter(|(pod, _)| **pod != self.me.pod && !self.heard.contains_key(*pod));
        let site = |node: &str| {
            let known = self.scene.as_ref().and_then(|scene| scene.sites.get(node));
            known.map_or(node, String::as_str).to_owned()
        };
        let silent = silent.map(|(pod, at)| VantageStatus {
            pod: pod.clone(),
            node: at.node.clone(),
            site: site(&at.node),
            trusted: false,
            heard_ms_ago: None,
        });
        let heard = self.heard.iter().map(|(pod, heard)| VantageStatus {
            pod: pod.clone(),
            node: heard.vantage.node.clone(),
            site: heard.vantage.site.clone(),
            trusted: heard.trusted,
            heard_ms_ago: Some(now_ms.saturating_sub(heard.at_ms)),
        });
        let mut all: Vec<VantageStatus> = silent.chain(heard).chain([self.own(now_ms)]).collect();
        all.sort_by(|a, b| (&a.node, &a.pod).cmp(&(&b.node, &b.pod)));
        all
    }

    fn nodes(&self, now: Now) -> Vec<NodeStatus> {
        let Some(scene) = &self.scene else { return Vec::new() };
        let mut shown = Vec::new();
        for (name, node) in &scene.nodes {
            for (family, address) in &node.addresses {
                let target = Target { node: name.clone(), family: *family };
                let ruling = self.judgement.rulings.get(&target);
                let decision = self.judgement.decisions.iter().find(|decision| decision.target == target);
                let held = decision.and_then(|decision| decision.held);
                let until_ms = self.memory.held_until_ms(&self.policy, &target).filter(|until_ms| *until_ms > now.ms);
                let since = self.memory.verdicts.get(&target).map(|(_, since_ms)| now.at_ms(*since_ms));
                let records = &self.survey.zone.records;
                shown.push(NodeStatus {
                    name: name.clone(),
                    site: scene.sites.get(name).unwrap_or(name).clone(),
                    family: *family,
                    address: *address,
                    verdict: ruling.map_or(Verdict::Unknown, |ruling| ruling.verdict),
                    since,
                    published: self.listing.as_ref().map(|_| records.iter().any(|record| record.target() == target)),
                    held: held.filter(|rule| *rule != Rule::FreshZone).map(|rule| rule.words().to_owned()),
                    held_until: until_ms.map(|until_ms| now.at_ms(until_ms)),
                    reason: decision.map_or_else(
                        || self.seen(&target),
                        |decision| match (decision.act, decision.because) {
                            (Act::Withdraw, Because::Pin) => "pinned: withdrawn".into(),
                            (Act::Restore, Because::Pin) => "pinned: serving".into(),
                            (_, Because::Hint) => "the cluster says that it is leaving".into(),
                            _ => self.seen(&target),
                        },
                    ),
                    pin: node.pin,
                    hint: node.hint.map(|hint| match hint {
                        Hint::Leaving => "leaving",
                        Hint::Terminating => "terminating",
                    }),
                    voices: ruling.map(|ruling| self.voices(now.ms, &target, &ruling.voices)).unwrap_or_default(),
                });
            }
        }
        shown
    }

    fn voices(&self, now_ms: Millis, target: &Target, voices: &[Voice]) -> Vec<VoiceStatus> {
        let own = self.eyes.reports(now_ms, &self.vantage());
        let reports = || own.iter().chain(self.heard.values().flat_map(|heard| &heard.reports));
        let shown = voices.iter().map(|voice| {
            let report = reports().find(|report| report.vantage == voice.vantage && report.target == *target);
            VoiceStatus {
                vantage: voice.vantage.node.clone(),
                site: voice.vantage.site.clone(),
                view: voice.view,
                cause: voice.cause,
                mute: voice.mute.map(Rule::words),
                probed_ms_ago: report.map_or(0, |report| now_ms.saturating_sub(report.probed_ms)),
            }
        });
        shown.collect()
    }

    fn names_shown(&self) -> Vec<NameStatus> {
        let (Some(scene), Some(listing)) = (&self.scene, &self.listing) else { return Vec::new() };
        let pools = scene.hosts.values().filter_map(|host| host.pool.as_ref()).chain([&self.aim.pool]);
        let pools: BTreeSet<&String> = pools.collect();
        let left = self.left.iter().map(|left| &left.name);
        let names: BTreeSet<&String> = scene.hosts.keys().chain(pools.iter().copied()).chain(left).collect();
        let shown = names.into_iter().map(|name| {
            let here = listing.entries.iter().filter(|entry| entry.name == *name);
            let reason = self.left.iter().find(|left| left.name == *name).map(|left| left.why.to_string());
            let addresses = |data: &Data| matches!(data, Data::Address(_));
            let kind = match (reason.is_some(), pools.contains(name)) {
                (true, _) => "left alone",
                (false, true) => "pool",
                (false, false) if here.clone().any(|entry| addresses(&entry.data)) => "addresses",
                (false, false) => "alias",
            };
            let shown = here.filter(|entry| matches!(entry.data, Data::Address(_) | Data::Alias(_)));
            let holds = shown.map(|entry| entry.data.content()).collect();
            NameStatus { name: name.clone(), kind, holds, reason }
        });
        shown.collect()
    }
}
