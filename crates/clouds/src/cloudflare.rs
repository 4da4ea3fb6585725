//! Cloudflare: zones and their records.
//!
//! Records of ours bear a comment (`bouquet/<cluster>/…`, 100 characters at most, which every plan has). Cloudflare has
//! no compare-and-swap, so whoever changes a record reads it first. This room refuses to decide what a record should
//! say. Facts: <https://developers.cloudflare.com/api/resources/dns/>.

mod check;
mod listing;
mod refusal;
#[cfg(test)]
mod tests;
mod zones;

use crate::rest::{Ask, Rest, escaped, garbled, parse, query};
use crate::{Error, Settings};
pub use listing::Allowance;
use refusal::sort;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wire::{Call, Line, Secret};

/// Where Cloudflare's API is.
pub const ENDPOINT: &str = "https://api.cloudflare.com/client/v4";
const BUCKET: &str = "cloudflare";
const TOKEN: &str = "CLOUDFLARE_API_TOKEN";
/// Records in a page: 5,000 is the most that other clients have found to work; a free zone has 200 at most.
const RECORDS_PAGE: u64 = 5000;
/// Zones in a page; 50 is the most.
const ZONES_PAGE: u64 = 50;

/// An account, as one of its API tokens.
pub struct Cloudflare {
    rest: Rest,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Record {
    /// Id.
    pub id: String,
    /// Full name, without a dot at the end.
    pub name: String,
    /// `A`, `AAAA`, `CNAME`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    #[serde(default)]
    pub content: String,
    /// Seconds; 1 is automatic.
    pub ttl: u32,
    /// Whether Cloudflare stands in between.
    #[serde(default)]
    pub proxied: bool,
    /// By which we know our own.
    pub comment: Option<String>,
}

/// What a record should say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// Full name.
    pub name: String,
    /// `A`, `AAAA`, `CNAME`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Content.
    pub content: String,
    /// Seconds, 60 to 86,400; 1 is automatic.
    pub ttl: u32,
    /// Whether Cloudflare stands in between.
    pub proxied: bool,
    /// 100 characters at most, no line breaks.
    pub comment: String,
}

/// Changes that happen together or not at all: deletes first, then patches, then posts. 200 in a free zone, 3,500 in a
/// paid one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Ids.
    pub deletes: Vec<String>,
    /// Ids, and what those records should say.
    pub patches: Vec<(String, Draft)>,
    /// New records.
    pub posts: Vec<Draft>,
}

impl Cloudflare {
    /// `token`: with Zone:Read and DNS:Edit on the zone.
    pub fn new(token: &Secret, endpoint: &http::Uri) -> Result<Self, Error> {
        let rest = Rest::new(BUCKET, "CLOUDFLARE_BASE_URL", endpoint, sort)?;
        Ok(Cloudflare { rest: rest.authorized(TOKEN, &Secret::new(format!("Bearer {}", token.expose())))? })
    }

    /// From `CLOUDFLARE_API_TOKEN` and `CLOUDFLARE_BASE_URL`.
    pub fn from_settings(settings: &dyn Settings) -> Result<Self, Error> {
        Self::new(&settings.needed(TOKEN)?, &settings.endpoint("CLOUDFLARE_BASE_URL", ENDPOINT)?)
    }

    /// Every record of a zone.
    pub async fn all_records(&self, line: &Line, zone: &str) -> Result<Vec<Record>, Error> {
        self.pages(line, "cloudflare GET /zones/{id}/dns_records", &records_path(zone), RECORDS_PAGE).await
    }

