//! Asking the one at the keyboard, and ending a run well however it ends.

use crate::failure::Failure;
use crate::render::Teller;
use engine::Outcome;
use std::io::{IsTerminal, Write};

/// Asks on stderr; anything but `expected` is a no. Without a terminal nobody can be asked, which is a no too.
pub fn confirm(question: &str, expected: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(
            Failure::new("BQ0603", "there is no terminal to ask on").help("add --yes to go on without a question")
        );
    }
    let _ = write!(std::io::stderr().lock(), "{question}");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|error| Failure::system("stdin", &error))?;
    if answer.trim() == expected { Ok(()) } else { Err(Failure::new("BQ0603", "not done: the answer was no")) }
}

/// Runs until it is done or the user interrupts. Every step can be cut off anywhere, so an interrupt simply stops.
pub async fn until_interrupted<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {
            let failure = Failure::new("BQ0607", "interrupted: what was begun stays, and another run goes on from there");
            Err(Failure { exit: 130, ..failure })
        }
        result = work => result,
    }
}

/// Tells how a run ended: summary last, whatever happened.
pub fn finish(teller: &Teller, ended: Result<Outcome, Failure>) -> Result<u8, Failure> {
    match ended {
        Ok(outcome) => {
            let exit = u8::from(!outcome.is_ok());
            teller.summary(exit, &outcome);
            Ok(exit)
        }
        Err(failure) if failure.faults.is_empty() => {
            teller.failure(&failure);
            teller.summary(failure.exit, &Outcome::default());
            Err(Failure { exit: failure.exit, ..Failure::said() })
        }
        Err(failure) => Err(failure),
    }
}
