use crate::draft::Draft;
use crate::make::Wish;
use crate::observed::Observed;
use clouds::{Arch, Found, Stock};
use spec::{CloudPlace, Node, Place};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Where a node lives, or shall live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On a machine of a cloud.
    Cloud {
        /// Which.
        place: CloudPlace,
        /// The machine's architecture.
        arch: Arch,
    },
    /// On the owner's own machine.
    Own(IpAddr),
}

/// Decides where every node lives: where its machine already is, else the first place in the file's order that is
/// offered and has not refused. A node with no such place is reported and left out.
pub(crate) fn decide(wish: &Wish<'_>, observed: &Observed, draft: &mut Draft) -> BTreeMap<String, Placement> {
    let mut placed = BTreeMap::new();
    for (name, node) in &wish.cluster.nodes {
        let there = observed.machine(name).and_then(|found| stays(node, found, observed));
        match there.or_else(|| first_offered(name, node, observed, draft)) {
            Some(placement) => drop(placed.insert(name.clone(), placement)),
            None => draft.block(
                "BQ0411",
                name,
                format!("none of its places can take {name}: {}", listed(node)),
                "add another place to the node's `on` list, or run apply again later",
            ),
        }
    }
    placed
}

fn stays(node: &Node, found: &Found, observed: &Observed) -> Option<Placement> {
    let mut here = node.places.iter().filter_map(|place| match place {
        Place::Cloud(place) if place.cloud == found.key.cloud => Some(place),
        _ => None,
    });
    let fits = |place: &&CloudPlace| {
        found.place.as_ref().is_none_or(|at| at.machine == place.machine && at.region == place.region)
    };
    let place = here.clone().find(fits).or_else(|| here.next())?;
    let arch = observed.offer(place).map_or(Arch::Amd64, |offer| offer.arch);
    Some(Placement::Cloud { place: place.clone(), arch })
}

fn first_offered(name: &str, node: &Node, observed: &Observed, draft: &mut Draft) -> Option<Placement> {
    for place in &node.places {
        let place = match place {
            Place::Address(address) => return Some(Placement::Own(*address)),
            Place::Cloud(place) => place,
        };
        if observed.refused.contains(place) {
            draft.note(name, format!("{place} has no room now"));
            continue;
        }
        match observed.offer(place).map(|offer| (&offer.stock, offer.arch)) {
            Some((Stock::Unknown(why), _)) => draft.block(
                "BQ0414",
                name,
                format!("{place} is not offered: {why}"),
                "choose a machine type that the region offers; `bouquet check` lists them",
            ),
            // The catalogue is often wrong, both ways: what it calls out of stock is still tried, but after the others.
            Some((Stock::Out, _)) if node.places.len() > 1 && place_left(node, place, observed) => {
                draft.note(name, format!("{place} is out of stock, says the cloud; the next place is taken"));
            }
            Some((_, arch)) => return Some(Placement::Cloud { place: place.clone(), arch }),
            None => {}
        }
    }
    None
}

/// Whether a place after this one could still take the node.
fn place_left(node: &Node, this: &CloudPlace, observed: &Observed) -> bool {
    let after = node.places.iter().skip_while(|place| **place != Place::Cloud(this.clone())).skip(1);
    after.into_iter().any(|place| match place {
        Place::Address(_) => true,
        Place::Cloud(place) => {
            let available = observed.offer(place).is_some_and(|offer| offer.stock == Stock::Available);
            available && !observed.refused.contains(place)
        }
    })
}

fn listed(node: &Node) -> String {
    node.places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
