//! The watcher's hand on zones of other people's name servers: one suite, BIND and Knot.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

#[path = "zone/hand.rs"]
mod hand;
#[path = "../../clouds/tests/name_server/mod.rs"]
mod name_server;

use clouds::rfc2136::{Change, Data, Kind as Type, Row, Update};
use hand::{Hand, wish};
use name_server::{BIG, Kind, NameServer, ZONE, key};
use std::sync::Arc;
use watcher::provider::rfc2136::Rfc2136;
use watcher::zone::{Reason, Trouble};
use wire::{Line, Rng, Sockets, Time};

/// A server, a watcher's hand on its zone, and a person with a client of their own.
struct Bench {
    server: NameServer,
    hand: Hand,
    person: clouds::rfc2136::Rfc2136,
    line: Line,
}

impl Bench {
    /// `with`: the hand's key; `bouquet512` may change the zone and not have it transferred, at BIND.
    async fn new(kind: Kind, test: &str, with: &str, hosts: &[&str]) -> Option<Self> {
        let server = NameServer::new(kind, test)?;
        let rng = Rng::seeded(1);
        let now = Time::system(rng.clone()).now();
        let line = || {
            let time = Time::starting_at(now, rng.clone());
            Line::new(Arc::new(Sockets::new(None).unwrap()), time, &[])
        };
        let client = |name: &str| clouds::rfc2136::Rfc2136::new(&server.address(), Some(key(name))).unwrap();
        let (person, patient) = (client("bouquet"), line());
        assert_eq!(person.apex(&patient, ZONE).await.as_deref(), Ok(ZONE), "{}", server.log());
        let provider = Box::new(Rfc2136::new(client(with), &format!("lb.{ZONE}")));
        let hand = Hand::new(provider, line(), wish(ZONE, hosts));
        Some(Bench { hand, person, line: patient, server })
    }

    /// The pool's addresses.
    async fn pool(&self) -> Vec<String> {
        self.shown("lb", Type::A).await
    }

    async fn shown(&self, name: &str, kind: Type) -> Vec<String> {
        let rows = self.person.rows(&self.line, &format!("{name}.{ZONE}"), kind).await.unwrap();
        let mut shown: Vec<String> = rows.iter().map(|row| format!("{} {}", row.data, row.ttl_s)).collect();
        shown.sort();
        shown
    }

    async fn by_hand(&self, changes: Vec<Change>) {
        let update = Update { prerequisites: Vec::new(), changes };
        self.person.update(&self.line, ZONE, &update).await.unwrap();
    }

    /// Records that were there before us.
    async fn foreign(&self) -> Vec<String> {
        let rows = self.person.transfer(&self.line, ZONE).await.unwrap();
        let own = ["lb", "_bouquet.lb", "blog", "_bouquet.blog", "*.apps", "_bouquet.*.apps"]
            .map(|name| format!("{name}.{ZONE}"));
        let mut shown: Vec<String> = rows
            .iter()
            .filter(|row| !own.contains(&row.name) && row.name != ZONE)
            .map(|row| format!("{} {} {}", row.name, row.ttl_s, row.data))
            .collect();
        shown.sort();
        shown
    }

    fn judged(&self) {
        let asked = self.hand.all_calls() + self.line.tally().calls.values().sum::<u64>();
        assets::judged(&assets::Judgement {
            protocol: "RFC 2136: the watcher's zone",
            judge: self.server.version,
            covers: &[
                "transfers over several messages, each signature over the one before",
                "queries where transfers are refused",
                "records and marks made, changed and removed in one update",
                "a last record that somebody else's change in between would have made the last",
            ],
            lacks: &["transfers in which some messages are unsigned", "signed zones"],
            count: asked,
            lies: &[],
        });
    }
}

fn address(name: &str, address: &str) -> Row {
    Row { name: format!("{name}.{ZONE}"), ttl_s: 60, data: Data::address(address.parse().unwrap()) }
}

/// The same on both servers, each with what it is called by.
macro_rules! on_both {
    ($($name:ident $key:literal $hosts:expr),* $(,)?) => {
        mod bind { $(#[tokio::test] async fn $name() {
            if let Some(mut bench) = super::Bench::new(super::Kind::Bind, concat!("zone-", stringify!($name)), $key, &$hosts).await {
                super::$name(&mut bench).await;
                bench.judged();
            }
        })* }
        mod knot { $(#[tokio::test] async fn $name() {
            if let Some(mut bench) = super::Bench::new(super::Kind::Knot, concat!("zone-", stringify!($name)), $key, &$hosts).await {
                super::$name(&mut bench).await;
                bench.judged();
            }
        })* }
    };
}

on_both!(
    a_zone_is_made_and_kept_and_nobody_elses_record_is_touched "bouquet" ["blog", "web", "soil", "rose", "*.apps"],
    names_are_asked_for_where_the_zone_is_given_to_nobody "bouquet512" ["blog", "web"],
    a_record_that_somebody_else_made_the_last_one_stays "bouquet" [],
    what_was_turned_is_turned_back "bouquet" ["blog"],
    a_whole_zone_comes_in_many_messages "bouquet" [],
);

