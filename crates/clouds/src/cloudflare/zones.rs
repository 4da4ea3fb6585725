//! Cloudflare as one of those who keep names.

use super::{Cloudflare, Draft, Page, Record, ZONES_PAGE, check, page, record_path, records_path, result};
use crate::rest::{Ask, query, refused};
use crate::{AddressRecord, Error, Finding, Why, Zone, ZoneRecord, Zones};
use async_trait::async_trait;
use serde_json::Value;
use wire::Line;

#[async_trait]
impl Zones for Cloudflare {
    async fn zone_of(&self, line: &Line, domain: &str) -> Result<Zone, Error> {
        let zones: Vec<Zone> = self.pages(line, "cloudflare GET /zones", "/zones", ZONES_PAGE).await?;
        let holds = |zone: &&Zone| {
            domain == zone.name || domain.strip_suffix(&zone.name).is_some_and(|rest| rest.ends_with('.'))
        };
        zones.iter().filter(holds).max_by_key(|zone| zone.name.len()).cloned().ok_or_else(|| {
            let seen: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
            let seen = if seen.is_empty() { "no zone at all".to_owned() } else { seen.join(", ") };
            let message = format!("the token sees no zone that {domain} lives in; it sees {seen}");
            refused("cloudflare GET /zones", Why::Forbidden, message)
        })
    }

    async fn records(&self, line: &Line, zone: &str, name: &str) -> Result<Vec<ZoneRecord>, Error> {
        let all = self.all_records(line, zone).await?;
        let concerning = all.into_iter().filter(|record| record.comment.is_some() || record.name == name);
        Ok(concerning
            .map(|record| ZoneRecord {
                id: record.id,
                name: record.name,
                kind: record.kind,
                content: record.content,
                mark: record.comment,
            })
            .collect())
    }

    /// The record `known`, if it is still there; else one that bears the comment; else a new one.
    async fn put_address(
        &self,
        line: &Line,
        zone: &str,
        known: Option<&str>,
        wanted: &AddressRecord,
    ) -> Result<String, Error> {
        let draft = Draft {
            name: wanted.name.clone(),
            kind: if wanted.address.is_ipv4() { "A" } else { "AAAA" },
            content: wanted.address.to_string(),
            ttl: wanted.ttl_s,
            proxied: false,
            comment: wanted.mark.clone(),
        };
        if let Some(id) = known {
            match self.patch_record(line, zone, id, &draft).await {
                Err(error) if error.why == Why::NotFound => {}
                other => return other.map(|record| record.id),
            }
        }
        if let Some(there) = self.commented(line, zone, &draft).await? {
            return self.patch_record(line, zone, &there.id, &draft).await.map(|record| record.id);
        }
        let made = match self.create_record(line, zone, &draft).await {
            Err(error) if matches!(error.why, Why::Trouble | Why::Taken) => {
                match self.commented(line, zone, &draft).await? {
                    Some(there) => self.patch_record(line, zone, &there.id, &draft).await,
                    // Taken by somebody else's is said; lost without effect is tried once more.
                    None if error.why == Why::Taken => Err(error),
                    None => self.create_record(line, zone, &draft).await,
                }
            }
            other => other,
        };
        made.map(|record| record.id)
    }

    async fn delete_record(&self, line: &Line, zone: &str, id: &str) -> Result<(), Error> {
        let ask = Ask::delete("cloudflare DELETE /zones/{id}/dns_records/{id}", record_path(zone, id));
        line.send(result::<Value>(&self.rest, ask)?).await.map(drop)
    }

    async fn check(&self, line: &Line, domain: &str) -> Vec<Finding> {
        check::check(self, line, domain).await
    }
}

impl Cloudflare {
    async fn commented(&self, line: &Line, zone: &str, draft: &Draft) -> Result<Option<Record>, Error> {
        let pairs = query(&[("name.exact", &draft.name), ("comment.exact", &draft.comment)]);
        let ask = Ask::get("cloudflare GET /zones/{id}/dns_records", format!("{}?{pairs}", records_path(zone)));
        let found: Page<Record> = line.send(page(&self.rest, ask)?).await?;
        // The filters are case-insensitive, and a server that does not know one passes over it.
        let ours = |record: &Record| record.name == draft.name && record.comment.as_ref() == Some(&draft.comment);
        Ok(found.items.into_iter().find(ours))
    }
}
