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

/// Every code of this crate, with its title; each has a page `docs/errors/CODE.md`.
pub const CODES: &[(&str, &str)] = &[
    ("BQ0201", "a vendor does not answer, or answers with trouble of its own"),
    ("BQ0202", "a vendor's rate limit is used up"),
    ("BQ0203", "something else is going on with this resource"),
    ("BQ0204", "out of stock"),
    ("BQ0205", "a limit of the account is met"),
    ("BQ0206", "a credential is missing, wrong or expired"),
    ("BQ0207", "the credential may not do this"),
    ("BQ0208", "what was asked for is not there"),
    ("BQ0209", "the name is taken"),
    ("BQ0210", "a vendor refuses the request as wrong"),
    ("BQ0211", "an answer cannot be read"),
    ("BQ0212", "this machine's clock is off"),
];

impl Error {
    /// What to do about it; `None` where only waiting helps.
    pub fn help(&self) -> Option<String> {
        let vendor = self.vendor();
        let page =
            |text: String| Some(vendor.map_or_else(|| text.clone(), |vendor| format!("{text}: {}", vendor.page)));
        match self.why {
            Why::Trouble | Why::TooFast(_) | Why::Busy => None,
            Why::Capacity => Some("name alternatives in the node's `on`, or try again later".to_owned()),
            Why::Quota => page("ask the vendor to raise the limit, or remove what is not needed".to_owned()),
            Why::Unauthenticated => {
                let credential = vendor.map_or("the credential", |vendor| vendor.credential);
                page(format!("set {credential} to one that is valid now"))
            }
            Why::Forbidden => page("give the credential the scopes and rights that are listed".to_owned()),
            Why::Taken => Some("rename one of the two; bouquet never touches what is not its own".to_owned()),
            Why::ClockSkew => Some("set this machine's clock, for example with NTP".to_owned()),
            Why::NotFound | Why::Invalid | Why::Garbled => page("see what is expected of the account".to_owned()),
        }
    }

    fn vendor(&self) -> Option<&'static Vendor> {
        let call = self.call.to_ascii_lowercase();
        VENDORS.iter().find(|vendor| vendor.prefixes.iter().any(|prefix| call.starts_with(prefix)))
    }
}

/// Whom a call was made to, by how its name begins.
struct Vendor {
    prefixes: &'static [&'static str],
    /// Where its credential comes from, as users set it.
    credential: &'static str,
    page: &'static str,
}

const VENDORS: &[Vendor] = &[
    Vendor { prefixes: &["hetzner", "hcloud"], credential: "HCLOUD_TOKEN", page: "docs/accounts.md#hetzner" },
    Vendor {
        prefixes: &["tailscale"],
        credential: "TAILSCALE_OAUTH_CLIENT_ID and TAILSCALE_OAUTH_CLIENT_SECRET, or TAILSCALE_API_KEY,",
        page: "docs/accounts.md#tailscale",
    },
    Vendor { prefixes: &["cloudflare"], credential: "CLOUDFLARE_API_TOKEN", page: "docs/accounts.md#cloudflare" },
    Vendor {
        prefixes: &["rfc2136", "dns"],
        credential: "`key` of `dns` in the file to the path of a TSIG key that the server knows,",
        page: "docs/accounts.md#rfc2136",
    },
    Vendor {
        prefixes: &["oci", "bouquet_oci"],
        credential: "the key and fingerprint in OCI_CLI_CONFIG_FILE",
        page: "docs/accounts.md#oci",
    },
    Vendor {
        prefixes: &["s3", "aws"],
        credential: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        page: "docs/accounts.md#s3",
    },
];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sort_has_a_code_and_every_code_a_title_and_a_page() {
        let all = [
            Why::Trouble,
            Why::TooFast(None),
            Why::Busy,
            Why::Capacity,
            Why::Quota,
            Why::Unauthenticated,
            Why::Forbidden,
            Why::NotFound,
            Why::Taken,
            Why::Invalid,
            Why::Garbled,
            Why::ClockSkew,
        ];
        let codes: Vec<&str> = CODES.iter().map(|(code, _)| *code).collect();
        assert_eq!(all.map(Why::code).to_vec(), codes);
        for (code, title) in CODES {
            let path = format!("{}/../../docs/errors/{code}.md", env!("CARGO_MANIFEST_DIR"));
            let page = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(page.starts_with(&format!("# {code}: {title}\n")), "{path}");
        }
    }

    #[test]
    fn a_refused_credential_points_to_its_vendors_page() {
        let error = |call| Error { call, why: Why::Unauthenticated, vendor_code: None, message: String::new() };
        for call in ["HCLOUD_TOKEN", "hetzner GET /servers"] {
            let help = error(call).help().unwrap_or_default();
            assert_eq!(help, "set HCLOUD_TOKEN to one that is valid now: docs/accounts.md#hetzner");
        }
        assert!(error("oci GET /vcns").help().unwrap_or_default().ends_with("#oci"));
    }

    #[test]
    fn every_page_that_help_links_to_has_its_part() {
        let path = format!("{}/../../docs/accounts.md", env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(&path).unwrap_or_default();
        for vendor in VENDORS {
            let anchor = vendor.page.rsplit('#').next().unwrap_or_default();
            assert!(page.contains(&format!("<a id=\"{anchor}\"></a>")), "{anchor} in {path}");
        }
    }
}
