//! Credentials that somebody wrote where none belong: a screen and a log are no place for them either.

/// Parts of key names whose values are credentials.
const SECRET: &[&str] = &["token", "secret", "passw", "apikey", "authkey", "accesskey", "privatekey", "credential"];
/// A word this long of letters and digits is nobody's name for anything.
const RANDOM_CHARS_MIN: usize = 32;

/// `text` with every credential in it starred out. Not a byte longer or shorter, so that places in it stay where they are.
pub fn conceal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut before = "";
        for word in line.split_inclusive([' ', '\t', ',', '{', '}', '[', ']', '\n', '"', '\'', '`']) {
            let end = word.len() - word.chars().next_back().filter(|c| is_break(*c)).map_or(0, char::len_utf8);
            let (bare, rest) = word.split_at_checked(end).unwrap_or((word, ""));
            let hidden = !bare.ends_with(':') && (is_value_of_secret(before, bare) || is_random(bare));
            shown.push_str(&if hidden { "*".repeat(bare.len()) } else { bare.to_owned() });
            shown.push_str(rest);
            if !bare.is_empty() || rest.contains([',', '{', '}', '[', ']']) {
                before = bare;
            }
        }
    }
    shown
}

/// Whether a key is one that people keep a credential in.
pub fn is_secret(key: &str) -> bool {
    let plain: String = key.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    plain == "key" || SECRET.iter().any(|part| plain.contains(part))
}

fn is_break(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | '{' | '}' | '[' | ']' | '"' | '\'' | '`')
}

/// A path is where a credential is kept, not the credential.
fn is_value_of_secret(before: &str, word: &str) -> bool {
    before.strip_suffix(':').is_some_and(is_secret) && !word.is_empty() && !word.contains(['/', '.', '#'])
}

fn is_random(word: &str) -> bool {
    let is_known = ["tskey-", "AGE-SECRET-KEY-"].iter().any(|head| word.starts_with(head));
    let is_drawn = word.len() >= RANDOM_CHARS_MIN
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_=+-".contains(&byte))
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().any(|byte| byte.is_ascii_alphabetic());
    is_known || is_drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_starred_out_in_place() {
        let cases = [
            ("token: abc # c", "token: *** # c"),
            ("mesh: { auth-key: \"abc\", a: b }", "mesh: { auth-key: \"***\", a: b }"),
            ("a: tskey-x", "a: *******"),
            ("dns: { key: ./tsig.key }", "dns: { key: ./tsig.key }"),
            ("on: oci/eu-frankfurt-1/VM.Standard.A1.Flex", "on: oci/eu-frankfurt-1/VM.Standard.A1.Flex"),
            ("token:\n  nested: x", "token:\n  nested: x"),
            ("`0123456789abcdef0123456789abcdef` is no role", "`********************************` is no role"),
        ];
        for (text, shown) in cases {
            assert_eq!(conceal(text), shown);
        }
    }

    #[test]
    fn nothing_moves() {
        let text = "passwort: äöü\nsecret: äöü, b: c\n";
        let shown = conceal(text);
        assert_eq!(shown.len(), text.len());
        assert_eq!(shown.find("b: c"), text.find("b: c"));
    }
}
