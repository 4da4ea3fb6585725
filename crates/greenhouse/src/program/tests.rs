//! Programs in pods, on a cluster that has booted.

mod bench;
mod lives;
