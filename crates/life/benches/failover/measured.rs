//! What has been measured, one line each, kept from one start of the bench to the next.

use super::cases::Case;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub withdrawn_s: f64,
    /// Where it was waited for.
    pub restored_s: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    keeper: String,
    profile: String,
    case: String,
    #[serde(flatten)]
    measured: Measured,
}

pub struct Kept {
    path: PathBuf,
    lines: Vec<Line>,
}

impl Kept {
    /// What is there; nothing, if all shall be measured anew.
    pub fn open(anew: bool) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("failover.jsonl");
        if anew {
            fs::write(&path, "").unwrap();
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        // The last line may have been cut off.
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Kept { path, lines }
    }

    pub fn of(&self, keeper: &str, profile: &str, case: &str) -> Vec<Measured> {
        let is_it = |line: &&Line| line.keeper == keeper && line.profile == profile && line.case == case;
        self.lines.iter().filter(is_it).map(|line| line.measured).collect()
    }

    pub fn keep(&mut self, keeper: &str, profile: &str, case: &str, measured: Measured) {
        let line = Line { keeper: keeper.into(), profile: profile.into(), case: case.into(), measured };
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.path).unwrap();
        writeln!(file, "{}", serde_json::to_string(&line).unwrap()).unwrap();
        self.lines.push(line);
    }

    /// The table of one provider and profile.
    pub fn show(&self, keeper: &str, profile: &str, cases: &[&Case]) {
        println!("\n{keeper}, profile {profile}: seconds until the address is out of DNS, and until it is back");
        println!("{:<34} {:>4} {:>7} {:>7} {:>7}", "", "runs", "median", "worst", "back");
        for case in cases {
            let seen = self.of(keeper, profile, case.what);
            let mut gone: Vec<f64> = seen.iter().map(|one| one.withdrawn_s).collect();
            gone.sort_by(f64::total_cmp);
            let (Some(median), Some(worst)) = (gone.get(gone.len() / 2), gone.last()) else { continue };
            let back = seen.iter().find_map(|one| one.restored_s).map_or("-".into(), |back| format!("{back:.1}"));
            println!("{:<34} {:>4} {median:>7.1} {worst:>7.1} {back:>7}", case.what, gone.len());
        }
    }
}
