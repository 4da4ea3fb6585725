//! Addresses under a name and the marks beside them, changed together or not at all.

use super::{Change, Data, Kind, Outcome, Prerequisite, Rfc2136, Row, UPDATE, Update, check};
use crate::rest::refused;
use crate::{AddressRecord, Error, Finding, Why, Zone, ZoneRecord, Zones};
use async_trait::async_trait;
use std::net::IpAddr;
use wire::Line;

/// Looks that are taken before somebody else who changes the same name without a pause is left to it.
const TRIES: u32 = 5;
/// Resolvers may keep a mark for so long, in seconds; nobody asks them for one.
const MARK_TTL_S: u32 = 60;

/// A name as it was last read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub v4: Vec<Row>,
    pub v6: Vec<Row>,
    pub alias: Option<Row>,
    /// The TXT records of the name beside it, ours and others.
    pub marks: Vec<Row>,
}

/// Where the marks of a name's records are: one TXT record for each, the mark and what it is about, with a space between.
pub fn beside(name: &str) -> String {
    format!("_bouquet.{name}")
}

/// `bouquet/blumen/api/rose 100.64.0.1`.
fn mark(mark: &str, address: IpAddr) -> Data {
    Data::text(&format!("{mark} {address}"))
}

/// The mark of a TXT record, and the address that it is about.
fn read(text: &Data) -> Option<(String, IpAddr)> {
    let text = text.to_string();
    let (mark, address) = text.rsplit_once(' ')?;
    Some((mark.to_owned(), address.parse().ok()?))
}

impl Seen {
    fn addresses(&self, address: IpAddr) -> &[Row] {
        if address.is_ipv4() { &self.v4 } else { &self.v6 }
    }

    fn has(&self, address: IpAddr) -> bool {
        let data = Data::address(address);
        self.addresses(address).iter().any(|row| row.data == data)
    }

    fn marked(&self) -> impl Iterator<Item = (String, IpAddr)> {
        self.marks.iter().filter_map(|row| read(&row.data))
    }

    /// That nothing of this has changed since.
    fn unchanged(&self, name: &str) -> Vec<Prerequisite> {
        let sets = [(name.to_owned(), Kind::A, &self.v4), (name.to_owned(), Kind::Aaaa, &self.v6)];
        let sets = sets.into_iter().chain([(beside(name), Kind::Txt, &self.marks)]);
        sets.map(|(name, kind, rows)| match rows.as_slice() {
            [] => Prerequisite::Absent(name, kind),
            rows => Prerequisite::Equals(name, rows.iter().map(|row| row.data.clone()).collect()),
        })
        .chain([Prerequisite::Absent(name.to_owned(), Kind::Cname)])
        .collect()
    }

    /// What takes a marked address away. The record itself stays while another mark is about it, or if nobody knows it.
    fn without(&self, name: &str, gone: &(String, IpAddr)) -> Vec<Change> {
        let shared = self.marked().any(|other| other.1 == gone.1 && other != *gone);
        let mut changes = vec![Change::Remove(beside(name), mark(&gone.0, gone.1))];
        if !shared {
            changes.push(Change::Remove(name.to_owned(), Data::address(gone.1)));
        }
        changes
    }

    /// What makes it say what is wanted; `None` if it does.
    pub(super) fn toward(&self, wanted: &AddressRecord) -> Result<Option<Update>, Error> {
        let name = &wanted.name;
        if let Some(alias) = &self.alias {
            let message = format!("{name} is an alias of {}, which is not ours", alias.data);
            return Err(refused(UPDATE, Why::Taken, message));
        }
        let (ours, there) = ((wanted.mark.clone(), wanted.address), self.has(wanted.address));
        let is_marked = self.marked().any(|(_, address)| address == wanted.address);
        if there && !is_marked {
            let message = format!("{name} already says {}, and nothing marks that as ours", wanted.address);
            return Err(refused(UPDATE, Why::Taken, message));
        }
        let stale: Vec<_> = self.marked().filter(|other| other.0 == ours.0 && *other != ours).collect();
        let settled = self.marked().any(|other| other == ours) && there;
        if settled && stale.is_empty() {
            return Ok(None);
        }
        let row = |name: String, ttl_s, data| Change::Add(Row { name, ttl_s, data });
        let mut changes = vec![
            row(name.clone(), wanted.ttl_s, Data::address(wanted.address)),
            row(beside(name), MARK_TTL_S, mark(&ours.0, ours.1)),
        ];
        changes.extend(stale.iter().flat_map(|old| self.without(name, old)));
        Ok(Some(Update { prerequisites: self.unchanged(name), changes }))
    }

