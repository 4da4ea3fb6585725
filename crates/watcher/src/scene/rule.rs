//! Hosts in the rules of Traefik's routers.
//!
//! The language is that of Traefik 2 and 3: matchers such as ``Host(`a`)`` with strings in backticks or double quotes, `&&`,
//! `||`, `!` and parentheses (docs: reference/routing-configuration/http/router/rules-and-priority). Traefik takes the names
//! of matchers in any of three spellings of case; here case does not matter. What matters is which names a rule may serve:
//! all that stand in `Host` (or `HostSNI`), whatever else must hold, but for those under a `!`. Patterns name no host.

use thiserror::Error;

/// Deeper than any person writes; keeps hostile rules off the stack.
const DEPTH_MAX: u32 = 64;

/// Whose language a rule is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `Host`, and `HostHeader` of Traefik 2.
    Http,
    /// `HostSNI`.
    Tcp,
}

/// Why a rule cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadRule {
    /// Something else was to come at this byte.
    #[error("{wanted} is missing at character {at}")]
    Missing {
        /// What was to come.
        wanted: &'static str,
        /// Bytes from the start.
        at: usize,
    },
    /// Nothing may follow here.
    #[error("character {at} is one too many")]
    Extra {
        /// Bytes from the start.
        at: usize,
    },
    /// Parentheses within parentheses, without end.
    #[error("parentheses are nested more than {DEPTH_MAX} deep")]
    TooDeep,
}

/// The hosts that a rule serves, as written, in order.
pub fn hosts_of_rule(rule: &str, protocol: Protocol) -> Result<Vec<String>, BadRule> {
    let mut reader = Reader { rule, at: 0, protocol, hosts: Vec::new() };
    reader.expression(false, 0)?;
    reader.skip_space();
    if reader.at < rule.len() { Err(BadRule::Extra { at: reader.at }) } else { Ok(reader.hosts) }
}

