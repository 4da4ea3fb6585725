//! The watcher for real: three real kubelets, real Traefik, real BIND; its own Deployment from its own image and manifest. What
//! breaks on a node, and when its address is out of DNS.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

#[path = "failover/bench.rs"]
mod bench;
#[path = "failover/certificates.rs"]
mod certificates;
#[path = "failover/manifests.rs"]
mod manifests;

use bench::Bench;
use rig::{LILY, MACHINES, Machine, ROSE, TULIP};
use std::time::Duration;

const WHAT: &str = "failover on three real nodes";
/// Of the `fast` profile, worst: silence 4 s, refused 3 s; and what this machine adds while it is busy with other tests.
const WITHDRAWN_WITHIN: Duration = Duration::from_secs(20);
const RESTORED_WITHIN: Duration = Duration::from_secs(150);

#[test]
fn whatever_breaks_on_a_node_takes_it_out_of_dns_and_what_breaks_on_all_takes_none() {
    let Some(mut bench) = Bench::up(WHAT, "fast") else { return };
    bench.settle();
    comes_back(&bench, LILY);
    one_node(
        &bench,
        "its cable is cut",
        LILY,
        |bench| bench.rig.cut(LILY).unwrap(),
        |bench| bench.rig.heal(LILY).unwrap(),
    );
    one_node(
        &bench,
        "its Traefik hangs",
        TULIP,
        |bench| bench.rig.freeze("traefik", TULIP).unwrap(),
        |bench| bench.rig.thaw("traefik", TULIP).unwrap(),
    );
    one_node(
        &bench,
        "its Traefik is killed",
        LILY,
        |bench| bench.kill_traefik(LILY),
        |bench| bench.rig.thaw("kubelet", LILY).unwrap(),
    );
    one_node(
        &bench,
        "its Traefik has no routes",
        TULIP,
        |bench| bench.lose_routes(TULIP),
        |bench| bench.regain_routes(TULIP),
    );
    one_node(
        &bench,
        "its certificate is another's",
        LILY,
        |bench| bench.lay_certificate(LILY, &bench.certificates.foreign),
        |bench| bench.lay_certificate(LILY, &bench.certificates.good),
    );
    with_the_writer(&bench);
    everywhere(&bench);
    without_the_api(&mut bench);
    bench.end();
}

/// Something breaks on one node: it goes, the others stay, and once it is mended it comes back.
fn one_node(bench: &Bench, what: &str, machine: Machine, break_it: impl Fn(&Bench), mend_it: impl Fn(&Bench)) {
    break_it(bench);
    let gone = bench.until(&format!("{} is withdrawn: {what}", machine.name), WITHDRAWN_WITHIN, |published| {
        !published.contains(&machine.public())
    });
    assert_eq!(bench.published().len(), 2, "{what}: {:?}", bench.published());
    mend_it(bench);
    println!("{:<8} {what:<34} withdrawn {:5.1} s", machine.name, gone.as_secs_f32());
    bench.fresh();
}

/// A node that is mended comes back by itself, when it has held still for a minute.
fn comes_back(bench: &Bench, machine: Machine) {
    bench.rig.cut(machine).unwrap();
    bench.until("its cable is cut", WITHDRAWN_WITHIN, |published| !published.contains(&machine.public()));
    bench.rig.heal(machine).unwrap();
    let back = bench.until("it is restored", RESTORED_WITHIN, |published| published.contains(&machine.public()));
    println!("{:<8} {:<34} restored {:6.1} s", machine.name, "its cable is whole again", back.as_secs_f32());
    bench.fresh();
}

/// The node of whoever writes loses its cable: another takes over, and withdraws it.
fn with_the_writer(bench: &Bench) {
    // Without rose there is no API; that is a case of its own.
    let writer = bench.writer_on(&[LILY, TULIP]);
    bench.rig.cut(writer).unwrap();
    let gone = bench.until("the writer's own node is withdrawn", WITHDRAWN_WITHIN * 2, |published| {
        !published.contains(&writer.public())
    });
    bench.rig.heal(writer).unwrap();
    println!("{:<8} {:<34} withdrawn {:5.1} s", writer.name, "its cable is cut, the writer's", gone.as_secs_f32());
    bench.fresh();
}

/// What breaks on all nodes is told, and nothing goes.
fn everywhere(bench: &Bench) {
    for (what, break_it, mend_it) in [
        (
            "the canary's route is gone",
            Box::new(|| bench.remove_canary()) as Box<dyn Fn() + '_>,
            Box::new(|| bench.apply_canary()) as Box<dyn Fn() + '_>,
        ),
        (
            "every certificate has expired",
            Box::new(|| MACHINES.into_iter().for_each(|at| bench.lay_certificate(at, &bench.certificates.expired))),
            Box::new(|| MACHINES.into_iter().for_each(|at| bench.lay_certificate(at, &bench.certificates.good))),
        ),
    ] {
        break_it();
        bench.until_status(what, Duration::from_secs(60), |status| {
            status["alerts"]
                .as_array()
                .is_some_and(|alerts| alerts.iter().any(|alert| alert.to_string().contains("healthy")))
        });
        std::thread::sleep(Duration::from_secs(10));
        assert_eq!(bench.published().len(), 3, "{what}");
        println!("{:<8} {what:<34} nothing goes, and it is told", "all");
        mend_it();
        bench.settle();
    }
}

/// The API dies, and then a Traefik: the vantages go on among themselves.
fn without_the_api(bench: &mut Bench) {
    bench.rig.freeze("kube-apiserver", ROSE).unwrap();
    std::thread::sleep(Duration::from_secs(8));
    bench.rig.freeze("traefik", TULIP).unwrap();
    let gone = bench.until("tulip is withdrawn without an API", WITHDRAWN_WITHIN * 2, |published| {
        !published.contains(&TULIP.public())
    });
    bench.rig.thaw("traefik", TULIP).unwrap();
    bench.rig.thaw("kube-apiserver", ROSE).unwrap();
    println!("{:<8} {:<34} withdrawn {:5.1} s", "tulip", "its Traefik hangs, and no API", gone.as_secs_f32());
    bench.fresh();
}
