//! Writes `docs/truth.md`: what other people's programs said of each protocol, when all tests last went well.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// What tests noted, a protocol's judgements together.
type Judgements = BTreeMap<String, Vec<Vec<String>>>;

const HEAD: &str = "# What is known to be true, and from whom

Every protocol of the simulated world is judged by programs that other people wrote: their clients ask our emulators, their servers
take our requests, their validators read our output. A judge counts only if it can fail: the lies named below are deliberate
errors that an emulator tells under test, and the judge beside them noticed each.

This page is written by `cargo xtask truth` from what the tests noted.
";

/// Collects what the tests noted since the folder was last emptied.
pub fn write(root: &Path) -> Result<()> {
    let noted = noted()?;
    if noted.is_empty() {
        bail!("no judgement was noted; run `cargo xtask test --all` first");
    }
    let date = today();
    let page = root.join("docs").join("truth.md");
    std::fs::write(&page, text(&noted, &date.to_string())).with_context(|| page.display().to_string())?;
    println!("{}: {} protocols", page.display(), noted.len());
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "the page says when all was last well")]
fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn noted() -> Result<Judgements> {
    let folder = assets::judgements();
    let mut all = Judgements::new();
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(entry.path()).with_context(|| entry.path().display().to_string())?;
        for line in text.lines() {
            let mut fields = line.split('\t').map(str::to_owned);
            let protocol = fields.next().unwrap_or_default();
            all.entry(protocol).or_default().push(fields.collect());
        }
    }
    for judgements in all.values_mut() {
        judgements.sort();
    }
    Ok(all)
}

fn text(noted: &Judgements, date: &str) -> String {
    let mut page = format!("{HEAD}\nLast green: {date}.\n");
    for (protocol, judgements) in noted {
        let _ = write!(page, "\n## {protocol}\n");
        for fields in judgements {
            let [judge, count, covers, lacks, lies] =
                [0, 1, 2, 3, 4].map(|at| fields.get(at).map_or("", String::as_str));
            let _ = write!(page, "\n**{judge}**, {count} tried.\n\n- covers: {covers}\n");
            if !lacks.is_empty() {
                let _ = writeln!(page, "- not tried: {lacks}");
            }
            if !lies.is_empty() {
                let _ = writeln!(page, "- lies noticed: {lies}");
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_stands_with_all_its_judges() {
        let judged = |judge: &str| [judge, "7", "records", "", "cloudflare-deletes-twice"].map(str::to_owned).to_vec();
        let noted = Judgements::from([("Cloudflare".to_owned(), vec![judged("cloudflare 5.9.0"), judged("octodns")])]);
        let page = text(&noted, "2026-11-23");
        assert!(
            page.contains("## Cloudflare\n\n**cloudflare 5.9.0**, 7 tried.\n\n- covers: records\n- lies noticed:"),
            "{page}"
        );
        assert!(page.contains("**octodns**") && !page.contains("not tried"), "{page}");
    }
}
