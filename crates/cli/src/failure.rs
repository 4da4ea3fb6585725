use spec::Fault;

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
    /// Where the cluster file is at fault: all of its faults.
    pub faults: Vec<Fault>,
    /// The file's text, for showing the places.
    pub source: String,
    /// Whether it has been said already, as an event.
    pub said: bool,
}

impl Failure {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Failure {
            exit: 1,
            code: code.into(),
            message: message.into(),
            help: None,
            faults: Vec::new(),
            source: String::new(),
            said: false,
        }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Failure { exit: 2, ..Failure::new("BQ0601", message) }
    }

    pub fn system(what: &str, error: &dyn std::error::Error) -> Self {
        Failure::new("BQ0602", format!("{what}: {error}"))
    }

    /// A failure that the events have told already.
    pub fn said() -> Self {
        Failure { said: true, ..Failure::new("", "") }
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
pub const CODES: &[(&str, &str)] = &[
    ("BQ0601", "the command line is not right"),
    ("BQ0602", "a file or the system refused"),
    ("BQ0603", "an answer was needed and nobody could be asked"),
    ("BQ0604", "there is no such error code"),
    ("BQ0605", "a file would be overwritten"),
    ("BQ0606", "something of the cluster is still there after destroy"),
    ("BQ0607", "interrupted"),
];
