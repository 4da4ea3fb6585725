//! What bouquet's claims in numbers rest on: programs that take too long for the tests.

use anyhow::{Result, bail};
use std::path::Path;

/// The words that name a bench, the package it is in, and the target there.
const BENCHES: &[(&[&str], &str, &str)] =
    &[(&["watcher", "--sim"], "bouquet-watcher", "sim"), (&["watcher"], "bouquet-contracts", "watcher")];

/// Runs the bench that the words name; what follows is for it.
pub fn run(root: &Path, words: &[String]) -> Result<()> {
    let Some((args, package, bench)) = found(words) else {
        let known: Vec<String> = BENCHES.iter().map(|(name, ..)| name.join(" ")).collect();
        bail!("`{}` is no bench; there is: {}", words.join(" "), known.join(", "));
    };
    // The profile of the tests, which is compiled already.
    let cargo = ["bench", "--profile", "dev", "--package", package, "--bench", bench, "--"];
    let all: Vec<&str> = cargo.into_iter().chain(args.iter().map(String::as_str)).collect();
    crate::run(root, &all)
}

/// The one whose name is the longest that the words begin with; and the words after it.
fn found(words: &[String]) -> Option<(&[String], &'static str, &'static str)> {
    let fits = |name: &[&str]| words.len() >= name.len() && name.iter().zip(words).all(|(a, b)| a == b);
    let (name, package, bench) =
        BENCHES.iter().filter(|(name, ..)| fits(name)).max_by_key(|(name, ..)| name.len()).copied()?;
    Some((words.get(name.len()..)?, package, bench))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bench_is_found_by_the_words_that_it_begins_with() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<String>>();
        let (sim, other) = (words("watcher --sim --seeds 3"), words("watchers --sim"));
        assert_eq!(found(&sim), Some((&words("--seeds 3")[..], "bouquet-watcher", "sim")));
        assert_eq!(found(&words("watcher death")), Some((&words("death")[..], "bouquet-contracts", "watcher")));
        assert_eq!(found(&other), None);
        assert_eq!(found(&[]), None);
    }
}
