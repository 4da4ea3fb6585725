//! The whole story of the rig, on machines that can have one.

use bouquet_rig::{self as rig, Left, MACHINES, Options, Rig};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// There is one rig a machine, and one test at a time that looks at what is left of it.
static ONE: Mutex<()> = Mutex::new(());
/// Set where this program runs itself, to be killed.
const VICTIM: &str = "BOUQUET_RIG_VICTIM";
const TIED: Options = Options { tied: true, talk: |line| println!("{line}") };

fn can_have_a_rig() -> bool {
    let ready = rig::ready();
    if let Err(lack) = &ready {
        assets::skip("a cluster of real nodes", &lack.to_string());
    }
    ready.is_ok()
}

#[test]
fn three_real_nodes_serve_are_cut_off_hang_die_and_come_back_and_nothing_is_left() {
    if std::env::var_os(VICTIM).is_some() || !can_have_a_rig() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut rig = Rig::up(TIED).unwrap();
    let nodes = rig.nodes().unwrap();
    let addresses: Vec<_> = nodes.iter().map(|node| (node.name.as_str(), node.internal_ip.as_str())).collect();
    assert_eq!(addresses, [("lily", "100.64.0.2"), ("rose", "100.64.0.1"), ("tulip", "100.64.0.3")]);
    for machine in MACHINES {
        let mut show = rig.command(machine).unwrap();
        let said = show.args(["ip", "-4", "-o", "address", "show", "tailscale0"]).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains(&machine.mesh()), "{said}");
    }
    let figures = rig::story::tell(&mut rig, TIED.talk).unwrap();
    assert!(figures.cut_unreachable_s < 5.0, "{figures:?}");
    // The API gives a node 40 s; less would mean that something else has made it not Ready.
    assert!((35.0..60.0).contains(&figures.cut_not_ready_s), "{figures:?}");
    rig.down().unwrap();
    assert_eq!(rig::left(), Left::default());
}

#[test]
fn a_rig_dies_with_its_starter_and_down_takes_what_it_leaves() {
    if std::env::var_os(VICTIM).is_some() {
        let _rig = Rig::up(TIED);
        return;
    }
    if !can_have_a_rig() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut itself = Command::new(std::env::current_exe().unwrap());
    itself.args(["--exact", "a_rig_dies_with_its_starter_and_down_takes_what_it_leaves", "--nocapture"]);
    let mut victim = itself.env(VICTIM, "1").stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(victim.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("three machines")), "it did not get so far");
    assert!(rig::left().processes > 3, "{}", rig::left());
    victim.kill().unwrap();
    victim.wait().unwrap();
    // Each look takes some milliseconds.
    let gone = (0..2000).any(|_| rig::left().processes == 0);
    let left = rig::left();
    assert!(gone && left.namespaces == 0 && left.mounts == 0, "{left}");
    assert!(left.cgroups > 0 && left.folder, "it had nothing yet that could be left: {left}");
    rig::down().unwrap();
    assert_eq!(rig::left(), Left::default());
}
