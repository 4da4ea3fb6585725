//! Whose is what: the listing, seen with what is wanted.

use super::left::{Left, Reason};
use super::mark::{Mark, node_mark};
use super::wish::{Want, Wants, Wish};
use super::{Data, Entry, Listing};
use detect::{Family, Millis, Node, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The zone as it was read, sorted by whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// What [`detect`] is shown.
    pub zone: detect::Zone,
    /// Names that are not served as asked, and why.
    pub left: Vec<Left>,
    /// Records in the zone, whosever.
    pub records: usize,
    /// Names that are wanted or hold something of ours, and are nobody else's.
    pub(super) places: BTreeMap<String, Place>,
    /// Names that aliases of ours lead to which are wanted, or stand where we cannot change them.
    pub(super) led_to: BTreeSet<String>,
    /// What aliases of ours lead to, or should.
    pub(super) pools: BTreeMap<String, Led>,
}

/// What lies behind an alias.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Led {
    /// Families in which it holds addresses.
    pub families: BTreeSet<Family>,
    /// It is for somebody else to say, elsewhere.
    pub is_elsewhere: bool,
}

/// One name of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// What it should hold; `None` if it is no longer wanted.
    pub want: Option<Want>,
    /// Whether others lead to it.
    pub is_pool: bool,
    /// Our addresses there.
    pub addresses: Vec<Ours>,
    /// Our alias there.
    pub aliases: Vec<Entry>,
}

/// An address of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    pub entry: Entry,
    pub address: IpAddr,
    pub node: String,
    /// Whether it is that node's address now.
    pub is_current: bool,
    /// Whether it once was.
    pub is_former: bool,
}

impl Survey {
    /// When the listing that it was made from was read.
    pub fn read_ms(&self) -> Millis {
        self.zone.read_ms
    }

    /// Names that are wanted, and are not somebody else's.
    pub fn wanted(&self) -> impl Iterator<Item = &str> {
        self.places.iter().filter(|(_, place)| place.want.is_some()).map(|(name, _)| name.as_str())
    }

    /// Families in which a name that an alias of ours leads to certainly holds addresses.
    pub(super) fn families(&self, name: &str) -> BTreeSet<Family> {
        self.pools.get(name).map(|led| led.families.clone()).unwrap_or_default()
    }

    /// Whether a name, once it is an alias of that pool, answers in these families.
    pub(super) fn leads(&self, pool: &str, families: &BTreeSet<Family>) -> bool {
        self.pools
            .get(pool)
            .is_some_and(|led| led.is_elsewhere || !led.families.is_empty() && led.families.is_superset(families))
    }

    /// Records of ours.
    pub fn ours(&self) -> usize {
        self.places.values().map(Place::records).sum()
    }
}

impl Place {
    pub(super) fn records(&self) -> usize {
        self.addresses.len() + self.aliases.len()
    }
}

/// What stands at a name.
#[derive(Default)]
struct Stand<'a> {
    place: Place,
    others: Vec<&'a Entry>,
}

/// Sorts a listing. It decides nothing but whose a name is.
pub fn survey(listing: &Listing, wish: &Wish, nodes: &BTreeMap<String, Node>) -> Survey {
    let Wants { names: wants, pools: targets, mut left } = wish.wants();
    let mut stands = stands(listing, wish, nodes);
    let heritage = heritage(listing);
    let delegated: BTreeSet<&str> =
        listing.entries.iter().filter(|entry| is_delegation(entry, wish)).map(name).collect();
    let mut survey = Survey { records: listing.entries.len(), ..Survey::default() };
    survey.zone.read_ms = listing.read_ms;
    let named: BTreeSet<String> = wants.keys().cloned().chain(stands.keys().map(|name| (*name).to_owned())).collect();
    for name in named {
        let Stand { mut place, others } = stands.remove(name.as_str()).unwrap_or_default();
        place.want = wants.get(&name).cloned();
        place.is_pool = targets.contains(&name);
        survey.zone.records.extend(place.addresses.iter().map(Ours::record));
        if place.want.is_none() && place.records() == 0 {
            continue;
        }
        let reason = if heritage.contains(name.as_str()) {
            Some(Reason::ExternalDns)
        } else {
            delegation(&name, &delegated).or_else(|| owner(&others, wish, &place))
        };
        if place.want.is_some() || reason.is_some() {
            survey.led_to.extend(place.aliases.iter().map(|alias| alias.data.content()));
        }
        if let Some(why) = reason {
            survey.zone.foreign.push(name.clone());
            left.push(Left { name, why });
        } else {
            survey.places.insert(name, place);
        }
    }
    survey.pools = pools(&survey, &wants, listing, wish, nodes);
    left.extend(crowded_out(&mut survey, wish, nodes));
    let is_published = |place: &&Place| matches!(place.want, Some(Want::Addresses(_)));
    let named = survey.places.iter().filter(|(_, place)| is_published(place)).map(|(name, _)| name.clone());
    survey.zone.names = named.collect();
    left.sort();
    survey.left = left;
    survey
}

