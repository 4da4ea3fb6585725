//! Names of DNS as people write them into routes.

use thiserror::Error;

/// RFC 1035 §2.3.4, as text without the root's dot.
const NAME_MAX: usize = 253;
/// RFC 1035 §2.3.4.
const LABEL_MAX: usize = 63;

/// Why a text is no name that could be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadName {
    /// An internationalised name as people read it.
    #[error("it is not ASCII: write its Punycode form (xn--…)")]
    NotAscii,
    /// It is longer than DNS allows.
    #[error("it is longer than 253 characters: shorten it")]
    TooLong,
    /// An IP address has no name.
    #[error("it is an address: write a name")]
    Address,
    /// `a.*.b`, `a*.b`.
    #[error("a wildcard is the whole first label: write *.example.com")]
    Wildcard,
    /// A label breaks RFC 1123.
    #[error(
        "each part has 1 to 63 letters, digits and hyphens, with a letter or digit at both ends: write the bare name"
    )]
    Label,
}

/// A host as it is published: lower case, without the root's dot. `None` where the text names no host at all: it is empty,
/// or `*`, every host.
pub fn host(written: &str) -> Result<Option<String>, BadName> {
    let name = written.trim();
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name == "*" {
        return Ok(None);
    }
    if !name.is_ascii() {
        return Err(BadName::NotAscii);
    }
    if name.len() > NAME_MAX {
        return Err(BadName::TooLong);
    }
    let bare = name.strip_prefix("*.").unwrap_or(name);
    if bare.contains('*') {
        return Err(BadName::Wildcard);
    }
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return Err(BadName::Address);
    }
    if bare.split('.').all(is_label) { Ok(Some(name.to_ascii_lowercase())) } else { Err(BadName::Label) }
}

/// RFC 1123 §2.1.
fn is_label(label: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    (1..=LABEL_MAX).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// What a person wrote, short enough for an Event.
pub(super) fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    let mut shown: String = text.chars().take(CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_come_out_as_dns_has_them() {
        for (written, name) in [
            ("shop.example.com", Some("shop.example.com")),
            (" Shop.Example.COM. ", Some("shop.example.com")),
            ("*.example.com", Some("*.example.com")),
            ("xn--mnchen-3ya.example", Some("xn--mnchen-3ya.example")),
            ("example.com", Some("example.com")),
            ("", None),
            ("*", None),
            (".", None),
        ] {
            assert_eq!(host(written).unwrap().as_deref(), name, "{written}");
        }
    }

    #[test]
    fn what_no_zone_can_hold_is_refused() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        assert_eq!(longest.len(), 253);
        assert!(host(&longest).is_ok());
        assert_eq!(host(&format!("{label}.{label}.{label}.{}", "b".repeat(62))), Err(BadName::TooLong));
        assert_eq!(host(&format!("{label}a.example.com")), Err(BadName::Label));
        for (written, why) in [
            ("münchen.example", BadName::NotAscii),
            ("10.0.0.1", BadName::Address),
            ("::1", BadName::Address),
            ("a.*.example.com", BadName::Wildcard),
            ("a*.example.com", BadName::Wildcard),
            ("*.*.example.com", BadName::Wildcard),
            ("-a.example.com", BadName::Label),
            ("a-.example.com", BadName::Label),
            ("a..example.com", BadName::Label),
            ("a_b.example.com", BadName::Label),
            ("https://a.example.com/", BadName::Label),
            ("a.example.com:443", BadName::Label),
        ] {
            assert_eq!(host(written), Err(why), "{written}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_its_own_normal_form(text in "\\PC{0,80}|[a-zA-Z0-9.*-]{0,40}") {
            if let Ok(Some(name)) = host(&text) {
                prop_assert_eq!(host(&name), Ok(Some(name.clone())));
                prop_assert!(!name.bytes().any(|c| c.is_ascii_uppercase()) && name.len() <= NAME_MAX);
            }
        }
    }
}
