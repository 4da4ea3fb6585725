use std::collections::{BTreeMap, BTreeSet};

/// Ids that wait for each other, each for the next and the last for the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these wait for each other: {}", .0.join(" → "))]
pub struct Cycle(pub Vec<String>);

/// Orders ids so that each comes after all that it waits for; among those that could come next, the smallest id first.
/// Ids that are waited for but not there are ignored.
pub fn order(after: &BTreeMap<String, Vec<String>>) -> Result<Vec<String>, Cycle> {
    let mut waits: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (id, needs) in after {
        let needs = needs.iter().map(String::as_str).filter(|need| after.contains_key(*need));
        waits.insert(id, needs.collect());
    }
    let mut ordered = Vec::with_capacity(waits.len());
    while let Some(next) = waits.iter().find(|(_, needs)| needs.is_empty()).map(|(id, _)| *id) {
        waits.remove(next);
        for needs in waits.values_mut() {
            needs.remove(next);
        }
        ordered.push(next.to_owned());
    }
    if waits.is_empty() { Ok(ordered) } else { Err(cycle(&waits)) }
}

/// Walks from any id that waits to one it waits for until one comes round again.
fn cycle(waits: &BTreeMap<&str, BTreeSet<&str>>) -> Cycle {
    let mut path: Vec<&str> = waits.keys().next().copied().into_iter().collect();
    while let Some(next) = path.last().and_then(|id| waits.get(id)).and_then(|needs| needs.first().copied()) {
        if let Some(start) = path.iter().position(|id| *id == next) {
            return Cycle(path.drain(start..).map(str::to_owned).collect());
        }
        path.push(next);
    }
    Cycle(path.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn graph(edges: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let own = |needs: &[&str]| needs.iter().map(|need| (*need).to_owned()).collect();
        edges.iter().map(|(id, needs)| ((*id).to_owned(), own(needs))).collect()
    }

    #[test]
    fn a_cycle_is_named_in_its_own_order() {
        let error = order(&graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])])).unwrap_err();
        assert_eq!(error.to_string(), "these wait for each other: b → c");
    }

    proptest! {
        #[test]
        fn everything_comes_after_what_it_waits_for(edges in proptest::collection::vec((0u8..30, 0u8..30), 0..80)) {
            let mut after: BTreeMap<String, Vec<String>> = (0..30).map(|id| (format!("{id:02}"), vec![])).collect();
            for (low, high) in edges.into_iter().filter(|(one, other)| one < other) {
                after.entry(format!("{high:02}")).or_default().push(format!("{low:02}"));
            }
            let ordered = order(&after).unwrap();
            prop_assert_eq!(ordered.len(), after.len());
            for (at, id) in ordered.iter().enumerate() {
                for need in &after[id] {
                    prop_assert!(ordered[..at].contains(need));
                }
            }
        }
    }
}
