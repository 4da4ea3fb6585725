//! Marks: by what we know our own records again, and everybody else's.

/// The longest mark, in characters: what a comment of Cloudflare's Free plan holds.
pub const MARK_MOST: usize = 100;
const PREFIX: &str = "bouquet";
/// After the cluster's name, for an alias of a host. No node can be called so.
const ALIAS: &str = "host/alias";

/// Whose a mark is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The address of this node, as far as the mark has room for its name.
    Node(String),
    /// An alias of a host.
    Alias,
    /// The cluster's own, but not the watcher's: its API's name.
    Api,
    /// Anybody else's.
    Foreign,
}

impl Mark {
    pub(super) fn read(cluster: &str, mark: &str) -> Self {
        let rest = mark.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('/'));
        let rest = rest.and_then(|rest| rest.strip_prefix(cluster)).and_then(|rest| rest.strip_prefix('/'));
        match rest {
            Some(ALIAS) => Mark::Alias,
            Some(rest) if rest.starts_with("api/") => Mark::Api,
            Some(node) if !node.is_empty() && !node.contains('/') => Mark::Node(node.to_owned()),
            _ => Mark::Foreign,
        }
    }
}

/// The mark of a node's address. Names that are too long for it end in a hash.
pub fn node_mark(cluster: &str, node: &str) -> String {
    let whole = format!("{PREFIX}/{cluster}/{node}");
    if whole.chars().count() <= MARK_MOST {
        return whole;
    }
    let hash = format!("~{:016x}", fnv1a(node));
    let kept: String = whole.chars().take(MARK_MOST - hash.len()).collect();
    kept + &hash
}

/// The mark of an alias of a host.
pub fn alias_mark(cluster: &str) -> String {
    format!("{PREFIX}/{cluster}/{ALIAS}")
}

/// FNV-1a with 64 bits: tells a cluster's own nodes apart, which is no matter of security.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_this_clusters_own_marks_are_ours() {
        let read = |mark: &str| Mark::read("blumen", mark);
        assert_eq!(read("bouquet/blumen/lily"), Mark::Node("lily".into()));
        assert_eq!(read("bouquet/blumen/host/alias"), Mark::Alias);
        assert_eq!(read("bouquet/blumen/api/lily"), Mark::Api);
        for foreign in
            ["bouquet/blume/lily", "bouquet/blumen2/lily", "bouquet/blumen/", "bouquet/blumen/a/b", "lily", ""]
        {
            assert_eq!(read(foreign), Mark::Foreign, "{foreign}");
        }
    }

    #[test]
    fn names_that_differ_only_at_the_end_have_marks_of_their_own() {
        let (a, b) = ("n".repeat(200) + "a", "n".repeat(200) + "b");
        assert_ne!(node_mark("blumen", &a), node_mark("blumen", &b));
    }

    proptest! {
        #[test]
        fn a_mark_is_short_and_read_as_a_nodes(cluster in "[a-z]{1,30}", node in "[a-z0-9.-]{1,253}") {
            let mark = node_mark(&cluster, &node);
            prop_assert!(mark.chars().count() <= MARK_MOST);
            prop_assert!(matches!(Mark::read(&cluster, &mark), Mark::Node(_)));
        }
    }
}
