//! What the watcher promises, in virtual time: `cargo xtask bench watcher --sim [--years N] [--rounds N] [--seeds N] [--from SEED]`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a program that measures, on its terminal, how long it takes itself"
)]

#[path = "../tests/cluster/sim.rs"]
mod sim;
#[path = "../../detect/tests/years/life.rs"]
mod years;

#[path = "sim/powerdns.rs"]
mod powerdns;

use detect::Policy;
use sim::deaths::End;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How much is gone through.
struct Size {
    years: usize,
    rounds: u64,
    seeds: u64,
    /// The first of them.
    from: u64,
}

impl Size {
    /// What the words say; `cargo bench` adds one of its own.
    fn read(words: impl Iterator<Item = String>) -> Option<Self> {
        let mut size = Size { years: 1_000, rounds: 200, seeds: 10_000, from: 0 };
        let mut words = words.filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let number = words.next()?;
            match word.as_str() {
                "--years" => size.years = number.parse().ok()?,
                "--rounds" => size.rounds = number.parse().ok()?,
                "--seeds" => size.seeds = number.parse().ok()?,
                "--from" => size.from = number.parse().ok()?,
                _ => return None,
            }
        }
        Some(size)
    }
}

fn main() -> ExitCode {
    let Some(size) = Size::read(std::env::args().skip(1)) else {
        println!("cargo xtask bench watcher --sim [--years N] [--rounds N] [--seeds N] [--from SEED]");
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let kept = [false_withdrawals(&size), deaths(&size), troubles(&size)];
    println!("\nall of it took {:.0} s", begun.elapsed().as_secs_f64());
    if kept.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Each of so many on whatever processor is free, in order. Worlds share nothing, so that each is as it would be alone.
fn each<T: Send>(count: u64, act: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return done;
            }
            done.push((number, act(number)));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all: Vec<(u64, T)> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, result)| result).collect()
}

/// Whether what was promised is kept.
fn false_withdrawals(size: &Size) -> bool {
    let begun = Instant::now();
    println!(
        "False withdrawals in {} node-years: 1 % loss, and a burst of 15 s a week on each path by itself",
        size.years
    );
    println!("profile  vantages  withdrawn  expected  95 % of chances");
    let policies = [("default", Policy::default()), ("fast", Policy::fast())];
    // The longest first.
    let rows: Vec<_> =
        policies.iter().rev().flat_map(|policy| [5, 3, 2, 1].map(|vantages| (policy, vantages))).collect();
    let years = each(rows.len() as u64, |row| {
        let ((_, policy), vantages) = rows[usize::try_from(row).unwrap()];
        years::false_alarms(policy, vantages, size.years)
    });
    let mut kept = true;
    for (((name, _), vantages), years) in rows.iter().zip(years).rev() {
        let alone = *vantages == 1;
        let (seen, expected) =
            if alone { (years.alone, years.alone_expected) } else { (years.withdrawn, years.expected) };
        let bound = if alone { "-".into() } else { years.bound().to_string() };
        kept &= match vantages {
            1 | 5 => years.withdrawn == 0,
            _ => years.withdrawn <= years.bound(),
        };
        println!("{name:<8} {vantages:>8} {seen:>10} {expected:>9.3} {bound:>16}   ({} node-years)", years.node_years);
    }
    println!("with 1: what a lone vantage would do without a guard; the watcher itself withdraws nothing on one voice");
    let powerdns = powerdns::Checks::FASTEST.false_alarms_a_year(years::path::USUAL.loss);
    println!("PowerDNS ifurlup at its fastest: {:.0} expected", powerdns * size.years as f64);
    println!("took {:.0} s", begun.elapsed().as_secs_f64());
    kept
}

fn deaths(size: &Size) -> bool {
    let begun = Instant::now();
    println!(
        "\nFrom a death to the provider's answer, worst and median of {} rounds; calls of 0.2 to 1 s",
        size.rounds
    );
    println!("nodes  profile  end              median   worst   promised");
    let mut kept = true;
    for nodes in [3, 5] {
        for (fast, end) in [false, true].into_iter().flat_map(|fast| End::ALL.map(|end| (fast, end))) {
            let mut took = each(size.rounds, |round| end.time(nodes, fast, round));
            took.sort_unstable();
            let Some(worst) = took.last().copied() else { continue };
            let profile = if fast { "fast" } else { "default" };
            let [median, worst, most] = [took[took.len() / 2], worst, end.most(fast)].map(|time| time.as_secs_f64());
            println!(
                "{nodes:>5}  {profile:<7}  {:<15} {median:>6.2} s {worst:>6.2} s {most:>6.0} s",
                format!("{end:?}")
            );
            kept &= worst <= most;
        }
    }
    for (name, silent) in [("silence", true), ("refused", false)] {
        let (mean, worst) = powerdns::Checks::FASTEST.deaths(silent, size.rounds.max(1) * 50);
        println!(
            "    PowerDNS ifurlup  {name:<8} {:>6.2} s {:>6.2} s (mean; one vantage, no guard)",
            secs(mean),
            secs(worst)
        );
    }
    println!("took {:.0} s", begun.elapsed().as_secs_f64());
    kept
}

fn secs(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn troubles(size: &Size) -> bool {
    let begun = Instant::now();
    println!("\n{} seeds of random partitions, deaths, crashes, skew, API and provider outages", size.seeds);
    let done = AtomicU64::new(0);
    let broken = each(size.seeds, |seed| {
        let broken = sim::troubles::broken_by(size.from + seed);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(what) = &broken {
            println!("{what}");
        }
        if done.is_multiple_of(1_000) {
            println!("{done} seeds, {:.0} s", begun.elapsed().as_secs_f64());
        }
        broken.is_some()
    });
    let broken = broken.into_iter().filter(|broken| *broken).count();
    println!("seeds that broke a rule, or did not end well: {broken}; took {:.0} s", begun.elapsed().as_secs_f64());
    broken == 0
}
