//! Programs in pods, on a cluster that has booted.

mod bench;
mod ingress;
mod lives;
mod network;
