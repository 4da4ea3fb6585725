//! The pure loop against zones drawn to break it: survey, decide, change, apply.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a program of tests, helpers included")]

#[path = "zone/desk.rs"]
mod desk;
#[path = "zone/model.rs"]
mod model;

use detect::{Family, Memory, Node, Pin, Policy, Situation, decide};
use model::{Model, NOW_MS, address, entry, host, nodes, wish};
use proptest::prelude::*;
use spec::Publish;
use std::collections::{BTreeMap, BTreeSet};
use watcher::scene::Host;
use watcher::zone::{
    Act, Batch, Change, Data, Desk, Draft, Entry, Intent, Keeper, Left, Listing, Plan, Purpose, Reason, Standing,
    Survey, Trouble, Wish, change, survey,
};

/// One turn of the loop.
fn turn(model: &Model, wish: &Wish, nodes: &BTreeMap<String, Node>, standing: &Standing) -> (Survey, Plan) {
    turn_at(model, wish, nodes, standing, NOW_MS)
}

fn turn_at(
    model: &Model,
    wish: &Wish,
    nodes: &BTreeMap<String, Node>,
    standing: &Standing,
    now_ms: u64,
) -> (Survey, Plan) {
    let policy = Policy::default();
    let survey = survey(&Listing { read_ms: NOW_MS, entries: model.entries.clone() }, wish, nodes);
    let situation = Situation {
        now_ms,
        policy: &policy,
        nodes,
        reports: &[],
        zone: Some(&survey.zone),
        memory: &Memory::default(),
        calls_made: 0,
    };
    let judgement = decide(&situation);
    let (survey, judgement) = (&survey, &judgement);
    let plan = change(&Intent { now_ms, policy: &policy, wish, survey, judgement, nodes, batch_most: 7, standing });
    (survey.clone(), plan)
}

/// Turns until nothing is left to do, five minutes apart.
fn settled(model: &mut Model, wish: &Wish, nodes: &BTreeMap<String, Node>) -> Result<Plan, String> {
    for _ in 0..60 {
        let (_, plan) = turn(model, wish, nodes, &Standing::default());
        if plan.batches.is_empty() {
            return Ok(plan);
        }
        for batch in &plan.batches {
            model.apply(&batch.change)?;
        }
    }
    Err(format!("it does not settle: {model:#?}"))
}

fn whys(left: &[Left], name: &str) -> Vec<Reason> {
    left.iter().filter(|left| left.name == name).map(|left| left.why.clone()).collect()
}

