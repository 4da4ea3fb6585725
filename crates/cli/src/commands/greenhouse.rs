use crate::failure::Failure;
use crate::render;
use greenhouse::{Greenhouse, Options};
use std::net::SocketAddr;
use std::path::Path;
use wire::{Rng, Time};

/// Serves the simulated world until SIGTERM or SIGINT. Its tailnet's policy is as the owner of `clusters` would have set it.
pub async fn serve(dir: &Path, options: &Options, clusters: &[String], listen: SocketAddr) -> Result<u8, Failure> {
    let time = Time::system(Rng::seeded(options.seed));
    let world = Greenhouse::new(options, time).map_err(|error| Failure::usage(error.to_string()))?;
    for cluster in clusters {
        world.allow_cluster(cluster);
    }
    let serving = world.serve(dir, listen).await.map_err(|error| Failure::new("BQ0602", error.to_string()))?;
    render::out(&format!("ready {}\n", dir.join("env").display()));
    stopped().await?;
    serving.shutdown().await;
    Ok(0)
}

#[cfg(unix)]
async fn stopped() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| Failure::system("signals", &error);
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        biased;
        _ = term.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => result.map_err(failed),
    }
}

#[cfg(not(unix))]
async fn stopped() -> Result<(), Failure> {
    tokio::signal::ctrl_c().await.map_err(|error| Failure::system("signals", &error))
}
