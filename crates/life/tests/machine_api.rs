//! One suite over the product's Talos client, asked of the emulator and of real Talos nodes.
//!
//! The suite only tells what was answered; what real nodes told is written down in `machine_api/*.txt`, and both must tell it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]
#![allow(clippy::print_stdout, reason = "how far the real nodes are, for whoever waits")]

#[path = "machine_api/acts.rs"]
mod acts;
#[path = "machine_api/bench.rs"]
mod bench;
#[path = "machine_api/emulated.rs"]
mod emulated;
#[path = "machine_api/real.rs"]
mod real;

use bench::Bench;
use rig::{LILY, MACHINES, ROSE};

const TRIO: &str = include_str!("machine_api/trio.txt");
const PAIR: &str = include_str!("machine_api/pair.txt");

async fn trio(mut bench: Bench) -> String {
    acts::waits_for_bootstrap(&mut bench).await;
    acts::reads(&mut bench).await;
    acts::applies(&mut bench).await;
    acts::bootstraps(&mut bench).await;
    acts::roles(&mut bench).await;
    acts::loses_and_recovers(&mut bench).await;
    acts::resets(&mut bench).await;
    bench.tale()
}

async fn pair(mut bench: Bench) -> String {
    acts::worker(&mut bench).await;
    bench.tale()
}

/// Fails with the lines that differ.
fn agree(who: &str, told: &str, expected: &str) {
    let differ: Vec<String> = told
        .lines()
        .zip(expected.lines())
        .filter(|(told, expected)| told != expected)
        .map(|(told, expected)| format!("  {expected}\n  but {who} {told}"))
        .collect();
    let lengths = (told.lines().count(), expected.lines().count());
    assert!(differ.is_empty() && lengths.0 == lengths.1, "{lengths:?}\n{}\nall of it:\n{told}", differ.join("\n"));
}

fn real_nodes(what: &str) -> bool {
    match rig::talos::ready() {
        Ok(()) => true,
        Err(failure) => {
            assets::skip(what, &failure.to_string());
            false
        }
    }
}

/// The count is that of the cases.
fn judged(judge: &str, covers: &[&str], lacks: &[&str], cases: &str) {
    let count = cases.lines().count() as u64;
    assets::judged(&assets::Judgement { protocol: "Talos machine API", judge, covers, lacks, count, lies: &[] });
}

fn alone<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn three_emulated_control_planes_say_what_real_ones_said() {
    let told = life::alone(async { trio(emulated::bench(&["rose", "lily", "tulip"], &[]).await).await });
    agree("the emulator says", &told, TRIO);
}

#[test]
fn an_emulated_worker_says_what_a_real_one_said() {
    let told = life::alone(async { pair(emulated::bench(&["rose"], &["lily"]).await).await });
    agree("the emulator says", &told, PAIR);
}

#[test]
fn three_real_control_planes_say_what_is_written_down() {
    if !real_nodes("the machine API of three real control planes") {
        return;
    }
    let told = alone(async {
        let (bench, _talos) = real::bench(&MACHINES, &[]);
        trio(bench).await
    });
    agree("real nodes say", &told, TRIO);
    judged(
        "real control planes, Talos 1.13.9",
        &[
            "services",
            "COSI reads and watches",
            "apply in each mode",
            "bootstrap",
            "etcd members",
            "snapshot and recovery",
            "reset",
            "roles",
        ],
        &["maintenance mode", "reboot and upgrade, which a container has not"],
        TRIO,
    );
}

#[test]
fn a_real_worker_says_what_is_written_down() {
    if !real_nodes("the machine API of a real worker") {
        return;
    }
    let told = alone(async {
        let (bench, _talos) = real::bench(&[ROSE], &[LILY]);
        pair(bench).await
    });
    agree("real nodes say", &told, PAIR);
    judged(
        "real worker, Talos 1.13.9",
        &["a certificate by trustd", "refusals of a worker", "routing by `node`"],
        &["`nodes`"],
        PAIR,
    );
}
