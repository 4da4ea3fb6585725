//! The grammar of label selectors, with the server's own words for what does not fit it.

use super::Requirement;

const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

/// Reads a selector.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { tokens: tokens(text), at: 0 };
    let mut all = Vec::new();
    loop {
        match parser.peek() {
            "" => return Ok(all),
            "!" => {
                parser.next();
                all.push(Requirement::Missing(parser.next()));
            }
            word if is_word(word) => all.push(parser.requirement()?),
            other => return Err(format!("found '{other}', expected: !, identifier, or 'end of string'")),
        }
        match parser.next().as_str() {
            "" => return Ok(all),
            "," => {
                let next = parser.peek();
                if next != "!" && !is_word(next) {
                    return Err(format!("found '{next}', expected: identifier after ','"));
                }
            }
            other => return Err(format!("found '{other}', expected: ',' or 'end of string'")),
        }
    }
}

fn is_word(token: &str) -> bool {
    !token.is_empty() && !token.starts_with(['=', '!', '(', ')', ',', '<', '>'])
}

fn tokens(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let doubled = ["==", "!="].into_iter().find(|operator| rest.starts_with(operator));
        let end = match doubled {
            Some(operator) => operator.len(),
            None if "=!(),<>".contains(first) => 1,
            None => {
                rest.find(|letter: char| letter.is_whitespace() || "=!(),<>".contains(letter)).unwrap_or(rest.len())
            }
        };
        let (token, after) = rest.split_at(end);
        all.push(token.to_owned());
        rest = after.trim_start();
    }
    all
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map(String::as_str).unwrap_or_default()
    }

    fn next(&mut self) -> String {
        let token = self.peek().to_owned();
        self.at += 1;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let wrong = |why: String| format!("unable to parse requirement: {why}");
        let key = self.next();
        match self.peek() {
            "" | "," => return Ok(Requirement::Exists(key)),
            _ => {}
        }
        match self.next().as_str() {
            "=" | "==" => Ok(Requirement::In(key, vec![self.value()])),
            "!=" => Ok(Requirement::NotIn(key, vec![self.value()])),
            "in" => Ok(Requirement::In(key, self.values().map_err(wrong)?)),
            "notin" => Ok(Requirement::NotIn(key, self.values().map_err(wrong)?)),
            operator @ (">" | "<") => {
                let value = self.value();
                let number = value.parse::<i64>().map_err(|_| {
                    wrong(format!(
                        "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                    ))
                })?;
                Ok(if operator == ">" { Requirement::Above(key, number) } else { Requirement::Below(key, number) })
            }
            other => Err(wrong(format!("found '{other}', expected: {OPERATORS}"))),
        }
    }

    /// A value may be empty.
    fn value(&mut self) -> String {
        if is_word(self.peek()) { self.next() } else { String::new() }
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        let open = self.next();
        if open != "(" {
            return Err(format!("found '{open}' expected: '('"));
        }
        let mut all = Vec::new();
        loop {
            all.push(self.value());
            match self.next().as_str() {
                "," => {}
                ")" => return Ok(all),
                other => return Err(format!("found '{other}', expected: ',' or ')'")),
            }
        }
    }
}
