//! Machines that run Talos come soon, and leave nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::print_stdout, reason = "how far it is, for whoever waits")]

use bouquet_rig::talos::{self, Planned, Talos};
use bouquet_rig::{Left, MACHINES, Options, ROSE, left};

#[test]
fn three_talos_nodes_answer_and_leave_nothing() {
    if let Err(failure) = talos::ready() {
        return assets::skip("three real Talos nodes", &failure.to_string());
    }
    let nodes = MACHINES.map(|machine| Planned { machine, control_plane: machine == ROSE });
    let options = Options { tied: true, talk: |line| println!("{line}") };
    let rig = Talos::up(options, &nodes, talos::bundle().unwrap()).unwrap();
    assert!(MACHINES.into_iter().all(|machine| rig.runs(machine)));
    rig.down().unwrap();
    assert_eq!(left(), Left::default());
}
