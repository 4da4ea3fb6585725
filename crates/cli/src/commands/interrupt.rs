//! Ending well when the user, or the system, wants an end.

use crate::failure::Failure;

/// Runs until it is done or interrupted. Every step can be cut off anywhere, so an interrupt simply stops: whatever was begun
/// is found by the next run.
pub async fn until<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        biased;
        () = signals.next() => Err(Failure::interrupted()),
        result = work => result,
    }
}

/// SIGINT and SIGTERM, heard from [`Signals::listen`] on.
#[cfg(unix)]
pub struct Signals {
    int: tokio::signal::unix::Signal,
    term: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let open = |kind| signal(kind).map_err(|error| Failure::system("signals", &error));
        Ok(Signals { int: open(SignalKind::interrupt())?, term: open(SignalKind::terminate())? })
    }

    /// Waits for one.
    pub async fn next(&mut self) {
        tokio::select! {
            biased;
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
pub struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub fn listen() -> Result<Self, Failure> {
        Ok(Signals)
    }

    /// Waits for one; where none can be heard, none comes.
    pub async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
