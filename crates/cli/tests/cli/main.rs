//! The real binary, from outside: what it prints, where, and how it exits. No network beyond loopback, no clock but the
//! system's, nothing of the user's.

mod broken;
mod desk;
