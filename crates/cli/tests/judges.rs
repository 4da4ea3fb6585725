//! Other people's clients on the served world: Hetzner's, Oracle's and Amazon's for Python, Tailscale's for Go. They list and
//! delete what `apply` made, and try what bouquet asks of each vendor. `cargo xtask assets` makes them; a machine that lacks
//! them is told what was not tried.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a program of tests, helpers included")]

mod garden;

use garden::Garden;
use std::fs;
use std::path::{Path, PathBuf};

/// The mission's nodes; without a domain, whose TTL of a minute is real.
const THREE: &str = "\
cluster: bouquet
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
  lily: { role: worker, on: hetzner/fsn1/cax21 }
  tulip: { role: worker, on: oci/eu-frankfurt-1/VM.Standard.A1.Flex, cpus: 2, memory: 12GiB, disk: 100GiB }
";

fn judges() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges")
}

/// A Python with the vendors' clients.
fn python(what: &str) -> Option<PathBuf> {
    Some(assets::needed("cloud-clients", what)?.path)
}

/// The program around Tailscale's client.
fn tailnet(what: &str) -> Option<PathBuf> {
    Some(assets::needed("tailnet", what)?.path)
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
    let what = "hcloud, oci and Tailscale's client on what apply made";
    let (Some(python), Some(tailnet)) = (python(what), tailnet(what)) else { return };
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
    let Some(python) = python("Oracle's client on the emulated cloud") else { return };
    let garden = Garden::new("oracle");
    garden.plant_decoys();
    assert_eq!(ask(&garden, &python, &[&script("oracle.py")]), "oci is content");
}

#[test]
fn amazons_client_keeps_backups_in_the_object_storage() {
    let Some(python) = python("Amazon's client on the emulated object storage") else { return };
    let garden = Garden::new("storage");
    let before = garden.inventory();
    assert_eq!(ask(&garden, &python, &[&script("storage.py")]), "boto3 is content");
    assert_eq!(garden.inventory(), before);
    assert_eq!(garden.stop(), Some(0));
}
