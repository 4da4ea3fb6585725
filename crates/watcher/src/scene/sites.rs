//! Sites: what a node shares its fate with. Vantages of one site have one voice.

use super::VantagePod;
use super::objects::{Meta, Note};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What a node itself says of where it stands: its label or annotation, its region, its name.
pub(super) fn said(name: &str, meta: &Meta) -> String {
    let region = || meta.labels.get(Note::Region);
    let said = meta.says(Note::Site).filter(|site| !site.is_empty()).or_else(region).filter(|site| !site.is_empty());
    said.unwrap_or(name).to_owned()
}

/// The site of each node; see [`super::Scene::sites`].
pub(super) fn sites(
    said: &BTreeMap<String, String>,
    behind: &BTreeMap<IpAddr, BTreeSet<String>>,
    vantages: &BTreeMap<String, VantagePod>,
) -> BTreeMap<String, String> {
    let merged = merged(said, behind);
    let standing: BTreeSet<&String> = vantages.values().map(|pod| &pod.node).collect();
    let seen: BTreeSet<&String> = standing.iter().filter_map(|node| merged.get(*node)).collect();
    if standing.len() > 1 && seen.len() < 2 {
        return said.keys().map(|node| (node.clone(), node.clone())).collect();
    }
    merged
}

/// Sites of nodes behind one public address become one, under the first of their names.
fn merged(said: &BTreeMap<String, String>, behind: &BTreeMap<IpAddr, BTreeSet<String>>) -> BTreeMap<String, String> {
    let mut sites = said.clone();
    for nodes in behind.values().filter(|nodes| nodes.len() > 1) {
        let together: BTreeSet<String> = nodes.iter().filter_map(|node| sites.get(node).cloned()).collect();
        let Some(first) = together.first() else { continue };
        for site in sites.values_mut().filter(|site| together.contains(*site)) {
            site.clone_from(first);
        }
    }
    sites
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(node, site)| ((*node).to_owned(), (*site).to_owned())).collect()
    }

    fn behind(address: &str, nodes: &[&str]) -> (IpAddr, BTreeSet<String>) {
        (address.parse().unwrap(), nodes.iter().map(|node| (*node).to_owned()).collect())
    }

    fn on(nodes: &[&str]) -> BTreeMap<String, VantagePod> {
        let pod = |node: &&str| {
            let pod = VantagePod { node: (*node).to_owned(), address: IpAddr::from([10, 0, 0, 1]), terminating: false };
            (format!("watcher-{node}"), pod)
        };
        nodes.iter().map(pod).collect()
    }

    #[test]
    fn nodes_behind_one_address_share_a_site_and_so_do_their_neighbours() {
        let said = map(&[("a", "x"), ("b", "y"), ("c", "y"), ("d", "z")]);
        let shared = [behind("1.1.1.1", &["a", "b"]), behind("1.1.1.2", &["c"])].into();
        let sites = sites(&said, &shared, &on(&["a", "d"]));
        assert_eq!(sites, map(&[("a", "x"), ("b", "x"), ("c", "x"), ("d", "z")]));
    }

    #[test]
    fn vantages_of_one_site_only_stand_each_for_its_node() {
        let said = map(&[("a", "x"), ("b", "x"), ("c", "y")]);
        let none = BTreeMap::new();
        let alone = map(&[("a", "a"), ("b", "b"), ("c", "c")]);
        assert_eq!(sites(&said, &none, &on(&["a", "b"])), alone);
        assert_eq!(sites(&said, &none, &on(&["a", "b", "c"])), said, "two sites are more independent than three nodes");
        assert_eq!(sites(&said, &none, &on(&["a"])), said);
        assert_eq!(sites(&said, &none, &on(&[])), said);
    }
}
