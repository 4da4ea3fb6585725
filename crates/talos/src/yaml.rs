//! YAML in and out, as ordered JSON values.
//!
//! What is read here may hold keys, so errors carry a place in the text and never the text.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A text that is not the YAML that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not readable as YAML{}", .line.map(|line| format!(" (line {line})")).unwrap_or_default())]
pub struct YamlError {
    /// Line of the fault, from 1, where the parser knows it.
    pub line: Option<u64>,
}

impl From<serde_saphyr::Error> for YamlError {
    fn from(error: serde_saphyr::Error) -> Self {
        YamlError { line: error.location().map(|location| location.line()) }
    }
}

/// Reads one document.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    Ok(serde_saphyr::from_str(text)?)
}

/// Reads every document; empty ones are left out.
pub(crate) fn read_all(text: &str) -> Result<Vec<Value>, YamlError> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// Writes one document the way Talos's own tools do: four spaces, lists indented under their key, no folding.
pub(crate) fn write(value: &impl Serialize) -> String {
    let options =
        serde_saphyr::ser_options! { indent_step: 4, compact_list_indent: false, prefer_block_scalars: false };
    // The writer fails only on types that no value of ours has (non-string keys, bytes).
    serde_saphyr::to_string_with_options(value, options).unwrap_or_default()
}

/// Writes several documents, `---` between them.
pub(crate) fn write_all(documents: &[Value]) -> String {
    documents.iter().map(write).collect::<Vec<_>>().join("---\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strings_that_look_like_other_things_stay_strings() {
        for text in ["1000", "1e3", "true", "no", "null", "~", "123456.1234567890123456", "0x1f", "", "a: b", "- x"] {
            let written = write(&json!({ "key": text }));
            assert_eq!(read::<Value>(&written), Ok(json!({ "key": text })), "{written}");
        }
    }

    #[test]
    fn long_lines_are_not_folded_and_lists_stand_under_their_key() {
        let long = "x ".repeat(100) + "y";
        assert_eq!(
            write(&json!({ "a": { "b": [long], "c": {}, "d": [] } })),
            format!("a:\n    b:\n        - {long}\n    c: {{}}\n    d: []\n")
        );
    }

    #[test]
    fn errors_never_quote_the_text() {
        let error = read::<Value>("key: [hunter2").expect_err("unclosed");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
