//! Other people's programs that judge bouquet: which ones, in which version, how each comes, where it is kept.
//!
//! An [`Asset`] is a line of [`TABLE`]. It is [made](Asset::make) once into a folder of its own in a [`Cache`] outside the
//! repository, named after its version and whatever it is made from, so that a changed line is another folder and nothing
//! is ever half there. Tests ask for a [`Program`] by [`needed`] and get it, or are told to skip; where `CI=true` is set
//! nothing is skipped, and a missing program is a failure.
//!
//! It refuses to install anything on the machine, and to make anything while a test runs: `cargo xtask assets` does that.

#![allow(clippy::print_stdout, reason = "progress and what was skipped are told on the terminal of whoever runs tests")]

mod cache;
mod cargo;
mod judged;
mod make;
mod table;

pub use cache::{Cache, Program};
pub use cargo::cargo;
pub use judged::{Judgement, judged, judgements};
pub use make::{Failure, Machine};
pub use table::{Asset, Comes, TABLE, Tier, named};

use std::io::Write as _;

/// The program `name` for a test that tries `what`; `None`, and said so, where this machine does not have it yet.
///
/// # Panics
/// With `CI=true`, where every program of tier `test` must be there; and if no line of the table has this name.
pub fn needed(name: &str, what: &str) -> Option<Program> {
    let asset = named(name);
    assert!(asset.is_some(), "no asset is called {name}");
    let program = asset.and_then(|asset| Cache::of_user().program(asset));
    if program.is_none() {
        skip(what, &format!("no {name} here; `cargo xtask assets {name}` makes it"));
    }
    program
}

/// Notes that `what` is not tried on this machine, and `why`, for the closing lines of `cargo xtask test`.
///
/// # Panics
/// With `CI=true`: there a gap is a failure.
pub fn skip(what: &str, why: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{what}: {why}");
    println!("skipped: {what}: {why}");
    let Some(list) = std::env::var_os("BOUQUET_SKIPPED_TESTS") else { return };
    let line = format!("{what}: {why}\n");
    let written =
        std::fs::OpenOptions::new().append(true).open(list).and_then(|mut list| list.write_all(line.as_bytes()));
    if let Err(error) = written {
        println!("the list of skipped tests cannot be written: {error}");
    }
}
