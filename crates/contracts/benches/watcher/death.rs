//! A node dies without a word: how long its address stays in DNS.

use crate::field::{Field, Health, LIMIT, address, name, pod};
use crate::figure::{Figure, median};
use crate::zone::ZONE;
use contracts::Pod;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const NODES: usize = 3;
/// The node that dies, with the watcher on it.
const VICTIM: usize = 1;
/// external-dns at its defaults has not taken the dead node out by then; it never does.
const NEVER: Duration = Duration::from_mins(2);
/// After which the node controller calls a silent node unready: the least that is in use, and what was its default for long.
const GRACES: [u64; 2] = [10, 40];

/// Service, pods and EndpointSlice of something that runs on every node, its NodePort with the policy Local.
fn edge(grace_s: u64, unready: bool) -> Vec<(Value, Option<Value>)> {
    let app = format!("edge{grace_s}");
    let labels = json!({"app.kubernetes.io/name": app});
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": app, "namespace": "shop",
            "annotations": {"external-dns.kubernetes.io/hostname": format!("{app}.{ZONE}")}},
        "spec": {"type": "NodePort", "externalTrafficPolicy": "Local", "selector": labels,
            "ports": [{"name": "web", "port": 80}]},
    });
    let is_ready = |number: usize| !(unready && number == VICTIM);
    let endpoint = |number: usize| {
        json!({"addresses": [format!("10.244.0.{}", number + 1)], "nodeName": name(number),
            "conditions": {"ready": is_ready(number), "serving": is_ready(number), "terminating": false},
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": format!("{app}-{number}")}})
    };
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": app, "namespace": "shop", "labels": {"kubernetes.io/service-name": app}},
        "endpoints": (0..NODES).map(endpoint).collect::<Vec<_>>(), "ports": [{"name": "web", "port": 80}],
    });
    let pods = (0..NODES).map(|number| {
        let ready = if is_ready(number) { "True" } else { "False" };
        let at = format!("10.244.0.{}", number + 1);
        let status = json!({"phase": "Running", "podIP": at, "podIPs": [{"ip": at}],
            "conditions": [{"type": "Ready", "status": ready}]});
        (pod("shop", &app, number), Some(status))
    });
    pods.chain([(service, None), (slice, None)]).collect()
}

async fn furnish(field: &Field, grace_s: u64, unready: bool) {
    for (object, status) in edge(grace_s, unready) {
        field.stage.hand.apply(&object).await;
        if let Some(status) = status {
            field.stage.hand.tell(&object, &status).await;
        }
    }
}

/// An Ingress of another class, with every node's address in its status: what external-dns reads by default.
async fn plain(field: &Field) {
    let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "plain", "namespace": "shop"},
        "spec": {"ingressClassName": "other", "rules": [{"host": format!("plain.{ZONE}")}],
            "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}});
    field.stage.hand.apply(&object).await;
    let addresses: Vec<Value> = (0..NODES).map(|number| json!({"ip": address(number)})).collect();
    field.stage.hand.tell(&object, &json!({"loadBalancer": {"ingress": addresses}})).await;
}

/// Seconds from the death to the withdrawal, for each round; of the peer by grace, and by default.
#[derive(Default)]
struct Seen {
    default: Vec<f64>,
    fast: Vec<f64>,
    peer: [Vec<f64>; 2],
    plain: Option<f64>,
}

pub async fn run(runs: usize) {
    let Some(mut field) = Field::new(NODES).await else { return };
    plain(&field).await;
    for grace_s in GRACES {
        furnish(&field, grace_s, false).await;
    }
    let _defaults = field.start_peer("defaults", &["--source=ingress"]);
    let best = ["--source=service", "--events", "--listen-endpoint-events", "--batch-change-interval=0s"];
    let _best = field.start_peer("best", &[&best[..], &["--cloudflare-dns-records-per-page=5000"]].concat());
    let mut seen = Seen::default();
    for round in 1..=runs {
        let last = round == runs;
        println!("round {round} of {runs}");
        let seconds = once(&mut field, "default", Some((&mut seen.peer, last.then_some(&mut seen.plain)))).await;
        seen.default.push(seconds);
        seen.fast.push(once(&mut field, "fast", None).await);
    }
    tell(&seen, runs);
}

