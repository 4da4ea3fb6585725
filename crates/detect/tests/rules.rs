//! Every safety rule against situations drawn to break it.
#![allow(clippy::unwrap_used, reason = "a program of tests, helpers included")]

use detect::{
    Act, Because, Cause, Decision, Family, Hint, Memory, Millis, Node, Pin, Policy, Record, Report, Rule, Situation,
    Target, Vantage, Verdict, View, Zone, decide,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const NOW_MS: Millis = 10_000_000;

/// A situation that owns what it rests on.
#[derive(Clone, Debug)]
struct World {
    policy: Policy,
    nodes: BTreeMap<String, Node>,
    reports: Vec<Report>,
    zone: Zone,
    memory: Memory,
    calls_made: u32,
}

impl World {
    fn situation(&self) -> Situation<'_> {
        Situation {
            now_ms: NOW_MS,
            policy: &self.policy,
            nodes: &self.nodes,
            reports: &self.reports,
            zone: Some(&self.zone),
            memory: &self.memory,
            calls_made: self.calls_made,
        }
    }

    /// What is carried out.
    fn carried_out(&self, act: Act) -> Vec<Decision> {
        let decisions = decide(&self.situation()).decisions;
        decisions.into_iter().filter(|decision| decision.act == act && decision.held.is_none()).collect()
    }

    fn deleted(&self) -> Vec<Record> {
        self.carried_out(Act::Withdraw).into_iter().flat_map(|decision| decision.delete).collect()
    }
}

fn name(node: usize) -> String {
    format!("n{node}")
}

fn address(node: usize, family: Family) -> IpAddr {
    match family {
        Family::V4 => format!("198.51.100.{}", node + 1).parse().unwrap(),
        Family::V6 => format!("2001:db8::{}", node + 1).parse().unwrap(),
    }
}

fn view() -> impl Strategy<Value = View> {
    prop_oneof![5 => Just(View::Up), 4 => Just(View::Down), 1 => Just(View::Unstable), 1 => Just(View::Unknown)]
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![Just(Cause::Silent), Just(Cause::Refused), Just(Cause::NoRoute), Just(Cause::Behind)]
}

fn node(at: usize, dual: bool) -> impl Strategy<Value = Node> {
    let hint = prop_oneof![8 => Just(None), 1 => Just(Some(Hint::Leaving)), 1 => Just(Some(Hint::Terminating))];
    let pin = prop_oneof![
        8 => Just(None),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(serving, over)| {
            Some(Pin { serving, until_ms: Some(if over { NOW_MS } else { NOW_MS + 1 }) })
        }),
    ];
    (hint, pin).prop_map(move |(hint, pin)| {
        let families = [Some(Family::V4), dual.then_some(Family::V6)];
        let addresses = families.into_iter().flatten().map(|family| (family, address(at, family))).collect();
        Node { addresses, hint, pin }
    })
}

fn reports(nodes: usize, dual: bool) -> impl Strategy<Value = Vec<Report>> {
    let families = if dual { vec![Family::V4, Family::V6] } else { vec![Family::V4] };
    let pairs: Vec<(usize, usize, Family)> = (0..nodes)
        .flat_map(|from| (0..nodes).map(move |to| (from, to)))
        .flat_map(|(from, to)| families.clone().into_iter().map(move |family| (from, to, family)))
        .collect();
    let one = (view(), cause(), 0..20_000_u64, prop::bool::weighted(0.9), prop::bool::weighted(0.9), 0..3_usize);
    prop::collection::vec(one, pairs.len()).prop_map(move |drawn| {
        let drawn = pairs.iter().zip(drawn);
        let there = drawn.filter(|(_, (_, _, _, _, there, _))| *there);
        let report = there.map(|((from, to, family), (view, cause, age_ms, trusted, _, draw))| Report {
            vantage: Vantage { node: name(*from), site: format!("site{}", from / 2) },
            target: Target { node: name(*to), family: *family },
            view,
            cause: matches!(view, View::Down | View::Unstable).then_some(cause),
            failing: if is_down(view) { draw != 0 } else { draw == 0 },
            since_ms: NOW_MS - 30_000,
            probed_ms: NOW_MS - age_ms,
            trusted,
        });
        report.collect()
    })
}

