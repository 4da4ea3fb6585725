use crate::{Error, Finding};
use async_trait::async_trait;
use serde::Deserialize;
use std::net::IpAddr;
use wire::Line;

/// Who keeps a cluster's names: Cloudflare, or a server that takes dynamic updates.
#[async_trait]
pub trait Zones: Send + Sync {
    /// The zone that a domain lives in: the longest suffix of it that this provider is there for.
    async fn zone_of(&self, line: &Line, domain: &str) -> Result<Zone, Error>;

    /// Every record at `name`, and every other one of the zone that bears a mark, where the provider can list a zone.
    async fn records(&self, line: &Line, zone: &str, name: &str) -> Result<Vec<ZoneRecord>, Error>;

    /// Makes the name's record with this mark say what is wanted, DNS-only, and returns its id. `known` is the id that it
    /// was last seen under.
    async fn put_address(
        &self,
        line: &Line,
        zone: &str,
        known: Option<&str>,
        wanted: &AddressRecord,
    ) -> Result<String, Error>;

    /// Deletes a record.
    async fn delete_record(&self, line: &Line, zone: &str, id: &str) -> Result<(), Error>;

    /// Whether the credential is good, sees the zone that the domain lives in, and may change its records; changes
    /// nothing.
    async fn check(&self, line: &Line, domain: &str) -> Vec<Finding>;
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Zone {
    /// By which the provider knows it.
    pub id: String,
    /// Name.
    pub name: String,
}

/// A record, as far as every provider knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneRecord {
    /// By which the provider, or its client, knows it.
    pub id: String,
    /// Full name, without a dot at the end.
    pub name: String,
    /// `A`, `AAAA`, `CNAME`, …
    pub kind: String,
    /// What it says; empty for a mark whose record somebody has removed.
    pub content: String,
    /// By which we know our own.
    pub mark: Option<String>,
}

/// What an address record should say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRecord {
    /// Full name.
    pub name: String,
    /// Address; its family is the record's kind.
    pub address: IpAddr,
    /// Seconds.
    pub ttl_s: u32,
    /// By which it is known as ours; 100 characters at most, no line breaks.
    pub mark: String,
}
