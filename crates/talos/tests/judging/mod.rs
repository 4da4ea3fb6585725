//! How a judge is asked: files in a folder of the test's own, their names as arguments, a line for each.
#![allow(dead_code, clippy::unwrap_used, reason = "shared by several test programs, none of which uses all of it")]

use assets::Program;
use std::env;
use std::fs;
use std::path::PathBuf;

/// A folder of this test run, removed at its end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("bouquet-judge-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// Writes a file in it; its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind in the temporary folder harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the judge: what it printed, and whether it was content.
pub fn ask(program: &Program, args: &[&str]) -> (String, bool) {
    let output = program.command().args(args).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    (said, output.status.success())
}
