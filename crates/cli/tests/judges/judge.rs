//! A vendor's own client, and the program of ours around it that says what to try.

use crate::garden::Garden;
use std::path::{Path, PathBuf};

/// Delays pass so many times faster than in life: no client here minds.
const SPEED: &str = "600";
/// Seconds after which a judge has died.
const PATIENCE_S: &str = "240";

/// Somebody who judges an emulator, part by part.
pub struct Judge {
    /// What it calls itself.
    pub name: &'static str,
    program: PathBuf,
    script: Option<PathBuf>,
    /// A second look, at what it was answered and has noted in this file.
    second: Option<fn(&Path) -> Result<(), String>>,
}

impl Judge {
    /// `SCRIPT.py`, run by a Python with the vendors' clients.
    pub fn python(script: &str, name: &'static str, what: &str) -> Option<Self> {
        let program = assets::needed("cloud-clients", what)?.path;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges");
        Some(Judge { name, program, script: Some(folder.join(script)), second: None })
    }

    /// The program around Tailscale's client for Go.
    pub fn tailnet(what: &str) -> Option<Self> {
        Some(Judge {
            name: "Tailscale's client",
            program: assets::needed("tailnet", what)?.path,
            script: None,
            second: None,
        })
    }

    /// The same with a second look at what was answered, for a judge that notes it.
    pub fn with_second_look(self, look: fn(&Path) -> Result<(), String>) -> Self {
        Judge { second: Some(look), ..self }
    }

    /// Tries these parts, or all; the error is what it did not like.
    pub fn ask(&self, garden: &Garden, parts: &[&str]) -> Result<(), String> {
        let mut command = garden.command("timeout");
        command.arg(PATIENCE_S).arg(&self.program).args(&self.script).args(parts);
        let noted = garden.home().join(format!("answers-{}", parts.join("-")));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("JUDGE_ANSWERS", &noted);
        let output = command.output().map_err(|error| error.to_string())?;
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let content = format!("{} is content", self.name);
        if output.status.success() && out.lines().last() == Some(&content) {
            return self.second.map_or(Ok(()), |look| look(&noted));
        }
        // 124 is what `timeout` says of a program that it had to end.
        assert_ne!(output.status.code(), Some(124), "{} hangs at {parts:?}\n{out}\n{err}", self.name);
        Err(format!("{} of {parts:?}:\n{out}\n{err}", self.name))
    }

    /// Tries these parts, or all, and must be content.
    pub fn is_content(&self, garden: &Garden, parts: &[&str]) {
        self.ask(garden, parts).unwrap_or_else(|complaint| panic!("{complaint}"));
    }

    /// Tells every lie whose name begins with `emulator`, each in a world of its own, and asks the part that `parts` names beside
    /// it; returns the lies. The judge must be content with that part in a world that is true, and only there.
    pub fn catches(&self, emulator: &str, parts: &[(&'static str, &'static str)]) -> Vec<&'static str> {
        let told: Vec<&str> = greenhouse::lies().map(|(lie, _)| lie).filter(|lie| lie.starts_with(emulator)).collect();
        let known: Vec<&'static str> = parts.iter().map(|(lie, _)| *lie).collect();
        assert_eq!(known, told, "every lie of the emulator has its part");
        assert!(told.len() >= 10, "{told:?}");
        let mut content = Vec::new();
        for (lie, part) in parts {
            if !content.contains(part) {
                self.is_content(&world(&format!("{emulator}{part}"), &[]), &[part]);
                content.push(part);
            }
            let complaint = self.ask(&world(lie, &["--lie", lie]), &[part]);
            assert!(complaint.is_err(), "{} does not notice {lie}", self.name);
        }
        known
    }
}

/// A fast world; `more` are arguments of the command that serves it.
pub fn world(name: &str, more: &[&str]) -> Garden {
    Garden::with(name, SPEED, more)
}
