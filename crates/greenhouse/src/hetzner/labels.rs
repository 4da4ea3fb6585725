//! Labels and label selectors.

use super::answer::Refusal;
use serde_json::Value;

/// `[prefix/]name`: a DNS prefix, and a name of at most 63 characters. `hetzner.cloud/` is the vendor's own.
pub(super) fn is_key(key: &str) -> bool {
    let name = match key.split_once('/') {
        Some((prefix, name)) => {
            let is_dns = !prefix.is_empty()
                && prefix.len() <= 253
                && prefix.split('.').all(|part| is_word(part, |c| c.is_ascii_alphanumeric() || c == '-'));
            if !is_dns || prefix == "hetzner.cloud" || prefix.ends_with(".hetzner.cloud") {
                return false;
            }
            name
        }
        None => key,
    };
    is_word(name, |c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Empty, or at most 63 characters that start and end with a letter or digit.
pub(super) fn is_value(value: &str) -> bool {
    value.is_empty() || is_word(value, |c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn is_word(word: &str, allowed: impl Fn(char) -> bool) -> bool {
    let ends = |end: Option<char>| end.is_some_and(|c| c.is_ascii_alphanumeric());
    (1..=63).contains(&word.len())
        && word.chars().all(allowed)
        && ends(word.chars().next())
        && ends(word.chars().next_back())
}

/// A conjunction of requirements.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq)]
enum Requirement {
    Present(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selector {
    /// Reads `k=v`, `k==v`, `k!=v`, `k`, `!k`, `k in (a,b)`, `k notin (a,b)`, with commas between.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let wrong = || Refusal::field("label_selector", format!("invalid label selector '{text}'"));
        let mut requirements = Vec::new();
        for part in split(text) {
            requirements.push(requirement(part.trim()).ok_or_else(wrong)?);
        }
        Ok(Selector(requirements))
    }

    /// Forgets all requirements but the first.
    pub(super) fn keep_first(&mut self) {
        self.0.truncate(1);
    }

    /// Whether an object's `labels` satisfy it.
    pub(super) fn matches(&self, labels: &Value) -> bool {
        let get = |key: &str| labels.get(key).and_then(Value::as_str);
        self.0.iter().all(|requirement| match requirement {
            Requirement::Present(key) => get(key).is_some(),
            Requirement::Absent(key) => get(key).is_none(),
            Requirement::In(key, values) => get(key).is_some_and(|found| values.iter().any(|value| value == found)),
            Requirement::NotIn(key, values) => get(key).is_none_or(|found| values.iter().all(|value| value != found)),
        })
    }
}

/// At commas that are outside parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(|c| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        c == ',' && depth <= 0
    })
    .filter(|part| !part.trim().is_empty())
    .collect()
}

fn requirement(text: &str) -> Option<Requirement> {
    let key = |text: &str| Some(text.trim()).filter(|key| is_key(key)).map(str::to_owned);
    let value = |text: &str| Some(text.trim()).filter(|value| is_value(value)).map(str::to_owned);
    let set = |text: &str| {
        let inside = text.trim().strip_prefix('(')?.strip_suffix(')')?;
        inside.split(',').map(value).collect::<Option<Vec<_>>>()
    };
    if let Some((name, values)) = text.split_once(" notin ") {
        return Some(Requirement::NotIn(key(name)?, set(values)?));
    }
    if let Some((name, values)) = text.split_once(" in ") {
        return Some(Requirement::In(key(name)?, set(values)?));
    }
    if let Some((name, unwanted)) = text.split_once("!=") {
        return Some(Requirement::NotIn(key(name)?, vec![value(unwanted)?]));
    }
    if let Some((name, wanted)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Requirement::In(key(name)?, vec![value(wanted)?]));
    }
    match text.strip_prefix('!') {
        Some(name) => Some(Requirement::Absent(key(name)?)),
        None => Some(Requirement::Present(key(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_operator_selects_what_the_documentation_says() {
        let labels = json!({"bouquet.dev/cluster": "b", "env": "prod", "empty": ""});
        for (selector, wanted) in [
            ("bouquet.dev/cluster=b", true),
            ("bouquet.dev/cluster==b", true),
            ("bouquet.dev/cluster==c", false),
            ("env!=prod", false),
            ("other!=prod", true),
            ("env", true),
            ("!env", false),
            ("!other", true),
            ("env in (dev,prod)", true),
            ("env notin (dev, prod)", false),
            ("other notin (dev)", true),
            ("env in (dev,prod),empty=", true),
            ("env,other", false),
            ("", true),
        ] {
            assert_eq!(Selector::parse(selector).unwrap().matches(&labels), wanted, "{selector}");
        }
        for wrong in ["=", "env in prod", "a b", "!", "env=pr od"] {
            assert!(Selector::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn label_syntax_is_checked() {
        for good in ["a", "a.b/c", "a-b_c.d", "bouquet.dev/cluster"] {
            assert!(is_key(good), "{good}");
        }
        for bad in ["", "-a", "a/", "/a", "a/b/c", "hetzner.cloud/x", "ä", &"a".repeat(64)] {
            assert!(!is_key(bad), "{bad}");
        }
        assert!(is_value("") && is_value("a.b-c_1") && !is_value("a b") && !is_value("-"));
    }
}
