//! The Talos machine API (TCP 50000, gRPC over mutual TLS) as far as bouquet speaks it.
//!
//! Every node is dialled directly; nothing is forwarded through another. A [`Client`] is bound to one node, and in
//! maintenance mode to a machine that has no identity yet.

mod client;
mod error;
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated from proto/*.proto")]
mod machine {
    tonic::include_proto!("machine");
}
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated from proto/*.proto")]
mod cosi {
    tonic::include_proto!("cosi.resource");
}

pub use client::{ApplyMode, Client, EtcdMember, ServiceInfo, Version};
pub use error::ClientError;
