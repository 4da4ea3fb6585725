//! How long an apply takes beside what the world needs for it, and how many calls a look at a settled world costs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "figures are shown, and are hours at most")]

use greenhouse::Greenhouse;
use life::{Life, MISSION, alone, nodes};
use std::collections::{BTreeMap, BTreeSet};

fn garden(file: &str) -> Life {
    let life = Life::new(1, file);
    life.snapshot("arm64");
    life
}

/// The longest chain from the first order to a Ready node: what the control plane took and then the node itself, as the
/// world recorded it, without any moment in which neither was at work. Waiting is not work: a kubelet counts from when
/// there was an API server that it could have known, and a worker's wait for a certificate does not count at all. So time
/// that the product lets pass, before the bootstrap call say, is no part of the path.
fn critical_path_ms(world: &Greenhouse, began_ms: i64) -> u64 {
    let stages = world.stages();
    let of = |node: &str, name: &str| {
        let is_nodes = |subject: &str| subject.strip_prefix("bouquet-").unwrap_or(subject) == node;
        stages
            .iter()
            .find(|stage| stage.name == name && is_nodes(&stage.subject))
            .map(|stage| (stage.from_ms, stage.to_ms))
    };
    let called_ms = |node: &str, method: &str| {
        let journal = world.journal();
        let call = journal.iter().find(|call| call.path.ends_with(method) && call.to.split(':').next() == Some(node));
        call.and_then(|call| u64::try_from(call.at_ms - began_ms).ok()).unwrap_or(0)
    };
    let served_ms = of("rose", "kubernetes-api").map_or(0, |(_, to_ms)| to_ms);
    let spans_of = |node: &str| {
        let own = [
            "server-create",
            "oci-launch",
            "firmware",
            "boot",
            "services",
            "mesh",
            "etcd",
            "kubernetes-api",
            "node-ready",
        ];
        let mut spans: Vec<(u64, u64)> = own.iter().filter_map(|name| of(node, name)).collect();
        // What Talos does between the bootstrap call and etcd is no stage.
        if let Some((etcd_ms, _)) = of(node, "etcd") {
            spans.push((called_ms(node, "/Bootstrap"), etcd_ms));
        }
        if let Some((from_ms, to_ms)) = of(node, "kubelet") {
            spans.push((from_ms.max(served_ms).max(called_ms(node, "/ApplyConfiguration")), to_ms));
        }
        spans
    };
    let nodes: BTreeSet<&str> =
        stages.iter().filter(|stage| stage.name == "node-ready").map(|stage| stage.subject.as_str()).collect();
    // What a cloud's image is made with: the factory's build, a machine that writes it, the vendor's own work.
    let image_of = |node: &str| {
        let at_oci = of(node, "oci-launch").is_some();
        let made = stages.iter().filter(move |stage| {
            let of_oci = stage.subject.starts_with("oracle-") || stage.name == "image-import";
            let of_hetzner = stage.subject.starts_with("hcloud-") || stage.subject.starts_with("bouquet-image-");
            if at_oci { of_oci } else { of_hetzner }
        });
        made.map(|stage| (stage.from_ms, stage.to_ms)).collect::<Vec<_>>()
    };
    let paths = nodes
        .into_iter()
        .map(|node| busy_ms([image_of("rose"), spans_of("rose"), image_of(node), spans_of(node)].concat()));
    paths.max().unwrap_or(0)
}

/// How long at least one of the spans lasts.
fn busy_ms(mut spans: Vec<(u64, u64)>) -> u64 {
    spans.sort_unstable();
    let (mut busy_ms, mut reached_ms) = (0, 0);
    for (from_ms, to_ms) in spans {
        busy_ms += to_ms.saturating_sub(from_ms.max(reached_ms));
        reached_ms = reached_ms.max(to_ms);
    }
    busy_ms
}

/// Applies, and compares what that took with what the world needed.
async fn in_time(what: &str, life: Life) {
    let began = life.world.now();
    let outcome = life.apply().await;
    assert!(outcome.is_ok(), "{:?}", outcome.failed);
    let took_ms = u64::try_from(life.world.now().duration_since(began).as_millis()).unwrap();
    let path_ms = critical_path_ms(&life.world, began.as_millisecond());
    let ratio = took_ms as f64 / path_ms as f64;
    println!("{what}: {took_ms} ms, critical path {path_ms} ms, ratio {ratio:.3}");
    assert!(ratio <= 1.05, "{what}: {ratio:.3}");
}

#[test]
fn an_apply_takes_no_longer_than_what_it_waits_for() {
    for count in [3, 20, 100] {
        alone(async { in_time(&format!("{count} nodes, image there"), garden(&nodes(count))).await });
        alone(async { in_time(&format!("{count} nodes, from nothing"), Life::new(1, &nodes(count))).await });
    }
    alone(async { in_time("the mission, from nothing", Life::new(1, MISSION)).await });
}

/// Calls that one plan of a settled cluster makes, by whom they go to.
fn calls_of_a_plan(count: usize) -> BTreeMap<String, usize> {
    alone(async {
        let life = garden(&nodes(count));
        assert!(life.apply().await.is_ok());
        let again = life.again(&nodes(count));
        let before = life.world.journal().len();
        let (plan, _) = again.plan().await;
        assert!(plan.is_empty(), "{:?}", plan.steps);
        let mut calls = BTreeMap::new();
        for call in life.world.journal().into_iter().skip(before) {
            assert!(!call.is_mutating() || call.path.contains("oauth"), "{call:?}");
            *calls.entry(call.to).or_default() += 1;
        }
        calls
    })
}

#[test]
fn a_plan_of_a_settled_cluster_costs_the_vendors_the_same_whatever_its_size() {
    let (small, large) = (calls_of_a_plan(3), calls_of_a_plan(20));
    println!("3 nodes: {small:?}\n20 nodes: {large:?}");
    for vendor in ["hetzner", "tailscale"] {
        assert_eq!(small[vendor], large[vendor], "{vendor}");
    }
    let talos: Vec<usize> = large.iter().filter(|(to, _)| to.ends_with(":50000")).map(|(_, calls)| *calls).collect();
    assert_eq!(talos.len(), 20, "every node is really asked");
    assert!(talos.iter().all(|calls| *calls <= 3), "{large:?}");
}

#[test]
fn a_configuration_changed_by_hand_shows_and_is_put_right() {
    alone(async {
        let life = garden(&nodes(3));
        assert!(life.apply().await.is_ok());
        let node = life.talos("lily1").await;
        let config = node.machine_config().await.unwrap();
        let by_hand = format!(
            "{}\n---\napiVersion: v1alpha1\nkind: StaticHostConfig\nname: 192.0.2.7\nhostnames: [hand]\n",
            config.expose().trim_end()
        );
        node.apply_configuration(&wire::Secret::new(by_hand), talos::ApplyMode::Auto, false).await.unwrap();
        let (plan, _) = life.plan().await;
        let ids: Vec<&str> = plan.steps.iter().map(|planned| planned.id.as_str()).collect();
        assert!(ids.contains(&"configure/lily1"), "{ids:?}");
        assert!(!ids.contains(&"configure/lily2") && !ids.contains(&"configure/rose"), "{ids:?}");
        assert!(life.apply().await.is_ok());
        assert!(life.plan().await.0.is_empty());
    });
}
