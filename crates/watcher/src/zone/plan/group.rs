//! What changes at one name, in one call.

use super::{Intent, Orders, Purpose};
use crate::zone::left::{Left, Reason};
use crate::zone::mark::{alias_mark, node_mark};
use crate::zone::survey::{Ours, Place};
use crate::zone::wish::{Style, Want};
use crate::zone::{Change, Data, Draft, Entry};
use detect::Family;
use std::collections::BTreeSet;

/// The changes of every wanted name beside withdrawals: pools first, then by the alphabet.
pub(super) fn groups(intent: &Intent<'_>, orders: &Orders, left: &mut Vec<Left>) -> Vec<Change> {
    let mut room = intent.wish.keeper.records_most.map(|most| most.saturating_sub(intent.survey.records));
    let mut places: Vec<_> = intent.survey.places.iter().collect();
    places.sort_by_key(|(_, place)| !place.is_pool);
    let mut groups = Vec::new();
    for (name, place) in places {
        let mut hold = |why| left.push(Left { name: name.clone(), why });
        if let Some(said) = intent.standing.refused.get(&(Purpose::Keep, name.clone())) {
            hold(Reason::Refused(said.clone()));
            continue;
        }
        let site = Site { intent, orders, name, place };
        let mut group = match &place.want {
            None => continue,
            Some(Want::Addresses(style)) => {
                let group = site.addresses(*style);
                if !group.is_empty() && site.is_mixed(*style) {
                    hold(Reason::Mixed);
                    continue;
                }
                group
            }
            Some(Want::Alias(pool, style)) => match site.alias(pool, *style) {
                Ok(group) => group,
                Err(why) => {
                    hold(why);
                    continue;
                }
            },
        };
        if let Some(room) = &mut room
            && !fitted(&mut group, room)
        {
            hold(Reason::Full);
        }
        if group.records() > intent.batch_most {
            hold(Reason::TooLarge);
        } else if !group.is_empty() {
            groups.push(group);
        }
    }
    groups
}

/// Cuts off what the zone has no room for; false if something was. Where something goes, all or nothing is changed: the one
/// may rest on the other.
fn fitted(group: &mut Change, room: &mut usize) -> bool {
    let fits = group.create.len() <= group.delete.len() + *room;
    if !fits {
        let most = if group.delete.is_empty() { *room } else { 0 };
        group.create.truncate(most);
        group.delete.clear();
    }
    *room -= group.create.len().saturating_sub(group.delete.len());
    fits
}

/// A name, and everything that bears on it.
struct Site<'a> {
    intent: &'a Intent<'a>,
    orders: &'a Orders,
    name: &'a str,
    place: &'a Place,
}

