//! XML, as little of it as S3 needs: elements and text.

use std::fmt::Write as _;

/// Deeper documents are no S3 requests.
const DEPTH_MAX: usize = 8;

/// Writes a document.
pub(super) struct Writer(String);

impl Writer {
    pub(super) fn new() -> Self {
        Writer("<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned())
    }

    /// An element with elements in it.
    pub(super) fn within(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        let _ = write!(self.0, "<{name}>");
        inner(self);
        let bare = name.split_once(' ').map_or(name, |(bare, _)| bare);
        let _ = write!(self.0, "</{bare}>");
    }

    /// An element with text in it.
    pub(super) fn element(&mut self, name: &str, text: &str) {
        self.within(name, |xml| xml.text(text));
    }

    fn text(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                control if (control as u32) < 0x20 => {
                    let _ = write!(self.0, "&#x{:X};", control as u32);
                }
                other => self.0.push(other),
            }
        }
    }

    pub(super) fn done(self) -> String {
        self.0
    }
}

/// An element that was read. Attributes and namespaces are let fall.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The text of the first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| child.text.as_str())
    }

    /// The children of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// Reads a document; `None` if it is not well formed, or holds what no S3 request does.
pub(super) fn parse(text: &str) -> Option<Element> {
    let mut open = vec![Element::default()];
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        open.last_mut()?.text.push_str(&unescape(rest.get(..at)?)?);
        let (tag, after) = rest.get(at + 1..)?.split_once('>')?;
        rest = after;
        if tag.starts_with(['?', '!']) {
            // Declarations only: a comment may hold `>`, and nobody here sends one.
            if tag.starts_with('!') {
                return None;
            }
        } else if let Some(name) = tag.strip_prefix('/') {
            let closed = open.pop().filter(|element| element.name == local(name))?;
            open.last_mut()?.children.push(closed);
        } else {
            let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
            let name = local(tag.split_whitespace().next()?).to_owned();
            let element = Element { name, ..Element::default() };
            if is_empty {
                open.last_mut()?.children.push(element);
            } else {
                open.push(element);
            }
        }
        if open.len() > DEPTH_MAX {
            return None;
        }
    }
    let root = open.pop().filter(|_| open.is_empty() && rest.trim().is_empty())?;
    let mut children = root.children.into_iter();
    children.next().filter(|_| children.next().is_none())
}

fn local(name: &str) -> &str {
    let name = name.trim();
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('&');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';')?;
        let number = |digits: &str, radix| char::from_u32(u32::from_str_radix(digits, radix).ok()?);
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => match entity.strip_prefix('#')? {
                hex if hex.starts_with(['x', 'X']) => number(hex.get(1..)?, 16)?,
                decimal => number(decimal, 10)?,
            },
        });
        plain.push_str(rest);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut xml = Writer::new();
        xml.within("Delete xmlns=\"http://x/\"", |xml| {
            xml.within("Object", |xml| xml.element("Key", "a&b<c>\"d\"\u{1}ä"));
            xml.element("Quiet", "true");
        });
        let read = parse(&xml.done()).unwrap();
        assert_eq!(read.name, "Delete");
        assert_eq!(read.child("Quiet"), Some("true"));
        assert_eq!(read.all("Object").next().unwrap().child("Key"), Some("a&b<c>\"d\"\u{1}ä"));
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        let deep = "<a>".repeat(20) + &"</a>".repeat(20);
        for wrong in
            ["", "<a>", "</a>", "<a></b>", "<a/><b/>", "<a>&x;</a>", "<!DOCTYPE a><a/>", "<a>&amp</a>", "x", &deep]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert!(parse("<?xml version=\"1.0\"?>\n<a><b/>\n</a>\n").is_some());
    }
}
