//! The greenhouse: a simulated world of clouds, machines and networks that speaks the vendors' own protocols.
//!
//! It stands behind demo, rehearsal and tests. Two ways in, one code: *in process*, [`Greenhouse::wire`] is a
//! [`wire::Wire`] whose calls reach the emulators directly under whatever clock the runtime has; *served*,
//! [`Greenhouse::serve`] puts the same emulators on loopback sockets with real TLS.
//!
//! ```text
//!            operator ──Wire / sockets / proxy──▶ Net: names, addresses, firewalls, mesh policy, TLS
//!                                                  │ Endpoint (HTTP service or byte stream)
//!   vendors: hetzner · oci · tailscale · cloudflare · factory · s3        nodes: talos · kube · rescue (SSH)
//!                    │ make, power, delete                                   ▲ boot
//!                    └────────────▶ Machine: disk bytes, user data, firmware ┘
//!                                       pods of kube: programs by image, Traefik among them ◀─ Options.programs
//! ```
//!
//! A machine acts only on the bytes that reach it. This crate refuses to know the product: it never imports
//! `clouds`, `talos`, `addons`, `plan` or `engine`, so that one misspelt field cannot pass on both sides.

mod checkip;
mod cloudflare;
mod dns;
mod factory;
mod fault;
mod handshake;
mod hetzner;
mod inventory;
mod journal;
mod kube;
mod lie;
mod machine;
mod net;
mod oci;
mod program;
mod rescue;
mod resolvers;
mod s3;
mod serve;
mod tailscale;
mod talos;
mod traefik;
mod world;

pub use fault::{CATALOGUE, FaultError};
pub use journal::Entry;
pub use kube::{LoneHandle, LoneKubernetes};
pub use lie::{Lie, lies};
pub use net::Cut;
pub use program::{Certificate, Doors, Pod, Program, Programs, Term};
pub use serve::{ServeError, Serving};
pub use world::{Greenhouse, GreenhouseError, Options, Stage};
