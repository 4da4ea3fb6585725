//! The real binary, alone in a folder of its own with an empty environment.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder that is gone when the test is over.
pub struct Desk {
    folder: PathBuf,
    /// Where [`Desk::trust`] puts its certificate.
    ca: String,
}

impl Desk {
    /// `name` is the test's own, so that tests may run side by side.
    pub fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder for tests");
        let ca = folder.join("ca.pem").display().to_string();
        Desk { folder, ca }
    }

    /// Something to trust, for a machine that has no certificates of its own.
    pub fn trust(&self) -> (&'static str, &str) {
        let bundle = talos::Bundle::generate(&mut wire::Rng::seeded(1), jiff::Timestamp::UNIX_EPOCH).expect("a bundle");
        self.write("ca.pem", &bundle.os.crt);
        ("SSL_CERT_FILE", &self.ca)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder for tests");
        std::fs::write(path, text).expect("a file for tests");
        self
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Names in the folder, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).expect("the folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// `bouquet` with an environment that holds nothing but a home.
    pub fn bouquet(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bouquet"));
        command.args(args).current_dir(&self.folder).env_clear().env("HOME", &self.folder).stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Said {
        Said::of(&mut self.bouquet(args))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Said {
    pub exit: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(command: &mut Command) -> Self {
        Self::from(command.output().expect("bouquet runs"))
    }

    /// The last line of stdout, which must be a summary.
    pub fn summary(&self) -> serde_json::Value {
        let last = self.events().pop().unwrap_or_default();
        assert_eq!(last["event"], "summary", "{self:?}");
        assert_eq!(last["exit"], self.exit.unwrap_or(-1), "{self:?}");
        assert_eq!(last["ok"], self.exit == Some(0), "{self:?}");
        last
    }

    /// stdout as JSON values, one a line.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.out.lines().map(parse).collect()
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("bouquet speaks UTF-8");
        Said { exit: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// The file of the mission.
pub const MISSION: &str = include_str!("../../../../examples/bouquet.yaml");

/// The smallest cluster there is.
pub const ROSE: &str = "cluster: bouquet\nnodes:\n  rose: { role: control-plane, on: hetzner/hel1/cax11 }\n";