fn name(entry: &Entry) -> &str {
    &entry.name
}

fn stands<'a>(listing: &'a Listing, wish: &Wish, nodes: &BTreeMap<String, Node>) -> BTreeMap<&'a str, Stand<'a>> {
    let by_mark: BTreeMap<String, &str> =
        nodes.keys().map(|node| (node_mark(&wish.cluster, node), node.as_str())).collect();
    let mut stands: BTreeMap<&str, Stand<'_>> = BTreeMap::new();
    // Pages that shift while they are read show a record twice.
    let mut ids = BTreeSet::new();
    for entry in listing.entries.iter().filter(|entry| ids.insert(entry.id.as_str())) {
        let stand = stands.entry(&entry.name).or_default();
        let mark = entry.mark.as_deref().map_or(Mark::Foreign, |mark| Mark::read(&wish.cluster, mark));
        match (mark, &entry.data) {
            (Mark::Node(marked), Data::Address(address)) => {
                let known = entry.mark.as_ref().and_then(|mark| by_mark.get(mark));
                let node = known.map_or(marked, |node| (*node).to_owned());
                let is_current = nodes.get(&node).is_some_and(|node| node.addresses.values().any(|own| own == address));
                let is_former = !is_current && wish.former.contains(&(node.clone(), *address));
                let entry = entry.clone();
                stand.place.addresses.push(Ours { entry, address: *address, node, is_current, is_former });
            }
            (Mark::Alias, Data::Alias(_)) => stand.place.aliases.push(entry.clone()),
            _ => stand.others.push(entry),
        }
    }
    stands
}

/// Names that external-dns keeps a note of: at the name itself, or with the kind before it.
fn heritage(listing: &Listing) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for entry in &listing.entries {
        let Data::Text(text) = &entry.data else { continue };
        if !text.trim_start_matches('"').starts_with("heritage=external-dns") {
            continue;
        }
        names.insert(entry.name.as_str());
        names.extend(["a-", "aaaa-", "cname-"].iter().filter_map(|kind| entry.name.strip_prefix(kind)));
    }
    names
}

fn is_delegation(entry: &Entry, wish: &Wish) -> bool {
    matches!(&entry.data, Data::Other(kind, _) if kind == "NS") && entry.name != wish.zone
}

fn delegation(name: &str, delegated: &BTreeSet<&str>) -> Option<Reason> {
    let mut rest = Some(name);
    while let Some(name) = rest {
        if delegated.contains(name) {
            return Some(Reason::Delegated(name.to_owned()));
        }
        rest = name.split_once('.').map(|(_, parent)| parent);
    }
    None
}

/// Whose a name is, if somebody else's. Texts and mail exchangers of others stand beside addresses in peace.
fn owner(others: &[&Entry], wish: &Wish, place: &Place) -> Option<Reason> {
    let rival = others.iter().find(|entry| matches!(entry.data, Data::Address(_) | Data::Alias(_)));
    if let Some(rival) = rival {
        return Some(match &rival.mark {
            Some(mark) if mark.starts_with("bouquet/") => Reason::Marked(mark.clone()),
            _ => Reason::Foreign { kind: rival.data.kind().to_owned(), content: rival.data.content() },
        });
    }
    let is_alias = matches!(place.want, Some(Want::Alias(..)));
    let other = others.first().filter(|_| is_alias && !wish.keeper.alias_beside)?;
    Some(Reason::Beside(other.data.kind().to_owned()))
}

