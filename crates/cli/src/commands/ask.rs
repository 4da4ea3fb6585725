//! Asking the one at the keyboard.

use crate::failure::Failure;
use std::io::{IsTerminal, Write};

/// Asks on stderr; anything but `expected` is a no. Without a terminal nobody can be asked, which is a no too.
pub async fn confirm(question: &str, expected: &str) -> Result<(), Failure> {
    if !is_possible() {
        return Err(
            Failure::new("BQ0603", "there is no terminal to ask on").help("add --yes to go on without a question")
        );
    }
    let answer = answer(question).await?;
    if answer.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Failure::new("BQ0603", "not done: the answer was no"))
}

/// Whether somebody is there to be asked.
pub fn is_possible() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks on stderr and waits for a line. On a thread of its own, so that a signal is heard meanwhile.
pub async fn answer(question: &str) -> Result<String, Failure> {
    let _ = write!(std::io::stderr().lock(), "{question}");
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line.trim().to_owned())
    });
    let open = Open;
    let line = line.await;
    std::mem::forget(open);
    match line {
        Ok(line) => line.map_err(|error| Failure::system("stdin", &error)),
        Err(_) => Err(Failure::interrupted()),
    }
}

/// A question that is still open: whatever comes in between begins on a line of its own.
struct Open;

impl Drop for Open {
    fn drop(&mut self) {
        let _ = writeln!(std::io::stderr().lock());
    }
}
