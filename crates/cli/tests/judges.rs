//! Other people's clients on the served world: Hetzner's, Oracle's and Amazon's for Python, Tailscale's for Go. They list and
//! delete what `apply` made, and try what bouquet asks of each vendor. Both are fetched once into a cache outside the
//! repository; a machine that lacks `python3`, `go` or their registries is told what was not tried.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a program of tests, helpers included")]

mod garden;

use garden::Garden;
use sha2::{Digest as _, Sha256};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The mission's nodes; without a domain, whose TTL of a minute is real.
const THREE: &str = "\
cluster: bouquet
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
  lily: { role: worker, on: hetzner/fsn1/cax21 }
  tulip: { role: worker, on: oci/eu-frankfurt-1/VM.Standard.A1.Flex, cpus: 2, memory: 12GiB, disk: 100GiB }
";

fn judges() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../greenhouse/judges")
}

/// Where something made from these files is kept.
fn cached(name: &str, files: &[PathBuf]) -> PathBuf {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(fs::read(file).unwrap());
    }
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
        .unwrap_or_else(env::temp_dir);
    cache.join("bouquet").join(format!("{name}-{}", &hex::encode(hash.finalize())[..16]))
}

/// Makes `kept` by `make`, under another name first: two test runs may do so at once. `None` if it could not be made; with
/// `CI=true` that fails.
fn made(kept: &Path, make: impl FnOnce(&Path) -> Result<(), String>) -> Option<PathBuf> {
    if kept.exists() {
        return Some(kept.to_owned());
    }
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    let fresh = kept.with_extension(std::process::id().to_string());
    // Whoever was first has made the same.
    let made = make(&fresh).map(|()| drop(fs::rename(&fresh, kept)));
    let _ = fs::remove_dir_all(&fresh);
    if let Err(why) = &made {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "CI must have this: {why}");
        println!("{why}");
    }
    made.is_ok().then(|| kept.to_owned())
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A Python with the vendors' clients.
fn python() -> Option<PathBuf> {
    static ONE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let make = || {
        let wanted = judges().join("requirements.txt");
        let kept = cached("judges-python", std::slice::from_ref(&wanted));
        let folder = made(&kept, |fresh| {
            run(Command::new("python3").args(["-m", "venv"]).arg(fresh))?;
            run(Command::new(fresh.join("bin/python")).args(["-m", "pip", "install", "-q", "-r"]).arg(&wanted))
        });
        folder.map(|folder| folder.join("bin/python"))
    };
    ONE.get_or_init(make).clone()
}

/// The program around Tailscale's client.
fn tailnet() -> Option<PathBuf> {
    let source = judges().join("tailnet");
    let kept = cached("judge-tailnet", &["go.mod", "go.sum", "main.go"].map(|file| source.join(file)));
    made(&kept, |fresh| run(Command::new("go").args(["build", "-o"]).arg(fresh).arg(".").current_dir(&source)))
}

/// Lets a judge try; what it says at last.
fn ask(garden: &Garden, program: &Path, arguments: &[&str]) -> String {
    let output = garden.command(program).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}{out}\n{err}", program.display());
    out.lines().last().unwrap_or_default().to_owned()
}

fn script(name: &str) -> String {
    judges().join(name).display().to_string()
}

#[test]
fn the_vendors_own_clients_list_and_delete_what_apply_made() {
    let (Some(python), Some(tailnet)) = (python(), tailnet()) else {
        println!("skipped: hcloud, oci and Tailscale's client on what apply made: no Python or no Go with its modules");
        return;
    };
    let garden = Garden::new("judges");
    garden.plant_decoys();
    let before = garden.inventory();
    fs::write(garden.home().join("bouquet.yaml"), THREE).unwrap();
    garden.bouquet_exits(0, "apply --yes");
    assert_eq!(ask(&garden, &tailnet, &["bouquet"]), "Tailscale's client is content");
    assert_eq!(ask(&garden, &python, &[&script("hetzner.py"), "bouquet"]), "hcloud is content");
    assert_eq!(ask(&garden, &python, &[&script("oracle.py"), "bouquet"]), "oci is content");
    assert_eq!(garden.inventory(), before, "they deleted what was the cluster's and nothing else");
}

#[test]
fn oracles_client_makes_and_deletes_what_a_node_needs() {
    let Some(python) = python() else {
        println!("skipped: Oracle's client on the emulated cloud: no Python with its packages");
        return;
    };
    let garden = Garden::new("oracle");
    garden.plant_decoys();
    assert_eq!(ask(&garden, &python, &[&script("oracle.py")]), "oci is content");
}

#[test]
fn amazons_client_keeps_backups_in_the_object_storage() {
    let Some(python) = python() else {
        println!("skipped: Amazon's client on the emulated object storage: no Python with its packages");
        return;
    };
    let garden = Garden::new("storage");
    let before = garden.inventory();
    assert_eq!(ask(&garden, &python, &[&script("storage.py")]), "boto3 is content");
    assert_eq!(garden.inventory(), before);
    assert_eq!(garden.stop(), Some(0));
}
