//! The watcher for real: three real kubelets, real Traefik, real BIND; its own Deployment from its own image and manifest. What
//! breaks on a node, and when its address is out of DNS.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

#[path = "failover/bench.rs"]
mod bench;
#[path = "failover/cases.rs"]
mod cases;
#[path = "failover/certificates.rs"]
mod certificates;
#[path = "failover/manifests.rs"]
mod manifests;
#[path = "failover/zone.rs"]
mod zone;

use bench::Bench;
use cases::{CASES, everywhere};
use std::time::Duration;
use zone::Zone;

const WHAT: &str = "failover on three real nodes";
/// Of the `fast` profile, worst: silence 4 s, refused 3 s; and what this machine adds while it is busy with other tests.
const WITHDRAWN_WITHIN: Duration = Duration::from_secs(40);
const RESTORED_WITHIN: Duration = Duration::from_secs(150);

#[test]
fn whatever_breaks_on_a_node_takes_it_out_of_dns_and_what_breaks_on_all_takes_none() {
    let Some(bench) = Bench::up(WHAT, "fast", |rig| Zone::bind(rig, WHAT)) else { return };
    bench.settle();
    for (at, case) in CASES.iter().enumerate() {
        let (machine, gone) = case.withdrawn(&bench, WITHDRAWN_WITHIN);
        println!("{:<8} {:<34} withdrawn {:5.1} s", machine.name, case.what, gone.as_secs_f32());
        // It comes back by itself when it has held still for a minute: seen once.
        if at == 0 {
            let back = case.restored(&bench, machine, RESTORED_WITHIN);
            println!("{:<8} {:<34} restored  {:5.1} s", machine.name, "it is mended", back.as_secs_f32());
        } else {
            (case.mend_it)(&bench, machine);
        }
        bench.fresh();
    }
    everywhere(&bench);
    bench.end();
}