fn pools(
    survey: &Survey,
    wants: &BTreeMap<String, Want>,
    listing: &Listing,
    wish: &Wish,
    nodes: &BTreeMap<String, Node>,
) -> BTreeMap<String, Led> {
    let wanted = wants.values().filter_map(|want| match want {
        Want::Alias(pool, _) => Some(pool.clone()),
        Want::Addresses(_) => None,
    });
    let there = survey.places.values().flat_map(|place| &place.aliases).map(|alias| alias.data.content());
    let mut pools: BTreeMap<String, Led> = BTreeMap::new();
    for pool in wanted.chain(there) {
        let led = Led { families: BTreeSet::new(), is_elsewhere: !wish.holds(&pool) };
        pools.insert(pool, led);
    }
    for entry in listing.entries.iter().filter(|entry| !is_bygone(entry, wish, nodes)) {
        let Some(led) = pools.get_mut(&entry.name) else { continue };
        match entry.data {
            Data::Address(address) => {
                led.families.insert(if address.is_ipv4() { Family::V4 } else { Family::V6 });
            }
            Data::Alias(_) => led.is_elsewhere = true,
            _ => {}
        }
    }
    pools
}

/// Whether a record bears a mark of ours and is nobody's address.
fn is_bygone(entry: &Entry, wish: &Wish, nodes: &BTreeMap<String, Node>) -> bool {
    let mark = entry.mark.as_deref().map_or(Mark::Foreign, |mark| Mark::read(&wish.cluster, mark));
    let mut held = nodes.values().flat_map(|node| node.addresses.values());
    mark == Mark::Alias || matches!(mark, Mark::Node(_)) && !held.any(|address| entry.data == Data::Address(*address))
}

/// Takes out the hosts for which the zone has no room: those that are there stay, then names go by the alphabet.
fn crowded_out(survey: &mut Survey, wish: &Wish, nodes: &BTreeMap<String, Node>) -> Vec<Left> {
    let Some(most) = wish.keeper.records_most else { return Vec::new() };
    let each: usize = nodes.values().map(|node| node.addresses.len()).sum();
    let cost = |place: &Place| match &place.want {
        Some(Want::Alias(..)) => 1,
        // Room for a node that was withdrawn is kept, or it could not come back.
        Some(Want::Addresses(_)) => each.max(1),
        None => 0,
    };
    let held: usize = survey.places.values().filter(|place| place.want.is_some()).map(Place::records).sum();
    let settled = |place: &Place| place.is_pool || place.records() > 0;
    let taken = survey.places.values().filter(|place| settled(place)).map(|place| cost(place).max(place.records()));
    // Of ours, what is not wanted takes room until it is gone: so it is counted with everybody else's here.
    let unwanted: usize = survey.places.values().filter(|place| place.want.is_none()).map(Place::records).sum();
    let others = survey.records.saturating_sub(held + unwanted);
    let mut room = most.saturating_sub(others + taken.sum::<usize>());
    let mut left = Vec::new();
    survey.places.retain(|name, place| {
        if settled(place) {
            return true;
        }
        let cost = cost(place);
        let fits = cost <= room;
        if fits {
            room -= cost;
        } else {
            left.push(Left { name: name.clone(), why: Reason::Full });
        }
        fits
    });
    left
}

impl Ours {
    /// Whether it is ours to remove: a mark alone is not enough, as people edit records and leave marks.
    pub(super) fn is_known(&self) -> bool {
        self.is_current || self.is_former
    }

    pub(super) fn record(&self) -> Record {
        Record {
            id: self.entry.id.clone(),
            name: self.entry.name.clone(),
            content: self.address,
            node: self.node.clone(),
        }
    }
}
