//! The whole story of the rig, on machines that can have one.

use rig::{MACHINES, Options, Rig, TULIP};
use std::time::Duration;

#[test]
fn three_real_nodes_serve_are_cut_off_hang_die_and_come_back_and_nothing_is_left() {
    if let Err(lack) = rig::ready() {
        assets::skip("a cluster of real nodes", &lack.to_string());
        return;
    }
    let mut rig = Rig::up(Options { tied: true, talk: |line| println!("{line}") }).unwrap();
    let nodes = rig.nodes().unwrap();
    let addresses: Vec<(&str, &str)> =
        nodes.iter().map(|node| (node.name.as_str(), node.internal_ip.as_str())).collect();
    assert_eq!(addresses, [("lily", "100.64.0.2"), ("rose", "100.64.0.1"), ("tulip", "100.64.0.3")]);
    for machine in MACHINES {
        let said =
            rig.command(machine).unwrap().args(["ip", "-4", "-o", "address", "show", "tailscale0"]).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains(&machine.mesh()), "{said}");
    }
    let figures = rig::story::tell(&mut rig, |line| println!("{line}")).unwrap();
    assert!(figures.cut_unreachable_s < 5.0, "{figures:?}");
    // The API gives a node 40 s; less would mean that something else has made it not Ready.
    assert!((35.0..55.0).contains(&figures.cut_not_ready_s), "{figures:?}");
    assert!(figures.frozen_unready_s > 1.0, "{figures:?}");
    rig.down().unwrap();
    assert_eq!(rig::left(), rig::Left::default());
}