struct Reader<'a> {
    rule: &'a str,
    at: usize,
    protocol: Protocol,
    hosts: Vec<String>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.rule.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.at = self.rule.len() - self.rest().trim_start().len();
    }

    /// Takes `token`, and the space before it, if it is next.
    fn takes(&mut self, token: &str) -> bool {
        self.skip_space();
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    fn needs(&mut self, token: &'static str) -> Result<(), BadRule> {
        if self.takes(token) { Ok(()) } else { Err(BadRule::Missing { wanted: token, at: self.at }) }
    }

    /// Terms between `&&` and `||`. Which of the two binds closer does not change the hosts.
    fn expression(&mut self, negated: bool, depth: u32) -> Result<(), BadRule> {
        if depth > DEPTH_MAX {
            return Err(BadRule::TooDeep);
        }
        self.term(negated, depth)?;
        while self.takes("&&") || self.takes("||") {
            self.term(negated, depth)?;
        }
        Ok(())
    }

    fn term(&mut self, mut negated: bool, depth: u32) -> Result<(), BadRule> {
        while self.takes("!") {
            negated = !negated;
        }
        if self.takes("(") {
            self.expression(negated, depth + 1)?;
            return self.needs(")");
        }
        let name = self.word();
        if name.is_empty() {
            return Err(BadRule::Missing { wanted: "a matcher such as Host(`…`)", at: self.at });
        }
        let names_hosts = match self.protocol {
            Protocol::Http => name.eq_ignore_ascii_case("Host") || name.eq_ignore_ascii_case("HostHeader"),
            Protocol::Tcp => name.eq_ignore_ascii_case("HostSNI"),
        };
        self.needs("(")?;
        loop {
            let value = self.string()?;
            if names_hosts && !negated && !self.hosts.contains(&value) {
                self.hosts.push(value);
            }
            if !self.takes(",") {
                return self.needs(")");
            }
        }
    }

    fn word(&mut self) -> &'a str {
        self.skip_space();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn string(&mut self) -> Result<String, BadRule> {
        if self.takes("`") {
            return self.until('`');
        }
        if self.takes("\"") {
            return self.until('"');
        }
        Err(BadRule::Missing { wanted: "a string in backticks or double quotes", at: self.at })
    }

    /// Up to the closing quote. A backslash escapes in double quotes only, as in Go; escapes of other characters than the
    /// quote and the backslash, which no host has, stay as they are.
    fn until(&mut self, quote: char) -> Result<String, BadRule> {
        let rest = self.rest();
        let mut value = String::new();
        let mut letters = rest.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            if letter == quote {
                self.at += at + quote.len_utf8();
                return Ok(value);
            }
            match letters.peek() {
                Some(&(_, next)) if quote == '"' && letter == '\\' && matches!(next, '"' | '\\') => {
                    value.push(next);
                    letters.next();
                }
                _ => value.push(letter),
            }
        }
        Err(BadRule::Missing { wanted: "the closing quote", at: self.rule.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn real_rules_give_their_hosts() {
        for (rule, hosts) in [
            ("Host(`a.example`)", vec!["a.example"]),
            ("Host(`a.example`, `b.example`)", vec!["a.example", "b.example"]),
            ("Host(\"a.example\")", vec!["a.example"]),
            ("host(`a.example`) && PATHPREFIX(`/api`)", vec!["a.example"]),
            ("Host(`a.example`) || Host(`b.example`)", vec!["a.example", "b.example"]),
            ("(Host(`a.example`) || Host(`b.example`)) && PathPrefix(`/x`)", vec!["a.example", "b.example"]),
            ("Host(`a.example`)&&!Host(`b.example`)", vec!["a.example"]),
            ("!Host(`a.example`)", vec![]),
            ("!(Host(`a.example`) || Path(`/x`)) && Host(`b.example`)", vec!["b.example"]),
            ("!!Host(`a.example`)", vec!["a.example"]),
            ("! ( ! Host(`a.example`) )", vec!["a.example"]),
            ("HostRegexp(`^.+\\.example$`)", vec![]),
            ("HostRegexp(`{sub:[a-z]+}.example`) || Host(`a.example`)", vec!["a.example"]),
            ("PathPrefix(`/`)", vec![]),
            ("Host(`a.example`) && Headers(`X-Key`, `Host(\"b.example\")`)", vec!["a.example"]),
            ("Host(`a.example`) && PathRegexp(\"\\\\.(jpg|png)$\")", vec!["a.example"]),
            ("Host(`a.example`) && Query(\"say=\\\"hi\\\"\")", vec!["a.example"]),
            ("\n  Host(`a.example`)\n  && (Method(`GET`) || Method(`POST`))\n", vec!["a.example"]),
            ("HostHeader(`a.example`)", vec!["a.example"]),
            ("HostSNI(`a.example`)", vec![]),
            ("Host(`a.example`) && Host(`a.example`)", vec!["a.example"]),
        ] {
            assert_eq!(hosts_of_rule(rule, Protocol::Http).unwrap(), hosts, "{rule}");
        }
        for (rule, hosts) in [
            ("HostSNI(`a.example`)", vec!["a.example"]),
            ("HostSNI(`*`)", vec!["*"]),
            ("HostSNI(`a.example`) && !ALPN(`h2`)", vec!["a.example"]),
            ("HostSNIRegexp(`.*`) || ClientIP(`10.0.0.0/8`)", vec![]),
        ] {
            assert_eq!(hosts_of_rule(rule, Protocol::Tcp).unwrap(), hosts, "{rule}");
        }
    }

    #[test]
    fn broken_rules_are_refused_where_they_break() {
        for (rule, at) in [
            ("", 0),
            ("Host", 4),
            ("Host(", 5),
            ("Host()", 5),
            ("Host(a.example)", 5),
            ("Host(`a.example`", 16),
            ("Host(`a.example)", 16),
            ("Host(`a.example`) &&", 20),
            ("Host(`a.example`) and Host(`b.example`)", 18),
            ("(Host(`a.example`)", 18),
            ("Host(`a.example`))", 17),
            ("Host(`a`,)", 9),
            ("&& Host(`a`)", 0),
        ] {
            let found = match hosts_of_rule(rule, Protocol::Http) {
                Err(BadRule::Missing { at, .. } | BadRule::Extra { at }) => at,
                other => panic!("{rule}: {other:?}"),
            };
            assert_eq!(found, at, "{rule}");
        }
    }

    #[test]
    fn a_hostile_rule_does_not_overflow_the_stack() {
        let deep = format!("{}Host(`a`){}", "(".repeat(100_000), ")".repeat(100_000));
        assert_eq!(hosts_of_rule(&deep, Protocol::Http), Err(BadRule::TooDeep));
        let negated = format!("{}Host(`a`)", "!".repeat(100_000));
        assert_eq!(hosts_of_rule(&negated, Protocol::Http).unwrap(), ["a"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(rule in "\\PC{0,60}|([Hh]ost|HostSNI|[`\"()!,&| a\\\\ü]){0,30}") {
            let _ = hosts_of_rule(&rule, Protocol::Http);
            let _ = hosts_of_rule(&rule, Protocol::Tcp);
        }

        #[test]
        fn what_is_written_is_found(hosts in prop::collection::btree_set("[a-z]{1,8}\\.example", 1..5)) {
            let hosts: Vec<String> = hosts.into_iter().collect();
            let rule = hosts.iter().map(|host| format!("(Host(`{host}`) && !Path(`/x`))")).collect::<Vec<_>>();
            prop_assert_eq!(hosts_of_rule(&rule.join(" || "), Protocol::Http), Ok(hosts));
        }
    }
}
