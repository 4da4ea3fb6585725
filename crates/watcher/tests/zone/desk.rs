//! The desk, call by call.

use super::*;
use wire::Rng;

fn desk() -> Desk {
    Desk::new(&Policy::default(), false, Rng::seeded(1))
}

fn draft(name: &str) -> Draft {
    let (data, mark) = (Data::Alias("lb.example.com".into()), "bouquet/blumen/host/alias".into());
    Draft { name: name.into(), data, ttl_s: 60, proxied: false, mark }
}

fn withdrawal(id: &str) -> Batch {
    let delete = vec![entry(id, "lb", Data::Address(address(0)), Some("bouquet/blumen/n0"))];
    Batch { change: Change { delete, ..Change::default() }, purpose: Purpose::Withdraw }
}

fn keep(names: &[&str]) -> Batch {
    let create = names.iter().map(|name| draft(name)).collect();
    Batch { change: Change { create, ..Change::default() }, purpose: Purpose::Keep }
}

fn plan(batches: &[Batch]) -> Plan {
    Plan { batches: batches.to_vec(), ..Plan::default() }
}

fn lost() -> Trouble {
    Trouble::Lost("no answer".into())
}

/// A desk that has just read the zone at 0 and has these batches before it.
fn ready(batches: &[Batch]) -> Desk {
    let mut desk = desk();
    assert_eq!(desk.next(0), Act::Read);
    desk.read(0, 0, 1, Ok(vec![]));
    desk.want(&plan(batches));
    desk
}

#[test]
fn it_reads_writes_and_reads_again_then_rests_for_a_minute() {
    let mut desk = ready(&[withdrawal("1"), keep(&["web"])]);
    assert_eq!(desk.next(10), Act::Write(withdrawal("1").change));
    desk.wrote(20, Ok(()));
    assert_eq!(desk.next(20), Act::Write(keep(&["web"]).change));
    desk.wrote(30, Ok(()));
    assert_eq!(desk.next(30), Act::Read);
    desk.read(30, 40, 1, Ok(vec![]));
    desk.want(&plan(&[]));
    assert_eq!(desk.next(40), Act::Wait(60_040));
    desk.look(40, false);
    assert_eq!(desk.next(40), Act::Wait(1_040), "others may come with it");
    desk.look(50, true);
    assert_eq!(desk.next(50), Act::Read, "who fails is not waited for");
    assert_eq!(desk.calls_made(), 4);
}

#[test]
fn nothing_is_deleted_on_an_old_reading() {
    let mut desk = ready(&[withdrawal("1")]);
    assert_eq!(desk.next(5_001), Act::Read);
    let mut desk = ready(&[keep(&["web"])]);
    assert_eq!(desk.next(5_001), Act::Write(keep(&["web"]).change));
}

#[test]
fn what_was_lost_is_read_before_anything_else_and_counts_as_gone() {
    let mut desk = ready(&[withdrawal("1"), keep(&["web"])]);
    desk.next(0);
    desk.wrote(10_000, Err(lost()));
    let Act::Wait(until_ms) = desk.next(10_000) else { panic!("{desk:?}") };
    assert!(until_ms <= 12_000);
    assert_eq!(desk.next(until_ms), Act::Read);
    let there = withdrawal("1").change.delete;
    desk.read(until_ms, until_ms, 1, Ok(there));
    assert_eq!(desk.standing().doubtful, ["1".to_owned()].into());
    desk.look(until_ms, true);
    desk.read(until_ms, until_ms, 1, Ok(vec![]));
    assert_eq!(desk.standing().doubtful, BTreeSet::new(), "it is gone");
}

#[test]
fn a_list_that_shows_what_is_gone_is_not_believed() {
    let mut desk = ready(&[withdrawal("1")]);
    desk.next(0);
    desk.wrote(10, Ok(()));
    let listing = desk.read(20, 30, 1, Ok(withdrawal("1").change.delete)).unwrap();
    assert_eq!((listing.read_ms, listing.entries), (20, vec![]));
}

#[test]
fn a_block_of_five_minutes_is_kept_and_the_plan_is_made_anew() {
    let mut desk = ready(&[withdrawal("1")]);
    desk.next(0);
    desk.wrote(0, Err(Trouble::Throttled { wait_ms: 300_000, said: "slowly".into() }));
    desk.look(1_000, true);
    assert_eq!(desk.next(299_999), Act::Wait(300_000));
    assert_eq!(desk.next(300_000), Act::Read);
}

#[test]
fn who_is_forbidden_reads_once_a_minute() {
    let mut desk = ready(&[keep(&["web"])]);
    desk.next(0);
    desk.wrote(0, Err(Trouble::Forbidden("no".into())));
    desk.look(1, true);
    for minute in 1..5 {
        assert_eq!(desk.next(minute * 60_000 - 1), Act::Wait(minute * 60_000));
        assert_eq!(desk.next(minute * 60_000), Act::Read);
        assert_eq!(desk.standing().forbidden.as_deref(), Some("no"));
        desk.read(minute * 60_000, minute * 60_000, 1, Err(Trouble::Forbidden("no".into())));
    }
    desk.read(300_000, 300_000, 1, Ok(vec![]));
    assert_eq!(desk.standing().forbidden, None);
}

