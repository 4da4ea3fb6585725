//! What the next writer must remember, kept in `ingressnodes` as wall-clock times.

use super::objects;
use detect::{Family, Flaps, Memory, Millis, Target, Verdict};
use jiff::{SignedDuration, Timestamp, Unit};
use serde::Deserialize as _;
use serde_json::{Value, json};

/// A moment of both clocks, by which one is told in terms of the other: `detect` counts milliseconds of a clock that only goes
/// forward and means nothing to another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The wall clock.
    pub at: Timestamp,
    /// The other one, at the same moment.
    pub ms: Millis,
}

impl Anchor {
    /// To the wall clock.
    pub fn wall(&self, ms: Millis) -> Timestamp {
        let forward = |span: Millis| SignedDuration::from_millis(i64::try_from(span).unwrap_or(i64::MAX));
        let moment = match ms.checked_sub(self.ms) {
            Some(later) => self.at.saturating_add(forward(later)),
            None => self.at.saturating_sub(forward(self.ms - ms)),
        };
        let moment = moment.unwrap_or(self.at);
        moment.round(Unit::Millisecond).unwrap_or(moment)
    }

    /// From the wall clock. A moment before the other clock began becomes its beginning, and one that lies ahead becomes now:
    /// whatever somebody's clock did, a hold gets no shorter by the first, and no longer than itself by the second.
    pub fn millis(&self, at: Timestamp) -> Millis {
        let ago_ms = u64::try_from(self.at.duration_since(at).as_millis()).unwrap_or(0);
        self.ms.saturating_sub(ago_ms)
    }
}

/// Reads what was remembered from the cluster's `ingressnodes`.
pub async fn recall(client: &kube::Client, anchor: Anchor) -> Result<Memory, kube::Error> {
    let listed = objects::api(client.clone()).list(&kube::api::ListParams::default()).await?;
    Ok(remembered(listed.items.iter().map(|object| (object.metadata.name.as_deref(), &object.data["status"])), anchor))
}

/// What was remembered, from the name and `status` of each object. What cannot be read is not remembered: at worst a hold ends early.
pub fn remembered<'a>(objects: impl Iterator<Item = (Option<&'a str>, &'a Value)>, anchor: Anchor) -> Memory {
    let mut memory = Memory::default();
    for (node, status) in objects {
        let Some(node) = node else { continue };
        for address in status["addresses"].as_array().into_iter().flatten() {
            let Some(family) = family_of(&address["family"]) else { continue };
            let target = Target { node: node.to_owned(), family };
            if let (Ok(verdict), Some(since)) = (Verdict::deserialize(&address["verdict"]), moment(&address["since"])) {
                memory.verdicts.insert(target.clone(), (verdict, anchor.millis(since)));
            }
            let count = address["flaps"].as_u64().and_then(|flaps| u32::try_from(flaps).ok()).unwrap_or(0);
            if let Some(last) = moment(&address["lastFlap"]).filter(|_| count > 0) {
                memory.flaps.insert(target, Flaps { count, last_ms: anchor.millis(last) });
            }
        }
        let withdrawn = status["withdrawn"].as_array().into_iter().flatten().filter_map(moment);
        memory.withdrawn.extend(withdrawn.map(|at| (anchor.millis(at), node.to_owned())));
    }
    memory.withdrawn.sort();
    memory
}

/// What is to be remembered of one target, as fields of its address.
pub(super) fn of_target(memory: &Memory, target: &Target, anchor: Anchor) -> Value {
    let mut fields = json!({"flaps": 0});
    if let Some((verdict, since_ms)) = memory.verdicts.get(target) {
        fields["verdict"] = json!(verdict);
        fields["since"] = json!(anchor.wall(*since_ms));
    }
    if let Some(flaps) = memory.flaps.get(target) {
        fields["flaps"] = json!(flaps.count);
        fields["lastFlap"] = json!(anchor.wall(flaps.last_ms));
    }
    fields
}

/// When a node was withdrawn lately.
pub(super) fn withdrawn(memory: &Memory, node: &str, anchor: Anchor) -> Vec<Timestamp> {
    let of_node = memory.withdrawn.iter().filter(|(_, name)| name == node);
    of_node.map(|(at_ms, _)| anchor.wall(*at_ms)).collect()
}

/// As Kubernetes spells it.
pub(super) fn spelt(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

fn family_of(value: &Value) -> Option<Family> {
    [Family::V4, Family::V6].into_iter().find(|family| value == spelt(*family))
}

fn moment(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Anchor = Anchor { at: Timestamp::constant(1_795_000_000, 500_000_000), ms: 7_000 };

    fn later(seconds: u32) -> Anchor {
        Anchor { at: START.at + SignedDuration::from_secs(i64::from(seconds)), ms: 90_000 }
    }

    #[test]
    fn another_process_remembers_the_same_moments_on_its_own_clock() {
        let (target, family) = (Target { node: "lily".into(), family: Family::V6 }, Family::V6);
        let mut memory = Memory::default();
        memory.flaps.insert(target.clone(), Flaps { count: 3, last_ms: 6_500 });
        memory.verdicts.insert(target.clone(), (Verdict::Down, 6_000));
        memory.withdrawn = vec![(6_500, "lily".into())];
        let mut address = of_target(&memory, &target, START);
        address["family"] = spelt(family).into();
        let status = json!({"addresses": [address], "withdrawn": withdrawn(&memory, "lily", START)});
        let recalled = remembered([(Some("lily"), &status)].into_iter(), later(10));
        assert_eq!(recalled.flaps[&target], Flaps { count: 3, last_ms: 90_000 - 10_500 });
        assert_eq!(recalled.verdicts[&target], (Verdict::Down, 90_000 - 11_000));
        assert_eq!(recalled.withdrawn, [(90_000 - 10_500, "lily".to_owned())]);
    }

    #[test]
    fn clocks_that_disagree_neither_end_a_hold_early_nor_draw_it_out() {
        let anchor = later(0);
        assert_eq!(anchor.millis(START.at - SignedDuration::from_hours(1)), 0);
        assert_eq!(anchor.millis(START.at + SignedDuration::from_hours(1)), anchor.ms);
    }

    #[test]
    fn what_somebody_scribbled_is_not_remembered() {
        let status = json!({
            "addresses": [7, {"family": "IPv5"}, {"family": "IPv4", "verdict": "Dead", "since": "now", "flaps": -1, "lastFlap": 3}],
            "withdrawn": ["yesterday", {}]
        });
        let nodes = [(Some("lily"), &status), (None, &status), (Some("rose"), &Value::Null)];
        assert_eq!(remembered(nodes.into_iter(), START), Memory::default());
    }
}
