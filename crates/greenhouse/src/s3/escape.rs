//! Percent-encoding, as signatures and listings want it.

use std::fmt::Write as _;

/// Encodes all but unreserved characters (RFC 3986); `/` too, unless it is kept.
pub(super) fn encode(text: &[u8], keep_slash: bool) -> String {
    let mut encoded = String::new();
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || (keep_slash && *byte == b'/') {
            encoded.push(char::from(*byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Decodes; what is no escape stays as it is.
pub(super) fn decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut bytes = text.as_bytes();
    while let Some((first, rest)) = bytes.split_first() {
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let escaped = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(*first));
        bytes = if escaped.is_some() { rest.get(2..).unwrap_or_default() } else { rest };
    }
    decoded
}

/// Names and values of a query, decoded; a name alone has an empty value.
pub(super) fn query(raw: &str) -> Vec<(String, String)> {
    let text = |raw: &str| String::from_utf8_lossy(&decode(raw)).into_owned();
    let pairs = raw.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_again() {
        let text = "a b/c+d%ä~";
        assert_eq!(encode(text.as_bytes(), true), "a%20b/c%2Bd%25%C3%A4~");
        assert_eq!(encode(b"/", false), "%2F");
        assert_eq!(decode(&encode(text.as_bytes(), false)), text.as_bytes());
        assert_eq!(decode("100%, %4, %zz"), b"100%, %4, %zz");
    }
}
