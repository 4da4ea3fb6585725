//! The watcher: DNS that follows what nodes really serve.
//!
//! It asks of each ingress node: *has it failed to serve (unstable or down)?* Yes: its records go. No: it goes on serving.
//! [`detect`] is its mind; this crate gives it eyes (informers and probes), ears (what the other vantages say), one hand
//! (whoever holds a permit writes the zone) and a face (status page, metrics, Events, `ingressnodes`).
//!
//! ```text
//! Kubernetes ──cluster──▶ Scene: ingress nodes, hosts, vantages ─┐
//! public addresses ──probes──▶ Reports ◀──peer──▶ other vantages ─┼─detect──▶ decisions ──zone──▶ Change ──Provider──▶ DNS
//! DNS ──Provider──▶ Listing: every record, whose it is ───────────┘                        ▲
//! Lease ──▶ Roll: who may ask; vantages ──permit──▶ majority ─────────── only while it lasts ┘
//! ```
//!
//! It runs on any Kubernetes cluster. It refuses to act on what it cannot see: an empty or failed list deletes nothing, a
//! record that does not bear its mark is left alone, and without a live permit nothing is written.

pub mod eyes;
pub mod face;
pub mod kubernetes;
pub mod lease;
pub mod listen;
pub mod mind;
pub mod mouth;
pub mod peer;
pub mod permit;
pub mod probe;
pub mod process;
pub mod provider;
pub mod run;
pub mod scene;
pub mod start;
pub mod status;
pub mod tell;
pub mod zone;