/// Whether a name answers in a family with what is true. What lies behind somebody else's alias nobody knows: `trusting`
/// says that it answers.
fn answers(model: &Model, name: &str, family: Family, nodes: &BTreeMap<String, Node>, trusting: bool) -> bool {
    let held: BTreeSet<_> = nodes.values().filter_map(|node| node.addresses.get(&family)).collect();
    let mut at = vec![name.to_owned()];
    for _ in 0..4 {
        let here: Vec<&Entry> = model.entries.iter().filter(|entry| at.contains(&entry.name)).collect();
        for entry in &here {
            let rest = entry.mark.as_deref().and_then(|mark| mark.strip_prefix("bouquet/blumen/"));
            let is_foreign = rest.is_none_or(|rest| rest.starts_with("api/"));
            let is_true = |address| held.contains(address) || is_foreign && entry.name != name;
            match &entry.data {
                Data::Address(address) if address.is_ipv4() == (family == Family::V4) && is_true(address) => {
                    return true;
                }
                Data::Alias(_) if is_foreign && trusting => return true,
                _ => {}
            }
        }
        let ours = here.into_iter().filter(|entry| entry.mark.is_some());
        at = ours.filter(|entry| matches!(entry.data, Data::Alias(_))).map(|entry| entry.data.content()).collect();
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_batch_empties_a_wanted_name_touches_a_foreign_record_or_fails((mut model, wish, nodes) in model::worlds()) {
        let (survey, plan) = turn(&model, &wish, &nodes, &Standing::default());
        let foreign: Vec<Entry> = model.foreign(&wish);
        for batch in &plan.batches {
            prop_assert!(batch.change.records() <= 7 && !batch.change.is_empty());
            let before = model.clone();
            if let Err(why) = model.apply(&batch.change) {
                return Err(TestCaseError::fail(format!("{why}: {batch:#?} on {before:#?}")));
            }
            for name in survey.wanted() {
                for family in [Family::V4, Family::V6] {
                    let (was, is) =
                        (answers(&before, name, family, &nodes, false), answers(&model, name, family, &nodes, true));
                    prop_assert!(!was || is, "{name} {family:?} is empty after {batch:#?}");
                }
                prop_assert!(before.is_mixed(name) || !model.is_mixed(name), "{name} is mixed after {batch:#?}");
            }
            prop_assert_eq!(model.foreign(&wish), foreign.clone());
        }
    }

    #[test]
    fn it_settles_and_what_is_left_is_said((mut model, wish, nodes) in model::worlds()) {
        let plan = settled(&mut model, &wish, &nodes).map_err(TestCaseError::fail)?;
        for (name, host) in wish.hosts.iter().filter(|_| !nodes.is_empty()) {
            let held = model.entries.iter().any(|entry| entry.name == *name && entry.mark.is_some());
            let waits = nodes.values().all(|node| !node.pin.is_some_and(|pin| pin.serving));
            prop_assert!(held || waits || !whys(&plan.left, name).is_empty(), "{name} {host:?}: {plan:#?} {model:#?}");
        }
    }

    #[test]
    fn a_stale_listing_and_an_empty_list_of_nodes_change_nothing((model, wish, nodes) in model::worlds()) {
        let late = turn_at(&model, &wish, &nodes, &Standing::default(), NOW_MS + 5_001).1;
        prop_assert_eq!(late.batches, vec![]);
        prop_assert_eq!(turn(&model, &wish, &BTreeMap::new(), &Standing::default()).1.batches, vec![]);
    }

    #[test]
    fn an_empty_list_of_hosts_clears_nothing((model, mut wish, nodes) in model::worlds()) {
        wish.hosts.clear();
        let (_, plan) = turn(&model, &wish, &nodes, &Standing::default());
        prop_assert!(plan.batches.iter().all(|batch| batch.purpose != Purpose::Clear));
    }

    #[test]
    fn what_a_route_that_was_not_seen_may_name_is_not_cleared((model, mut wish, nodes) in model::worlds()) {
        wish.are_all = false;
        let (_, plan) = turn(&model, &wish, &nodes, &Standing::default());
        prop_assert!(plan.batches.iter().all(|batch| batch.purpose != Purpose::Clear));
    }

    #[test]
    fn a_partial_listing_deletes_nothing_that_the_whole_would_not_allow((model, wish, nodes) in model::worlds(), seed: u64) {
        let part = model.without(seed);
        let (survey, plan) = turn(&part, &wish, &nodes, &Standing::default());
        for entry in plan.batches.iter().flat_map(|batch| &batch.change.delete) {
            let family = |other: &Entry| matches!((&other.data, &entry.data),
                (Data::Address(a), Data::Address(b)) if a.is_ipv4() == b.is_ipv4());
            let wanted = survey.wanted().any(|name| name == entry.name);
            let others = model.entries.iter().filter(|other| other.name == entry.name && other.id != entry.id);
            prop_assert!(!wanted || others.clone().any(family) || model::created(&plan).contains(&entry.name), "{entry:?}");
        }
    }

    #[test]
    fn what_may_be_gone_already_is_counted_as_gone((mut model, wish, nodes) in model::worlds(), seed: u64) {
        let doubtful: BTreeSet<String> = model.without(seed).entries.into_iter().map(|entry| entry.id).collect();
        let standing = Standing { doubtful: doubtful.clone(), ..Standing::default() };
        let (survey, plan) = turn(&model, &wish, &nodes, &standing);
        let sure = |model: &Model| {
            let entries = model.entries.iter().filter(|entry| !doubtful.contains(&entry.id)).cloned().collect();
            Model { entries, ..model.clone() }
        };
        let before = sure(&model);
        for batch in plan.batches.iter().filter(|batch| batch.purpose == Purpose::Withdraw) {
            model.apply(&batch.change).map_err(TestCaseError::fail)?;
        }
        for name in survey.wanted() {
            for family in [Family::V4, Family::V6] {
                let (was, is) = (answers(&before, name, family, &nodes, false), answers(&sure(&model), name, family, &nodes, true));
                prop_assert!(!was || is, "{name}: {plan:#?}");
            }
        }
    }
}

#[test]
fn an_alias_waits_for_its_pool_and_then_comes() {
    let (mut model, wish, mut nodes) = (Model::default(), wish(&["web"]), nodes(2));
    nodes.values_mut().for_each(|node| node.pin = None);
    let (_, plan) = turn(&model, &wish, &nodes, &Standing::default());
    assert_eq!(whys(&plan.left, "web.example.com"), [Reason::PoolEmpty("lb.example.com".into())]);
    assert_eq!(plan.batches, []);
    nodes.values_mut().for_each(|node| node.pin = Some(Pin { serving: true, until_ms: None }));
    let plan = settled(&mut model, &wish, &nodes).unwrap();
    assert_eq!(
        (plan.left, model.shown()),
        (
            vec![],
            vec![
                "lb.example.com A 198.51.100.1 60 bouquet/blumen/n0".to_owned(),
                "lb.example.com A 198.51.100.2 60 bouquet/blumen/n1".to_owned(),
                "web.example.com CNAME lb.example.com 60 bouquet/blumen/host/alias".to_owned(),
            ]
        )
    );
}

#[test]
fn names_of_others_are_left_alone_and_the_reason_is_theirs() {
    let names = ["web", "shop", "mail", "dns", "note", "sub.away", "two"];
    let (wish, nodes) = (wish(&names), nodes(1));
    let mut entries = vec![
        entry("1", "web", Data::Address(address(9)), None),
        entry("2", "shop", Data::Alias("elsewhere.example.org".into()), None),
        entry("3", "a-mail", Data::Text("\"heritage=external-dns,external-dns/owner=x\"".into()), None),
        entry("4", "dns", Data::Text("heritage=external-dns,external-dns/owner=x".into()), None),
        entry("5", "away", Data::Other("NS".into(), "ns.example.org".into()), None),
        entry("6", "two", Data::Address(address(8)), Some("bouquet/other/n0")),
        entry("7", "note", Data::Text("hello".into()), None),
    ];
    let reason = |entries: &[Entry], name: &str| {
        let model = Model { entries: entries.to_vec(), ..Model::default() };
        whys(&turn(&model, &wish, &nodes, &Standing::default()).1.left, &format!("{name}.example.com"))
    };
    let foreign = |kind: &str, content: &str| vec![Reason::Foreign { kind: kind.into(), content: content.into() }];
    assert_eq!(reason(&entries, "web"), foreign("A", "198.51.100.10"));
    assert_eq!(reason(&entries, "shop"), foreign("CNAME", "elsewhere.example.org"));
    assert_eq!(reason(&entries, "mail"), [Reason::ExternalDns]);
    assert_eq!(reason(&entries, "dns"), [Reason::ExternalDns]);
    assert_eq!(reason(&entries, "sub.away"), [Reason::Delegated("away.example.com".into())]);
    assert_eq!(reason(&entries, "two"), [Reason::Marked("bouquet/other/n0".into())]);
    assert_eq!(reason(&entries, "note"), [Reason::Beside("TXT".into())]);
    entries.retain(|entry| entry.id != "7");
    entries.push(entry("8", "lb", Data::Address(address(0)), Some("bouquet/blumen/n0")));
    assert_eq!(reason(&entries, "note"), []);
}

#[test]
fn what_somebody_turned_is_turned_back_and_a_new_address_follows_the_old() {
    let (mut wish, nodes) = (wish(&["web"]), nodes(2));
    wish.former = [("n1".to_owned(), address(7))].into();
    let entries = vec![
        entry("1", "lb", Data::Address(address(0)), Some("bouquet/blumen/n0")),
        entry("2", "lb", Data::Address(address(7)), Some("bouquet/blumen/n1")),
        Entry {
            ttl_s: 300,
            ..entry("3", "web", Data::Alias("old.example.com".into()), Some("bouquet/blumen/host/alias"))
        },
    ];
    let mut model = Model { entries, ..Model::default() };
    settled(&mut model, &wish, &nodes).unwrap();
    assert_eq!(
        model.shown(),
        [
            "lb.example.com A 198.51.100.1 60 bouquet/blumen/n0",
            "lb.example.com A 198.51.100.2 60 bouquet/blumen/n1",
            "web.example.com CNAME lb.example.com 60 bouquet/blumen/host/alias",
        ]
    );
}

#[test]
fn a_full_zone_keeps_who_is_there_then_goes_by_the_alphabet() {
    let (mut wish, nodes) = (wish(&["a", "b", "c", "d"]), nodes(2));
    wish.keeper.records_most = Some(6);
    let mut model = Model::default();
    model.entries = vec![
        entry("1", "mx", Data::Other("MX".into(), "mail".into()), None),
        entry("2", "d", Data::Alias("lb.example.com".into()), Some("bouquet/blumen/host/alias")),
    ];
    let plan = settled(&mut model, &wish, &nodes).unwrap();
    assert_eq!(plan.left, [Left { name: "c.example.com".into(), why: Reason::Full }]);
    assert_eq!(model.entries.len(), 6);
}

#[test]
fn hosts_that_go_go_slowly_where_they_are_many() {
    let names: Vec<String> = (0..40).map(|at| format!("h{at:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut model, nodes) = (Model::default(), nodes(1));
    settled(&mut model, &wish(&names), &nodes).unwrap();
    let one = wish(&["h00"]);
    let (_, plan) = turn(&model, &one, &nodes, &Standing::default());
    let gone: usize = plan.batches.iter().map(|batch| batch.change.delete.len()).sum();
    assert_eq!((gone, plan.left.len()), (12, 27), "30 % of 41, and the rest is said");
    let standing = Standing { cleared: 12, ..Standing::default() };
    plan.batches.iter().for_each(|batch| model.apply(&batch.change).unwrap());
    assert_eq!(turn(&model, &one, &nodes, &standing).1.batches, [], "nor more in the same five minutes");
    settled(&mut model, &one, &nodes).unwrap();
    assert_eq!(model.entries.len(), 2);
}

#[test]
fn a_record_that_two_nodes_share_is_handed_on() {
    let (wish, mut nodes) = (wish(&[]), nodes(3));
    for node in nodes.values_mut().take(2) {
        node.addresses = [(Family::V4, address(0))].into();
    }
    nodes.values_mut().next().unwrap().pin = Some(Pin { serving: false, until_ms: None });
    let mut model = Model::default();
    model.entries = vec![entry("1", "lb", Data::Address(address(0)), Some("bouquet/blumen/n0"))];
    settled(&mut model, &wish, &nodes).unwrap();
    assert_eq!(
        model.shown(),
        ["lb.example.com A 198.51.100.1 60 bouquet/blumen/n1", "lb.example.com A 198.51.100.3 60 bouquet/blumen/n2",]
    );
}

#[test]
fn an_apex_and_a_wildcard_are_names_too() {
    let mut wish = wish(&["*.apps"]);
    wish.hosts.insert("example.com".into(), host());
    wish.hosts.insert("example.org".into(), host());
    let mut model = Model::default();
    let plan = settled(&mut model, &wish, &nodes(1)).unwrap();
    assert_eq!(plan.left, [Left { name: "example.org".into(), why: Reason::Outside("example.com".into()) }]);
    assert_eq!(
        model.shown(),
        [
            "*.apps.example.com CNAME lb.example.com 60 bouquet/blumen/host/alias",
            "example.com A 198.51.100.1 60 bouquet/blumen/n0",
            "lb.example.com A 198.51.100.1 60 bouquet/blumen/n0",
        ]
    );
    wish.keeper.alias_at_apex = true;
    settled(&mut model, &wish, &nodes(1)).unwrap();
    assert_eq!(model.shown()[1], "example.com CNAME lb.example.com 60 bouquet/blumen/host/alias");
    let proxied = Host { proxied: Some(true), ..host() };
    wish.hosts.insert("lb.example.com".into(), proxied);
    wish.keeper.proxies = true;
    assert_eq!(whys(&settled(&mut model, &wish, &nodes(1)).unwrap().left, "lb.example.com"), [Reason::Pools]);
    wish.publish = Publish::Hosts;
    settled(&mut model, &wish, &nodes(1)).unwrap();
    assert_eq!(model.shown()[0], "*.apps.example.com A 198.51.100.1 60 bouquet/blumen/n0");
}

#[test]
fn a_dry_run_shows_what_it_would_do() {
    let (wish, nodes) = (wish(&["web"]), nodes(1));
    let policy = Policy { dry_run: true, ..Policy::default() };
    let survey = survey(&Listing { read_ms: NOW_MS, entries: vec![] }, &wish, &nodes);
    let judgement = decide(&Situation {
        now_ms: NOW_MS,
        policy: &policy,
        nodes: &nodes,
        reports: &[],
        zone: Some(&survey.zone),
        memory: &Memory::default(),
        calls_made: 0,
    });
    let plan = change(&Intent {
        now_ms: NOW_MS,
        policy: &policy,
        wish: &wish,
        survey: &survey,
        judgement: &judgement,
        nodes: &nodes,
        batch_most: 7,
        standing: &Standing::default(),
    });
    assert!(plan.dry && plan.batches.len() == 1, "{plan:?}");
}
