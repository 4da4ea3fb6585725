//! The engine: looks at the world, carries plans out, and says what happens.
//!
//! ```text
//! Reach (line, clouds, tailnet, zone) ──observe──▶ Observed ──plan::make──▶ Plan ──carry_out──▶ world
//!                                          ▲                                    │
//!                                          └──────────── next round ────────────┘   Events ──▶ bars · lines · JSON
//! ```
//!
//! [`apply`] and [`destroy`] go round this circle until there is nothing left to do or nothing that helps: a run that
//! was cut off, a machine type that ran out and a firewall that must close again behind a first contact are all just
//! another round. A step may be cut off anywhere and run twice.
//!
//! This crate refuses to decide what should be: that is `plan`.

mod check;
mod deadline;
mod diagnosis;
mod error;
mod event;
mod ingress;
mod kubernetes;
mod nodes;
pub mod objects;
mod observe;
mod poll;
mod reach;
mod rounds;
mod schedule;
mod site;
mod status;
mod step;

pub use check::check;
pub use error::{CODES, Error};
pub use event::{Event, Listener, StepState};
pub use ingress::IngressStatus;
pub use observe::observe;
pub use reach::{MeshTag, Reach, Subject};
pub use rounds::{Outcome, apply, carry_out, destroy, proof};
pub use status::{AddonStatus, NodeStatus, Status, status};