type Peers<'a> = (&'a mut [Vec<f64>; 2], Option<&'a mut Option<f64>>);

/// One death, as those see it who run; seconds until the watcher has withdrawn it.
#[allow(clippy::disallowed_methods, reason = "a figure")]
async fn once(field: &mut Field, profile: &str, peers: Option<Peers<'_>>) -> f64 {
    let mut watchers = field.start_watchers(profile).await;
    field.until_serving(NODES).await;
    let names: Vec<String> = GRACES.iter().map(|grace_s| format!("edge{grace_s}.{ZONE}")).collect();
    let plain = format!("plain.{ZONE}");
    let everywhere = || names.iter().chain([&plain]).all(|name| field.zone.at(name, "A").len() == NODES);
    field.stage.until("external-dns has published all nodes", LIMIT, async || everywhere()).await;

    field.doors[VICTIM].fall_silent().await;
    let died = Instant::now();
    let dead: Pod = watchers.remove(VICTIM);
    drop(dead);
    let pool = format!("lb.{ZONE}");
    let since = |name: &str| {
        let left = field.zone.left(name, &address(VICTIM)).filter(|left| *left > died);
        left.map(|left| left.duration_since(died).as_secs_f64())
    };
    let ours = async {
        field.stage.until("the watcher has withdrawn it", LIMIT, async || since(&pool).is_some()).await;
        since(&pool).unwrap()
    };
    let Some((by_grace, by_default)) = peers else {
        let seconds = ours.await;
        println!("  {profile}: {seconds:.2} s");
        revive(field).await;
        return seconds;
    };
    let controllers = async {
        for grace_s in GRACES {
            tokio::time::sleep_until((died + Duration::from_secs(grace_s)).into()).await;
            field.health(VICTIM, Health::Unknown).await;
            furnish(field, grace_s, true).await;
        }
        for (name, seen) in names.iter().zip(by_grace) {
            field.stage.until("external-dns has withdrawn it", LIMIT, async || since(name).is_some()).await;
            seen.push(since(name).unwrap());
            println!("  external-dns at its best, {name}: {:.2} s", since(name).unwrap());
        }
        if let Some(by_default) = by_default {
            tokio::time::sleep_until((died + NEVER).into()).await;
            *by_default = since(&plain);
            println!("  external-dns at its defaults, after {NEVER:?}: {by_default:?}");
        }
    };
    let (seconds, ()) = tokio::join!(ours, controllers);
    println!("  {profile}: {seconds:.2} s");
    drop(watchers);
    revive(field).await;
    seconds
}

async fn revive(field: &mut Field) {
    field.doors[VICTIM].serve();
    field.health(VICTIM, Health::Ready).await;
    for grace_s in GRACES {
        furnish(field, grace_s, false).await;
    }
}

fn tell(seen: &Seen, runs: usize) {
    let (default, fast) = (median(&seen.default), median(&seen.fast));
    let [soon, late] = [median(&seen.peer[0]), median(&seen.peer[1])];
    let peer = |how: &str| format!("external-dns 0.23.0, {how}");
    let defaults = peer("at its defaults");
    Figure { name: "death_to_withdrawal_s", ours: default, peer: &defaults, theirs: seen.plain, runs: 1 }.tell();
    for (figure, ours) in [("death_to_withdrawal_s", default), ("death_to_withdrawal_fast_s", fast)] {
        for (theirs, how) in [(late, "at its best, grace 40 s"), (soon, "at its best, grace 10 s")] {
            Figure { name: figure, ours, peer: &peer(how), theirs: Some(theirs), runs }.tell();
        }
    }
    let worst = |seen: &[f64]| seen.iter().copied().fold(0.0, f64::max);
    println!("worst: default {:.2} s, fast {:.2} s", worst(&seen.default), worst(&seen.fast));
}
