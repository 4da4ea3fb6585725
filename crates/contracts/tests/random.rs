//! Random sequences of requests on the emulator and on etcd with kube-apiserver: what is answered must be the same.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

use contracts::random::{self, EXPLAINED};
use contracts::{Authority, ControlPlane, Difference, Emulator, Side, Transcript, differences};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

const WHAT: &str = "random requests on the real API server";
const SEQUENCES: usize = 2000;
/// Differing sequences that are told of.
const TOLD: usize = 12;

fn runtime(paused: bool) -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(paused).build().unwrap()
}

/// `CONTRACTS_SEED` tries others.
fn seed() -> u64 {
    std::env::var("CONTRACTS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// The shortest beginning of a sequence that shows the first difference.
fn shortest(transcript: &Transcript, found: &[&Difference]) -> String {
    let first = found.iter().map(|difference| difference.at).min().unwrap_or(0);
    let asked =
        transcript.iter().take(first + 1).map(|entry| format!("    {} → {}\n", entry.question, entry.answer.status));
    let told = found.iter().filter(|difference| difference.at == first).map(|difference| format!("{difference}\n"));
    asked.chain(told).collect()
}

#[test]
fn random_requests_are_answered_alike() {
    let authority = Authority::new();
    let Some(plane) = ControlPlane::start(&authority, WHAT).map(Arc::new) else { return };
    let numbers =
        0..std::env::var("CONTRACTS_SEQUENCES").ok().and_then(|count| count.parse().ok()).unwrap_or(SEQUENCES);
    let (authority, numbers) = (&authority, &numbers);
    // Two processors: the emulator answers on one while the real thing answers on the other.
    let (real, emulated) = std::thread::scope(|threads| {
        let emulated = threads.spawn(move || {
            runtime(true).block_on(async {
                let emulator = Emulator::new(authority, &[]);
                random::define(&emulator.side).await;
                random::say_all(&emulator.side, seed(), numbers.clone()).await
            })
        });
        let real = runtime(false).block_on(async {
            let side = Side::real(authority, &plane).await;
            random::define(&side).await;
            random::say_all(&side, seed(), numbers.clone()).await
        });
        (real, emulated.join().unwrap())
    });
    let mut wrong = Vec::new();
    let mut count = 0_u64;
    for (number, (emulated, real)) in emulated.iter().zip(&real).enumerate() {
        count += real.len() as u64;
        let all = differences(emulated, real);
        let found: Vec<&Difference> =
            all.iter().filter(|difference| !EXPLAINED.iter().any(|known| (known.is)(difference))).collect();
        if !found.is_empty() {
            wrong.push(format!("sequence {number}:\n{}", shortest(real, &found)));
        }
    }
    println!("{} sequences of {count} requests, {} differ", real.len(), wrong.len());
    let told = wrong.iter().take(TOLD).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {} sequences differ\n{told}", wrong.len(), real.len());
    assets::judged(&assets::Judgement {
        protocol: "Kubernetes API: random requests",
        judge: "kube-apiserver 1.37.2",
        covers: &[
            "create, get, list, replace, merge, strategic and JSON patches, apply by two managers, deletion, dry run",
            "ConfigMap, Deployment, Service, Node, Lease, Namespace, a custom kind",
            "bodies, statuses, warnings, managed fields after normalising ids, times and revisions",
        ],
        lacks: &["other kinds", "requests that overlap on one object"],
        count,
        lies: &[],
    });
}
