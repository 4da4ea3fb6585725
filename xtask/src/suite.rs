//! Runs the tests and says at the end, in one line, how many passed, failed, and could not be run here.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

/// Runs all tests, or those of the named crates. Tests that need a program that is not here say so in a file of their own
/// and pass; with `CI=true` or `--all` what is missing is made first, and a gap is a failure.
pub fn test(root: &Path, words: &[String]) -> Result<()> {
    let (flags, areas): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| word.starts_with("--"));
    if let Some(flag) = flags.iter().find(|flag| flag.as_str() != "--all") {
        bail!("`{flag}` is no flag of `test`; there is `--all`");
    }
    let all = !flags.is_empty() || std::env::var("CI").is_ok_and(|ci| ci == "true");
    if all {
        crate::assets::make(&[])?;
    }
    let skips = root.join("target").join("skipped-tests.txt");
    std::fs::create_dir_all(root.join("target"))?;
    std::fs::write(&skips, "").with_context(|| skips.display().to_string())?;
    let mut cargo = assets::cargo();
    cargo.args(["test", "--no-fail-fast"]).current_dir(root).env("BOUQUET_SKIPPED_TESTS", &skips);
    if all {
        cargo.env("CI", "true");
    }
    if areas.is_empty() {
        cargo.arg("--workspace");
        // What an earlier run's judges said is not this run's.
        let _ = std::fs::remove_dir_all(assets::judgements());
    }
    for area in areas {
        cargo.arg("-p").arg(package(area));
    }
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("cargo test")?;
    let (mut passed, mut failed) = (0, 0);
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            let line = line?;
            if let Some((ok, bad)) = counts(&line) {
                passed += ok;
                failed += bad;
            }
            if line.starts_with("test ") && line.ends_with("... ok") {
                continue;
            }
            println!("{line}");
        }
    }
    let status = child.wait()?;
    let skipped = std::fs::read_to_string(&skips).unwrap_or_default();
    for line in skipped.lines() {
        println!("skipped: {line}");
    }
    println!("{passed} passed, {failed} failed, {} skipped", skipped.lines().count());
    if !status.success() || failed > 0 {
        bail!("tests failed");
    }
    Ok(())
}

fn package(area: &str) -> String {
    match area {
        "cli" => "bouquet".into(),
        "xtask" => "xtask".into(),
        area => format!("bouquet-{area}"),
    }
}

/// Reads `test result: ok. 3 passed; 0 failed; …`.
fn counts(line: &str) -> Option<(u64, u64)> {
    let rest = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut numbers = rest.split("; ").filter_map(|part| part.split(' ').next()?.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closing_line_of_cargo_test_is_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(counts(line), Some((12, 3)));
        assert_eq!(counts("test a ... ok"), None);
    }
}
