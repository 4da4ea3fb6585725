//! Cloudflare: zones and their records.
//!
//! Records of ours bear a comment (`bouquet/<cluster>/…`, 100 characters at most, which every plan has). This room
//! refuses to decide what a record should say.

use crate::rest::{Ask, Rest, parse, query, silent_refusal, why_of_status};
use crate::{Error, Finding, Settings, Why};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::net::IpAddr;
use wire::{Answer, Call, Line, Secret};

/// Where Cloudflare's API is.
pub const ENDPOINT: &str = "https://api.cloudflare.com/client/v4";
const BUCKET: &str = "cloudflare";
const TOKEN: &str = "CLOUDFLARE_API_TOKEN";
/// Records in a page: the most that the API gives is 5,000,000, its own dashboards ask for hundreds.
const PAGE: usize = 1000;
/// Zones in a page; 50 is the most.
const ZONES_PAGE: usize = 50;

/// An account, as one of its API tokens.
pub struct Cloudflare {
    rest: Rest,
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Zone {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
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
    pub content: String,
    /// Seconds; 1 is automatic.
    pub ttl: u32,
    /// Whether Cloudflare stands in between.
    #[serde(default)]
    pub proxied: bool,
    /// By which we know our own.
    pub comment: Option<String>,
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

    /// The zone that a domain lives in: the longest suffix of it that the token can see.
    pub async fn zone_of(&self, line: &Line, domain: &str) -> Result<Zone, Error> {
        let zones = self.zones(line).await?;
        let holds = |zone: &&Zone| {
            domain == zone.name || domain.strip_suffix(&zone.name).is_some_and(|rest| rest.ends_with('.'))
        };
        zones.iter().filter(holds).max_by_key(|zone| zone.name.len()).cloned().ok_or_else(|| {
            let seen: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
            let seen = if seen.is_empty() { "no zone at all".to_owned() } else { seen.join(", ") };
            let message = format!("the token sees no zone that {domain} lives in; it sees {seen}");
            crate::rest::refused("cloudflare GET /zones", Why::Forbidden, message)
        })
    }

    async fn zones(&self, line: &Line) -> Result<Vec<Zone>, Error> {
        self.pages(line, "cloudflare GET /zones", "/zones", ZONES_PAGE).await
    }

    /// Every record of a zone.
    pub async fn records(&self, line: &Line, zone: &str) -> Result<Vec<Record>, Error> {
        let path = format!("/zones/{zone}/dns_records");
        self.pages(line, "cloudflare GET /zones/{id}/dns_records", &path, PAGE).await
    }

    async fn pages<T: DeserializeOwned + Send + 'static>(
        &self,
        line: &Line,
        name: &'static str,
        path: &str,
        size: usize,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        for page in 1.. {
            let pairs = query(&[("page", &page.to_string()), ("per_page", &size.to_string())]);
            let ask = Ask::get(name, format!("{path}?{pairs}"));
            let got: Vec<T> = line.send(self.result(ask)?).await?;
            let full = got.len() == size;
            all.extend(got);
            if !full {
                break;
            }
        }
        Ok(all)
    }

    /// Makes the name's record with this comment say `address`, DNS-only: the record `known`, if it is still there; else
    /// one that bears the comment; else a new one.
    pub async fn put_address(
        &self,
        line: &Line,
        zone: &str,
        known: Option<&str>,
        name: &str,
        address: IpAddr,
        ttl_s: u32,
        comment: &str,
    ) -> Result<Record, Error> {
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        let body = json!({
            "type": kind, "name": name, "content": address.to_string(), "ttl": ttl_s, "proxied": false, "comment": comment,
        });
        if let Some(id) = known {
            match self.patch(line, zone, id, &body).await {
                Err(error) if error.why == Why::NotFound => {}
                other => return other,
            }
        }
        if let Some(there) = self.commented(line, zone, name, comment).await? {
            return self.patch(line, zone, &there.id, &body).await;
        }
        let create = || {
            Ask::create("cloudflare POST /zones/{id}/dns_records", format!("/zones/{zone}/dns_records"), body.clone())
        };
        match line.send(self.result(create())?).await {
            Err(error) if matches!(error.why, Why::Trouble | Why::Taken) => {
                match self.commented(line, zone, name, comment).await? {
                    Some(there) => self.patch(line, zone, &there.id, &body).await,
                    None => line.send(self.result(create())?).await,
                }
            }
            other => other,
        }
    }

