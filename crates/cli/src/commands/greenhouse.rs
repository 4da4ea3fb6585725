use super::interrupt::Signals;
use crate::args::GreenhouseVerb;
use crate::failure::Failure;
use crate::render;
use greenhouse::{Greenhouse, Options};
use wire::{Rng, Time};

/// Serves the simulated world until SIGTERM or SIGINT; a second one does not wait for open connections.
pub async fn run(verb: &GreenhouseVerb) -> Result<u8, Failure> {
    let GreenhouseVerb::Serve { dir, seed, speed, fault, lie, listen, zone, cluster } = verb;
    let options = Options {
        seed: *seed,
        speed: *speed,
        faults: fault.clone(),
        lies: lie.clone(),
        zone: zone.clone(),
        programs: pods::programs(),
        ..Options::default()
    };
    let time = Time::system(Rng::seeded(options.seed));
    let world = Greenhouse::new(&options, time).map_err(|error| Failure::usage(error.to_string()))?;
    // The tailnet's policy is as the owner of these clusters would have set it.
    for cluster in cluster {
        world.allow_cluster(cluster);
    }
    let serving = world.serve(dir, *listen).await.map_err(|error| Failure::new("BQ0602", error.to_string()))?;
    // Who reads `ready` may end it at once.
    let mut signals = Signals::listen()?;
    render::out(&format!("ready {}\n", dir.join("env").display()))?;
    signals.next().await;
    tokio::select! {
        biased;
        () = signals.next() => {}
        () = serving.shutdown() => {}
    }
    Ok(0)
}
