//! Real Talos nodes on this machine, reached as the product reaches the mesh.

use super::bench::Bench;
use jiff::Timestamp;
use rig::talos::{Planned, Talos};
use rig::{Machine, Options};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use talos::Bundle;
use wire::{Rng, Sockets, Time};

/// Brings nodes up; the second value takes them down.
pub fn bench(control_planes: &[Machine], workers: &[Machine]) -> (Bench, Arc<Mutex<Talos>>) {
    let time = Time::system(Rng::from_entropy().unwrap());
    // A certificate that begins this second is not valid yet to a node whose clock is read a moment earlier.
    let bundle = Bundle::generate(&mut Rng::from_entropy().unwrap(), earlier(time.now())).unwrap();
    let planned = |control_plane: bool| move |machine: &Machine| Planned { machine: *machine, control_plane };
    let nodes: Vec<Planned> =
        control_planes.iter().map(planned(true)).chain(workers.iter().map(planned(false))).collect();
    let options = Options { tied: true, talk: |line| println!("{line}") };
    let talos = Talos::up(options, &nodes, bundle.clone()).unwrap();
    let wire = Arc::new(Sockets::new(Some(talos.proxy().parse().unwrap())).unwrap());
    let configs = nodes.iter().map(|node| (node.machine.name, talos.config(node.machine).unwrap().clone())).collect();
    let addresses = nodes.iter().map(|node| (node.machine.name, node.machine.mesh())).collect();
    let talos = Arc::new(Mutex::new(talos));
    let here = talos.clone();
    let renew = move |name: &'static str, address: String| {
        let here = here.clone();
        let work: futures::future::BoxFuture<'static, String> = Box::pin(async move {
            let mut talos = here.lock().unwrap();
            let machine = *rig::MACHINES.iter().find(|machine| machine.name == name).unwrap();
            talos.stop(machine).unwrap();
            talos.wipe(machine).unwrap();
            let config = talos.config(machine).cloned();
            talos.start(machine, config.as_ref()).unwrap();
            address
        });
        work
    };
    let mut bench = Bench::new(wire, time, bundle, Box::new(renew));
    bench.configs = configs;
    bench.addresses = addresses;
    (bench, talos)
}

fn earlier(now: Timestamp) -> Timestamp {
    now - Duration::from_mins(1)
}