#[test]
fn somebody_faster_is_answered_at_once_and_again_with_patience() {
    let mut desk = ready(&[keep(&["web"])]);
    desk.next(0);
    desk.wrote(0, Err(Trouble::Moved("81058".into())));
    assert_eq!(desk.next(0), Act::Read);
    let (mut waited_ms, mut now_ms) = (0, 0);
    for _ in 0..12 {
        desk.read(now_ms, now_ms, 1, Ok(vec![]));
        desk.want(&plan(&[keep(&["web"])]));
        assert!(matches!(desk.next(now_ms), Act::Write(_)));
        desk.wrote(now_ms, Err(Trouble::Moved("81058".into())));
        if let Act::Wait(until_ms) = desk.next(now_ms) {
            waited_ms += until_ms - now_ms;
            assert!(until_ms - now_ms <= 60_000);
            now_ms = until_ms;
        }
    }
    assert!(waited_ms > 60_000, "{waited_ms}");
}

#[test]
fn one_name_that_is_refused_does_not_keep_the_others() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut desk = ready(&[keep(&names)]);
    let (mut made, mut calls) = (BTreeSet::new(), 0);
    while let Act::Write(change) = desk.next(0) {
        calls += 1;
        let answer = if change.names().contains("f") { Err(Trouble::Refused("9000".into())) } else { Ok(()) };
        if answer.is_ok() {
            made.extend(change.names().into_iter().map(str::to_owned));
        }
        desk.wrote(0, answer);
    }
    assert_eq!((made.len(), calls), (7, 7));
    assert_eq!(desk.standing().refused[&(Purpose::Keep, "f".into())], "9000");
    assert_eq!(desk.next(0), Act::Read);
    desk.next(600_000);
    assert_eq!(desk.standing().refused.len(), 0, "somebody may have mended it");
}

#[test]
fn the_last_hundred_calls_are_for_withdrawals() {
    let mut desk = desk();
    desk.read(0, 0, 500, Ok(vec![]));
    desk.want(&plan(&[keep(&["web"])]));
    assert_eq!(desk.next(1), Act::Wait(300_000));
    desk.want(&plan(&[withdrawal("1")]));
    assert!(matches!(desk.next(1), Act::Write(_)));
    desk.wrote(1, Ok(()));
    assert_eq!(desk.next(2), Act::Wait(300_000));
    desk.look(2, true);
    assert_eq!(desk.next(2), Act::Read);
    desk.read(2, 3, 99, Ok(vec![]));
    desk.look(3, true);
    assert_eq!(desk.next(3), Act::Wait(300_000), "not even for those");
}

#[test]
fn a_zone_that_is_full_says_where_it_ends() {
    let mut desk = ready(&[keep(&["web"])]);
    desk.read(0, 0, 1, Ok(withdrawal("1").change.delete));
    desk.next(0);
    desk.wrote(0, Err(Trouble::Full("81045".into())));
    assert_eq!(desk.standing().full_at, Some(1));
}

proptest! {
    #[test]
    fn whatever_comes_it_never_calls_too_often_nor_within_a_block(answers in prop::collection::vec(0..8u8, 1..400)) {
        let mut desk = desk();
        let (mut now_ms, mut calls, mut blocked_ms) = (0, Vec::<u64>::new(), 0);
        for answer in answers {
            let trouble = match answer {
                0 => Trouble::Throttled { wait_ms: 300_000, said: String::new() },
                1 => Trouble::Forbidden(String::new()),
                2 => Trouble::Moved(String::new()),
                3 => Trouble::Refused(String::new()),
                4 => Trouble::Full(String::new()),
                _ => lost(),
            };
            let answer = if answer < 6 { Err(trouble) } else { Ok(()) };
            if matches!(answer, Err(Trouble::Throttled { .. })) { blocked_ms = now_ms + 300_000; }
            match desk.next(now_ms) {
                Act::Wait(until_ms) => {
                    prop_assert!(until_ms > now_ms && until_ms <= now_ms + 300_000);
                    now_ms = until_ms;
                    blocked_ms = 0;
                    continue;
                }
                Act::Read => {
                    desk.read(now_ms, now_ms, 1, answer.map(|()| vec![]));
                    desk.want(&plan(&[withdrawal("1"), keep(&["a", "b", "c"])]));
                }
                Act::Write(_) => desk.wrote(now_ms, answer),
            }
            calls.push(now_ms);
            let _ = blocked_ms;
            let window = calls.iter().filter(|at_ms| now_ms - **at_ms < 300_000).count();
            prop_assert!(window <= 600);
            if let Act::Write(change) = desk.clone().next(now_ms) {
                prop_assert!(change.delete.is_empty() || desk.read_ms().is_some());
            }
        }
    }
}
