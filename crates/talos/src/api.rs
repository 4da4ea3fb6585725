//! The Talos machine API, asked over a [`wire::Wire`].
//!
//! ```text
//! Peer (route, address, what to trust, who we are) ──Client::new──▶ Client ──one method a call──▶ plain values or ClientError
//!                                                                     ├─▶ Chunks (logs, dmesg)
//!                                                                     └─▶ Watch (COSI changes)
//! ```
//!
//! Every node is dialled by itself: no call is routed through another node unless the caller says so. Messages are our own wording of the few fields that
//! are used (`proto/`). This module refuses to retry: who asked knows whether a second try is safe.

mod archive;
mod client;
mod cosi;
mod error;
mod etcd;
mod lifecycle;
mod stream;

pub use client::{Applied, ApplyMode, Client, Peer, Service, Version};
pub use cosi::{Change, Changed, Resource, Watch};
pub use error::{Asked, ClientError, Refusal};
pub use etcd::{EtcdMember, EtcdStatus};
pub use lifecycle::{Progress, ResetScope};
pub use stream::Chunks;

/// What the build makes of `proto/`.
#[allow(missing_docs, clippy::pedantic, reason = "generated; what is public of it is wrapped")]
mod proto {
    pub(super) mod common {
        tonic::include_proto!("common");
    }
    pub(super) mod machine {
        tonic::include_proto!("machine");
    }
    pub(super) mod cosi {
        tonic::include_proto!("cosi.resource");
    }
}

#[cfg(test)]
mod tests;