    async fn pages<T: DeserializeOwned + Send + 'static>(
        &self,
        line: &Line,
        name: &'static str,
        path: &str,
        size: u64,
    ) -> Result<Vec<T>, Error> {
        let (mut all, mut number) = (Vec::new(), 1_u64);
        loop {
            let pairs = query(&[("page", &number.to_string()), ("per_page", &size.to_string())]);
            let page = line.send(page(&self.rest, Ask::get(name, format!("{path}?{pairs}")))?).await?;
            all.extend(page.items);
            if number >= page.total_pages {
                return Ok(all);
            }
            number += 1;
        }
    }

    /// Makes a record. Where the answer was lost, read the zone before making it again.
    pub async fn create_record(&self, line: &Line, zone: &str, draft: &Draft) -> Result<Record, Error> {
        let name = "cloudflare POST /zones/{id}/dns_records";
        line.send(result(&self.rest, Ask::create(name, records_path(zone), json!(draft)))?).await
    }

    /// Changes a record; what it says beyond a draft (tags, settings) stays.
    pub async fn patch_record(&self, line: &Line, zone: &str, id: &str, draft: &Draft) -> Result<Record, Error> {
        let name = "cloudflare PATCH /zones/{id}/dns_records/{id}";
        let ask = Ask::put(name, record_path(zone, id), json!(draft));
        line.send(result(&self.rest, Ask { method: http::Method::PATCH, ..ask })?).await
    }

    /// Makes all changes of a batch, or none: the first that is refused is the error. Where the answer was lost, read
    /// the zone before anything else.
    pub async fn batch(&self, line: &Line, zone: &str, batch: &Batch) -> Result<(), Error> {
        let ask = Ask::create(
            "cloudflare POST /zones/{id}/dns_records/batch",
            format!("{}/batch", records_path(zone)),
            batch.body(),
        );
        line.send(result::<Value>(&self.rest, ask)?).await.map(drop)
    }
}

impl Batch {
    fn body(&self) -> Value {
        let deletes: Vec<Value> = self.deletes.iter().map(|id| json!({ "id": id })).collect();
        let patches: Vec<Value> = self
            .patches
            .iter()
            .map(|(id, draft)| {
                let mut patch = json!(draft);
                patch["id"] = json!(id);
                patch
            })
            .collect();
        json!({ "deletes": deletes, "patches": patches, "posts": self.posts })
    }
}

fn records_path(zone: &str) -> String {
    format!("/zones/{}/dns_records", escaped(zone))
}

fn record_path(zone: &str, id: &str) -> String {
    format!("{}/{}", records_path(zone), escaped(id))
}

/// What every answer is wrapped in.
#[derive(Deserialize)]
struct Envelope<T> {
    success: bool,
    result: Option<T>,
    result_info: Option<Info>,
}

#[derive(Deserialize)]
struct Info {
    total_pages: Option<u64>,
    total_count: Option<u64>,
}

/// One page of a list.
struct Page<T> {
    items: Vec<T>,
    total_pages: u64,
    /// Of all pages; `None` if the server does not say.
    total_count: Option<u64>,
}

/// The most pages that are read: a zone of an enterprise has some tens. More is a server that does not know its end.
const PAGES_MAX: u64 = 1000;

fn page<T: DeserializeOwned + 'static>(rest: &Rest, ask: Ask) -> Result<Call<Page<T>, Error>, Error> {
    rest.call(ask, |name, answer| {
        let envelope: Envelope<Vec<T>> = parse(name, answer)?;
        let (true, Some(items)) = (envelope.success, envelope.result) else { return Err(sort(name, answer)) };
        let info = envelope.result_info;
        let total_pages = info.as_ref().and_then(|info| info.total_pages).unwrap_or(1);
        let total_count = info.and_then(|info| info.total_count);
        if total_pages > PAGES_MAX {
            return Err(garbled(name, answer, "more pages than there can be"));
        }
        Ok(Page { items, total_pages, total_count })
    })
}

fn result<T: DeserializeOwned + 'static>(rest: &Rest, ask: Ask) -> Result<Call<T, Error>, Error> {
    rest.call(ask, |name, answer| {
        let envelope: Envelope<T> = parse(name, answer)?;
        match (envelope.success, envelope.result) {
            (true, Some(result)) => Ok(result),
            _ => Err(sort(name, answer)),
        }
    })
}
