//! The face: what the page says, that nothing hostile gets through it, metrics by their judge, and a real browser.
#![allow(clippy::unwrap_used, clippy::panic, clippy::missing_docs_in_private_items, reason = "a program of tests")]

#[path = "face/asked.rs"]
mod asked;
#[cfg(unix)]
#[path = "face/browser.rs"]
mod browser;
#[cfg(unix)]
#[path = "face/looked_at.rs"]
mod looked_at;
#[path = "face/measured.rs"]
mod measured;
#[path = "face/statuses.rs"]
mod statuses;
