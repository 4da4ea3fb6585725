//! How long a node that stops to provide stays in DNS: the worst of many withdrawals a case, on three real kubelets.
//!
//! `cargo xtask bench failover [bind|cloudflare] [--profile default|fast] [--runs N] [--case WORDS] [--anew]`. What has been
//! measured is kept below `target/bench` and not measured again, so that it can be ended at any time.
#![cfg_attr(not(target_os = "linux"), allow(unused, reason = "namespaces are Linux's"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program of figures"
)]

#[path = "../tests/failover/bench.rs"]
mod bench;
#[path = "../tests/failover/cases.rs"]
mod cases;
#[path = "../tests/failover/certificates.rs"]
mod certificates;
#[path = "failover/cloudflare.rs"]
mod cloudflare;
#[path = "../tests/failover/manifests.rs"]
mod manifests;
#[path = "failover/measured.rs"]
mod measured;
#[path = "../tests/failover/zone.rs"]
mod zone;

use bench::Bench;
use cases::{CASES, Case, everywhere};
use measured::{Kept, Measured};
use std::time::Duration;
use zone::Zone;

const WHAT: &str = "failover on three real nodes";
const WITHIN: Duration = Duration::from_secs(120);

fn main() {
    cloudflare::be_the_world();
    // Cargo adds a word of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let after = |flag: &str| words.iter().skip_while(|word| *word != flag).nth(1).cloned();
    let profile = after("--profile").unwrap_or_else(|| "default".into());
    let runs = after("--runs").map_or(10, |text| text.parse().expect("a number of runs"));
    let only = after("--case").unwrap_or_default();
    let mut kept = Kept::open(words.iter().any(|word| word == "--anew"));
    for keeper in ["bind", "cloudflare"] {
        let named = |name: &str| words.iter().any(|word| word == name);
        if named(keeper) || !named("bind") && !named("cloudflare") {
            measure(keeper, &profile, runs, &only, &mut kept);
        }
    }
}

fn measure(keeper: &str, profile: &str, runs: usize, only: &str, kept: &mut Kept) {
    let cases: Vec<&Case> = CASES.iter().filter(|case| case.what.contains(only)).collect();
    let missing = |kept: &Kept| cases.iter().any(|case| kept.of(keeper, profile, case.what).len() < runs);
    if missing(kept) {
        let zone = |rig: &rig::Rig| if keeper == "bind" { Zone::bind(rig, WHAT) } else { cloudflare::serve(rig) };
        let Some(bench) = Bench::up(WHAT, profile, zone) else { return };
        bench.settle();
        // Round by round, so that what is there when it is ended early has something of every case.
        for run in 0..runs {
            for case in &cases {
                if kept.of(keeper, profile, case.what).len() > run {
                    continue;
                }
                let seen = once(&bench, case, run == 0);
                println!("{keeper} {profile} {run}: {:<34} {seen:?}", case.what);
                kept.keep(keeper, profile, case.what, seen);
            }
        }
        everywhere(&bench);
        bench.end();
    }
    kept.show(keeper, profile, &cases);
}

/// One withdrawal by watchers that remember nothing; and how it came back, if that is waited for.
fn once(bench: &Bench, case: &Case, comes_back: bool) -> Measured {
    let (machine, gone) = case.withdrawn(bench, WITHIN);
    let back = if comes_back {
        Some(case.restored(bench, machine, WITHIN * 3))
    } else {
        (case.mend_it)(bench, machine);
        None
    };
    bench.fresh();
    Measured { withdrawn_s: gone.as_secs_f64(), restored_s: back.map(|back| back.as_secs_f64()) }
}
