//! Thin clients of everybody bouquet asks for something: clouds, the tailnet, DNS, the Image Factory.
//!
//! Each vendor's room has pure request builders and response parsers that make [`wire::Call`]s, and one [`Error`]
//! sorts what every vendor can say. A cloud is also a [`Cloud`]: the narrow boundary through which the planner and the
//! engine see every cloud alike.
//!
//! ```text
//! Cluster ──Cloud::wanted──▶ [Wanted …]          pure: what this cluster needs here, with what each one needs first
//!   world ──Cloud::find────▶ [Found …]           what is there: ours by mark, foreign by name
//!            Cloud::create / update / delete     one effect each, through a Line
//! ```
//!
//! This crate refuses to retry by itself: that is [`wire::Line`]'s. It waits in one place only, where an image is made and
//! nothing but looking tells when a machine or a snapshot is there.

mod cloud;
pub mod cloudflare;
mod error;
pub mod hetzner;
mod oci;
mod operator;
mod registered;
mod rescue;
mod rest;
pub mod rfc2136;
#[cfg(test)]
mod scripted;
pub mod tailscale;
mod zones;

pub use cloud::{
    Arch, Cloud, Finding, Found, Given, Image, ImageOrder, Key, Money, Need, NeedMachine, Offer, Openness, Power,
    Progress, State, Stock, Wanted,
};
pub use error::{CODES, Error, Why};
pub use oci::{ConfigError, Oci, OciConfig};
pub use operator::Operator;
pub use registered::{CLOUDS, Open, Preset, RATES, Registered, Settings};
pub use zones::{AddressRecord, Zone, ZoneRecord, Zones};
