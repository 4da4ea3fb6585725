//! The watcher's hand on a zone at Cloudflare: the pure loop and its provider, in a world that goes wrong.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a program of tests, helpers included")]

#[path = "zone/hand.rs"]
mod hand;

use greenhouse::{Greenhouse, Options};
use hand::{Hand, wish};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use watcher::provider::cloudflare::Cloudflare;
use watcher::zone::Reason;
use wire::{Line, Rng, Time};

/// A world, and a watcher's hand in it.
struct Bench {
    world: Greenhouse,
    hand: Hand,
    foreign: BTreeSet<String>,
}

const LIST: &str = "GET /client/v4/zones/*/dns_records";
const BATCH: &str = "POST /client/v4/zones/*/dns_records/batch";

/// As with `--token OTHER`: a token for another zone.
fn provider(world: &Greenhouse, token: &str) -> Cloudflare {
    let token = wire::Secret::new(world.credentials()[token].clone());
    let endpoint = http::Uri::from_static(clouds::cloudflare::ENDPOINT);
    Cloudflare::new(clouds::cloudflare::Cloudflare::new(&token, &endpoint).unwrap(), "lb.example.com")
}

impl Bench {
    fn new(hosts: &[&str]) -> Self {
        let time = Time::starting_at("2026-12-01T08:00:00Z".parse().unwrap(), Rng::seeded(1));
        let world = Greenhouse::new(&Options::default(), time.clone()).unwrap();
        world.foreign("record", "shop").unwrap();
        let line = Line::new(world.wire(), time, &[]);
        let hand = Hand::new(Box::new(provider(&world, "CLOUDFLARE_API_TOKEN")), line, wish("example.com", hosts));
        let foreign = foreign(&world);
        assert!(foreign.len() >= 5, "{foreign:?}");
        Bench { world, hand, foreign }
    }

    /// A zone that is as it should be, with two nodes that serve.
    async fn settled() -> Self {
        let mut bench = Bench::new(&["web", "blog"]);
        bench.hand.settle(60_000).await;
        assert_eq!(
            bench.ours(),
            [
                "blog.example.com CNAME lb.example.com",
                "lb.example.com A 203.0.113.1",
                "lb.example.com A 203.0.113.2",
                "web.example.com CNAME lb.example.com",
            ]
        );
        bench
    }

    /// A call of somebody else, with the same account.
    async fn by_hand(&self, method: &str, path: &str) -> Value {
        let bearer = format!("Bearer {}", self.world.credentials()["CLOUDFLARE_API_TOKEN"]);
        let request = http::Request::builder().method(method).uri(path).header("authorization", bearer);
        let target = wire::Target::https("api.cloudflare.com", 443);
        let answer = self.world.wire().call(&target, request.body(wire::Body::default()).unwrap()).await.unwrap();
        serde_json::from_slice(&answer.into_body().collect(1 << 20).await.unwrap()).unwrap()
    }

    fn ours(&self) -> Vec<String> {
        let records = records(&self.world);
        let ours = records.iter().filter(|record| record["comment"].as_str().is_some());
        let mut shown: Vec<String> = ours.map(shown).collect();
        shown.sort();
        shown
    }

    fn pool(&self) -> Vec<String> {
        self.ours().into_iter().filter(|shown| shown.starts_with("lb.")).collect()
    }

    fn fault(&self, rule: &str) -> u64 {
        self.world.fault(rule).unwrap()
    }
}

impl Drop for Bench {
    /// Whatever a test is about, what is not ours survives it.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(foreign(&self.world), self.foreign);
        }
    }
}

fn records(world: &Greenhouse) -> Vec<Value> {
    world.inventory()["cloudflare_records"].as_array().unwrap().clone()
}

fn shown(record: &Value) -> String {
    let text = |key: &str| record[key].as_str().unwrap().to_owned();
    format!("{} {} {}", text("name"), text("type"), text("content"))
}