/// Records of some of the nodes at some names, ours and strange ones.
fn zone(nodes: usize, dual: bool) -> impl Strategy<Value = Zone> {
    let families = if dual { vec![Family::V4, Family::V6] } else { vec![Family::V4] };
    let all = nodes * 3 * families.len();
    let there = prop::collection::vec(prop::bool::weighted(0.8), all);
    (there, 0..10_000_u64, prop::bool::weighted(0.1), prop::bool::weighted(0.2)).prop_map(
        move |(there, age_ms, foreign, strange)| {
            let names: Vec<String> = (0..3).map(|at| format!("host{at}.example.com")).collect();
            let mut records = Vec::new();
            for (at, there) in there.into_iter().enumerate() {
                let (node, family) = (at % nodes, families[at / nodes % families.len()]);
                let name_at = at / nodes / families.len();
                if there {
                    let (id, content) = (format!("r{at}"), address(node, family));
                    records.push(Record { id, name: names[name_at].clone(), content, node: name(node) });
                }
            }
            if strange {
                let content = "198.51.100.250".parse().unwrap();
                records.push(Record { id: "strange".into(), name: names[0].clone(), content, node: name(0) });
            }
            let foreign = if foreign { vec![names[1].clone()] } else { Vec::new() };
            Zone { read_ms: NOW_MS - age_ms, names, records, foreign }
        },
    )
}

fn memory(nodes: usize) -> impl Strategy<Value = Memory> {
    let withdrawn = prop::collection::vec((0..nodes, 0..400_000_u64), 0..3);
    withdrawn.prop_map(|withdrawn| {
        let mut memory = Memory::default();
        for (node, ago_ms) in withdrawn {
            let target = Target { node: name(node), family: Family::V4 };
            memory.withdraw(&Policy::default(), &target, NOW_MS - ago_ms);
        }
        memory
    })
}

prop_compose! {
    fn worlds()(count in 1..9_usize, dual in any::<bool>())(
        nodes in (0..count).map(|at| node(at, dual)).collect::<Vec<_>>(),
        reports in reports(count, dual),
        zone in zone(count, dual),
        memory in memory(count),
        calls_made in prop_oneof![9 => 0..500_u32, 1 => 450..700_u32],
        dry_run in prop::bool::weighted(0.05),
    ) -> World {
        let nodes = nodes.into_iter().enumerate().map(|(at, node)| (name(at), node)).collect();
        World { policy: Policy { dry_run, ..Policy::default() }, nodes, reports, zone, memory, calls_made }
    }
}

fn is_down(view: View) -> bool {
    matches!(view, View::Down | View::Unstable)
}

