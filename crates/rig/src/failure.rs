//! What can go wrong with a rig.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Why the rig did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A command in one of the rig's namespaces ended badly.
    #[error("`{command}` failed: {said}")]
    Command {
        /// Program and arguments.
        command: String,
        /// The last lines that it printed, or why it could not be started.
        said: String,
    },
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// This machine cannot have a rig.
    #[error("a rig cannot stand here: {0}")]
    Lacks(String),
    /// Something did not happen in time.
    #[error("after {} s still not: {what}{}", limit.as_secs(), last.as_deref().map(|last| format!(" ({last})")).unwrap_or_default())]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// What stood in the way at the last look.
        last: Option<String>,
    },
    /// Certificates could not be made.
    #[error("certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A mount below the state folder that is seen from outside of the rig: its folder is not removed while that is there.
    #[error("{} is a mount point, which no rig leaves behind; unmount it, then run `cargo xtask rig down` again", .0.display())]
    Mounted(PathBuf),
    /// There is no such machine, no such process, or no rig at all.
    #[error("there is no {0}")]
    Nothing(String),
    /// What a program printed is not what was expected of it.
    #[error("{program} said what is not understood: {said}")]
    Unread {
        /// Which program.
        program: &'static str,
        /// What it printed.
        said: String,
    },
}

/// Adds the path to what the file system said.
pub(crate) fn disk<T>(path: &Path, result: std::io::Result<T>) -> Result<T, Failure> {
    result.map_err(|source| Failure::Disk { path: path.to_owned(), source })
}

/// Runs a command to its end; what it printed on standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    const LINES: usize = 12;
    let words = plain(command);
    let failed = |said: &str| {
        let lines: Vec<&str> = said.lines().collect();
        let said = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n");
        Failure::Command { command: words, said }
    };
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return Err(failed(&error.to_string())),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = if output.stderr.is_empty() { output.stdout } else { output.stderr };
    Err(failed(&String::from_utf8_lossy(&said)))
}

/// A command as one would type it, without what leads into a namespace.
pub(crate) fn plain(command: &Command) -> String {
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let own = words.iter().position(|word| word == "--").map_or(0, |place| place + 1);
    words.get(own..).unwrap_or_default().join(" ")
}