    /// What removes a marked address; `None` if it is not there.
    pub(super) fn minus(&self, name: &str, gone: &(String, IpAddr)) -> Option<Update> {
        self.marked()
            .any(|other| other == *gone)
            .then(|| Update { prerequisites: self.unchanged(name), changes: self.without(name, gone) })
    }

    /// Every record that there is, and every mark that has lost its own.
    pub(super) fn records(&self, name: &str) -> Vec<ZoneRecord> {
        let marked = self.marked().map(|(mark, address)| ZoneRecord {
            id: id(name, address, &mark),
            name: name.to_owned(),
            kind: Data::address(address).kind_shown(),
            content: if self.has(address) { address.to_string() } else { String::new() },
            mark: Some(mark),
        });
        let is_marked = |row: &&Row| self.marked().any(|(_, address)| Data::address(address) == row.data);
        let others = self.v4.iter().chain(&self.v6).chain(&self.alias).filter(|row| !is_marked(row));
        let others = others.map(|row| ZoneRecord {
            id: format!("{name} {}", row.data),
            name: name.to_owned(),
            kind: row.data.kind_shown(),
            content: row.data.to_string(),
            mark: None,
        });
        marked.chain(others).collect()
    }
}

/// What we call a record that bears a mark: name, address and mark, as nobody numbers records here.
fn id(name: &str, address: IpAddr, mark: &str) -> String {
    format!("{name} {address} {mark}")
}

fn read_id(id: &str) -> Option<(&str, IpAddr, &str)> {
    let (name, rest) = id.split_once(' ')?;
    let (address, mark) = rest.split_once(' ')?;
    Some((name, address.parse().ok()?, mark))
}

impl Rfc2136 {
    async fn seen(&self, line: &Line, name: &str) -> Result<Seen, Error> {
        let beside = beside(name);
        let (mut v4, mut v6, marks) = futures::try_join!(
            self.rows(line, name, Kind::A),
            self.rows(line, name, Kind::Aaaa),
            self.rows(line, &beside, Kind::Txt),
        )?;
        let is_alias = |row: &mut Row| row.data.kind() == Some(Kind::Cname);
        let alias = v4.extract_if(.., is_alias).chain(v6.extract_if(.., is_alias)).next();
        Ok(Seen { v4, v6, alias, marks })
    }

    /// Reads and changes a name until nobody has come in between. `next` decides from what was read; `None` ends it.
    async fn settle(
        &self,
        line: &Line,
        zone: &str,
        name: &str,
        next: impl Fn(&Seen) -> Result<Option<Update>, Error> + Send + Sync,
    ) -> Result<(), Error> {
        let mut last = refused(UPDATE, Why::Busy, format!("somebody else keeps changing {name}"));
        for _ in 0..TRIES {
            let Some(update) = next(&self.seen(line, name).await?)? else { return Ok(()) };
            match self.update(line, zone, &update).await {
                Ok(Outcome::Made) => return Ok(()),
                Ok(Outcome::Unmet(_)) => {}
                // Made or not: the next look tells.
                Err(error) if error.why == Why::Trouble => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}

#[async_trait]
impl Zones for Rfc2136 {
    async fn zone_of(&self, line: &Line, domain: &str) -> Result<Zone, Error> {
        let name = self.apex(line, domain).await?;
        Ok(Zone { id: name.clone(), name })
    }

    async fn records(&self, line: &Line, _: &str, name: &str) -> Result<Vec<ZoneRecord>, Error> {
        Ok(self.seen(line, name).await?.records(name))
    }

    async fn put_address(
        &self,
        line: &Line,
        zone: &str,
        _: Option<&str>,
        wanted: &AddressRecord,
    ) -> Result<String, Error> {
        self.settle(line, zone, &wanted.name, |seen| seen.toward(wanted)).await?;
        Ok(id(&wanted.name, wanted.address, &wanted.mark))
    }

    async fn delete_record(&self, line: &Line, zone: &str, id: &str) -> Result<(), Error> {
        let Some((name, address, mark)) = read_id(id) else {
            return Err(refused(UPDATE, Why::Invalid, format!("{id:?} is no record that bears a mark")));
        };
        let gone = (mark.to_owned(), address);
        self.settle(line, zone, name, |seen| Ok(seen.minus(name, &gone))).await
    }

    async fn check(&self, line: &Line, domain: &str) -> Vec<Finding> {
        check::check(self, line, domain).await
    }
}
