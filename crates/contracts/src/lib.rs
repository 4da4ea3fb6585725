//! Contracts: one suite a protocol, asked of an emulator and of the real thing in the same run.
//!
//! ```text
//!  case (async fn) ─▶ Talk ─▶ Side (a kube::Client a user) ─▶ emulator in the greenhouse, paused time
//!                      │                                  └─▶ etcd + kube-apiserver, real sockets
//!                      ▼
//!                   Transcript ── normal form ──▶ compared, answer by answer
//! ```
//!
//! A case states what it expects, and everything that is answered is compared besides. Where the two differ, the real
//! thing is right. This crate is made of tests only; it never ships, and knows nothing of bouquet but the greenhouse; its
//! tests lend both sides to the watcher, for what that reads and writes in Kubernetes. A [`Stage`] is the real side with nodes
//! that are [`Door`]s on loopback, for whole programs to look at.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    missing_docs,
    reason = "a program of tests: what fails has failed"
)]

mod authority;
pub mod cases;
mod control_plane;
mod door;
mod normal;
pub mod random;
mod side;
mod stage;
mod talk;

pub use authority::{Authority, Leaf};
pub use control_plane::ControlPlane;
pub use door::Door;
pub use normal::{Difference, differences};
pub use side::{Emulator, HOST, Side, USERS, lone};
pub use stage::{Hand, Pod, Stage, own};
pub use talk::{Answer, Entry, Talk, Transcript};
