//! Readers of the shapes a file is made of. Each says what is wrong and goes on, so that nothing hides anything.

use crate::Span;
use crate::code;
use crate::fault::{Faults, NO_HELP, did_you_mean, help, nearest};
use crate::tree::{Entry, Node, Value};
use std::collections::BTreeMap;

/// A value that was read, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// What was written could not be read; a fault says so already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unreadable;

/// A part that need not be there. What is not written is not wanted.
pub(crate) type Part<T> = Result<Option<T>, Unreadable>;

/// Reads a part that need not be there.
pub(crate) fn part<N, T>(written: Option<N>, read: impl FnOnce(N) -> Option<T>) -> Part<T> {
    written.map(|written| read(written).ok_or(Unreadable)).transpose()
}

/// The entries of a mapping whose keys are fixed.
pub(crate) struct Fields<'a> {
    owner: String,
    span: Span,
    entries: Vec<&'a Entry>,
    /// Misspelt ones, by what was meant: one slip is one fault, not another one for what it seems to leave out.
    meant: BTreeMap<String, &'a Entry>,
}

impl<'a> Fields<'a> {
    /// Checks that `node` is a mapping with these keys, each once. `owner` names it in messages; `span` is pointed at
    /// when something is missing.
    pub(crate) fn read(node: &'a Node, owner: &str, span: &Span, keys: &[&str], faults: &mut Faults) -> Option<Self> {
        let entries = mapping(node, owner, faults)?;
        let mut meant = BTreeMap::new();
        for &entry in &entries {
            if !keys.contains(&entry.key.as_str()) {
                let known = did_you_mean(&entry.key, keys.iter().copied(), format!("it takes {}", keys.join(", ")));
                faults.error(
                    code::UNKNOWN_KEY,
                    &entry.key_span,
                    format!("{owner} has no key `{}`", shown(&entry.key)),
                    known,
                );
                if let Some(near) = nearest(&entry.key, keys.iter().copied()) {
                    meant.entry(near.to_owned()).or_insert(entry);
                }
            }
        }
        Some(Fields { owner: owner.to_owned(), span: span.clone(), entries, meant })
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key).or_else(|| self.meant.get(key)).copied()
    }

    pub(crate) fn require(&self, key: &str, example: &str, faults: &mut Faults) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            let message = format!("{} has no `{key}`", self.owner);
            faults.error(code::MISSING_KEY, &self.span, message, help(format!("add `{key}: {example}`")));
        }
        found
    }
}

/// The entries of a mapping with keys of the user's own. Of a key that stands twice, the first is kept.
pub(crate) fn mapping<'a>(node: &'a Node, what: &str, faults: &mut Faults) -> Option<Vec<&'a Entry>> {
    let Value::Map(entries) = &node.value else {
        wrong_shape(node, what, "a mapping", faults);
        return None;
    };
    let mut kept: Vec<&Entry> = Vec::new();
    for entry in entries {
        if kept.iter().any(|earlier| earlier.key == entry.key) {
            let message = format!("{what} has `{}` twice", shown(&entry.key));
            faults.error(code::DUPLICATE_KEY, &entry.key_span, message, help("keep one of them"));
        } else {
            kept.push(entry);
        }
    }
    Some(kept)
}

pub(crate) fn list<'a>(node: &'a Node, what: &str, faults: &mut Faults) -> Option<&'a [Node]> {
    if let Value::List(items) = &node.value {
        return Some(items);
    }
    wrong_shape(node, what, "a list", faults);
    None
}

pub(crate) fn text<'a>(node: &'a Node, what: &str, faults: &mut Faults) -> Option<At<&'a str>> {
    if let Value::Text(text) = &node.value {
        return Some(At { value: text, span: node.span.clone() });
    }
    wrong_shape(node, what, "text", faults);
    None
}

/// Text as it is spelt: for names and versions, which YAML may take for numbers.
pub(crate) fn spelling<'a>(node: &'a Node, what: &str, faults: &mut Faults) -> Option<At<&'a str>> {
    match &node.value {
        Value::Number(spelling) => Some(At { value: spelling, span: node.span.clone() }),
        _ => text(node, what, faults),
    }
}

/// One of a few words.
pub(crate) fn word<T: Clone>(node: &Node, what: &str, choices: &[(&str, T)], faults: &mut Faults) -> Option<At<T>> {
    let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
    let otherwise = if let [only] = words.as_slice() {
        format!("write {only}")
    } else {
        format!("it is one of: {}", words.join(", "))
    };
    let Value::Text(found) = &node.value else {
        let message = format!("the {what} is a word, but {} was found", node.shape());
        faults.error(code::WRONG_SHAPE, &node.span, message, help(otherwise));
        return None;
    };
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == found) {
        return Some(At { value: value.clone(), span: node.span.clone() });
    }
    let message = format!("`{}` is no {what}", shown(found));
    faults.error(code::UNKNOWN_WORD, &node.span, message, did_you_mean(found, words, otherwise));
    None
}

pub(crate) fn wrong_shape(node: &Node, what: &str, wanted: &str, faults: &mut Faults) {
    let message = format!("{what} is {wanted}, but {} was found", node.shape());
    faults.error(code::WRONG_SHAPE, &node.span, message, NO_HELP);
}

/// What a user wrote, short enough to stand in a message and without control characters.
pub(crate) fn shown(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(CHARACTERS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
