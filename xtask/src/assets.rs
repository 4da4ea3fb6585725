//! Makes other people's programs, and says which there are.

use anyhow::{Result, bail};
use assets::{Asset, Cache, Machine, TABLE, Tier};
use std::path::Path;
use std::time::Instant;

/// Makes the named assets, or all that tests need; with `--list`, shows the table instead.
pub fn make(words: &[String]) -> Result<()> {
    if words.iter().any(|word| word == "--list") {
        list();
        return Ok(());
    }
    let wanted = wanted(words)?;
    let cache = Cache::of_user();
    let mut failures = Vec::new();
    for asset in wanted.into_iter().filter(|asset| cache.program(asset).is_none()) {
        println!("{} {}: {}", asset.name, asset.version, if asset.slow() { "building, for minutes" } else { "making" });
        let begun = now();
        match asset.make(&cache) {
            Ok(program) => {
                let megabytes = size(&program.folder) / 1_000_000;
                println!("{} {}: made in {} s, {megabytes} MB", asset.name, asset.version, begun.elapsed().as_secs());
            }
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    bail!("{} of other people's programs could not be made:\n{}", failures.len(), failures.join("\n"));
}

#[allow(clippy::disallowed_methods, reason = "a developer's tool tells how long it took")]
fn now() -> Instant {
    Instant::now()
}

fn wanted(words: &[String]) -> Result<Vec<&'static Asset>> {
    if words.is_empty() {
        return Ok(TABLE.iter().filter(|asset| asset.tier == Tier::Test).collect());
    }
    let named = |word: &String| match assets::named(word) {
        Some(asset) => Ok(asset),
        None => bail!("no asset is called `{word}`; `cargo xtask assets --list` shows them"),
    };
    words.iter().map(named).collect()
}

fn list() {
    let cache = Cache::of_user();
    println!("{:<16} {:<10} {:<6} {:<8} {:<36} here", "NAME", "VERSION", "TIER", "COMES", "JUDGES");
    for asset in TABLE {
        let tier = if asset.tier == Tier::Test { "test" } else { "bench" };
        let here = match (cache.program(asset), Machine.lacks(asset)) {
            (Some(program), _) => format!("{} MB", size(&program.folder) / 1_000_000),
            (None, Some(failure)) => format!("no: {failure}"),
            (None, None) => "no".to_owned(),
        };
        println!("{:<16} {:<10} {tier:<6} {:<8} {:<36} {here}", asset.name, asset.version, asset.way(), asset.judges);
    }
}

/// Bytes below a folder.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_in_the_table_is_told() {
        let said = wanted(&["talosclt".into()]).unwrap_err().to_string();
        assert!(said.contains("`talosclt`"), "{said}");
        assert_eq!(wanted(&["talosctl".into()]).unwrap().len(), 1);
    }
}
