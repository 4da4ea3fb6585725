use crate::args::{Args, Color, Output};
use crate::failure::Failure;
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Colours, where they are wanted.
#[derive(Clone, Copy)]
pub struct Ink {
    on: bool,
}

impl Ink {
    /// For stdout.
    pub fn out(args: &Args) -> Self {
        Self::of(args, std::io::stdout().is_terminal())
    }

    /// For stderr.
    pub fn talk(args: &Args) -> Self {
        Self::of(args, std::io::stderr().is_terminal())
    }

    fn of(args: &Args, terminal: bool) -> Self {
        let on = match args.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        Ink { on }
    }

    pub fn is_on(self) -> bool {
        self.on
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// As the drawn errors have it.
    pub fn error(self, text: &str) -> String {
        self.wrap("1;91", text)
    }

    pub fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }

    pub fn warn(self, text: &str) -> String {
        self.wrap("33", text)
    }
}

/// Writes to stdout. That nobody reads it any more (`bouquet plan | head -1`) is nobody's fault; a full disk is.
pub fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::system("stdout", &error)),
        _ => Ok(()),
    }
}

/// Writes a line to stderr; where that fails, there is nobody left to tell.
pub fn talk(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints one document in the format that was asked for; `text` is for people.
pub fn document<T: Serialize>(args: &Args, value: &T, text: impl FnOnce() -> String) -> Result<(), Failure> {
    out(&match args.output {
        Output::Text => text(),
        Output::Json => serde_json::to_string_pretty(value)
            .map(|text| text + "\n")
            .map_err(|error| Failure::new("BQ0602", format!("JSON: {error}")))?,
        Output::Yaml => yaml(value)?,
    })
}

pub fn yaml<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_saphyr::to_string(value).map_err(|error| Failure::new("BQ0602", format!("YAML: {error}")))
}

/// Says more on stderr: 1 what is done, 2 every call.
pub fn tracing(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let ours = ["wire", "engine", "clouds", "talos", "plan", "bouquet", "greenhouse"];
    let mut filter = ours.map(|room| format!("{room}={level}")).join(",");
    if verbose > 0 {
        // What pods of a simulated world log is theirs.
        filter += &format!(",watcher={level}");
    }
    let filter = tracing_subscriber::EnvFilter::try_from_env("BOUQUET_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(filter));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
