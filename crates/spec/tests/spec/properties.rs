use crate::EXAMPLES;
use proptest::prelude::*;
use spec::{Reading, Severity};
use std::fmt::Write;

const LONG_FORMS: &str = include_str!("long-forms.yaml");

/// What holds for whatever text there is.
fn check(text: &str) -> Reading {
    let reading = spec::read(text);
    for fault in &reading.faults {
        let span = fault.span.clone().unwrap();
        assert!(text.get(span.clone()).is_some(), "{} at {span:?} of {} bytes", fault.code, text.len());
        assert!(!fault.message.is_empty() && !fault.message.ends_with('.') && !fault.message.contains('\n'));
        assert!(spec::CODES.iter().any(|(code, _)| *code == fault.code));
    }
    for span in reading.spans.values() {
        assert!(text.get(span.clone()).is_some());
    }
    let errors = reading.faults.iter().any(|fault| fault.severity == Severity::Error);
    assert_eq!(reading.cluster.is_none(), errors, "a cluster is refused exactly for an error");
    reading
}

/// Text that is nearly right: a good file with some bytes replaced, removed or doubled.
fn nearly_right() -> impl Strategy<Value = String> {
    let words = [
        "",
        " ",
        "\n",
        ":",
        "- ",
        "[",
        "}",
        "\"",
        "&a ",
        "*a",
        "<<",
        "~",
        "0",
        "-1",
        "99999999999",
        "1e9",
        "é",
        "\t",
        "#",
        "|",
        "!!int ",
        "null",
        "on: ",
    ];
    let file = prop::sample::select(EXAMPLES.iter().map(|(_, text)| *text).chain([LONG_FORMS]).collect::<Vec<_>>());
    let edit = (any::<prop::sample::Index>(), 0..12_usize, prop::sample::select(words.to_vec()));
    (file, prop::collection::vec(edit, 1..6)).prop_map(|(file, edits)| {
        let mut text = file.to_owned();
        for (at, length, word) in edits {
            let start = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.floor_char_boundary((start + length).min(text.len())).max(start);
            text.replace_range(start..end, word);
        }
        text
    })
}

proptest! {
    #[test]
    fn nearly_right_text_gets_faults_within_it(text in nearly_right()) {
        let reading = check(&text);
        if reading.cluster.is_some() {
            prop_assert_eq!(crate::schema::violations(&text), Vec::<String>::new(), "the reader takes it, the schema does not");
        }
    }

    #[test]
    fn any_text_gets_faults_within_it(text in "\\PC*", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&text);
        check(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn deep_and_bomb_like_text_is_refused_quickly() {
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(5_000), "a: &a [*a]\n".to_owned()] {
        assert!(check(&text).cluster.is_none());
    }
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (before, after) in ('a'..'i').zip('b'..='i') {
        let aliases = vec![format!("*{before}"); 9].join(", ");
        writeln!(bomb, "{after}: &{after} [{aliases}]").unwrap();
    }
    assert!(check(&bomb).cluster.is_none());
}
