//! Nodes that boot, join and refuse, in worlds of their own.

mod boot;
mod calls;
mod configs;
pub(crate) mod mesh;
pub(crate) mod rig;
