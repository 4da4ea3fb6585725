use spec::{Fault, Severity};

/// Why a command ended badly; what a person, or a program with `-o json`, is told.
#[derive(Debug)]
pub struct Failure {
    /// Exit code: 1 it failed, 2 wrong usage, 3 changes found, 130 interrupted.
    pub exit: u8,
    /// `BQnnnn`.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where a file is at fault: all of its faults.
    pub marked: Option<Box<Marked>>,
}

/// A file's text with what is wrong with it.
#[derive(Debug)]
pub struct Marked {
    /// The file, as the user named it.
    pub path: String,
    /// Its text.
    pub text: String,
    /// What is wrong, in the order of the text.
    pub faults: Vec<Fault>,
}

impl Failure {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Failure { exit: 1, code: code.into(), message: message.into(), help: None, marked: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With the places in a file; the code is that of the first error among them.
    pub fn marked(marked: Marked, message: impl Into<String>) -> Self {
        let first = marked.faults.iter().find(|fault| fault.severity == Severity::Error);
        let code = first.map_or("BQ0601", |fault| fault.code);
        Failure { marked: Some(Box::new(marked)), ..Failure::new(code, message) }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Failure { exit: 2, ..Failure::new("BQ0601", message) }
    }

    /// A file or the system refused `what`.
    pub fn system(what: &str, error: &std::io::Error) -> Self {
        Failure::new("BQ0602", format!("{what}: {}", reason(error)))
    }

    pub fn interrupted() -> Self {
        Failure { exit: 130, ..Failure::new("BQ0607", "interrupted") }
            .help("run the same command again: it finds what was begun, and goes on from there")
    }
}

/// An I/O error without the system's number, in the words of our own messages.
pub fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "may not be read or written by this user".to_owned(),
        std::io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_lowercase()
        }
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        let failure = Failure::new(error.code(), error.to_string());
        Failure { help: error.help(), ..failure }
    }
}

impl From<clouds::Error> for Failure {
    fn from(error: clouds::Error) -> Self {
        engine::Error::from(error).into()
    }
}

/// Codes of this crate, with their titles.
#[cfg(test)]
pub const CODES: &[(&str, &str)] = &[
    ("BQ0601", "the command line is not right"),
    ("BQ0602", "a file or the system refused"),
    ("BQ0603", "an answer was needed and nobody could be asked"),
    ("BQ0604", "there is no such error code"),
    ("BQ0605", "a file would be overwritten"),
    ("BQ0606", "something of the cluster is still there after destroy"),
    ("BQ0607", "interrupted"),
];
