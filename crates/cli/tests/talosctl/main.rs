//! Talos's own `talosctl` on the emulated nodes of a cluster that `bouquet apply` made, through the world's HTTP proxy and
//! with the talosconfig that `bouquet talosconfig` prints. `cargo xtask assets talosctl` makes it.
//!
//! Each module is a part of what a user does. A part panics where it finds something other than
//! what Talos would have said; `lies` runs each part on a world that lies about just that, and asserts that it does.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a program of tests, helpers included")]

#[path = "../garden/mod.rs"]
#[allow(dead_code, reason = "shared by several programs of tests, none of which uses all of it")]
mod garden;

mod configs;
mod desk;
mod lies;
mod maintenance;
mod mission;
mod power;
mod reads;
mod roles;
mod screen;

use desk::{Desk, judged};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a part is run on.
type Part = fn(&Desk);

/// Parts that leave the cluster as it was.
const GENTLE: &[(&str, Part)] = &[
    ("versions", reads::versions),
    ("services", reads::services),
    ("several nodes, one of them dead", reads::several_nodes),
    ("etcd members, status, alarms", reads::etcd),
    ("etcd snapshot", reads::snapshot),
    ("cluster members", reads::members),
    ("resources in tables and YAML", reads::resources),
    ("resource definitions, beside machinery's", reads::definitions),
    ("watches", reads::watches),
    ("logs, kernel log, files", reads::logs),
    ("kubeconfig", reads::kubeconfig),
    ("health on both sides", reads::health),
    ("bootstrap twice, and on a worker", power::bootstraps),
    ("roles", roles::roles),
    ("dry runs", configs::dry_runs),
    ("configurations that take effect at once", configs::at_once),
    ("configurations that are tried", configs::tried),
    ("configurations that wait for a reboot", configs::staged),
    ("refused configurations", configs::refused),
    ("a machine in maintenance mode", maintenance::first_contact),
    ("the dashboard", screen::dashboard),
];

#[test]
fn talosctl_finds_what_it_would_find_on_real_nodes() {
    let Some(desk) = Desk::new("talosctl", "60", &[]) else { return };
    let fails = |part: Part| catch_unwind(AssertUnwindSafe(|| part(&desk))).is_err();
    let failed = GENTLE.iter().filter(|(_, part)| fails(*part)).map(|(name, _)| *name).collect::<Vec<_>>();
    assert_eq!(failed, [""; 0]);
    judged("reads and configurations", &desk, &GENTLE.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}

#[test]
fn talosctl_drains_a_node_before_its_upgrade() {
    let Some(desk) = Desk::named("talosctl-drain", "20") else { return };
    power::drained_upgrade(&desk);
    judged("drain", &desk, &["upgrade with drain, by the name of the Kubernetes API"]);
}

/// At a speed at which a reboot takes longer than the second that talosctl waits before it asks again.
#[test]
fn talosctl_follows_nodes_through_reboot_upgrade_and_reset() {
    let Some(desk) = Desk::new("talosctl-power", "20", &[]) else { return };
    power::reboots(&desk);
    power::upgrades(&desk);
    power::resets(&desk);
    judged("power", &desk, &["reboot, one and several", "upgrade", "reset with and without a reboot"]);
}
