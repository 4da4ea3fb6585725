//! HuJSON: JSON with comments and trailing commas. <https://github.com/tailscale/hujson>

/// The same document as plain JSON: comments and trailing commas become spaces, so that lines and columns stay.
/// What is wrong otherwise stays wrong, for the JSON parser to say.
pub(super) fn standardize(text: &str) -> String {
    let mut out: Vec<char> = Vec::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    // Where the last comma stands that nothing but blanks and comments has followed.
    let mut comma = None;
    let mut last = '[';
    while let Some(next) = chars.next() {
        match (next, chars.peek()) {
            ('"', _) => {
                (comma, last) = (None, '"');
                out.push('"');
                copy_string(&mut chars, &mut out);
            }
            ('/', Some('/')) => {
                out.push(' ');
                while let Some(skipped) = chars.next_if(|next| *next != '\n') {
                    out.extend(std::iter::repeat_n(' ', skipped.len_utf8()));
                }
            }
            ('/', Some('*')) => blank_block(&mut chars, &mut out),
            (',', _) => {
                comma = (!matches!(last, '[' | '{' | ',' | ':')).then_some(out.len());
                last = ',';
                out.push(',');
            }
            (']' | '}', _) => {
                if let Some(at) = comma.take().and_then(|at| out.get_mut(at)) {
                    *at = ' ';
                }
                last = next;
                out.push(next);
            }
            _ => {
                if !next.is_whitespace() {
                    (comma, last) = (None, next);
                }
                out.push(next);
            }
        }
    }
    out.into_iter().collect()
}

fn copy_string(chars: &mut impl Iterator<Item = char>, out: &mut Vec<char>) {
    while let Some(next) = chars.next() {
        out.push(next);
        match next {
            '\\' => out.extend(chars.next()),
            '"' => return,
            _ => {}
        }
    }
}

/// Blanks a block comment whose `/` has been read, but keeps its line ends.
fn blank_block(chars: &mut impl Iterator<Item = char>, out: &mut Vec<char>) {
    out.push(' ');
    let mut last = ' ';
    let mut inside = false;
    for next in chars {
        out.push(if next == '\n' { '\n' } else { ' ' });
        if inside && last == '*' && next == '/' {
            return;
        }
        // The star that opens the comment does not close it: `/*/`.
        last = if inside { next } else { ' ' };
        inside = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parse(text: &str) -> Result<Value, serde_json::Error> {
        serde_json::from_str(&standardize(text))
    }

    #[test]
    fn comments_and_trailing_commas_are_no_part_of_the_document() {
        let text = "{ // first\n \"a\": [1, 2,], /* and\n , */ \"b\": {\"c\": 3, /*/ last */ },\n}\n";
        assert_eq!(parse(text).unwrap(), json!({"a": [1, 2], "b": {"c": 3}}));
        assert_eq!(standardize(text).lines().count(), text.lines().count());
    }

    #[test]
    fn what_looks_like_a_comment_inside_a_string_stays() {
        assert_eq!(parse(r#"["https://x/*y*/", "\"//", ",]"]"#).unwrap(), json!(["https://x/*y*/", "\"//", ",]"]));
    }

    #[test]
    fn two_commas_are_still_wrong() {
        assert!(parse("[1,,]").is_err());
        assert!(parse("[,]").is_err());
        assert!(parse("{\"a\": 1 \"b\": 2}").is_err());
    }
}
