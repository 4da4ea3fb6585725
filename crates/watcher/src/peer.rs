//! Vantages among themselves: reports, permits, and what whoever writes the zone remembers.
//!
//! ```text
//! Told ──▶ POST /v1/told ──▶ the other's Told     each tells its newest, and learns the other's
//! Ask ───▶ POST /v1/ask ───▶ Reply                see crate::permit
//! Release ▶ POST /v1/release
//! ```
//!
//! JSON over mutual TLS on port 9404. Clocks differ, so what is told has ages, never instants. Whoever shows a leaf of the
//! cluster's own authority ([`Authority`], in a Secret) is believed, nobody else gets in. Nothing is queued and nothing is sent twice:
//! by the time that a message could be repeated there is a newer one.

mod authority;
mod client;
mod message;
mod papers;
mod server;

pub use authority::{AUTHORITY_SECRET, Authority, AuthorityTrouble, cluster_authority};
pub use client::{Peer, Unheard};
pub use message::{Recollection, Sight, Told};
pub use papers::{Papers, PapersError};
pub use server::{Ears, router};

/// Where vantages listen to each other.
pub const PORT: u16 = 9404;
/// The name that every vantage's certificate is for, besides its pod's.
pub const SERVER_NAME: &str = "bouquet-watcher-peer";
