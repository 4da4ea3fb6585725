//! Cloudflare: one list of at most some pages, one batch that is one transaction. No fence: the list may be old.

use super::{CALL_MOST, trouble};
use crate::zone::{Change, Data, Draft, Entry, Keeper, Provider, Trouble};
use async_trait::async_trait;
use clouds::cloudflare::{self as api, Allowance, Batch, Record};
use clouds::{Error, Why, Zones};
use std::sync::{Mutex, PoisonError};
use wire::Line;

/// The zone that a domain lives in, at Cloudflare.
pub struct Cloudflare {
    client: api::Cloudflare,
    domain: String,
    /// Found with the first reading, and again after the zone was not.
    known: Mutex<Option<Known>>,
}

#[derive(Clone)]
struct Known {
    id: String,
    name: String,
    allowance: Allowance,
}

/// Changes in a batch and records in a zone, until its plan has been read: the smallest there is.
const LEAST: usize = 200;

impl Cloudflare {
    /// `domain`: any name in the zone.
    pub fn new(client: api::Cloudflare, domain: &str) -> Self {
        Cloudflare { client, domain: domain.to_owned(), known: Mutex::new(None) }
    }

    fn known(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, known: Option<Known>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    async fn find(&self, line: &Line) -> Result<Known, Error> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let zone = self.client.zone_of(line, &self.domain).await?;
        let allowance = self.client.allowance(line, &zone.id).await?;
        let known = Known { id: zone.id, name: zone.name, allowance };
        self.remember(Some(known.clone()));
        Ok(known)
    }

    /// Sorts an error; one that is about the zone itself makes it be looked for again.
    fn sorted(&self, error: &Error) -> Trouble {
        let code = error.vendor_code.as_deref().and_then(|code| code.split(' ').nth(1));
        match (error.why, code) {
            // Not a record that is gone, but the zone, or our right to see it.
            (Why::NotFound, code) if code != Some("81044") => {
                self.remember(None);
                Trouble::Forbidden(error.to_string())
            }
            // Tags of one record, not the zone's room.
            (Why::Quota, Some("9300")) => Trouble::Refused(error.to_string()),
            (Why::Forbidden | Why::Unauthenticated, _) => {
                self.remember(None);
                trouble(error)
            }
            _ => trouble(error),
        }
    }
}

#[async_trait]
impl Provider for Cloudflare {
    async fn read(&self, line: &Line, _: &[String]) -> Result<Vec<Entry>, Trouble> {
        let line = &line.once_within(CALL_MOST);
        let known = self.find(line).await.map_err(|error| self.sorted(&error))?;
        let records = self.client.list(line, &known.id).await.map_err(|error| self.sorted(&error))?;
        Ok(records.into_iter().map(entry).collect())
    }

    async fn write(&self, line: &Line, change: &Change) -> Result<(), Trouble> {
        let line = &line.once_within(CALL_MOST);
        let known = self.known().ok_or_else(|| Trouble::Moved("the zone was not read yet".to_owned()))?;
        let batch = batch(change)?;
        self.client.batch(line, &known.id, &batch).await.map_err(|error| self.sorted(&error))
    }

    fn batch_most(&self) -> usize {
        self.known().map_or(LEAST, |known| known.allowance.batch_most)
    }

    fn keeper(&self) -> Keeper {
        Keeper {
            alias_at_apex: true,
            alias_beside: true,
            proxies: true,
            fenced: false,
            records_most: Some(self.known().map_or(LEAST, |known| known.allowance.records_most)),
        }
    }

    fn apex(&self) -> Option<String> {
        self.known().map(|known| known.name)
    }
}

fn entry(record: Record) -> Entry {
    let Record { id, name, kind, content, ttl, proxied, comment } = record;
    let data = match (kind.as_str(), content.parse()) {
        ("A" | "AAAA", Ok(address)) => Data::Address(address),
        ("CNAME", _) => Data::Alias(content.trim_end_matches('.').to_ascii_lowercase()),
        ("TXT", _) => Data::Text(content),
        _ => Data::Other(kind, content),
    };
    Entry { id, name: name.trim_end_matches('.').to_ascii_lowercase(), data, ttl_s: ttl, proxied, mark: comment }
}

fn batch(change: &Change) -> Result<Batch, Trouble> {
    let patched = change.replace.iter().map(|(entry, wanted)| Ok((entry.id.clone(), draft(wanted)?)));
    Ok(Batch {
        deletes: change.delete.iter().map(|entry| entry.id.clone()).collect(),
        patches: patched.collect::<Result<_, _>>()?,
        posts: change.create.iter().map(draft).collect::<Result<_, _>>()?,
    })
}

fn draft(wanted: &Draft) -> Result<api::Draft, Trouble> {
    let Draft { name, data, ttl_s, proxied, mark } = wanted;
    let kind = match data {
        Data::Address(address) if address.is_ipv4() => "A",
        Data::Address(_) => "AAAA",
        Data::Alias(_) => "CNAME",
        Data::Text(_) | Data::Other(..) => {
            return Err(Trouble::Refused(format!("{name}: only addresses and aliases are ours to make")));
        }
    };
    let (name, comment) = (name.clone(), mark.clone());
    Ok(api::Draft { name, kind, content: data.content(), ttl: *ttl_s, proxied: *proxied, comment })
}
