//! How wide a page is, and where its lines break.

/// What an unknown page is taken for: the narrowest that people use.
const UNKNOWN: usize = 80;
/// Below this nothing can be laid out; lines get longer than the page instead.
const LEAST: usize = 40;
/// Above this prose is hard to read.
const MOST: usize = 120;

/// Columns of the page that stderr is shown on.
pub fn columns() -> usize {
    let terminal = terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| usize::from(width.0));
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.or_else(told).unwrap_or(UNKNOWN).clamp(LEAST, MOST)
}

/// Breaks prose between words so that no line is longer than `width`, except by one word. What stands between backticks is
/// for copying and stays whole.
pub fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in words(paragraph) {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        lines.push(line);
    }
    lines
}

/// `head` once, then `text` beside it, wrapped to the page. `shown` is how many columns `head` takes.
pub fn hanging(head: &str, shown: usize, text: &str) -> String {
    beside(head, shown, text, columns())
}

/// The beginning of a line, with `less` columns of the page left free.
pub fn cut(text: &str, less: usize) -> String {
    let most = columns().saturating_sub(less);
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn beside(head: &str, shown: usize, text: &str, width: usize) -> String {
    let indent = format!("\n{}", " ".repeat(shown));
    format!("{head}{}", lines(text, width.saturating_sub(shown)).join(&indent))
}

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_quoted = false;
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(last) if is_quoted => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
        is_quoted ^= word.matches('`').count() % 2 == 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_never_broken() {
        let text = "say so with `bouquet plan --out FILE` before noon";
        assert_eq!(lines(text, 20), ["say so with", "`bouquet plan --out FILE`", "before noon"]);
    }

    #[test]
    fn a_wrapped_text_hangs_beside_its_head() {
        assert_eq!(beside("help: ", 6, "one two three", 13), "help: one two\n      three");
    }

    #[test]
    fn a_word_longer_than_the_page_stands_alone() {
        assert_eq!(lines("a https://long.example.com b", 5), ["a", "https://long.example.com", "b"]);
    }
}
