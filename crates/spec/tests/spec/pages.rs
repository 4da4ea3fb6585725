use std::fs;
use std::path::Path;

#[test]
fn every_code_has_a_page_with_its_title_and_a_remedy() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    for (code, title) in spec::CODES {
        let page = fs::read_to_string(folder.join(format!("{code}.md"))).unwrap_or_default();
        assert_eq!(page.lines().next(), Some(format!("# {code}: {title}").as_str()));
        assert!(page.contains("```") && page.contains("**What to do.**"), "{code} lacks an example or a remedy");
    }
}

#[test]
fn codes_are_in_order_and_none_is_used_twice() {
    let codes: Vec<_> = spec::CODES.iter().map(|(code, _)| *code).collect();
    let mut sorted = codes.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(codes, sorted);
}
