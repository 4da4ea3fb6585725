use crate::args::Args;
use crate::failure::Failure;
use crate::render;
use serde_json::json;

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// Prints the page of an error code, or all codes.
pub fn run(args: &Args, code: Option<&str>) -> Result<u8, Failure> {
    let Some(code) = code else {
        let all: Vec<_> = PAGES.iter().map(|(code, page)| json!({"code": code, "title": title(page)})).collect();
        render::document(args, &all, || {
            let lines: Vec<String> = PAGES.iter().map(|(code, page)| format!("{code}  {}", title(page))).collect();
            lines.join("\n") + "\n"
        })?;
        return Ok(0);
    };
    let wanted = spelled(code);
    match PAGES.iter().find(|(code, _)| *code == wanted) {
        Some((code, page)) => {
            render::document(args, &json!({"code": code, "title": title(page), "page": page}), || (*page).to_owned())?;
            Ok(0)
        }
        None => Err(Failure { exit: 2, ..Failure::new("BQ0604", format!("there is no error code `{code}`")) }
            .help(nearest(&wanted))),
    }
}

/// As codes are written: `103`, `bq0103` and `error[BQ0103]` all mean BQ0103.
fn spelled(code: &str) -> String {
    let digits: String = code.chars().filter(char::is_ascii_digit).collect();
    let others = code.to_lowercase().replace("error", "").replace("bq", "");
    let is_plain = !others.chars().any(char::is_alphanumeric) || others.trim_matches(['[', ']', ' ']) == digits;
    if is_plain && (1..=4).contains(&digits.len()) { format!("BQ{digits:0>4}") } else { code.trim().to_uppercase() }
}

fn nearest(wanted: &str) -> String {
    let near = PAGES.iter().map(|(code, _)| (strsim::damerau_levenshtein(wanted, code), *code)).min();
    match near {
        Some((slips, code)) if slips <= 2 => {
            format!("did you mean `bouquet explain {code}`? `bouquet explain` lists all")
        }
        _ => "`bouquet explain` lists all".to_owned(),
    }
}

fn title(page: &str) -> &str {
    page.lines().next().unwrap_or_default().split_once(": ").map_or("", |(_, title)| title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_written_as_it_comes() {
        for written in ["BQ0103", "bq103", "0103", "103", "error[BQ0103]", " BQ0103 "] {
            assert_eq!(spelled(written), "BQ0103", "{written}");
        }
        assert_eq!(spelled("E0308"), "E0308");
    }

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let rooms = [spec::CODES, clouds::CODES, talos::CODES, plan::CODES, engine::CODES, crate::failure::CODES];
        let codes: std::collections::BTreeMap<&str, &str> = rooms.into_iter().flatten().copied().collect();
        let pages: std::collections::BTreeMap<&str, &str> =
            PAGES.iter().map(|(code, page)| (*code, title(page))).collect();
        assert_eq!(codes, pages);
    }
}