async fn a_zone_is_made_and_kept_and_nobody_elses_record_is_touched(bench: &mut Bench) {
    let before = bench.foreign().await;
    bench.hand.rest().await;
    assert_eq!(bench.pool().await, ["203.0.113.1 60", "203.0.113.2 60"]);
    let alias = format!("lb.{ZONE} 60");
    assert_eq!(bench.shown("blog", Type::Cname).await, [alias.clone()]);
    assert_eq!(bench.shown("*.apps", Type::Cname).await, [alias]);
    assert_eq!(bench.shown("_bouquet.blog", Type::Txt).await, [format!("bouquet/blumen/host/alias lb.{ZONE} 60")]);
    let left: Vec<&str> = bench.hand.left.iter().map(|left| left.name.split('.').next().unwrap()).collect();
    assert_eq!(left, ["rose", "soil", "web"], "{:?}", bench.hand.left);
    assert!(bench.hand.left.iter().any(|left| left.why == Reason::Beside("TXT".into())));
    bench.hand.serve("lily", false);
    bench.hand.rest().await;
    assert_eq!(bench.pool().await, ["203.0.113.1 60"]);
    assert_eq!(bench.shown("_bouquet.lb", Type::Txt).await, ["bouquet/blumen/rose 203.0.113.1 60"]);
    bench.hand.serve("rose", false);
    bench.hand.rest().await;
    assert_eq!(bench.pool().await, ["203.0.113.1 60"], "the last one stays");
    bench.hand.serve("lily", true);
    bench.hand.wish.hosts.retain(|name, _| !name.starts_with("blog"));
    bench.hand.rest().await;
    bench.hand.desk.look(bench.hand.now_ms(), true);
    bench.hand.rest().await;
    assert_eq!(bench.pool().await, ["203.0.113.2 60"]);
    assert_eq!(bench.shown("blog", Type::Cname).await, Vec::<String>::new());
    assert_eq!(bench.shown("_bouquet.blog", Type::Txt).await, Vec::<String>::new());
    assert_eq!(bench.foreign().await, before);
}

async fn names_are_asked_for_where_the_zone_is_given_to_nobody(bench: &mut Bench) {
    bench.hand.rest().await;
    assert_eq!(bench.pool().await, ["203.0.113.1 60", "203.0.113.2 60"]);
    assert_eq!(bench.shown("blog", Type::Cname).await, [format!("lb.{ZONE} 60")]);
    assert_eq!(bench.hand.left.len(), 1, "{:?}", bench.hand.left);
    let asked = bench.hand.calls("rfc2136 QUERY");
    assert!(bench.server.kind == Kind::Knot || asked > 2, "BIND lets nobody else have the zone");
    bench.hand.serve("lily", false);
    bench.hand.rest().await;
    assert_eq!(bench.pool().await, ["203.0.113.1 60"]);
}

async fn a_record_that_somebody_else_made_the_last_one_stays(bench: &mut Bench) {
    bench.hand.rest().await;
    bench.hand.serve("lily", false);
    bench.hand.step_until_write().await;
    // Between our reading and our writing a person removes rose.
    bench.by_hand(vec![Change::Remove(format!("lb.{ZONE}"), address("lb", "203.0.113.1").data)]).await;
    let answer = bench.hand.write_due().await;
    assert!(matches!(answer, Err(Trouble::Moved(_))), "{answer:?}");
    assert_eq!(bench.pool().await, ["203.0.113.2 60"], "lily is the last now");
    bench.hand.rest().await;
    assert_eq!(bench.pool().await, ["203.0.113.1 60"], "rose came back first, then lily went");
}

async fn what_was_turned_is_turned_back(bench: &mut Bench) {
    bench.hand.rest().await;
    let name = format!("blog.{ZONE}");
    let elsewhere = Data::alias("elsewhere.example.org").unwrap();
    bench
        .by_hand(vec![
            Change::RemoveSet(name.clone(), Type::Cname),
            Change::Add(Row { name: name.clone(), ttl_s: 60, data: elsewhere.clone() }),
        ])
        .await;
    bench.hand.desk.look(bench.hand.now_ms(), true);
    bench.hand.rest().await;
    assert_eq!(bench.shown("blog", Type::Cname).await, ["elsewhere.example.org 60"], "it bears no mark any more");
    let said = Reason::Foreign { kind: "CNAME".into(), content: "elsewhere.example.org".into() };
    assert_eq!(bench.hand.left.iter().map(|left| &left.why).collect::<Vec<_>>(), [&said]);
    bench
        .by_hand(vec![Change::Remove(name, elsewhere), Change::Add(Row { ttl_s: 600, ..address("lb", "203.0.113.1") })])
        .await;
    bench.hand.desk.look(bench.hand.now_ms(), true);
    bench.hand.rest().await;
    assert_eq!(bench.pool().await, ["203.0.113.1 60", "203.0.113.2 60"], "the TTL is ours again");
    assert_eq!(bench.shown("blog", Type::Cname).await, [format!("lb.{ZONE} 60")]);
}

async fn a_whole_zone_comes_in_many_messages(bench: &mut Bench) {
    for hundred in 0..12 {
        let add = |at: usize| {
            let data = Data::text(&format!("{at:03} {}", "leaf ".repeat(40)));
            Change::Add(Row { name: format!("many{hundred}.{ZONE}"), ttl_s: 60, data })
        };
        bench.by_hand((0..100).map(add).collect()).await;
    }
    let rows = bench.person.transfer(&bench.line, ZONE).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.name.starts_with("many")).count(), 1_200, "over 240 KB");
    assert_eq!(rows.iter().filter(|row| row.name == format!("big.{ZONE}")).count(), BIG);
    assert_eq!(rows.iter().filter(|row| row.data.kind() == Some(Type::Soa)).count(), 1);
    bench.hand.rest().await;
    assert_eq!(bench.pool().await.len(), 2);
}
