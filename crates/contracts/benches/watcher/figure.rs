//! Figures as `cargo xtask bench` collects them: a line of JSON each.

use serde_json::json;

/// One comparison. Less is better, whatever it is.
pub struct Figure<'a> {
    pub name: &'a str,
    pub ours: f64,
    pub peer: &'a str,
    /// `None`: it never gets there.
    pub theirs: Option<f64>,
    pub runs: usize,
}

impl Figure<'_> {
    pub fn tell(&self) {
        let ratio = self.theirs.map(|theirs| rounded(theirs / self.ours));
        let line = json!({"bench": "watcher", "figure": self.name, "ours": rounded(self.ours), "peer": self.peer,
            "theirs": self.theirs.map(rounded), "ratio": ratio, "runs": self.runs});
        println!("{line}");
    }
}

/// Two decimals.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

pub fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
