//! A name server that takes dynamic updates. Every change names what it was made from as its prerequisite, so the server itself
//! sees to it that nobody's change in between is lost, and that the last record of a name stays the last.
//!
//! Marks are TXT records at `_bouquet.<name>`, one for each record of ours: the mark, a space, and what the record says. They
//! come and go with the record, in the same update.

mod update;

use super::{CALL_MOST, trouble};
use crate::zone::{Change, Data, Entry, Keeper, Provider, Trouble};
use async_trait::async_trait;
use clouds::rfc2136::{self as api, Kind, Outcome, Row, beside};
use clouds::{Error, Why};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use update::Seen;
use wire::Line;

/// A zone on a name server of one's own.
pub struct Rfc2136 {
    client: api::Rfc2136,
    domain: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    apex: Option<String>,
    /// Where the server gives the zone to nobody, names are asked for one by one: all that were ever wanted.
    asked: BTreeSet<String>,
    /// Whether that is so.
    is_closed: bool,
    seen: Seen,
}

/// Records that one update touches. With their prerequisites and marks they fit into the 64 KiB of a message, unless names
/// have dozens of addresses: then it is refused here, and halved.
const BATCH_MOST: usize = 100;
/// What a signed zone says of itself beside its records: not anybody's.
const OF_DNSSEC: [&str; 3] = ["RRSIG", "NSEC", "NSEC3"];

impl Rfc2136 {
    /// `domain`: any name in the zone.
    pub fn new(client: api::Rfc2136, domain: &str) -> Self {
        Rfc2136 { client, domain: domain.to_owned(), known: Mutex::default() }
    }

    fn known<R>(&self, work: impl FnOnce(&mut Known) -> R) -> R {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn zone(&self, line: &Line) -> Result<String, Error> {
        if let Some(apex) = self.known(|known| known.apex.clone()) {
            return Ok(apex);
        }
        let apex = self.client.apex(line, &self.domain).await?;
        self.known(|known| known.apex = Some(apex.clone()));
        Ok(apex)
    }

    async fn rows(&self, line: &Line, zone: &str, names: &[String]) -> Result<Vec<Row>, Error> {
        if !self.known(|known| known.is_closed) {
            match self.client.transfer(line, zone).await {
                Err(error) if error.why == Why::Forbidden => self.known(|known| known.is_closed = true),
                other => return other,
            }
        }
        let asked = self.known(|known| {
            known.asked.extend(names.iter().cloned());
            known.asked.clone()
        });
        let each = asked.iter().flat_map(|name| [(name.clone(), Kind::Any), (beside(name), Kind::Txt)]);
        self.client.lookup(line, &each.collect::<Vec<_>>()).await
    }
}

#[async_trait]
impl Provider for Rfc2136 {
    async fn read(&self, line: &Line, names: &[String]) -> Result<Vec<Entry>, Trouble> {
        let line = &line.once_within(CALL_MOST);
        let zone = self.zone(line).await.map_err(|error| trouble(&error))?;
        let rows = self.rows(line, &zone, names).await.map_err(|error| trouble(&error))?;
        let rows = rows.into_iter().filter(|row| !OF_DNSSEC.contains(&row.data.kind_shown().as_str()));
        let seen = Seen::new(rows.collect());
        let entries = entries(&seen);
        self.known(|known| known.seen = seen);
        Ok(entries)
    }

    async fn write(&self, line: &Line, change: &Change) -> Result<(), Trouble> {
        let line = &line.once_within(CALL_MOST);
        let (apex, update) = self.known(|known| (known.apex.clone(), known.seen.update(change)));
        let (Some(apex), Some(update)) = (apex, update?) else {
            return Err(Trouble::Moved("it is not as it was read last".to_owned()));
        };
        match self.client.update(line, &apex, &update).await {
            Ok(Outcome::Made) => {
                self.known(|known| known.seen.apply(&update));
                Ok(())
            }
            Ok(Outcome::Unmet(unmet)) => Err(Trouble::Moved(format!("a prerequisite does not hold: {unmet:?}"))),
            Err(error) => Err(trouble(&error)),
        }
    }

    fn batch_most(&self) -> usize {
        BATCH_MOST
    }

    fn keeper(&self) -> Keeper {
        Keeper { alias_at_apex: false, alias_beside: false, proxies: false, fenced: true, records_most: None }
    }

    fn apex(&self) -> Option<String> {
        self.known(|known| known.apex.clone())
    }
}

/// Every record with the mark beside it. Marks themselves are not shown.
fn entries(seen: &Seen) -> Vec<Entry> {
    let mut marks: BTreeMap<(&str, String), String> = BTreeMap::new();
    for (name, rows) in seen.names() {
        let Some(about) = name.strip_prefix("_bouquet.") else { continue };
        for text in rows.iter().filter(|row| row.data.kind() == Some(Kind::Txt)).map(|row| row.data.to_string()) {
            if let Some((mark, said)) = text.rsplit_once(' ') {
                marks.entry((about, said.to_owned())).or_insert_with(|| mark.to_owned());
            }
        }
    }
    let rows = seen.names().filter(|(name, _)| !name.starts_with("_bouquet.")).flat_map(|(_, rows)| rows);
    rows.map(|row| {
        let (kind, said) = (row.data.kind_shown(), row.data.to_string());
        let mark = marks.get(&(row.name.as_str(), said.clone())).cloned();
        Entry {
            id: format!("{} {kind} {said}", row.name),
            name: row.name.clone(),
            data: match (row.data.to_address(), row.data.kind()) {
                (Some(address), _) => Data::Address(address),
                (_, Some(Kind::Cname)) => Data::Alias(said),
                (_, Some(Kind::Txt)) => Data::Text(said),
                _ => Data::Other(kind, said),
            },
            ttl_s: row.ttl_s,
            proxied: false,
            mark,
        }
    })
    .collect()
}
