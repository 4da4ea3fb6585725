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

/// The faults of a file while it is being read.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn error(&mut self, code: &'static str, span: &Span, message: impl Into<String>, help: Help) {
        self.push(Severity::Error, code, span, message.into(), help);
    }

    pub(crate) fn warning(&mut self, code: &'static str, span: &Span, message: impl Into<String>, help: Help) {
        self.push(Severity::Warning, code, span, message.into(), help);
    }

    fn push(&mut self, severity: Severity, code: &'static str, span: &Span, message: String, help: Help) {
        self.0.push(Fault { code, severity, message, span: Some(span.clone()), help: help.0 });
    }

    pub(crate) fn any_error(&self) -> bool {
        self.0.iter().any(|fault| fault.severity == Severity::Error)
    }

    /// In the order of the file; of two at one place, the error first. What two places share is said once.
    pub(crate) fn into_sorted(mut self) -> Vec<Fault> {
        self.0.sort_by_key(|fault| {
            (fault.span.as_ref().map(|span| span.start), std::cmp::Reverse(fault.severity), fault.code)
        });
        self.0.dedup();
        self.0
    }
}

/// A remedy, if one is known.
#[derive(Debug)]
pub(crate) struct Help(Option<String>);

/// There is nothing to say beyond the message.
pub(crate) const NO_HELP: Help = Help(None);

/// A remedy that is known.
pub(crate) fn help(text: impl Into<String>) -> Help {
    Help(Some(text.into()))
}

/// "did you mean …?" if one of the candidates is close, else `otherwise`.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    otherwise: impl Into<String>,
) -> Help {
    match nearest(word, candidates) {
        Some(near) => help(format!("did you mean `{near}`?")),
        None => help(otherwise),
    }
}

/// The candidate that a typing slip away from `word` is; slips grow with length, one in three letters at most.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let slips_max = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(slips, _)| *slips <= slips_max)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Line and column of a byte of `text`, both from 1; the column counts characters. What lies beyond the end is the end.
pub fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..text.floor_char_boundary(byte)).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    (line, before.get(line_start..).map_or(0, |line| line.chars().count()) + 1)
}