fn foreign(world: &Greenhouse) -> BTreeSet<String> {
    let records = records(world);
    records.iter().filter(|record| record["comment"].is_null()).map(Value::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn two_calls_make_a_zone_and_one_takes_a_node_out() {
    let mut bench = Bench::settled().await;
    let writes = |bench: &Bench| bench.hand.calls("cloudflare POST /zones/{id}/dns_records/batch");
    assert_eq!(writes(&bench), 2, "the pool, then what leads to it");
    bench.hand.serve("lily", false);
    let began = bench.hand.now_ms();
    bench.hand.settle(10_000).await;
    assert_eq!((bench.pool(), writes(&bench)), (vec!["lb.example.com A 203.0.113.1".to_owned()], 3));
    assert!(bench.hand.wrote_ms() - began < 2_000);
    bench.hand.serve("rose", false);
    bench.hand.settle(120_000).await;
    assert_eq!(bench.pool(), ["lb.example.com A 203.0.113.1"], "the last one stays");
    bench.hand.serve("lily", true);
    bench.hand.settle(120_000).await;
    assert_eq!(bench.pool(), ["lb.example.com A 203.0.113.2"], "until there is another");
    assert_eq!(bench.ours().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn names_of_others_are_named_and_the_rest_is_served() {
    let mut bench = Bench::new(&["web", "shop", "www", "", "*.apps"]);
    bench.hand.settle(60_000).await;
    let left: Vec<&str> = bench.hand.left.iter().map(|left| left.name.as_str()).collect();
    assert_eq!(left, ["example.com", "shop.example.com", "www.example.com"]);
    assert!(bench.hand.left.iter().all(|left| matches!(left.why, Reason::Foreign { .. })));
    assert_eq!(bench.ours().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_block_of_five_minutes_is_waited_out_and_what_is_wanted_then_is_done() {
    let mut bench = Bench::settled().await;
    let fault = bench.fault("cloudflare rate-limit on * /client/v4");
    bench.hand.serve("lily", false);
    let calls = bench.hand.all_calls();
    bench.hand.settle(290_000).await;
    assert_eq!(bench.hand.all_calls(), calls + 1, "one call hears of it, and no other is made");
    bench.world.heal(fault);
    bench.hand.serve("lily", true);
    bench.hand.serve("rose", false);
    bench.hand.settle(60_000).await;
    assert_eq!(bench.pool(), ["lb.example.com A 203.0.113.2"], "the newest wish alone");
}

#[tokio::test(start_paused = true)]
async fn pages_of_html_are_waited_out() {
    let mut bench = Bench::settled().await;
    let fault = bench.fault("cloudflare html on * /client/v4");
    bench.hand.serve("lily", false);
    bench.hand.settle(600_000).await;
    assert!(bench.hand.all_calls() < 60, "{}", bench.hand.all_calls());
    assert_eq!(bench.pool().len(), 2);
    bench.world.heal(fault);
    bench.hand.settle(61_000).await;
    assert_eq!(bench.pool().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_made_without_an_answer_is_not_made_twice() {
    for effect in ["hang", "lose-answer", "lose-request", "truncate", "garbage"] {
        let mut bench = Bench::settled().await;
        bench.fault(&format!("cloudflare {effect} on {BATCH} times 2"));
        bench.hand.serve("lily", false);
        bench.hand.settle(120_000).await;
        assert_eq!(bench.pool(), ["lb.example.com A 203.0.113.1"], "{effect}");
        bench.hand.serve("lily", true);
        bench.fault(&format!("cloudflare {effect} on {BATCH} times 1"));
        bench.hand.settle(180_000).await;
        assert_eq!(bench.ours().len(), 4, "{effect}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_old_never_empties_a_name() {
    let mut bench = Bench::settled().await;
    bench.fault("cloudflare stale=90 times 1");
    bench.hand.serve("lily", false);
    bench.hand.settle(2_000).await;
    assert_eq!(bench.pool(), ["lb.example.com A 203.0.113.1"]);
    // To whoever believes the list, lily is still there.
    bench.hand.serve("lily", true);
    bench.hand.serve("rose", false);
    for _ in 0..30 {
        bench.hand.settle(10_000).await;
        assert!(!bench.pool().is_empty());
    }
    assert_eq!(bench.pool(), ["lb.example.com A 203.0.113.2"]);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_change_in_between_is_seen_before_the_next_of_ours() {
    let mut bench = Bench::settled().await;
    let record = records(&bench.world).into_iter().find(|record| shown(record) == "lb.example.com A 203.0.113.1");
    let id = record.unwrap()["id"].as_str().unwrap().to_owned();
    bench.hand.serve("lily", false);
    // A person deletes the other record between our reading and our writing.
    bench.hand.step_until_write().await;
    let zone = bench.by_hand("GET", "/client/v4/zones").await["result"][0]["id"].clone();
    let path = format!("/client/v4/zones/{}/dns_records/{id}", zone.as_str().unwrap());
    bench.by_hand("DELETE", &path).await;
    bench.hand.settle(120_000).await;
    assert_eq!(bench.pool(), ["lb.example.com A 203.0.113.1"], "what was taken is put back");
}

#[tokio::test(start_paused = true)]
async fn a_full_zone_keeps_what_it_has() {
    let names: Vec<String> = (0..300).map(|at| format!("h{at:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut bench = Bench::new(&names);
    bench.hand.settle(60_000).await;
    assert_eq!(
        records(&bench.world).iter().filter(|record| record["name"].as_str().unwrap().ends_with("example.com")).count(),
        200
    );
    assert_eq!(bench.hand.left.iter().filter(|left| left.why == Reason::Full).count(), 107);
    bench.hand.serve("lily", false);
    bench.hand.settle(30_000).await;
    bench.hand.serve("lily", true);
    bench.hand.settle(90_000).await;
    assert_eq!(bench.pool().len(), 2, "there is room for who comes back");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_revoked_stops_the_pen_and_a_good_one_moves_it_again() {
    let mut bench = Bench::settled().await;
    let fault = bench.fault("cloudflare status=403 on * /client/v4");
    bench.hand.serve("lily", false);
    let calls = bench.hand.all_calls();
    bench.hand.settle(600_000).await;
    assert!(bench.hand.desk.standing().forbidden.is_some());
    assert!(bench.hand.all_calls() - calls <= 11, "a reading a minute");
    bench.world.heal(fault);
    bench.hand.settle(61_000).await;
    assert_eq!(bench.pool().len(), 1);
    assert_eq!(bench.hand.desk.standing().forbidden, None);
    let other = Box::new(provider(&bench.world, "CLOUDFLARE_API_TOKEN_OTHER"));
    bench.hand.provider = other;
    bench.hand.settle(120_000).await;
    assert!(bench.hand.desk.standing().forbidden.is_some(), "another zone's");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_refused_keeps_no_other_from_its_place() {
    let mut bench = Bench::new(&["web", "blog", "bad-", "zoo"]);
    bench.hand.settle(120_000).await;
    assert_eq!(bench.ours().len(), 5);
    let left: Vec<String> = bench.hand.left.iter().map(|left| format!("{} {}", left.name, left.why)).collect();
    assert!(left.len() == 1 && left[0].starts_with("bad-.example.com the provider refuses it"), "{left:?}");
    assert!(left[0].contains("9000"), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_never_passed_by_a_zone_that_does_not_hold_still() {
    let mut bench = Bench::settled().await;
    bench.fault(&format!("cloudflare slow=1 on {LIST}"));
    for at in 0..400 {
        bench.hand.serve("lily", at % 2 == 0);
        bench.hand.settle(1_000).await;
        assert!(bench.hand.desk.calls_made() <= 600);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
}
