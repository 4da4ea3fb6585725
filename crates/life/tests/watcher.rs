//! The watcher's life in a whole cluster: two clouds, their firewalls, one tailnet, Cloudflare; once a pod, as installed by
//! `bouquet apply`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]
#![allow(clippy::print_stdout, reason = "figures")]

use http::Request;
use life::{Life, MISSION, alone};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use wire::{Body, Roots, Route, Target, Tls};

/// Addresses that the pool holds, by the zone's own word.
fn pool(life: &Life) -> BTreeSet<IpAddr> {
    let name = format!("lb.{}", life.subject.cluster.domain.as_ref().unwrap());
    let records = life.world.inventory()["cloudflare_records"].as_array().unwrap().clone();
    let of_pool = records.iter().filter(|record| record["name"] == name.as_str());
    of_pool.filter_map(|record| record["content"].as_str()?.parse().ok()).collect()
}

async fn public(life: &Life, node: &str) -> IpAddr {
    life.observe().await.machine(node).unwrap().addresses[0]
}

/// Seconds until it is so, looked at five times a second.
async fn until(life: &Life, limit_s: u32, what: &str, is_so: impl Fn(&BTreeSet<IpAddr>) -> bool) -> f64 {
    for tick in 0..limit_s * 5 {
        if is_so(&pool(life)) {
            return f64::from(tick) / 5.0;
        }
        life.reach.line.time().sleep(Duration::from_millis(200)).await;
    }
    panic!("{what} is not so after {limit_s} s: {:?}\n{}", pool(life), life.world.log());
}

/// Of so many visits to one node, those that end without the canary's page.
async fn unserved(life: &Life, node: IpAddr, visits: usize) -> usize {
    let host = format!("canary.{}", life.subject.cluster.domain.as_ref().unwrap());
    let tls = Tls { server_name: host.clone(), roots: Roots::Unverified, identity: None };
    let target = Target { route: Route::Direct, host: node.to_string(), port: 443, tls: Some(tls) };
    let mut unserved = 0;
    for visit in 0..visits {
        let request = Request::get(format!("/.well-known/bouquet/{visit}")).header("host", &host);
        let request = request.body(Body::default()).unwrap();
        let wire = life.world.wire();
        let answer = life.reach.line.time().within(Duration::from_secs(3), wire.call(&target, request)).await;
        if !matches!(&answer, Ok(Ok(answer)) if answer.status() == 200) {
            println!("visit {visit} of {node}: {:?}", answer.map(|answer| answer.map(|answer| answer.status())));
            unserved += 1;
        }
    }
    unserved
}

#[test]
fn a_node_that_dies_leaves_dns_and_comes_back_with_its_power() {
    for victim in ["lily", "tulip"] {
        alone(a_death(victim));
    }
}

async fn a_death(victim: &str) {
    let life = Life::new(7, MISSION);
    let outcome = life.apply().await;
    assert!(outcome.is_ok(), "{:#?}\n{}", outcome.failed, life.world.log());
    let (lily, tulip) = (public(&life, "lily").await, public(&life, "tulip").await);
    let address = if victim == "lily" { lily } else { tulip };
    until(&life, 120, "both are in DNS", |pool| *pool == BTreeSet::from([lily, tulip])).await;
    life.world.kill(victim).unwrap();
    let gone_s = until(&life, 60, "it has left", |pool| !pool.contains(&address)).await;
    assert!(gone_s <= 12.0, "{victim}: {gone_s} s");
    assert_eq!(pool(&life).len(), 1);
    life.reach.line.time().sleep(Duration::from_secs(60)).await;
    assert!(life.apply().await.is_ok());
    let back_s = until(&life, 600, "it is back", |pool| pool.len() == 2).await;
    life.reach.line.time().sleep(Duration::from_secs(90)).await;
    for (name, address) in [("lily", lily), ("tulip", tulip)] {
        let unserved = unserved(&life, address, 30).await;
        assert_eq!(unserved, 0, "{victim} is back, and of 30 pages through {name} so many did not come");
    }
    println!("{victim}: withdrawn after {gone_s:.1} s, in DNS again {back_s:.1} s after it was mended");
    assert_eq!(life.plan().await.0.steps.len(), 0, "the watcher's records are not the plan's business");
}

#[test]
fn the_last_node_that_serves_stays_whatever_is_seen_of_it() {
    alone(async {
        let life = Life::new(8, MISSION);
        assert!(life.apply().await.is_ok());
        let (lily, tulip) = (public(&life, "lily").await, public(&life, "tulip").await);
        until(&life, 120, "both are in DNS", |pool| pool.len() == 2).await;
        life.world.kill("tulip").unwrap();
        until(&life, 60, "tulip has left", |pool| !pool.contains(&tulip)).await;
        life.world.kill("lily").unwrap();
        life.reach.line.time().sleep(Duration::from_mins(10)).await;
        assert_eq!(pool(&life), BTreeSet::from([lily]));
    });
}

#[test]
fn a_cluster_of_one_node_is_in_dns_on_its_own_word() {
    const ALONE: &str = "cluster: bouquet\ndomain: bouquet.example.com\nnodes:\n  \
        rose: { role: control-plane, on: hetzner/hel1/cax11 }\ndns: cloudflare\n";
    alone(async {
        let life = Life::new(9, ALONE);
        let outcome = life.apply().await;
        assert!(outcome.is_ok(), "{:#?}\n{}", outcome.failed, life.world.log());
        assert_eq!(pool(&life), BTreeSet::from([public(&life, "rose").await]));
        assert_eq!(life.plan().await.0.steps.len(), 0);
    });
}
