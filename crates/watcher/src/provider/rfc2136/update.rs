//! From a change to one update, fenced by what was read. Pure.

use crate::zone::{self, Trouble};
use clouds::rfc2136::{Change, Data, Kind, Prerequisite, Row, Update, beside};
use std::collections::{BTreeMap, BTreeSet};

/// Resolvers may keep a mark for so long, in seconds; nobody asks them for one.
const MARK_TTL_S: u32 = 60;
/// Bytes of an update, as it is estimated, that surely fit into a message with its signature.
const BYTES_MOST: usize = 60_000;

/// The zone as it was last read and as our own updates have changed it since.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(BTreeMap<String, Vec<Row>>);

impl Seen {
    pub fn new(rows: Vec<Row>) -> Self {
        let mut names: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for row in rows {
            names.entry(row.name.clone()).or_default().push(row);
        }
        Seen(names)
    }

    pub fn names(&self) -> impl Iterator<Item = (&String, &Vec<Row>)> {
        self.0.iter()
    }

    fn of(&self, name: &str, kind: Kind) -> Vec<Data> {
        let rows = self.0.get(name).into_iter().flatten();
        rows.filter(|row| row.data.kind() == Some(kind)).map(|row| row.data.clone()).collect()
    }

    /// That the records of a kind are still what they were.
    fn unchanged(&self, name: &str, kind: Kind) -> Prerequisite {
        match self.of(name, kind) {
            none if none.is_empty() => Prerequisite::Absent(name.to_owned(), kind),
            all => Prerequisite::Equals(name.to_owned(), all),
        }
    }

    /// The update that makes a change; `None` if the zone is known to be another by now.
    pub fn update(&self, change: &zone::Change) -> Result<Option<Update>, Trouble> {
        let drafts = || change.create.iter().chain(change.replace.iter().map(|(_, draft)| draft));
        let gone = || change.delete.iter().chain(change.replace.iter().map(|(entry, _)| entry));
        let mut touched = BTreeSet::new();
        let mut changes = Vec::new();
        for entry in gone() {
            let data = data(&entry.data)?;
            let kind = data.kind().unwrap_or(Kind::A);
            if !self.of(&entry.name, kind).contains(&data) {
                return Ok(None);
            }
            touched.insert((entry.name.clone(), kind));
            changes.push(Change::Remove(entry.name.clone(), data));
            if let Some(mark) = &entry.mark {
                changes.push(Change::Remove(beside(&entry.name), text(mark, &entry.data)));
            }
        }
        for draft in drafts() {
            let data = data(&draft.data)?;
            touched.insert((draft.name.clone(), data.kind().unwrap_or(Kind::A)));
            // Servers pass over an address beside an alias, and an alias beside anything, without a word: RFC 2136 §3.4.2.2.
            touched.extend([Kind::A, Kind::Aaaa, Kind::Cname].map(|kind| (draft.name.clone(), kind)));
            changes.push(Change::Add(Row { name: draft.name.clone(), ttl_s: draft.ttl_s, data }));
            let mark = Row { name: beside(&draft.name), ttl_s: MARK_TTL_S, data: text(&draft.mark, &draft.data) };
            changes.push(Change::Add(mark));
        }
        let marks: BTreeSet<String> = touched.iter().map(|(name, _)| beside(name)).collect();
        let mut prerequisites: Vec<_> = touched.iter().map(|(name, kind)| self.unchanged(name, *kind)).collect();
        prerequisites.extend(marks.iter().map(|name| self.unchanged(name, Kind::Txt)));
        let fresh =
            drafts().filter(|draft| matches!(draft.data, zone::Data::Alias(_)) && !self.0.contains_key(&draft.name));
        prerequisites.extend(fresh.map(|draft| Prerequisite::NameFree(draft.name.clone())));
        let update = Update { prerequisites, changes };
        if size(&update) > BYTES_MOST {
            return Err(Trouble::Refused("the update does not fit into one message".to_owned()));
        }
        Ok(Some(update))
    }

    /// What the server has made of it.
    pub fn apply(&mut self, update: &Update) {
        for change in &update.changes {
            match change {
                Change::Remove(name, data) => {
                    let rows = self.0.entry(name.clone()).or_default();
                    rows.retain(|row| row.data != *data);
                    if rows.is_empty() {
                        self.0.remove(name);
                    }
                }
                Change::Add(row) => {
                    let rows = self.0.entry(row.name.clone()).or_default();
                    rows.retain(|other| other.data != row.data);
                    rows.push(row.clone());
                }
                Change::RemoveSet(..) | Change::RemoveName(_) => {}
            }
        }
    }
}

/// The mark beside a record.
fn text(mark: &str, about: &zone::Data) -> Data {
    Data::text(&format!("{mark} {}", about.content()))
}

fn data(data: &zone::Data) -> Result<Data, Trouble> {
    match data {
        zone::Data::Address(address) => Ok(Data::address(*address)),
        zone::Data::Alias(target) => Data::alias(target).map_err(|error| Trouble::Refused(error.to_string())),
        zone::Data::Text(_) | zone::Data::Other(..) => {
            Err(Trouble::Refused("only addresses and aliases are ours to change".to_owned()))
        }
    }
}

/// Not less than what it takes: names are counted whole, as if none were compressed.
fn size(update: &Update) -> usize {
    const REST: usize = 12;
    let data = |data: &Data| data.to_string().len() + REST;
    let prerequisites = update.prerequisites.iter().map(|prerequisite| match prerequisite {
        Prerequisite::Equals(name, all) => all.iter().map(|one| name.len() + data(one)).sum(),
        Prerequisite::Exists(name, _) | Prerequisite::Absent(name, _) => name.len() + REST,
        Prerequisite::NameInUse(name) | Prerequisite::NameFree(name) => name.len() + REST,
    });
    let changes = update.changes.iter().map(|change| match change {
        Change::Add(row) => row.name.len() + data(&row.data),
        Change::Remove(name, one) => name.len() + data(one),
        Change::RemoveSet(name, _) | Change::RemoveName(name) => name.len() + REST,
    });
    prerequisites.chain(changes).sum()
}
