//! House rules that a machine can check. Every broken rule is told with its reason.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// No file is longer, tests included: what does not fit has a second subject.
const LINES_MAX: usize = 800;
/// Floors of the house; a crate may import only crates of lower floors. ARCHITECTURE.md has the picture.
const FLOORS: &[(&str, u8)] = &[
    ("bouquet-wire", 0),
    ("bouquet-spec", 0),
    ("bouquet-assets", 0),
    ("bouquet-rig", 2),
    ("bouquet-detect", 0),
    ("bouquet-talos", 1),
    ("bouquet-clouds", 1),
    ("bouquet-addons", 1),
    ("bouquet-plan", 2),
    ("bouquet-engine", 3),
    ("bouquet-watcher", 3),
    ("bouquet-greenhouse", 3),
    ("bouquet-pods", 4),
    ("bouquet-contracts", 4),
    ("bouquet", 5),
    ("bouquet-life", 5),
];
/// The simulated world is not made of the product's own types, so that one misspelt field cannot pass on both sides.
const GREENHOUSE_MAY_IMPORT: &[&str] = &["bouquet-wire"];

/// Checks every rule.
pub fn all(root: &Path) -> Result<()> {
    let mut broken = sizes(root)?;
    broken.extend(floors(root)?);
    broken.extend(architecture(root)?);
    for rule in &broken {
        println!("tidy: {rule}");
    }
    if !broken.is_empty() {
        bail!("{} house rules are broken", broken.len());
    }
    println!("tidy: all well");
    Ok(())
}

fn tracked(root: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let out = Command::new("git").args(["ls-files", "--", pattern]).current_dir(root).output().context("git")?;
    Ok(String::from_utf8_lossy(&out.stdout).lines().map(|line| root.join(line)).collect())
}

fn sizes(root: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for path in tracked(root, "*.rs")? {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let lines = text.lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{} has {lines} lines; {LINES_MAX} is the most", path.display()));
        }
    }
    Ok(broken)
}

/// Package name → what it imports of ours, outside of tests.
fn imports(root: &Path) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let workspace: toml::Table = std::fs::read_to_string(root.join("Cargo.toml"))?.parse()?;
    let shared = workspace.get("workspace").and_then(|table| table.get("dependencies"));
    let package_of = |alias: &str| -> Option<String> {
        let package = shared?.get(alias)?.get("package")?.as_str()?;
        package.starts_with("bouquet-").then(|| package.to_owned())
    };
    let mut all = BTreeMap::new();
    for manifest in tracked(root, "crates/*/Cargo.toml")? {
        let table: toml::Table = std::fs::read_to_string(&manifest)?.parse()?;
        let name = table.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
        let dependencies = table.get("dependencies").and_then(toml::Value::as_table);
        let ours = dependencies.into_iter().flatten().filter_map(|(alias, _)| package_of(alias)).collect();
        all.insert(name.unwrap_or_default().to_owned(), ours);
    }
    Ok(all)
}

fn floors(root: &Path) -> Result<Vec<String>> {
    let floors: BTreeMap<&str, u8> = FLOORS.iter().copied().collect();
    let mut broken = Vec::new();
    for (name, imports) in imports(root)? {
        let Some(floor) = floors.get(name.as_str()) else {
            broken.push(format!("{name} stands on no floor: name it in xtask/src/tidy.rs"));
            continue;
        };
        for import in &imports {
            let below = floors.get(import.as_str()).is_some_and(|other| other < floor);
            if !below {
                broken.push(format!("{name} imports {import}, which is not on a floor below it"));
            }
            if name == "bouquet-greenhouse" && !GREENHOUSE_MAY_IMPORT.contains(&import.as_str()) {
                broken.push(format!("the greenhouse imports {import}: it must not be made of the product's types"));
            }
        }
    }
    Ok(broken)
}

fn architecture(root: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    let missing = tracked(root, "crates/*/Cargo.toml")?.into_iter().filter_map(|manifest| {
        let folder = manifest.parent()?.file_name()?.to_string_lossy().into_owned();
        (!text.contains(&format!("`{folder}`"))).then(|| format!("ARCHITECTURE.md does not name `{folder}`"))
    });
    Ok(missing.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_keeps_its_rules() {
        let root = crate::root();
        let broken: Vec<String> =
            [sizes(&root), floors(&root), architecture(&root)].into_iter().flat_map(Result::unwrap).collect();
        assert!(broken.is_empty(), "{broken:#?}");
    }

    #[test]
    fn the_floors_are_read_from_the_manifests() {
        let imports = imports(&crate::root()).unwrap();
        assert!(imports["bouquet-engine"].contains("bouquet-plan"), "{imports:?}");
        assert!(imports["bouquet-greenhouse"].contains("bouquet-wire"), "{imports:?}");
    }
}
