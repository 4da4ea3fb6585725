use std::time::Duration;
use wire::{Fate, Lost, Sorted};

/// What a vendor said instead of what was asked, sorted once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {message}{}", .vendor_code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
pub struct Error {
    /// The call's name, or the check's where no call was made.
    pub call: &'static str,
    /// What it means for us.
    pub why: Why,
    /// The vendor's own code, as written by the vendor, with the HTTP status if there was one: `412 resource_unavailable`.
    pub vendor_code: Option<String>,
    /// The vendor's words, or ours where the vendor had none. Holds no secret.
    pub message: String,
}

/// The sorts of errors. Each has a page: [`Why::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No answer, or a server error that says nothing. It is unknown whether the call took effect.
    Trouble,
    /// Rate limit.
    TooFast(Option<Duration>),
    /// Something else is going on with this resource right now (lock, conflict, not yet detached).
    Busy,
    /// Out of stock here.
    Capacity,
    /// A quota or project limit of the account.
    Quota,
    /// The credential is missing, wrong or expired.
    Unauthenticated,
    /// The credential is good but may not do this.
    Forbidden,
    /// It is not there.
    NotFound,
    /// The name is taken.
    Taken,
    /// The request itself is refused as wrong.
    Invalid,
    /// The answer is not what the vendor's documents say (garbage, HTML, truncated JSON).
    Garbled,
    /// This machine's clock is off.
    ClockSkew,
}

impl Why {
    /// The code that `bouquet explain` knows.
    pub fn code(self) -> &'static str {
        match self {
            Why::Trouble => "BQ0201",
            Why::TooFast(_) => "BQ0202",
            Why::Busy => "BQ0203",
            Why::Capacity => "BQ0204",
            Why::Quota => "BQ0205",
            Why::Unauthenticated => "BQ0206",
            Why::Forbidden => "BQ0207",
            Why::NotFound => "BQ0208",
            Why::Taken => "BQ0209",
            Why::Invalid => "BQ0210",
            Why::Garbled => "BQ0211",
            Why::ClockSkew => "BQ0212",
        }
    }
}

impl Sorted for Error {
    fn fate(&self) -> Fate {
        match self.why {
            Why::Trouble => Fate::Now,
            Why::TooFast(after) => Fate::Later(after),
            Why::Busy => Fate::Later(None),
            Why::Capacity => Fate::Elsewhere,
            Why::Quota | Why::Unauthenticated | Why::Forbidden | Why::ClockSkew | Why::Taken => Fate::User,
            Why::NotFound | Why::Invalid | Why::Garbled => Fate::Bug,
        }
    }
}

impl From<Lost> for Error {
    fn from(lost: Lost) -> Self {
        Error { call: lost.call, why: Why::Trouble, vendor_code: None, message: lost.error.to_string() }
    }
}
