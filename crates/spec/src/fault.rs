use std::ops::Range;

/// One thing wrong with a file, or worth a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `BQ01nn`; `bouquet explain` has a page for each.
    pub code: &'static str,
    /// Errors stop everything; warnings never hide one.
    pub severity: Severity,
    /// One sentence, no full stop.
    pub message: String,
    /// Where in the text, if it is in one place.
    pub span: Option<Span>,
    /// What to do about it, if that is known.
    pub help: Option<String>,
}

/// How bad a [`Fault`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file can be used all the same.
    Warning,
    /// It cannot.
    Error,
}

/// A range of bytes of the text.
pub type Span = Range<usize>;