    async fn commented(&self, line: &Line, zone: &str, name: &str, comment: &str) -> Result<Option<Record>, Error> {
        let pairs = query(&[("name.exact", name), ("comment.exact", comment)]);
        let ask = Ask::get("cloudflare GET /zones/{id}/dns_records", format!("/zones/{zone}/dns_records?{pairs}"));
        let found: Vec<Record> = line.send(self.result(ask)?).await?;
        Ok(found.into_iter().find(|record| record.name == name && record.comment.as_deref() == Some(comment)))
    }

    async fn patch(&self, line: &Line, zone: &str, id: &str, body: &Value) -> Result<Record, Error> {
        let name = "cloudflare PATCH /zones/{id}/dns_records/{id}";
        let ask = Ask {
            method: http::Method::PATCH,
            ..Ask::put(name, format!("/zones/{zone}/dns_records/{id}"), body.clone())
        };
        line.send(self.result(ask)?).await
    }

    /// Deletes a record.
    pub async fn delete_record(&self, line: &Line, zone: &str, id: &str) -> Result<(), Error> {
        let name = "cloudflare DELETE /zones/{id}/dns_records/{id}";
        let ask = Ask::delete(name, format!("/zones/{zone}/dns_records/{id}"));
        line.send(self.result::<Value>(ask)?).await.map(drop)
    }

    /// Whether the token is good and sees the zone that the domain lives in.
    pub async fn check(&self, line: &Line, domain: &str) -> Vec<Finding> {
        let verify = Ask::get("cloudflare GET /user/tokens/verify", "/user/tokens/verify");
        let verified = match self.result::<Value>(verify) {
            Ok(call) => line.send(call).await,
            Err(error) => Err(error),
        };
        if let Err(error) = verified {
            return vec![Finding::of(TOKEN, &error)];
        }
        let mut findings = vec![Finding::fine(TOKEN, "good")];
        findings.push(match self.zone_of(line, domain).await {
            Ok(zone) => Finding::fine(format!("zone {}", zone.name), format!("{domain} lives in it")),
            Err(error) => Finding::of(TOKEN, &error),
        });
        findings
    }

    /// A call whose answer is in Cloudflare's envelope.
    fn result<T: DeserializeOwned + 'static>(&self, ask: Ask) -> Result<Call<T, Error>, Error> {
        self.rest.call(ask, |name, answer| {
            let envelope: Envelope<T> = parse(name, answer)?;
            match (envelope.success, envelope.result) {
                (true, Some(result)) => Ok(result),
                _ => Err(sort(name, answer)),
            }
        })
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    success: bool,
    result: Option<T>,
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    code: u64,
    #[serde(default)]
    message: String,
}

fn sort(call: &'static str, answer: &Answer) -> Error {
    let Some(reason) =
        serde_json::from_slice(&answer.body).ok().and_then(|refusal: Refusal| refusal.errors.into_iter().next())
    else {
        return silent_refusal(call, answer);
    };
    let why = match reason.code {
        81_044 | 7003 | 1001 => Why::NotFound,
        81_053 | 81_054 | 81_057 | 81_058 => Why::Taken,
        81_045 | 1061 => Why::Quota,
        971 => Why::TooFast(answer.retry_after()),
        1000 | 6003 | 6111 | 9103 | 9109 | 10_000 if answer.status.as_u16() != 429 => match answer.status.as_u16() {
            403 => Why::Forbidden,
            _ => Why::Unauthenticated,
        },
        _ => why_of_status(answer),
    };
    let vendor_code = Some(format!("{} {}", answer.status.as_u16(), reason.code));
    Error { call, why, vendor_code, message: reason.message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::tests::answer;

    #[test]
    fn cloudflares_codes_are_sorted() {
        let refusal = |status, code: u64| {
            let text =
                format!(r#"{{"success": false, "errors": [{{"code": {code}, "message": "m"}}], "result": null}}"#);
            sort("c", &answer(status, &text)).why
        };
        assert_eq!(refusal(404, 81_044), Why::NotFound);
        assert_eq!(refusal(400, 81_058), Why::Taken);
        assert_eq!(refusal(403, 10_000), Why::Forbidden);
        assert_eq!(refusal(401, 1000), Why::Unauthenticated);
        assert_eq!(refusal(429, 971), Why::TooFast(None));
        assert_eq!(refusal(500, 1), Why::Trouble);
        assert_eq!(sort("c", &answer(502, "<html>")).why, Why::Trouble);
    }
}
