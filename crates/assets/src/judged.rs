//! What a judge was content with: noted by the test that asked it, collected into `docs/truth.md`.

use std::fs;
use std::path::{Path, PathBuf};

/// A judge's say on one protocol.
#[derive(Clone, Copy, Debug)]
pub struct Judgement<'a> {
    /// Whose protocol: `Hetzner Cloud`, `Talos machine API`, …
    pub protocol: &'a str,
    /// Who judged, with its version.
    pub judge: &'a str,
    /// What was tried, a few words each.
    pub covers: &'a [&'a str],
    /// What nobody has tried.
    pub lacks: &'a [&'a str],
    /// How many calls, commands, cases or sequences that were.
    pub count: u64,
    /// Names of the lies that it caught.
    pub lies: &'a [&'a str],
}

/// Notes a judgement, at the end of a test that went well. A line of tab-separated fields a file, below the build's folder.
pub fn judged(judgement: &Judgement<'_>) {
    let folder = judgements();
    let fields = [
        judgement.protocol.to_owned(),
        judgement.judge.to_owned(),
        judgement.count.to_string(),
        judgement.covers.join("; "),
        judgement.lacks.join("; "),
        judgement.lies.join("; "),
    ];
    let name: String = format!("{}-{}.tsv", judgement.protocol, judgement.judge)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(name), fields.join("\t") + "\n"));
    if let Err(error) = written {
        println!("{}: the judgement cannot be noted: {error}", folder.display());
    }
}

/// Where judgements are noted.
pub fn judgements() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/truth")
}
