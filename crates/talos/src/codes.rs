/// Every code of this crate with its title, in order. A page `docs/errors/<code>.md` begins with `# <code>: <title>`.
pub const CODES: &[(&str, &str)] = &[
    ("BQ0301", "The secrets bundle cannot be read"),
    ("BQ0302", "A field of the secrets bundle is wrong"),
    ("BQ0303", "The secrets bundle is not an intact age file"),
    ("BQ0304", "No age identity opens the secrets bundle"),
    ("BQ0305", "An age identity or recipient is missing or malformed"),
    ("BQ0306", "The cluster has no such node"),
    ("BQ0307", "A Talos patch cannot be applied"),
    ("BQ0308", "An own machine does not name its install disk"),
    ("BQ0309", "The machine configuration is too long for user data"),
    ("BQ0310", "The Image Factory does not answer"),
    ("BQ0311", "The Image Factory refuses the request"),
    ("BQ0312", "The answer is not the Image Factory's"),
    ("BQ0313", "The Image Factory computes another schematic id"),
    ("BQ0320", "The Talos API of a node does not answer"),
    ("BQ0321", "The TLS handshake with a node fails"),
    ("BQ0322", "The node is not ready for the call"),
    ("BQ0323", "The node says that it has been done already"),
    ("BQ0324", "The node does not allow the call"),
    ("BQ0325", "The node does not serve the call"),
    ("BQ0326", "The node refuses what was sent as invalid"),
    ("BQ0327", "The node does not have what was asked for"),
    ("BQ0328", "The node reports an error of its own"),
    ("BQ0329", "The node's answer is not what the Talos API promises"),
    ("BQ0330", "The Talos installer failed on the node"),
];

#[cfg(test)]
mod tests {
    use super::CODES;
    use std::path::Path;

    #[test]
    fn every_code_has_a_page_with_its_title() {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
        for (code, title) in CODES {
            let page = std::fs::read_to_string(pages.join(format!("{code}.md"))).unwrap_or_default();
            assert_eq!(page.lines().next(), Some(format!("# {code}: {title}").as_str()));
        }
        assert!(CODES.is_sorted());
    }
}
