//! The answer to "is it serving?", in words that can be read from the other end of a room.

use super::words::{Tone, listed};
use crate::status::{NodeStatus, Status};
use detect::Verdict;
use std::collections::BTreeMap;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Headline {
    pub tone: Tone,
    /// A few words.
    pub text: String,
    /// A sentence that says more.
    pub detail: String,
}

/// A node that does not serve, and whether clients are still sent to it.
struct Failing<'a> {
    name: &'a str,
    published: bool,
}

pub(super) fn of(status: &Status) -> Headline {
    let nodes = worst(&status.nodes);
    let (all, mut serving, mut unknown) = (nodes.len(), 0, 0);
    let mut failing = Vec::new();
    for (name, node) in &nodes {
        match node.verdict {
            Verdict::Serving => serving += 1,
            Verdict::Unknown => unknown += 1,
            Verdict::Down | Verdict::Unstable => {
                let published = node.published == Some(true);
                failing.push(Failing { name, published });
            }
        }
    }
    if all == 0 {
        return said(Tone::Dim, "Nothing to watch", "No ingress node with a public address is known.");
    }
    if unknown == all {
        let why = "Too few vantages have a fresh word on any node; DNS stays as it is.";
        return said(Tone::Dim, "Nobody can tell", why);
    }
    if serving == 0 {
        let detail = format!("{} of {all} nodes fail; names keep their last records.", failing.len());
        return said(Tone::Bad, "Not serving", &detail);
    }
    partly(all, serving, unknown, &failing)
}

fn partly(all: usize, serving: usize, unknown: usize, failing: &[Failing<'_>]) -> Headline {
    const NAMED: usize = 3;
    let count = match (serving, all) {
        (1, 1) => "The one node serves.".to_owned(),
        (serving, all) if serving == all => format!("All {all} nodes serve."),
        (1, all) => format!("1 of {all} nodes serves."),
        (serving, all) => format!("{serving} of {all} nodes serve."),
    };
    let doubt = match unknown {
        0 => String::new(),
        1 => " On one nobody can tell.".to_owned(),
        more => format!(" On {more} nobody can tell."),
    };
    let (sent, spared): (Vec<&Failing<'_>>, Vec<&Failing<'_>>) = failing.iter().partition(|node| node.published);
    let names = |nodes: &[&Failing<'_>]| listed(&nodes.iter().map(|node| node.name).collect::<Vec<_>>(), NAMED);
    if !sent.is_empty() {
        let (names, are) = (names(&sent), if sent.len() == 1 { "fails and is" } else { "fail and are" });
        let detail = format!("{count} {names} {are} still in DNS.{doubt}");
        return said(Tone::Warn, "Serving in part", &detail);
    }
    if !spared.is_empty() {
        let (names, is) = (names(&spared), if spared.len() == 1 { "is" } else { "are" });
        let detail = format!("{count} {names} {is} out of DNS, so no client is sent there.{doubt}");
        return said(Tone::Good, &format!("Serving without {names}"), &detail);
    }
    said(if unknown == 0 { Tone::Good } else { Tone::Dim }, "Serving", &format!("{count}{doubt}"))
}

fn said(tone: Tone, text: &str, detail: &str) -> Headline {
    Headline { tone, text: text.to_owned(), detail: detail.to_owned() }
}

/// Of a node's families, the one that is worst off.
fn worst(nodes: &[NodeStatus]) -> BTreeMap<&str, &NodeStatus> {
    let mut worst: BTreeMap<&str, &NodeStatus> = BTreeMap::new();
    for node in nodes {
        let held = worst.entry(&node.name).or_insert(node);
        if badness(node) > badness(held) {
            *held = node;
        }
    }
    worst
}

/// The higher, the more somebody should look at it.
pub(super) fn badness(node: &NodeStatus) -> (u8, bool) {
    let verdict = match node.verdict {
        Verdict::Serving => 0,
        Verdict::Unknown => 1,
        Verdict::Unstable => 2,
        Verdict::Down => 3,
    };
    (verdict, node.held.is_some())
}
