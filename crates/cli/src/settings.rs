use crate::failure::{Failure, reason};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use wire::Secret;

/// The variables that users set: the environment, over the `.env` beside the cluster file.
pub struct Environment {
    variables: BTreeMap<String, Secret>,
    home: Option<PathBuf>,
}

impl Environment {
    /// Reads the process's environment and `.env` beside `file`.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let beside = file.parent().unwrap_or(Path::new("")).join(".env");
        let mut variables = match std::fs::read_to_string(&beside) {
            Ok(text) => dotenv(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(Failure::system(&beside.display().to_string(), &error)),
        };
        // None of ours is anything but text; others' may be.
        let texts =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        variables.extend(texts.map(|(name, value)| (name, Secret::new(value))));
        Ok(Environment { variables, home: std::env::home_dir() })
    }

    /// A path with a leading `~` resolved.
    pub fn path(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(text),
        }
    }

    /// The user's folder for bouquet's own configuration.
    pub fn config_dir(&self) -> PathBuf {
        use clouds::Settings;
        match self.variable("XDG_CONFIG_HOME") {
            Some(dir) => PathBuf::from(dir.expose()).join("bouquet"),
            None => self.path("~/.config/bouquet"),
        }
    }
}

impl clouds::Settings for Environment {
    fn variable(&self, name: &str) -> Option<Secret> {
        self.variables.get(name).filter(|value| !value.expose().is_empty()).cloned()
    }

    fn file(&self, path: &str) -> Result<Secret, String> {
        std::fs::read_to_string(self.path(path)).map(Secret::new).map_err(|error| format!("{path}: {}", reason(&error)))
    }
}

/// `NAME=value` lines, `export` and quotes allowed, `#` comments.
fn dotenv(text: &str) -> BTreeMap<String, Secret> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
            let value = value.trim();
            let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
            let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
            Some((name.trim().to_owned(), Secret::new(value)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotenv_file_may_export_quote_and_comment() {
        let read = dotenv("# c\nexport A='x y'\nB=\"z\"\nC=plain # not a comment\n\nnonsense\n");
        let read: Vec<(&str, &str)> = read.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(read, [("A", "x y"), ("B", "z"), ("C", "plain # not a comment")]);
    }
}
