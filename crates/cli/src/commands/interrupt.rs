//! Ending well when the user, or the system, wants an end.

use crate::failure::Failure;

/// Runs until it is done or interrupted. Every step can be cut off anywhere, so an interrupt simply stops: whatever was begun
/// is found by the next run.
pub async fn until<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::select! {
        biased;
        stopped = signal() => {
            stopped?;
            Err(Failure::interrupted())
        }
        result = work => result,
    }
}

/// Waits for SIGINT or SIGTERM.
#[cfg(unix)]
pub async fn signal() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| Failure::system("signals", &error);
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        biased;
        _ = term.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => result.map_err(failed),
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub async fn signal() -> Result<(), Failure> {
    tokio::signal::ctrl_c().await.map_err(|error| Failure::system("signals", &error))
}
