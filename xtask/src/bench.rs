//! What bouquet's claims in numbers rest on: programs that take too long for the tests.

use anyhow::{Result, bail};
use std::path::Path;

/// The words that name a bench, and its target.
const BENCHES: &[(&[&str], &str)] =
    &[(&["watcher", "--sim"], "sim"), (&["watcher"], "watcher"), (&["failover"], "failover")];

/// Runs the bench that the words name; what follows is for it.
pub fn run(root: &Path, words: &[String]) -> Result<()> {
    let Some((args, bench)) = found(words) else {
        let known: Vec<String> = BENCHES.iter().map(|(name, _)| name.join(" ")).collect();
        bail!("`{}` is no bench; there is: {}", words.join(" "), known.join(", "));
    };
    // The profile of the tests, which is compiled already.
    let cargo = ["bench", "--profile", "dev", "--workspace", "--bench", bench, "--"];
    let all: Vec<&str> = cargo.into_iter().chain(args.iter().map(String::as_str)).collect();
    crate::run(root, &all)
}

/// The one whose name is the longest that the words begin with; and the words after it.
fn found(words: &[String]) -> Option<(&[String], &'static str)> {
    let fits = |name: &[&str]| words.len() >= name.len() && name.iter().zip(words).all(|(a, b)| a == b);
    let (name, bench) = BENCHES.iter().filter(|(name, _)| fits(name)).max_by_key(|(name, _)| name.len()).copied()?;
    Some((words.get(name.len()..)?, bench))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bench_is_found_by_the_words_that_it_begins_with() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<String>>();
        let (sim, other) = (words("watcher --sim --seeds 3"), words("watchers --sim"));
        assert_eq!(found(&sim), Some((&words("--seeds 3")[..], "sim")));
        assert_eq!(found(&words("watcher death")), Some((&words("death")[..], "watcher")));
        assert_eq!(found(&other), None);
        assert_eq!(found(&[]), None);
    }
}
