//! TSIG keys: how they are written in files, and what they sign.

use super::DNS;
use crate::rest::refused;
use crate::{Error, Settings, Why};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hickory_proto::rr::Name;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use wire::Secret;
use zeroize::Zeroizing;

/// What is signed with. HMAC-MD5 and HMAC-SHA1 are not, though servers still take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `hmac-sha256`, which every server must know.
    HmacSha256,
    /// `hmac-sha384`.
    HmacSha384,
    /// `hmac-sha512`.
    HmacSha512,
}

impl Algorithm {
    /// By the name that servers' configurations have for it.
    pub fn named(name: &str) -> Option<Self> {
        match name.trim_end_matches('.').to_ascii_lowercase().as_str() {
            "hmac-sha256" => Some(Algorithm::HmacSha256),
            "hmac-sha384" => Some(Algorithm::HmacSha384),
            "hmac-sha512" => Some(Algorithm::HmacSha512),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Algorithm::HmacSha256 => "hmac-sha256",
            Algorithm::HmacSha384 => "hmac-sha384",
            Algorithm::HmacSha512 => "hmac-sha512",
        }
    }

    pub(super) fn tsig(self) -> TsigAlgorithm {
        match self {
            Algorithm::HmacSha256 => TsigAlgorithm::HmacSha256,
            Algorithm::HmacSha384 => TsigAlgorithm::HmacSha384,
            Algorithm::HmacSha512 => TsigAlgorithm::HmacSha512,
        }
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// A key that a server knows by the same name.
#[derive(Clone, Debug)]
pub struct Key {
    pub(super) name: Name,
    pub(super) algorithm: Algorithm,
    /// Base64.
    secret: Secret,
}

impl Key {
    /// `secret`: base64, as `tsig-keygen` prints it. The error is a sentence without the secret.
    pub fn new(name: &str, algorithm: Algorithm, secret: Secret) -> Result<Self, String> {
        let mut name = Name::from_ascii(name).map_err(|_| format!("{name:?} is no name of a key"))?;
        name.set_fqdn(true);
        let key = Key { name, algorithm, secret };
        match key.bytes() {
            Some(bytes) if !bytes.is_empty() => Ok(key),
            _ => Err("the key's secret is no base64".to_owned()),
        }
    }

    /// From a key file, and the file itself.
    pub fn from_settings(settings: &dyn Settings, path: &str) -> Result<(Secret, Self), Error> {
        let wrong = |why: String| refused(DNS, Why::Unauthenticated, format!("the key file: {why}"));
        // The path is not repeated: people have written the key itself where its path belongs.
        let unread = |why: String| wrong(why.replace(path, "").trim_start_matches([':', ' ']).to_owned());
        let file = settings.file(path).map_err(unread)?;
        let key = Self::read(&file).map_err(wrong)?;
        Ok((file, key))
    }

    /// What the server knows it by, without the root's dot.
    pub fn name(&self) -> String {
        self.name.to_ascii().trim_end_matches('.').to_owned()
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Reads a file of one key in BIND's form, as `tsig-keygen` writes it:
    /// `key "NAME" { algorithm hmac-sha256; secret "BASE64"; };`.
    pub fn read(text: &Secret) -> Result<Self, String> {
        let form = || "it is no key file; `tsig-keygen NAME` writes one".to_owned();
        let words = words(text.expose());
        let mut words = words.iter().map(|word| word.as_str());
        if words.next() != Some("key") {
            return Err(form());
        }
        let name = words.next().ok_or_else(form)?;
        let (mut algorithm, mut secret) = (None, None);
        while let Some(word) = words.next() {
            match word {
                "algorithm" => algorithm = words.next(),
                "secret" => secret = words.next(),
                "key" => return Err("it holds more than one key".to_owned()),
                _ => {}
            }
        }
        let algorithm = algorithm.ok_or_else(form)?;
        let known = Algorithm::named(algorithm)
            .ok_or_else(|| format!("its algorithm is {algorithm}; use hmac-sha256, hmac-sha384 or hmac-sha512"))?;
        Key::new(name, known, Secret::new(secret.ok_or_else(form)?))
    }

    pub(super) fn bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        STANDARD.decode(self.secret.expose().trim()).ok().map(Zeroizing::new)
    }
}

/// Words of BIND's configuration: braces and semicolons part them, quotes hold them together, comments are left out.
fn words(text: &str) -> Vec<Zeroizing<String>> {
    let mut words = vec![Zeroizing::new(String::new())];
    let mut rest = text.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = rest.next() {
        let comment = match (letter, rest.peek()) {
            ('#', _) | ('/', Some('/')) => Some("\n"),
            ('/', Some('*')) => Some("*/"),
            _ => None,
        };
        match letter {
            '"' => quoted = !quoted,
            _ if !quoted && comment.is_some() => {
                let end = comment.unwrap_or_default();
                let mut tail = String::new();
                for letter in rest.by_ref() {
                    tail.push(letter);
                    if tail.ends_with(end) && (end == "\n" || tail.len() > 2) {
                        break;
                    }
                }
                words.push(Zeroizing::default());
            }
            '{' | '}' | ';' if !quoted => words.push(Zeroizing::default()),
            _ if !quoted && letter.is_whitespace() => words.push(Zeroizing::default()),
            _ => words.last_mut().into_iter().for_each(|word| word.push(letter)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Key, String> {
        Key::read(&Secret::new(text))
    }

    #[test]
    fn what_tsig_keygen_writes_is_read() {
        let text =
            "# made on Monday\nkey \"bouquet.example.com\" {\n\talgorithm hmac-sha512;\n\tsecret \"c2VjcmV0\";\n};\n";
        let key = read(text).unwrap();
        assert_eq!((key.name.to_ascii().as_str(), key.algorithm), ("bouquet.example.com.", Algorithm::HmacSha512));
        assert_eq!(key.bytes().unwrap().as_slice(), b"secret");
        let on_a_line = "/* a key; */ key k { secret c2VjcmV0; algorithm HMAC-SHA256. ; }; // end";
        assert_eq!(read(on_a_line).unwrap().algorithm, Algorithm::HmacSha256);
    }

    #[test]
    fn what_is_wrong_with_a_key_file_is_said_without_the_secret() {
        for (text, why) in [
            ("", "no key file"),
            ("c2VjcmV0", "no key file"),
            ("key k { algorithm hmac-sha256; };", "no key file"),
            ("key k { algorithm hmac-md5; secret \"c2VjcmV0\"; };", "algorithm is hmac-md5"),
            ("key k { algorithm hmac-sha256; secret \"c2VjcmV0!\"; };", "no base64"),
            ("key a { algorithm hmac-sha256; secret \"YQ==\"; }; key b {};", "more than one"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(why) && !said.contains("c2VjcmV0"), "{text}: {said}");
        }
        assert!(!format!("{:?}", read("key k { algorithm hmac-sha256; secret c2VjcmV0; };")).contains("c2VjcmV0"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*", inner in "[ -~\n]*") {
            let _ = read(&text);
            let _ = read(&format!("key \"{inner}\" {{ algorithm {inner}; secret {inner} }}"));
        }
    }
}
