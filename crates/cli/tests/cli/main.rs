//! The real binary, from outside: what it prints, where, and how it exits. No network beyond loopback, no clock but the
//! system's, nothing of the user's.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a desk that cannot be set up is a failed test"
)]

mod broken;
mod desk;
mod endings;
mod settings;
mod verbs;
mod world;