impl Site<'_> {
    /// A name that holds addresses: what comes, what is not as it should be, what has been superseded.
    fn addresses(&self, style: Style) -> Change {
        let Site { intent, orders, name, place } = self;
        let cluster = &intent.wish.cluster;
        let mut group = Change::default();
        let mut there: BTreeSet<_> =
            place.addresses.iter().filter(|ours| !orders.goes(ours)).map(|ours| ours.address).collect();
        for (node, address) in orders.come.get(*name).into_iter().flatten() {
            if there.insert(*address) {
                let (data, mark) = (Data::Address(*address), node_mark(cluster, node));
                group.create.push(Draft {
                    name: (*name).to_owned(),
                    data,
                    ttl_s: style.ttl_s,
                    proxied: style.proxied,
                    mark,
                });
            }
        }
        for ours in place.addresses.iter().filter(|ours| !orders.goes(ours)) {
            let mut draft = redraft(&ours.entry, style);
            if let Some(heir) = orders.heir(ours) {
                draft.mark = node_mark(cluster, heir);
            }
            if self.is_spent(ours, &group) {
                group.delete.push(ours.entry.clone());
            } else if ours.is_current && !orders.uncovers(place) && !says(&ours.entry, &draft) {
                group.replace.push((ours.entry.clone(), draft));
            }
        }
        // An alias makes way as soon as there are addresses to put in its place.
        let come: BTreeSet<Family> = group.create.iter().filter_map(|draft| family(&draft.data)).collect();
        let held = place.aliases.iter().flat_map(|alias| intent.survey.families(&alias.data.content()));
        if !place.aliases.is_empty() && (come.is_empty() || !held.collect::<BTreeSet<_>>().is_subset(&come)) {
            return Change::default();
        }
        group.delete.extend(place.aliases.iter().cloned());
        group
    }

    /// Whether a record that we do not touch would be proxied and ours not, or the other way round.
    fn is_mixed(&self, style: Style) -> bool {
        self.place.addresses.iter().any(|ours| !ours.is_current && ours.entry.proxied != style.proxied)
    }

    /// Whether an address that no node has any more, or that is there twice, may go without leaving its family empty.
    fn is_spent(&self, ours: &Ours, group: &Change) -> bool {
        let is_alike = |other: &Ours| other.record().family() == ours.record().family();
        let stays = |other: &&Ours| is_alike(other) && other.is_current && !self.orders.goes(other);
        let twin = |other: &&Ours| other.address == ours.address && other.entry.id < ours.entry.id;
        if self.place.addresses.iter().filter(stays).any(|other| twin(&other)) {
            return true;
        }
        let doubtful = &self.intent.standing.doubtful;
        let follows = |draft: &Draft| family(&draft.data) == Some(ours.record().family());
        let followed = self.place.addresses.iter().filter(stays).any(|other| !doubtful.contains(&other.entry.id))
            || group.create.iter().any(follows);
        ours.is_former && followed
    }

    /// A name that leads to a pool: the alias in the place of whatever of ours is there.
    fn alias(&self, pool: &str, style: Style) -> Result<Change, Reason> {
        let draft = Draft {
            name: self.name.to_owned(),
            data: Data::Alias(pool.to_owned()),
            ttl_s: style.ttl_s,
            proxied: style.proxied,
            mark: alias_mark(&self.intent.wish.cluster),
        };
        let led = self.place.aliases.iter().flat_map(|alias| self.intent.survey.families(&alias.data.content()));
        let families: BTreeSet<Family> =
            self.place.addresses.iter().map(|ours| ours.record().family()).chain(led).collect();
        // What is being withdrawn at this moment goes by itself, before.
        let stays = self.place.addresses.iter().filter(|ours| !self.orders.goes(ours));
        let delete: Vec<Entry> = stays.map(|ours| ours.entry.clone()).collect();
        let leads = self.intent.survey.leads(pool, &families);
        if let Some(strange) = self.place.addresses.iter().find(|ours| !ours.is_known()) {
            let data = &strange.entry.data;
            return Err(Reason::Foreign { kind: data.kind().to_owned(), content: data.content() });
        }
        match self.place.aliases.split_first() {
            Some((first, [])) if says(first, &draft) && delete.is_empty() => Ok(Change::default()),
            _ if !leads => Err(Reason::PoolEmpty(pool.to_owned())),
            Some((first, rest)) => {
                let delete = [delete, rest.to_vec()].concat();
                let replace = if says(first, &draft) { Vec::new() } else { vec![(first.clone(), draft)] };
                Ok(Change { delete, replace, create: Vec::new() })
            }
            None => Ok(Change { delete, replace: Vec::new(), create: vec![draft] }),
        }
    }
}

/// The same record, as it should be beside what it says.
pub(super) fn redraft(entry: &Entry, style: Style) -> Draft {
    Draft {
        name: entry.name.clone(),
        data: entry.data.clone(),
        ttl_s: style.ttl_s,
        proxied: style.proxied,
        mark: entry.mark.clone().unwrap_or_default(),
    }
}

fn family(data: &Data) -> Option<Family> {
    match data {
        Data::Address(address) => Some(if address.is_ipv4() { Family::V4 } else { Family::V6 }),
        _ => None,
    }
}

fn says(entry: &Entry, draft: &Draft) -> bool {
    entry.data == draft.data
        && entry.ttl_s == draft.ttl_s
        && entry.proxied == draft.proxied
        && entry.mark.as_ref() == Some(&draft.mark)
}
