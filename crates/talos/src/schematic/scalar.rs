//! Strings as Go's YAML writes them (`go.yaml.in/yaml`, encoder and emitter), because the factory hashes what it wrote.
//!
//! What would be read back as something other than a string stands in double quotes; what cannot stand bare in single
//! quotes; all else stands bare. Line breaks and control characters have no place on a kernel's command line.

/// Words that YAML 1.1 or 1.2 takes for something other than a string.
const WORDS: &[&str] = &[
    "", "~", "<<", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", ".nan", ".NaN",
    ".NAN", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE", "y", "Y", "yes", "Yes", "YES",
    "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF",
];
/// What no bare string begins with.
const INDICATORS: &str = "#,[]{}&*!|>'\"%@`";

/// `text` as an item of a list.
pub(super) fn scalar(text: &str) -> String {
    if text.chars().any(char::is_control) || is_something_else(text) {
        return serde_json::Value::from(text).to_string();
    }
    if stands_bare(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn stands_bare(text: &str) -> bool {
    let begins = |word: &str| text.starts_with(word);
    let before_space = |at: usize| text.get(at + 1..).is_none_or(|rest| rest.is_empty() || rest.starts_with(' '));
    let first = text.chars().next().unwrap_or(' ');
    let indicated = INDICATORS.contains(first) || matches!(first, '?' | ':' | '-') && before_space(0);
    let ends_a_key = text.match_indices(':').any(|(at, _)| before_space(at));
    !(indicated
        || ends_a_key
        || begins("---")
        || begins("...")
        || begins(" ")
        || text.ends_with(' ')
        || text.contains(" #"))
}

fn is_something_else(text: &str) -> bool {
    WORDS.contains(&text) || is_number(text) || is_sexagesimal(text) || is_date(text)
}

fn is_number(text: &str) -> bool {
    let plain = text.replace('_', "");
    let digits = plain.trim_start_matches(['+', '-']);
    if plain.len() - digits.len() > 1 || !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return false;
    }
    let based = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    let whole = based.iter().find_map(|(prefix, base)| Some((digits.strip_prefix(prefix)?, *base)));
    if let Some((rest, base)) = whole {
        return u64::from_str_radix(rest, base).is_ok() && !rest.starts_with('+');
    }
    // An integer, or a float as YAML spells it: digits, a point, an exponent.
    let spelled = digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    spelled && digits.parse::<f64>().is_ok()
}

/// `1:30` is ninety to YAML 1.1.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.trim_start_matches(['+', '-']).split(':');
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let head = parts.next().is_some_and(|head| number(head) && !head.starts_with('_'));
    let rest: Vec<&str> = parts.collect();
    head && !rest.is_empty() && rest.iter().all(|part| part.parse::<u8>().is_ok_and(|part| part < 60) && part.len() < 3)
}

/// `2026-01-01`, with or without a time.
fn is_date(text: &str) -> bool {
    let (date, time) = text.split_at_checked(10).unwrap_or((text, ""));
    let parts: Vec<&str> = date.split('-').collect();
    let dated = matches!(parts.as_slice(), [year, month, day]
        if year.len() == 4 && [year, month, day].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit())));
    dated && (time.is_empty() || time.starts_with(['T', 't', ' ']))
}

#[cfg(test)]
mod tests {
    use super::scalar;

    /// As `schematic.Marshal` of image-factory 1.4.0 writes them.
    #[test]
    fn strings_are_quoted_as_go_quotes_them() {
        for (text, written) in [
            ("_", "_"),
            ("-console", "-console"),
            ("a\"b", "a\"b"),
            ("a\\b", "a\\b"),
            ("=", "="),
            ("console=ttyS0,115200", "console=ttyS0,115200"),
            ("`]-+/Z!*A|0|~0`*\\ Z!", "'`]-+/Z!*A|0|~0`*\\ Z!'"),
            ("!a^a\"'#0", "'!a^a\"''#0'"),
            ("a: b", "'a: b'"),
            ("a:", "'a:'"),
            ("x #y", "'x #y'"),
            ("? a", "'? a'"),
            ("'a", "'''a'"),
            ("yes", "\"yes\""),
            ("1.5", "\"1.5\""),
            ("0x1F", "\"0x1F\""),
            ("1_000", "\"1_000\""),
            ("~", "\"~\""),
            ("<<", "\"<<\""),
            ("2026-01-01", "\"2026-01-01\""),
        ] {
            assert_eq!(scalar(text), written);
        }
    }
}
