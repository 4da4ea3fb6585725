//! What the cluster file takes, what it refuses and with which words, and what is published about it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod accepted;
mod broken;
mod lock;
mod pages;
mod properties;
mod schema;

use spec::{Reading, Severity, line_and_column};
use std::fmt::Write;

/// The examples that are given to users, by file name.
pub const EXAMPLES: &[(&str, &str)] = &[
    ("bouquet", include_str!("../../../../examples/bouquet.yaml")),
    ("minimal", include_str!("../../../../examples/minimal.yaml")),
    ("three-control-planes", include_str!("../../../../examples/three-control-planes.yaml")),
];

/// A fault a line: `error BQ0103 7:3 'text pointed at' message | help`.
pub fn listing(text: &str, reading: &Reading) -> String {
    let mut listing = String::new();
    for fault in &reading.faults {
        let severity = if fault.severity == Severity::Error { "error" } else { "warning" };
        let span = fault.span.clone().unwrap();
        let (line, column) = line_and_column(text, span.start);
        let at = text[span].lines().next().unwrap_or_default();
        write!(listing, "{severity} {} {line}:{column} «{at}» {}", fault.code, fault.message).unwrap();
        if let Some(help) = &fault.help {
            write!(listing, "\n    | {help}").unwrap();
        }
        listing.push('\n');
    }
    listing
}
