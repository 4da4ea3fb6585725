//! What breaks on one node, and how it is mended.

use super::bench::Bench;
use rig::{LILY, MACHINES, Machine, ROSE, TULIP};
use serde_json::Value;
use std::time::Duration;

/// One way in which a node stops to provide.
pub struct Case {
    pub what: &'static str,
    pub on: On,
    /// What is broken before the node is, and is no reason to withdraw it.
    pub before: fn(&Bench),
    pub break_it: fn(&Bench, Machine),
    pub mend_it: fn(&Bench, Machine),
}

#[derive(Clone, Copy)]
pub enum On {
    Machine(Machine),
    /// Whichever the writer runs on; not rose, without whom there is no API.
    TheWriters,
}

pub const CASES: &[Case] = &[
    Case {
        what: "its cable is cut",
        on: On::Machine(LILY),
        before: |_| (),
        break_it: |bench, at| bench.rig.cut(at).unwrap(),
        mend_it: |bench, at| bench.rig.heal(at).unwrap(),
    },
    Case {
        what: "its Traefik hangs",
        on: On::Machine(TULIP),
        before: |_| (),
        break_it: |bench, at| bench.rig.freeze("traefik", at).unwrap(),
        mend_it: |bench, at| bench.rig.thaw("traefik", at).unwrap(),
    },
    Case {
        what: "its Traefik is killed",
        on: On::Machine(LILY),
        before: |_| (),
        break_it: Bench::kill_traefik,
        mend_it: |bench, at| bench.rig.thaw("kubelet", at).unwrap(),
    },
    Case {
        what: "its Traefik has no routes",
        on: On::Machine(TULIP),
        before: |_| (),
        break_it: Bench::lose_routes,
        mend_it: Bench::regain_routes,
    },
    Case {
        what: "its certificate is another's",
        on: On::Machine(LILY),
        before: |_| (),
        break_it: |bench, at| bench.lay_certificate(at, &bench.certificates.foreign),
        mend_it: |bench, at| bench.lay_certificate(at, &bench.certificates.good),
    },
    Case {
        what: "its cable is cut, the writer's",
        on: On::TheWriters,
        before: |_| (),
        break_it: |bench, at| bench.rig.cut(at).unwrap(),
        mend_it: |bench, at| bench.rig.heal(at).unwrap(),
    },
    Case {
        what: "its Traefik hangs, and no API",
        on: On::Machine(TULIP),
        before: |bench| {
            bench.rig.freeze("kube-apiserver", ROSE).unwrap();
            std::thread::sleep(Duration::from_secs(8));
        },
        break_it: |bench, at| bench.rig.freeze("traefik", at).unwrap(),
        mend_it: |bench, at| {
            bench.rig.thaw("traefik", at).unwrap();
            bench.rig.thaw("kube-apiserver", ROSE).unwrap();
        },
    },
];

impl Case {
    /// Breaks it, and returns on which machine and how long its address stayed in DNS. The others' stay.
    pub fn withdrawn(&self, bench: &Bench, within: Duration) -> (Machine, Duration) {
        let machine = match self.on {
            On::Machine(machine) => machine,
            On::TheWriters => bench.writer_on(&[LILY, TULIP]),
        };
        (self.before)(bench);
        (self.break_it)(bench, machine);
        let what = format!("{} is withdrawn: {}", machine.name, self.what);
        let gone = bench.until(&what, within, |published| !published.contains(&machine.public()));
        assert_eq!(bench.published().len(), 2, "{what}: {:?}", bench.published());
        (machine, gone)
    }

    /// Mends it, and returns how long it took until the address was there again.
    pub fn restored(&self, bench: &Bench, machine: Machine, within: Duration) -> Duration {
        (self.mend_it)(bench, machine);
        let what = format!("{} is restored: {}", machine.name, self.what);
        bench.until(&what, within, |published| published.contains(&machine.public()))
    }
}

/// What breaks on all nodes is told, and nothing goes.
pub fn everywhere(bench: &Bench) {
    let lay_everywhere = |pair| MACHINES.into_iter().for_each(|at| bench.lay_certificate(at, pair));
    let told = |what: &str| {
        bench.until_status(what, Duration::from_secs(60), |status| {
            let told = |alerts: &Vec<Value>| alerts.iter().any(|alert| alert.to_string().contains("healthy"));
            status["alerts"].as_array().is_some_and(told)
        });
        std::thread::sleep(Duration::from_secs(10));
        assert_eq!(bench.published().len(), 3, "{what}");
        println!("{:<8} {what:<34} nothing goes, and it is told", "all");
    };
    bench.remove_canary();
    told("the canary's route is gone");
    bench.apply_canary();
    bench.settle();
    lay_everywhere(&bench.certificates.expired);
    told("every certificate has expired");
    lay_everywhere(&bench.certificates.good);
}
