//! Pages of keys: prefix, delimiter, where the last page ended.

use std::collections::BTreeMap;

/// What is asked of a listing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub prefix: &'a str,
    /// Keys that share what stands before it, after the prefix, are one entry.
    pub delimiter: Option<&'a str>,
    /// Only what comes after this key, or after everything under this common prefix.
    pub after: &'a str,
    pub max: usize,
}

/// A page.
#[derive(Debug)]
pub(super) struct Page<'a, T> {
    pub items: Vec<(&'a str, &'a T)>,
    pub prefixes: Vec<String>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// The page that is asked for. Keys and common prefixes count alike.
pub(super) fn page<'a, T>(all: &'a BTreeMap<String, T>, wish: Wish<'_>) -> Page<'a, T> {
    let mut page = Page { items: Vec::new(), prefixes: Vec::<String>::new(), next: None };
    let mut last = String::new();
    for (key, item) in all {
        let Some(rest) = key.strip_prefix(wish.prefix) else { continue };
        let common = wish.delimiter.and_then(|delimiter| {
            let end = rest.find(delimiter)? + delimiter.len();
            Some(format!("{}{}", wish.prefix, rest.get(..end)?))
        });
        let is_listed =
            common.as_ref().is_some_and(|common| common == wish.after || page.prefixes.last() == Some(common));
        if is_listed || key.as_str() <= wish.after {
            continue;
        }
        if page.items.len() + page.prefixes.len() >= wish.max {
            // Nothing is on a page of no entries, not even a next one.
            page.next = Some(last).filter(|last| !last.is_empty());
            break;
        }
        last = common.clone().unwrap_or_else(|| key.clone());
        match common {
            Some(common) => page.prefixes.push(common),
            None => page.items.push((key, item)),
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_every_key_and_every_common_prefix_once() {
        let keys = ["a", "b/1", "b/2", "b/c/3", "d", "e/4", "f"];
        let all: BTreeMap<String, usize> = keys.into_iter().zip(0..).map(|(key, at)| (key.to_owned(), at)).collect();
        for max in 1..8 {
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let page = page(&all, Wish { prefix: "", delimiter: Some("/"), after: &after, max });
                seen.extend(page.items.iter().map(|(key, _)| (*key).to_owned()).chain(page.prefixes));
                let Some(next) = page.next else { break };
                after = next;
            }
            seen.sort();
            assert_eq!(seen, ["a", "b/", "d", "e/", "f"], "{max} a page");
        }
        let within = page(&all, Wish { prefix: "b/", delimiter: Some("/"), after: "", max: 10 });
        assert_eq!(within.items.iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["b/1", "b/2"]);
        assert_eq!(within.prefixes, ["b/c/"]);
    }
}