/// Voices as a person would count them: of others, fresh and trusted, a site once; and not of who sees it pass again.
fn downs(world: &World, target: &Target) -> BTreeSet<String> {
    let says = world.reports.iter().filter(|report| {
        report.target == *target
            && report.trusted
            && NOW_MS - report.probed_ms <= world.policy.fresh_ms
            && (report.failing && report.view == View::Down || report.view == View::Unstable)
    });
    says.map(|report| report.vantage.site.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn rule_1_no_name_falls_below_its_least_records_in_a_family(world in worlds()) {
        let deleted: BTreeSet<String> = world.deleted().into_iter().map(|record| record.id).collect();
        let least = world.policy.min_records(world.nodes.len());
        for name in &world.zone.names {
            for family in [Family::V4, Family::V6] {
                let there = world.zone.records.iter().filter(|record| record.name == *name && record.family() == family);
                let (gone, kept): (Vec<&Record>, Vec<&Record>) = there.partition(|record| deleted.contains(&record.id));
                prop_assert!(gone.is_empty() || kept.len() >= least, "{name} keeps {kept:?} of {least}");
            }
        }
    }

    #[test]
    fn rule_2_nothing_but_pins_withdraws_when_fewer_than_half_are_healthy(world in worlds()) {
        let judgement = decide(&world.situation());
        let serving: BTreeSet<&str> = judgement
            .rulings
            .values()
            .filter(|ruling| ruling.verdict == Verdict::Serving || ruling.votes.0 > ruling.votes.1)
            .map(|ruling| ruling.target.node.as_str())
            .collect();
        if serving.len() * 2 < world.nodes.len() {
            for decision in world.carried_out(Act::Withdraw) {
                prop_assert_eq!(decision.because, Because::Pin);
            }
        }
    }

    #[test]
    fn rule_3_few_nodes_go_in_five_minutes_for_what_probes_say(world in worlds()) {
        let window = world.policy.rate_window_ms;
        let before = world.memory.withdrawn.iter().filter(|(at_ms, _)| NOW_MS - at_ms < window);
        let before: BTreeSet<String> = before.map(|(_, node)| node.clone()).collect();
        let probes = world.carried_out(Act::Withdraw).into_iter().filter(|decision| matches!(decision.because, Because::Probes(_)));
        let now: BTreeSet<String> = probes.map(|decision| decision.target.node).collect();
        let most = world.policy.withdrawals_most(world.nodes.len());
        let new = now.difference(&before).count();
        prop_assert!(new == 0 || new + before.len() <= most, "{now:?} after {before:?}, at most {most}");
    }

    #[test]
    fn rule_3_a_change_deletes_a_third_at_most_beyond_one_nodes_records(world in worlds()) {
        let mut by_node: BTreeMap<String, usize> = BTreeMap::new();
        for record in world.deleted() {
            *by_node.entry(record.node).or_default() += 1;
        }
        let beyond = by_node.values().sum::<usize>() - by_node.values().max().copied().unwrap_or(0);
        let records = world.zone.records.len();
        prop_assert!(records < 10 || beyond * 10 <= records * 3, "{by_node:?} of {records}");
    }

    #[test]
    fn rules_4_5_6_only_two_fresh_trusted_sites_withdraw_for_what_probes_say(world in worlds()) {
        for decision in world.carried_out(Act::Withdraw) {
            if matches!(decision.because, Because::Probes(_)) {
                prop_assert!(downs(&world, &decision.target).len() >= 2, "{decision:?}");
            }
        }
    }

    #[test]
    fn rule_5_a_vantages_good_word_for_its_own_node_keeps_and_withdraws_nothing(world in worlds()) {
        let mut without = world.clone();
        without.reports.retain(|report| report.vantage.node != report.target.node || report.view != View::Up);
        let withdrawals = |world: &World| {
            let decisions = decide(&world.situation()).decisions;
            decisions.into_iter().filter(|decision| decision.act == Act::Withdraw).collect::<Vec<_>>()
        };
        prop_assert_eq!(withdrawals(&world), withdrawals(&without));
    }

    #[test]
    fn rule_8_an_empty_list_or_an_unread_zone_changes_nothing(world in worlds()) {
        let none = BTreeMap::new();
        let empty = Situation { nodes: &none, ..world.situation() };
        prop_assert_eq!(decide(&empty).decisions, vec![]);
        let unread = Situation { zone: None, ..world.situation() };
        prop_assert_eq!(decide(&unread).decisions, vec![]);
    }

    #[test]
    fn rule_9_nothing_changes_in_a_zone_that_was_read_too_long_ago(world in worlds()) {
        let stale = NOW_MS - world.zone.read_ms > world.policy.zone_fresh_ms;
        for act in [Act::Withdraw, Act::Restore] {
            prop_assert!(!stale || world.carried_out(act).is_empty());
        }
    }

    #[test]
    fn rule_10_only_what_bears_a_mark_and_its_nodes_address_is_deleted(world in worlds()) {
        for record in world.deleted() {
            let node = world.nodes.get(&record.node);
            let known = node.and_then(|node| node.addresses.get(&record.family()));
            prop_assert_eq!(known, Some(&record.content));
        }
    }

    #[test]
    fn rule_13_restores_leave_a_hundred_calls_to_withdrawals(world in worlds()) {
        let left = world.policy.calls_most.saturating_sub(world.calls_made);
        prop_assert!(left > 0 || world.deleted().is_empty());
        prop_assert!(left > 100 || world.carried_out(Act::Restore).is_empty());
    }

    #[test]
    fn rule_14_names_of_others_are_left_alone(world in worlds()) {
        for record in world.deleted() {
            prop_assert!(!world.zone.foreign.contains(&record.name));
        }
        for name in world.carried_out(Act::Restore).into_iter().flat_map(|decision| decision.publish) {
            prop_assert!(!world.zone.foreign.contains(&name));
        }
    }

    #[test]
    fn rule_15_a_dry_run_decides_the_same_and_does_nothing(world in worlds()) {
        let with = |dry_run| {
            let policy = Policy { dry_run, ..world.policy.clone() };
            let situation = Situation { policy: &policy, ..world.situation() };
            decide(&situation).decisions
        };
        let wet: Vec<(Target, Act)> = with(false).into_iter().map(|decision| (decision.target, decision.act)).collect();
        let dry = with(true);
        prop_assert!(dry.iter().all(|decision| decision.held.is_some()));
        let dry: Vec<(Target, Act)> = dry.into_iter().map(|decision| (decision.target, decision.act)).collect();
        prop_assert_eq!(wet, dry);
    }

    #[test]
    fn a_pin_is_obeyed_until_its_time_is_over(world in worlds()) {
        for decision in decide(&world.situation()).decisions {
            let node = &world.nodes[&decision.target.node];
            if let Some(pin) = node.pin.filter(|pin| pin.until_ms.unwrap() > NOW_MS) {
                prop_assert_eq!(decision.because, Because::Pin);
                prop_assert_eq!(decision.act == Act::Restore, pin.serving);
            } else {
                prop_assert!(decision.because != Because::Pin);
            }
        }
    }

    #[test]
    fn what_is_held_has_just_flapped(world in worlds()) {
        for decision in world.carried_out(Act::Restore) {
            let until_ms = world.memory.held_until_ms(&world.policy, &decision.target);
            prop_assert!(decision.because == Because::Pin || until_ms.is_none_or(|until_ms| until_ms <= NOW_MS));
        }
    }

    #[test]
    fn the_same_situation_gives_the_same_judgement(world in worlds()) {
        prop_assert_eq!(decide(&world.situation()), decide(&world.situation()));
    }
}

/// Nodes that all serve, each seen by all others; each at a site of its own.
fn well(count: usize) -> World {
    let nodes = (0..count).map(|at| {
        let addresses = BTreeMap::from([(Family::V4, address(at, Family::V4))]);
        (name(at), Node { addresses, ..Node::default() })
    });
    let record = |at: usize| Record {
        id: format!("r{at}"),
        name: "lb.example.com".into(),
        content: address(at, Family::V4),
        node: name(at),
    };
    let reports = (0..count).flat_map(|from| (0..count).map(move |to| seen(from, to, View::Up, None)));
    let zone = Zone {
        read_ms: NOW_MS,
        names: vec!["lb.example.com".into()],
        records: (0..count).map(record).collect(),
        foreign: Vec::new(),
    };
    World {
        policy: Policy::default(),
        nodes: nodes.collect(),
        reports: reports.collect(),
        zone,
        memory: Memory::default(),
        calls_made: 0,
    }
}

fn seen(from: usize, to: usize, view: View, cause: Option<Cause>) -> Report {
    Report {
        vantage: Vantage { node: name(from), site: format!("site{from}") },
        target: Target { node: name(to), family: Family::V4 },
        view,
        cause,
        failing: view != View::Up,
        since_ms: NOW_MS - 5_000,
        probed_ms: NOW_MS - 1_000,
        trusted: true,
    }
}

fn see(world: &mut World, from: usize, to: usize, cause: Cause) {
    let report =
        world.reports.iter_mut().find(|report| report.vantage.node == name(from) && report.target.node == name(to));
    *report.unwrap() = seen(from, to, View::Down, Some(cause));
}

#[test]
fn all_well_is_nothing_to_do() {
    let judgement = decide(&well(3).situation());
    assert_eq!((judgement.decisions, judgement.alerts), (vec![], vec![]));
}

#[test]
fn a_dead_node_of_three_is_withdrawn_by_the_other_two() {
    let mut world = well(3);
    world.reports.retain(|report| report.vantage.node != "n2");
    see(&mut world, 0, 2, Cause::Silent);
    see(&mut world, 1, 2, Cause::Silent);
    let deleted = world.deleted();
    assert_eq!(deleted.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["r2"]);
    assert_eq!(decide(&world.situation()).rulings[&Target { node: "n2".into(), family: Family::V4 }].votes, (0, 2));
}

#[test]
fn one_foreign_voice_needs_the_nodes_own_word_against_itself() {
    let mut world = well(3);
    world.reports.retain(|report| report.vantage.node != "n0");
    see(&mut world, 1, 2, Cause::NoRoute);
    assert_eq!(world.deleted(), []);
    see(&mut world, 2, 2, Cause::NoRoute);
    assert_eq!(world.deleted().len(), 1);
}

#[test]
fn rule_7_a_vantage_that_sees_all_fail_alone_is_not_believed() {
    let mut world = well(4);
    for to in 1..4 {
        see(&mut world, 0, to, Cause::Silent);
    }
    see(&mut world, 1, 1, Cause::Silent);
    // Two voices against n1, one of them its own: without rule 7 that would be two of four.
    world.reports.retain(|report| report.vantage.node != "n3" || report.target.node != "n1");
    world.reports.retain(|report| report.vantage.node != "n2" || report.target.node != "n1");
    let judgement = decide(&world.situation());
    assert_eq!(world.deleted(), []);
    let suspect = judgement
        .alerts
        .iter()
        .any(|alert| matches!(alert, detect::Alert::Vantage(who, Rule::Correlated) if who.node == "n0"));
    assert!(suspect, "{:?}", judgement.alerts);
}

#[test]
fn what_fails_behind_the_controller_everywhere_withdraws_nobody_and_on_one_node_that_node() {
    let mut world = well(3);
    for from in 0..3 {
        for to in 0..3 {
            see(&mut world, from, to, Cause::Behind);
        }
    }
    assert_eq!(world.deleted(), []);
    let mut world = well(3);
    see(&mut world, 0, 2, Cause::Behind);
    see(&mut world, 1, 2, Cause::Behind);
    assert_eq!(world.deleted().len(), 1);
}

#[test]
fn who_is_down_first_is_not_withdrawn_while_half_of_the_voices_doubt_the_others() {
    let mut world = well(3);
    see(&mut world, 0, 2, Cause::Silent);
    see(&mut world, 1, 2, Cause::Silent);
    assert_eq!(world.deleted().len(), 1);
    let seen = world.reports.iter_mut().filter(|report| report.target.node != "n2" && report.vantage.node != "n2");
    seen.filter(|report| report.vantage.node != report.target.node).for_each(|report| report.failing = true);
    assert_eq!(world.deleted(), []);
}

#[test]
fn a_voice_from_an_earlier_trouble_does_not_withdraw_again_and_does_not_restore_either() {
    let target = Target { node: "n2".into(), family: Family::V4 };
    let verdict = |before: Verdict| {
        let mut world = well(3);
        world.memory.verdicts.insert(target.clone(), (before, NOW_MS - 60_000));
        // The node's own vantage has not come to trust it again; one foreign vantage sees it fail anew.
        see(&mut world, 2, 2, Cause::NoRoute);
        world.reports.iter_mut().filter(|report| report.vantage.node == "n2").for_each(|report| report.failing = false);
        see(&mut world, 0, 2, Cause::NoRoute);
        decide(&world.situation()).rulings[&target].verdict
    };
    assert_eq!(verdict(Verdict::Serving), Verdict::Serving);
    assert_eq!(verdict(Verdict::Down), Verdict::Down);
}

#[test]
fn who_recovers_with_all_others_is_not_withdrawn_for_what_was_wrong_with_all() {
    let mut world = well(3);
    let target = Target { node: "n2".into(), family: Family::V4 };
    world.memory.verdicts.insert(target, (Verdict::Down, NOW_MS - 60_000));
    // Its own vantage and another have not come to trust it again, though they see it pass; half of them are ahead of the others.
    for from in [0, 2] {
        see(&mut world, from, 2, Cause::NoRoute);
    }
    world.reports.iter_mut().for_each(|report| report.failing = false);
    assert_eq!(decide(&world.situation()).decisions, []);
}

#[test]
fn a_certificate_that_is_wrong_everywhere_withdraws_nobody() {
    let mut world = well(3);
    for from in 0..3 {
        for to in 0..3 {
            see(&mut world, from, to, Cause::Certificate);
        }
    }
    let judgement = decide(&world.situation());
    assert!(judgement.decisions.iter().all(|decision| decision.held == Some(Rule::Panic)));
    assert!(judgement.alerts.contains(&detect::Alert::Panic(0, 3)));
}

#[test]
fn a_cordoned_node_goes_without_a_vote_and_a_node_that_is_only_not_ready_stays() {
    let mut world = well(3);
    world.nodes.get_mut("n1").unwrap().hint = Some(Hint::Leaving);
    assert_eq!(world.deleted().len(), 1);
}

#[test]
fn who_serves_again_is_restored_when_the_hold_is_over() {
    let mut world = well(3);
    world.zone.records.retain(|record| record.node != "n2");
    let target = Target { node: "n2".into(), family: Family::V4 };
    world.memory.withdraw(&world.policy, &target, NOW_MS - 59_999);
    assert_eq!(decide(&world.situation()).decisions[0].held, Some(Rule::Hold));
    world.memory = Memory::default();
    world.memory.withdraw(&world.policy, &target, NOW_MS - 60_000);
    let restored = world.carried_out(Act::Restore);
    assert_eq!((restored[0].target.clone(), restored[0].publish.clone()), (target, vec!["lb.example.com".to_owned()]));
}

#[test]
fn a_cluster_of_one_node_is_published_on_its_own_word() {
    let mut world = well(1);
    world.zone.records.clear();
    assert_eq!(world.carried_out(Act::Restore).len(), 1);
    see(&mut world, 0, 0, Cause::NoRoute);
    assert_eq!(world.carried_out(Act::Restore), []);
}

#[test]
fn of_two_nodes_each_is_published_on_the_others_word_and_not_on_its_own() {
    let mut world = well(2);
    world.zone.records.clear();
    assert_eq!(world.carried_out(Act::Restore).len(), 2);
    see(&mut world, 0, 1, Cause::Silent);
    let published: Vec<String> =
        world.carried_out(Act::Restore).into_iter().map(|decision| decision.target.node).collect();
    assert_eq!(published, ["n0"]);
}

#[test]
fn two_nodes_that_disagree_withdraw_nobody() {
    let mut world = well(2);
    see(&mut world, 0, 1, Cause::Silent);
    assert_eq!(world.deleted(), []);
}
