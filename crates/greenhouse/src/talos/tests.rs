//! Nodes that boot, join and refuse, in worlds of their own.

mod boot;
mod calls;
mod configs;
mod mesh;
mod rig;
