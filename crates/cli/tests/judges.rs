//! Other people's clients on the served world: Hetzner's, Oracle's, Cloudflare's and Amazon's for Python, Tailscale's for Go. They
//! try what bouquet asks of each vendor and how it is refused, list and delete what `apply` made, and are themselves tried:
//! an emulator that lies must not get past them. `cargo xtask assets` makes them; a machine that lacks them is told what
//! was not tried.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

#[path = "judges/answers.rs"]
mod answers;
#[path = "judges/asked.rs"]
mod asked;
#[path = "judges/cloudflare.rs"]
mod cloudflare;
mod garden;
#[path = "judges/hetzner.rs"]
mod hetzner;
#[path = "judges/judge.rs"]
mod judge;
#[path = "judges/openapi.rs"]
mod openapi;
#[path = "judges/oracle.rs"]
mod oracle;
#[path = "judges/shapes.rs"]
mod shapes;
#[path = "judges/storage.rs"]
mod storage;
#[path = "judges/tailscale.rs"]
mod tailscale;

use garden::Garden;
use judge::Judge;
use std::fs;

/// The mission's nodes; without a domain, whose TTL of a minute is real.
const THREE: &str = "\
cluster: bouquet
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
  lily: { role: worker, on: hetzner/fsn1/cax21 }
  tulip: { role: worker, on: oci/eu-frankfurt-1/VM.Standard.A1.Flex, cpus: 2, memory: 12GiB, disk: 100GiB }
";

#[test]
fn the_vendors_own_clients_list_and_delete_what_apply_made() {
    let what = "hcloud, oci and Tailscale's client on what apply made";
    let (Some(hcloud), Some(oci), Some(tailnet)) =
        (Judge::python("hetzner.py", "hcloud", what), Judge::python("oracle.py", "oci", what), Judge::tailnet(what))
    else {
        return;
    };
    let garden = Garden::new("judges");
    garden.plant_decoys();
    let before = garden.inventory();
    fs::write(garden.home().join("bouquet.yaml"), THREE).unwrap();
    garden.bouquet_exits(0, "apply --yes");
    for judge in [tailnet, hcloud, oci] {
        judge.is_content(&garden, &["sweep=bouquet"]);
    }
    assert_eq!(garden.inventory(), before, "they deleted what was the cluster's and nothing else");
}
