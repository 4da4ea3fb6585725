//! What the watcher tells others of its own accord.
//!
//! ```text
//! Complaint, Happening ──Events───▶ events.k8s.io, on the object that it is about
//! Status, Memory ──────Keeper───▶ ingressnodes: verdicts, and what the next writer must remember (recall)
//! Status ────────────Reporter──▶ ingressnodes: this vantage's own word, under its own field manager
//! Happening ──────────Hooks───▶ Discord, Slack, ntfy, anybody
//! ```
//!
//! Nothing waits for any of it: what cannot be told is counted and forgotten, the oldest first, and DNS is none the worse.

pub mod crd;
mod events;
mod hooks;
mod memory;
mod objects;

pub use events::Events;
pub use hooks::{Hook, HookError, Hooks, request};
pub use memory::{Anchor, recall, remembered};
pub use objects::{Keeper, Reporter};
