//! Nodes that have records in the zone, and that the cluster no longer names.
//!
//! A node that was taken out of the cluster has an address that may be somebody else's tomorrow, so its records must go; but a
//! node that only registers anew, or whose ingress pod is replaced, must not be taken for one.

use detect::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// For so long nobody has named a node before it is given up, and so long passes between one and the next: whatever makes
/// nodes vanish from a list by mistake has been noticed long before it has emptied a name.
const PATIENCE_MS: Millis = 5 * 60_000;

/// Since when which node is missing.
#[derive(Clone, Debug, Default)]
pub(super) struct Bygone {
    since_ms: BTreeMap<String, Millis>,
    last_ms: Option<Millis>,
}

impl Bygone {
    /// The node to give up now, if any. `absent`: nodes with records that the cluster does not name; `is_certain`: whether it
    /// names others, and every list that it is known from was whole.
    pub fn next(&mut self, now_ms: Millis, absent: &BTreeSet<String>, is_certain: bool) -> Option<String> {
        if !is_certain {
            self.since_ms.clear();
            return None;
        }
        self.since_ms.retain(|node, _| absent.contains(node));
        for node in absent {
            self.since_ms.entry(node.clone()).or_insert(now_ms);
        }
        let is_over = |since_ms: Millis| now_ms.saturating_sub(since_ms) >= PATIENCE_MS;
        let oldest = self.since_ms.iter().min_by_key(|(_, since_ms)| **since_ms);
        let (node, _) = oldest.filter(|(_, since_ms)| is_over(**since_ms) && self.last_ms.is_none_or(is_over))?;
        self.last_ms = Some(now_ms);
        Some(node.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_node_is_given_up_when_nobody_has_named_it_for_long() {
        let mut bygone = Bygone::default();
        assert_eq!(bygone.next(1_000, &nodes(&["lily"]), true), None);
        assert_eq!(bygone.next(300_999, &nodes(&["lily"]), true), None);
        assert_eq!(bygone.next(301_000, &nodes(&["lily"]), true), Some("lily".into()));
    }

    #[test]
    fn one_that_was_named_meanwhile_is_missed_from_then_on() {
        let mut bygone = Bygone::default();
        bygone.next(0, &nodes(&["lily"]), true);
        bygone.next(200_000, &nodes(&[]), true);
        bygone.next(210_000, &nodes(&["lily"]), true);
        assert_eq!(bygone.next(400_000, &nodes(&["lily"]), true), None);
    }

    #[test]
    fn lists_that_are_not_whole_begin_the_wait_anew() {
        let mut bygone = Bygone::default();
        bygone.next(0, &nodes(&["lily"]), true);
        assert_eq!(bygone.next(400_000, &nodes(&["lily"]), false), None);
        assert_eq!(bygone.next(401_000, &nodes(&["lily"]), true), None);
    }

    #[test]
    fn many_go_one_at_a_time() {
        let mut bygone = Bygone::default();
        bygone.next(0, &nodes(&["lily", "tulip"]), true);
        assert_eq!(bygone.next(300_000, &nodes(&["lily", "tulip"]), true), Some("lily".into()));
        assert_eq!(bygone.next(301_000, &nodes(&["tulip"]), true), None);
        assert_eq!(bygone.next(600_000, &nodes(&["tulip"]), true), Some("tulip".into()));
    }
}
