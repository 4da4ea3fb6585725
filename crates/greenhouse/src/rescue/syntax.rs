//! The part of bash's grammar that one-line scripts use: lists, pipelines, quotes, variables, command substitution,
//! redirections. Loops, conditions, functions and here-documents are syntax errors here.

/// Commands in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Script(pub Vec<Chain>);

/// Pipelines joined by `&&` and `||`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chain {
    pub first: Pipeline,
    pub rest: Vec<(Join, Pipeline)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Join {
    And,
    Or,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pipeline {
    /// `!` before it.
    pub negated: bool,
    pub commands: Vec<Command>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Command {
    pub assignments: Vec<(String, Word)>,
    pub words: Vec<Word>,
    pub redirects: Vec<Redirect>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Redirect {
    pub fd: u8,
    pub to: To,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum To {
    File(Word),
    Append(Word),
    From(Word),
    Fd(u8),
    /// `&>`: both outputs.
    Both(Word),
}

pub(super) type Word = Vec<Part>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Text(String),
    Variable { name: String, quoted: bool },
    Output { script: Script, quoted: bool },
}

/// The token that bash would complain about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError(pub String);

/// Words that begin what this shell does not have.
const RESERVED: &[&str] =
    &["if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "function", "{", "}"];

/// Reads a script.
pub(super) fn parse(text: &str) -> Result<Script, SyntaxError> {
    let mut reader = Reader { rest: text.chars().collect::<Vec<_>>().into_iter().peekable() };
    let script = reader.script(None)?;
    match reader.rest.next() {
        Some(left) => Err(SyntaxError(left.to_string())),
        None => Ok(script),
    }
}

struct Reader {
    rest: std::iter::Peekable<std::vec::IntoIter<char>>,
}

type Read<T> = Result<T, SyntaxError>;

impl Reader {
    /// Up to `end`, which is consumed, or to the end of the text.
    fn script(&mut self, end: Option<char>) -> Read<Script> {
        let mut chains = Vec::new();
        loop {
            self.skip_separators();
            match self.rest.peek() {
                None if end.is_none() => return Ok(Script(chains)),
                None => return Err(SyntaxError("EOF".into())),
                Some(next) if Some(*next) == end => {
                    self.rest.next();
                    return Ok(Script(chains));
                }
                Some(_) => chains.push(self.chain()?),
            }
            self.skip_blanks();
            match self.rest.peek() {
                None | Some(';' | '\n') => {}
                Some(next) if Some(*next) == end => {}
                Some(other) => return Err(SyntaxError(other.to_string())),
            }
        }
    }

    fn chain(&mut self) -> Read<Chain> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            self.skip_blanks();
            let join = if self.take("&&") {
                Join::And
            } else if self.take("||") {
                Join::Or
            } else {
                return Ok(Chain { first, rest });
            };
            self.skip_newlines();
            rest.push((join, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Read<Pipeline> {
        self.skip_blanks();
        let mut pipeline = Pipeline::default();
        while self.take("! ") {
            pipeline.negated = !pipeline.negated;
            self.skip_blanks();
        }
        loop {
            pipeline.commands.push(self.command()?);
            self.skip_blanks();
            if self.looks_at("||") || !self.take("|") {
                return Ok(pipeline);
            }
            if self.take("&") {
                let redirect = Redirect { fd: 2, to: To::Fd(1) };
                if let Some(command) = pipeline.commands.last_mut() {
                    command.redirects.push(redirect);
                }
            }
            self.skip_newlines();
        }
    }

    fn command(&mut self) -> Read<Command> {
        let mut command = Command::default();
        loop {
            self.skip_blanks();
            match self.rest.peek().copied() {
                None | Some(';' | '\n' | '|' | ')') => break,
                Some('&') if !self.looks_at("&>") => break,
                Some('(') => return Err(SyntaxError("(".into())),
                Some(_) => {}
            }
            if let Some(redirect) = self.redirect()? {
                command.redirects.push(redirect);
                continue;
            }
            let word = self.word()?;
            if let (true, [Part::Text(text)]) = (command.words.is_empty(), word.as_slice())
                && RESERVED.contains(&text.as_str())
            {
                return Err(SyntaxError(text.clone()));
            }
            match assignment(&word) {
                Some(assignment) if command.words.is_empty() => command.assignments.push(assignment),
                _ => command.words.push(word),
            }
        }
        if command == Command::default() {
            let near = self.rest.peek().map_or_else(|| "newline".to_owned(), ToString::to_string);
            return Err(SyntaxError(near));
        }
        Ok(command)
    }

    fn redirect(&mut self) -> Read<Option<Redirect>> {
        let fd = if self.looks_at("2>") {
            self.rest.next();
            2
        } else if self.looks_at("1>") {
            self.rest.next();
            1
        } else {
            1
        };
        if self.take("&>") {
            self.skip_blanks();
            return Ok(Some(Redirect { fd: 1, to: To::Both(self.word()?) }));
        }
        if self.take(">&") {
            let to = self.rest.next().and_then(|digit| digit.to_digit(10)).and_then(|digit| u8::try_from(digit).ok());
            let to = to.filter(|to| matches!(to, 1 | 2)).ok_or_else(|| SyntaxError("&".into()))?;
            return Ok(Some(Redirect { fd, to: To::Fd(to) }));
        }
        if self.looks_at("<<") {
            return Err(SyntaxError("<<".into()));
        }
        let make: fn(Word) -> To = if self.take(">>") {
            To::Append
        } else if self.take(">") {
            To::File
        } else if self.take("<") {
            To::From
        } else {
            return Ok(None);
        };
        self.skip_blanks();
        Ok(Some(Redirect { fd, to: make(self.word()?) }))
    }

    fn word(&mut self) -> Read<Word> {
        let mut word = Vec::new();
        let mut is_empty = true;
        while let Some(next) = self.rest.peek().copied() {
            match next {
                ' ' | '\t' | '\n' | ';' | '|' | '&' | '<' | '>' | '(' | ')' => break,
                '\'' => {
                    self.rest.next();
                    let mut text = String::new();
                    loop {
                        match self.rest.next() {
                            Some('\'') => break,
                            Some(c) => text.push(c),
                            None => return Err(SyntaxError("'".into())),
                        }
                    }
                    push(&mut word, &text);
                }
                '"' => {
                    self.rest.next();
                    push(&mut word, "");
                    self.double_quoted(&mut word)?;
                }
                '\\' => {
                    self.rest.next();
                    match self.rest.next() {
                        Some('\n') | None => {}
                        Some(c) => push(&mut word, c.encode_utf8(&mut [0; 4])),
                    }
                }
                '$' => word.push(self.dollar(false)?),
                c => {
                    self.rest.next();
                    push(&mut word, c.encode_utf8(&mut [0; 4]));
                }
            }
            is_empty = false;
        }
        if is_empty {
            let near = self.rest.peek().map_or_else(|| "newline".to_owned(), ToString::to_string);
            return Err(SyntaxError(near));
        }
        Ok(word)
    }

    fn double_quoted(&mut self, word: &mut Word) -> Read<()> {
        loop {
            match self.rest.peek().copied() {
                None => return Err(SyntaxError("\"".into())),
                Some('"') => {
                    self.rest.next();
                    return Ok(());
                }
                Some('\\') => {
                    self.rest.next();
                    match self.rest.next() {
                        Some(c @ ('"' | '\\' | '$' | '`')) => push(word, c.encode_utf8(&mut [0; 4])),
                        Some('\n') | None => {}
                        Some(c) => push(word, &format!("\\{c}")),
                    }
                }
                Some('$') => word.push(self.dollar(true)?),
                Some(c) => {
                    self.rest.next();
                    push(word, c.encode_utf8(&mut [0; 4]));
                }
            }
        }
    }

    fn dollar(&mut self, quoted: bool) -> Read<Part> {
        self.rest.next();
        match self.rest.peek().copied() {
            Some('(') => {
                self.rest.next();
                Ok(Part::Output { script: self.script(Some(')'))?, quoted })
            }
            Some('{') => {
                self.rest.next();
                let name = self.name();
                if self.rest.next() != Some('}') || name.is_empty() {
                    return Err(SyntaxError("${".into()));
                }
                Ok(Part::Variable { name, quoted })
            }
            Some('?') => {
                self.rest.next();
                Ok(Part::Variable { name: "?".into(), quoted })
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => Ok(Part::Variable { name: self.name(), quoted }),
            _ => Ok(Part::Text("$".into())),
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        name
    }

    fn looks_at(&self, text: &str) -> bool {
        let mut ahead = self.rest.clone();
        text.chars().all(|c| ahead.next() == Some(c))
    }

    fn take(&mut self, text: &str) -> bool {
        let is_there = self.looks_at(text);
        if is_there {
            for _ in text.chars() {
                self.rest.next();
            }
        }
        is_there
    }

    fn skip_blanks(&mut self) {
        loop {
            if self.rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() || self.take("\\\n") {
                continue;
            }
            if self.rest.peek() == Some(&'#') {
                while self.rest.next_if(|c| *c != '\n').is_some() {}
            }
            return;
        }
    }

    fn skip_newlines(&mut self) {
        loop {
            self.skip_blanks();
            if self.rest.next_if_eq(&'\n').is_none() {
                return;
            }
        }
    }

    fn skip_separators(&mut self) {
        loop {
            self.skip_blanks();
            if self.rest.next_if(|c| matches!(c, ';' | '\n')).is_none() {
                return;
            }
        }
    }
}

/// Joins text to the text before it.
fn push(word: &mut Word, text: &str) {
    if let Some(Part::Text(last)) = word.last_mut() {
        last.push_str(text);
    } else {
        word.push(Part::Text(text.to_owned()));
    }
}

/// `NAME=value`, if the word is one.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let (Part::Text(first), rest) = word.split_first()? else { return None };
    let (name, start) = first.split_once('=')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return None;
    }
    let mut value = vec![Part::Text(start.to_owned())];
    value.extend_from_slice(rest);
    Some((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(word: &Word) -> String {
        match word.as_slice() {
            [Part::Text(text)] => text.clone(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_usual_image_writer_is_read() {
        let script = parse(
            "set -euo pipefail && wget -qO- 'https://f/i?a=b&c' | xz -dc 2>/dev/null | dd of=/dev/sda bs=4M \
             conv=sparse 2>&1 && sync; echo \"done $X\" # over",
        );
        let Script(chains) = script.unwrap();
        assert_eq!(chains.len(), 2);
        let pipeline = &chains[0].rest[0].1;
        assert_eq!(pipeline.commands.len(), 3);
        assert_eq!(text(&pipeline.commands[0].words[2]), "https://f/i?a=b&c");
        let null = To::File(vec![Part::Text("/dev/null".into())]);
        assert_eq!(pipeline.commands[1].redirects, [Redirect { fd: 2, to: null }]);
        assert_eq!(pipeline.commands[2].redirects, [Redirect { fd: 2, to: To::Fd(1) }]);
        assert_eq!(chains[0].rest[1].0, Join::And);
    }

    #[test]
    fn quotes_and_assignments_make_one_word() {
        let Script(chains) = parse(r#"URL="a b"'c'\ d echo $URL "${URL}" $(cat x) a=b"#).unwrap();
        let command = &chains[0].first.commands[0];
        assert_eq!(command.assignments, [("URL".into(), vec![Part::Text("a bc d".into())])]);
        assert_eq!(command.words.len(), 5);
        assert_eq!(text(&command.words[4]), "a=b");
    }

    #[test]
    fn what_this_shell_lacks_is_a_syntax_error() {
        for wrong in ["if true; then x; fi", "a |", "a && ", "echo 'x", "cat <<EOF", "(a)", "$(a", "a & b", "| a"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
