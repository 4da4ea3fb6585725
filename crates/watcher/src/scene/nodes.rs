//! Ingress nodes: which they are, where they are reached, what the cluster and people say of them.

use super::addresses::objection;
use super::annotations::switch;
use super::compose::Now;
use super::names::shown;
use super::objects::{Kept, Key, Node, Note, Objects, Pod};
use super::{Complaint, Settings, VantagePod, sites};
use detect::{Family, Hint, Pin};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const BAD_ANNOTATION: &str = "BadAnnotation";
const BAD_ADDRESS: &str = "BadAddress";
const NO_ADDRESS: &str = "NoPublicAddress";

/// What [`nodes`] finds.
#[derive(Default)]
pub(super) struct Fleet {
    pub(super) ingress: BTreeMap<String, detect::Node>,
    /// Where each node says that it stands.
    pub(super) said: BTreeMap<String, String>,
    /// Nodes behind each public address.
    pub(super) behind: BTreeMap<IpAddr, BTreeSet<String>>,
}

/// Pods of the ingress controller on one node.
#[derive(Clone, Copy, Default)]
struct Pods {
    staying: usize,
    leaving: usize,
}

/// A node as it is looked at, and what there is to complain of.
struct Look<'a> {
    key: &'a Key,
    node: &'a Node,
    complaints: Vec<Complaint>,
}

/// Looks at every node.
pub(super) fn nodes(objects: &Objects, settings: &Settings, now: Now, complaints: &mut Vec<Complaint>) -> Fleet {
    let pods = ingress_pods(objects);
    let mut fleet = Fleet::default();
    for (key, node) in &objects.nodes {
        let name = key.1.to_string();
        let mut look = Look { key, node, complaints: Vec::new() };
        let on_it = pods.get(&*key.1).copied().unwrap_or_default();
        fleet.said.insert(name.clone(), sites::said(&name, &node.meta));
        let is_ingress = look.is_ingress(on_it);
        let of_ingress = look.complaints.len();
        let addresses = look.addresses(settings);
        for address in addresses.values() {
            fleet.behind.entry(*address).or_default().insert(name.clone());
        }
        if !is_ingress {
            // Nothing of it is published, so no address of it needs mending.
            look.complaints.truncate(of_ingress);
        } else if addresses.is_empty() {
            let remedy = format!("annotate it with {}=ADDRESS", Note::PublicAddress);
            look.complain(NO_ADDRESS, format!("it serves ingress but has no public address: {remedy}"));
        } else {
            let node = detect::Node { hint: hint(node, on_it), pin: look.pin(now), addresses };
            fleet.ingress.insert(name, node);
        }
        complaints.append(&mut look.complaints);
    }
    fleet
}

/// How many pods of the ingress controller each node has. What has ended serves nobody.
fn ingress_pods(objects: &Objects) -> BTreeMap<&str, Pods> {
    let mut found: BTreeMap<&str, Pods> = BTreeMap::new();
    for pod in objects.ingress_pods.values().filter(|pod| !pod.is_over) {
        let Some(node) = pod.node.as_deref() else { continue };
        let pods = found.entry(node).or_default();
        if pod.meta.is_leaving { pods.leaving += 1 } else { pods.staying += 1 }
    }
    found
}

fn hint(node: &Node, pods: Pods) -> Option<Hint> {
    if node.is_cordoned || node.is_doomed || node.meta.is_leaving {
        Some(Hint::Leaving)
    } else if pods.leaving > 0 && pods.staying == 0 {
        Some(Hint::Terminating)
    } else {
        None
    }
}

impl Look<'_> {
    fn complain(&mut self, reason: &'static str, message: String) {
        self.complaints.push(Node::KIND.complaint(self.key, &self.node.meta, reason, message));
    }

    /// A bad word is no word: a slip of the pen takes no node out of service.
    fn is_ingress(&mut self, pods: Pods) -> bool {
        let is_found = pods.staying + pods.leaving > 0;
        let Some(said) = self.node.meta.says(Note::Ingress) else { return is_found };
        switch(said.trim()).unwrap_or_else(|why| {
            self.complain(BAD_ANNOTATION, format!("{}: `{}`: {why}", Note::Ingress, shown(said)));
            is_found
        })
    }

    /// One address a family: what the annotation lists, else what the cloud reported. The annotation replaces the whole
    /// of it, so that a node can be published in one family alone.
    fn addresses(&mut self, settings: &Settings) -> BTreeMap<Family, IpAddr> {
        let node = self.node;
        let annotated = node.meta.annotations.get(Note::PublicAddress);
        let written: Vec<&str> = match annotated {
            Some(list) => list.split(',').map(str::trim).filter(|written| !written.is_empty()).collect(),
            None => node.external.iter().map(|address| &**address).collect(),
        };
        let mut addresses = BTreeMap::new();
        for written in written {
            let Ok(address) = written.parse::<IpAddr>() else {
                // Some clouds report names under this type; a person meant an address.
                if annotated.is_some() {
                    let key = Note::PublicAddress;
                    self.complain(BAD_ANNOTATION, format!("{key}: `{}` is no address: write one", shown(written)));
                }
                continue;
            };
            let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
            if !settings.families.contains(&family) {
                continue;
            }
            match objection(address, &settings.allow_addresses) {
                Some(what) => {
                    let remedy = format!("set {} to its public one, or allowAddresses", Note::PublicAddress);
                    self.complain(BAD_ADDRESS, format!("{address} is not published, it is {what}: {remedy}"));
                }
                None => {
                    addresses.entry(family).or_insert(address);
                }
            }
        }
        addresses
    }

    fn pin(&mut self, now: Now) -> Option<Pin> {
        let annotations = &self.node.meta.annotations;
        let (word, until) = (annotations.get(Note::Pin)?, annotations.get(Note::PinUntil));
        let serving = match word.trim() {
            "serving" => true,
            "withdrawn" => false,
            _ => {
                self.complain(BAD_ANNOTATION, format!("{}: `{}`: write serving or withdrawn", Note::Pin, shown(word)));
                return None;
            }
        };
        let Some(until) = until else { return Some(Pin { serving, until_ms: None }) };
        // A pin for ever that was meant for an hour is worse than none.
        let Ok(end) = until.trim().parse::<Timestamp>() else {
            let remedy = "write a time such as 2026-12-01T08:00:00Z";
            self.complain(BAD_ANNOTATION, format!("{}: `{}`: {remedy}", Note::PinUntil, shown(until)));
            return None;
        };
        let until_ms = now.ms_at(end)?;
        Some(Pin { serving, until_ms: Some(until_ms) })
    }
}

/// The watcher's own pods that can be talked to.
pub(super) fn vantages(objects: &Objects) -> BTreeMap<String, VantagePod> {
    let vantage = |(key, pod): (&Key, &Pod)| {
        let pod = (!pod.is_over).then_some(pod)?;
        let vantage = VantagePod {
            node: pod.node.as_deref()?.to_owned(),
            address: pod.address?,
            terminating: pod.meta.is_leaving,
        };
        Some((key.1.to_string(), vantage))
    };
    objects.own_pods.iter().filter_map(vantage).collect()
}
