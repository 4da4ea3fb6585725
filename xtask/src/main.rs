//! What a developer of bouquet runs: `cargo xtask {test,assets,truth,bench,tidy,ci}`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks on its terminal")]

mod assets;
mod bench;
mod suite;
mod tidy;
mod truth;

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str =
    "cargo xtask test [AREA…]   all tests that this machine can run; AREA is a crate (spec, engine, life, …);
                            --all first makes other people's programs that are not here, and requires them (as CI=true does)
cargo xtask assets [NAME…]  makes other people's programs that judge bouquet; --list shows them
cargo xtask truth          writes docs/truth.md from what the tests' judges said
cargo xtask rig VERB       three real nodes on this machine: up, down, status; run tells their whole story (docs/rig.md);
                            --talos makes them Talos nodes
cargo xtask bench NAME     what takes too long for a test: watcher (beside external-dns: death, converge, idle; --hosts N --runs N);
                            watcher --sim (years, deaths and seeds in virtual time: --years N --rounds N --seeds N);
                            failover (on three real nodes: [bind|cloudflare] --profile P --runs N --case WORDS)
cargo xtask image          the watcher's image, written to target/images/bouquet-watcher.tar, without a container engine
cargo xtask tidy           house rules: sizes, floors, documents
cargo xtask ci             what CI runs, and what else is installed (fmt, clippy, deny, hack)";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let ended = match words.split_first().map(|(verb, rest)| (verb.as_str(), rest)) {
        Some(("test", areas)) => suite::test(&root(), areas),
        Some(("assets", names)) => assets::make(names),
        Some(("truth", [])) => truth::write(&root()),
        Some(("rig", words)) => rig(&root(), words),
        Some(("bench", words)) => bench::run(&root(), words),
        Some(("image", [])) => image(&root()),
        Some(("tidy", [])) => tidy::all(&root()),
        Some(("ci", [])) => ci(&root()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

fn ci(root: &Path) -> Result<()> {
    tidy::all(root)?;
    run(root, &["fmt", "--all", "--check"])?;
    run(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    for (tool, args) in [("deny", &["deny", "check"][..]), ("hack", &["hack", "check", "--workspace"][..])] {
        if Command::new("cargo").args([tool, "--version"]).output().is_ok_and(|out| out.status.success()) {
            run(root, args)?;
        } else {
            println!("cargo-{tool} is not installed: left out");
        }
    }
    suite::test(root, &[])
}

/// The rig is a program of its own: what it leans on is not compiled for every other task.
fn rig(root: &Path, words: &[String]) -> Result<()> {
    let words = words.iter().map(String::as_str);
    let args: Vec<&str> = ["run", "--quiet", "--package", "bouquet-rig", "--"].into_iter().chain(words).collect();
    run(root, &args)
}

fn image(root: &Path) -> Result<()> {
    let folder = root.join("target/images");
    std::fs::create_dir_all(&folder)?;
    let archive = folder.join("bouquet-watcher.tar");
    rig(root, &["image".into(), root.display().to_string(), archive.display().to_string()])
}

fn run(root: &Path, args: &[&str]) -> Result<()> {
    println!("$ cargo {}", args.join(" "));
    let status = ::assets::cargo().args(args).current_dir(root).status()?;
    if !status.success() {
        bail!("cargo {} failed", args.join(" "));
    }
    Ok(())
}
