//! The watcher beside external-dns 0.23: one API server, one zone, the same machine, in one run.
//!
//! `cargo bench --workspace --bench watcher --profile dev -- [death] [converge] [idle] [--hosts N] [--runs N] [--only ours|theirs]`;
//! `converge` goes on to the dead address. `BOUQUET_WATCHER` names the watcher that is measured; else it is the one of this build.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program of figures: what fails has failed"
)]

#[path = "watcher/death.rs"]
mod death;
#[path = "watcher/field.rs"]
mod field;
#[path = "watcher/figure.rs"]
mod figure;
#[path = "watcher/idle.rs"]
mod idle;
#[path = "watcher/many.rs"]
mod many;
#[path = "watcher/zone.rs"]
mod zone;

use tokio::runtime::Builder;

const CASES: [&str; 3] = ["death", "converge", "idle"];

fn main() {
    // Cargo adds a word of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let after = |flag: &str| {
        let at = words.iter().position(|word| word == flag)?;
        words.get(at + 1).cloned()
    };
    let number = |flag: &str, default: usize| after(flag).map_or(default, |text| text.parse().expect("a number"));
    let (hosts, runs, only) = (number("--hosts", 10_000), number("--runs", 3), after("--only"));
    let named: Vec<&str> = CASES
        .into_iter()
        .filter(|case| words.iter().any(|word| word == case || word == "dead-address" && *case == "converge"))
        .collect();
    for case in if named.is_empty() { &CASES[..] } else { &named } {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            match *case {
                "death" => death::run(runs).await,
                "converge" => many::run(hosts, only.as_deref()).await,
                _ => idle::run().await,
            }
        });
    }
}
