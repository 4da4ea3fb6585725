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
            PAGES.iter().map(|(code, page)| format!("{code}  {}\n", title(page))).collect()
        })?;
        return Ok(0);
    };
    let wanted = code.trim().to_uppercase();
    match PAGES.iter().find(|(code, _)| *code == wanted) {
        Some((code, page)) => {
            render::document(args, &json!({"code": code, "title": title(page), "page": page}), || (*page).to_owned())?;
            Ok(0)
        }
        None => Err(Failure { exit: 2, ..Failure::new("BQ0604", format!("there is no error code {code:?}")) }
            .help("`bouquet explain` lists all")),
    }
}

fn title(page: &str) -> &str {
    page.lines().next().unwrap_or_default().split_once(": ").map_or("", |(_, title)| title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let rooms = [spec::CODES, clouds::CODES, talos::CODES, plan::CODES, engine::CODES, crate::failure::CODES];
        let codes: std::collections::BTreeMap<&str, &str> = rooms.into_iter().flatten().copied().collect();
        let pages: std::collections::BTreeMap<&str, &str> =
            PAGES.iter().map(|(code, page)| (*code, title(page))).collect();
        assert_eq!(codes, pages);
    }
}
