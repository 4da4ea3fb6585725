//! A record: how it is read from a request, checked as Cloudflare checks it, and shown.

use super::Lies;
use super::api::Failure;
use crate::dns::message::Data;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest comment on the Free plan, in characters.
const COMMENT_MAX: usize = 100;

/// A DNS record of a zone.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Full name in lower case, without a dot at the end.
    pub name: String,
    pub kind: String,
    pub content: String,
    /// Seconds; 1 is automatic.
    pub ttl: u32,
    pub proxied: bool,
    pub comment: Option<String>,
    priority: Option<u64>,
    data: Option<Value>,
    pub created: Timestamp,
    modified: Timestamp,
    comment_modified: Option<Timestamp>,
}

impl Record {
    /// Reads a whole record. What the body does not say comes from `old` (PATCH), else from the defaults (POST, PUT).
    pub(super) fn read(
        body: &Value,
        old: Option<&Record>,
        zone: &str,
        id: String,
        now: Timestamp,
        lies: &Lies,
    ) -> Result<Self, Failure> {
        if !body.is_object() {
            return Err(Failure::bad(9207, "Request body is invalid."));
        }
        let text = |name: &str, before: Option<&String>| match body.get(name) {
            None | Some(Value::Null) => Ok(before.cloned()),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Failure::bad(9207, "Request body is invalid.")),
        };
        let missing = |name: &str| Failure::invalid(9000, &format!("{name} is a required field."));
        let kind = text("type", old.map(|old| &old.kind))?.ok_or_else(|| missing("type"))?.to_ascii_uppercase();
        let name = text("name", old.map(|old| &old.name))?.ok_or_else(|| missing("name"))?;
        let data = body.get("data").filter(|data| data.is_object()).cloned().or_else(|| old?.data.clone());
        let content = text("content", old.map(|old| &old.content))?.or_else(|| content_of(&kind, data.as_ref()));
        let content = content.ok_or_else(|| missing("content"))?;
        // A service's priority comes among its data, and is shown beside them.
        let priority = body.get("priority").or_else(|| data.as_ref()?.get("priority")).and_then(Value::as_u64);
        let comment = match body.get("comment") {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(_) => None,
            None if lies.contains("cloudflare-patch-drops-comment") => None,
            None => old.and_then(|old| old.comment.clone()),
        };
        let proxied = match body.get("proxied") {
            None | Some(Value::Null) => old.is_some_and(|old| old.proxied),
            Some(Value::Bool(proxied)) => *proxied,
            Some(_) => return Err(Failure::invalid(9003, "Invalid 'proxied' value, must be a boolean.")),
        };
        let ttl = match body.get("ttl") {
            None | Some(Value::Null) => old.map_or(1, |old| old.ttl),
            Some(ttl) => ttl.as_u64().and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or(0),
        };
        let comment_changed = old.is_none_or(|old| old.comment != comment);
        let comment_modified = match (&comment, comment_changed) {
            (None, _) => None,
            (Some(_), true) => Some(now),
            (Some(_), false) => old.and_then(|old| old.comment_modified),
        };
        let mut record = Record {
            id,
            name: full_name(&name, zone)?,
            content: canonical_content(&kind, &content),
            // A proxied record's TTL is automatic, whatever was asked.
            ttl: if proxied { 1 } else { ttl },
            proxied,
            comment,
            priority: priority.or_else(|| old?.priority),
            data,
            kind,
            created: old.map_or(now, |old| old.created),
            modified: now,
            comment_modified,
        };
        if record.kind == "MX" && record.priority.is_none() {
            return Err(missing("priority"));
        }
        record.check(body, lies)?;
        if lies.contains("cloudflare-names-as-written") {
            record.name = name;
        }
        if !matches!(record.kind.as_str(), "MX" | "SRV" | "URI") {
            record.priority = None;
        }
        Ok(record)
    }

    fn check(&self, body: &Value, lies: &Lies) -> Result<(), Failure> {
        match self.kind.as_str() {
            "A" if self.content.parse::<Ipv4Addr>().is_err() && !lies.contains("cloudflare-any-address") => {
                return Err(Failure::bad(9005, "Content for A record must be a valid IPv4 address."));
            }
            "AAAA" if self.content.parse::<Ipv6Addr>().is_err() => {
                return Err(Failure::bad(9006, "Content for AAAA record must be a valid IPv6 address."));
            }
            "CNAME" | "NS" | "MX" | "PTR" if !is_host(&self.content) => {
                let message = format!("Content for {} record is invalid.", self.kind);
                return Err(Failure::invalid(9007, &message));
            }
            "CNAME" if self.content == self.name => {
                return Err(Failure::invalid(9039, "CNAME content cannot reference itself."));
            }
            "A" | "AAAA" | "CNAME" | "NS" | "MX" | "PTR" | "TXT" | "CAA" | "SRV" | "HTTPS" | "SVCB" | "TLSA" => {}
            _ => return Err(Failure::invalid(9004, "Invalid DNS record type.")),
        }
        if self.ttl != 1 && !(60..=86_400).contains(&self.ttl) && !lies.contains("cloudflare-any-ttl") {
            let message = "Invalid TTL. Must be between 60 and 86,400 seconds, or 1 for Automatic.";
            return Err(Failure::invalid(9021, message));
        }
        self.check_proxied()?;
        self.check_comment(lies)?;
        match body.get("tags").and_then(Value::as_array).map_or(0, Vec::len) {
            0 => Ok(()),
            count => {
                let message = format!("DNS record has {count} tags, exceeding the quota of 0.");
                Err(Failure::invalid(9300, &message))
            }
        }
    }

    fn check_proxied(&self) -> Result<(), Failure> {
        if !self.proxied {
            return Ok(());
        }
        if !self.is_proxiable() {
            return Err(Failure::invalid(9041, "This DNS record cannot be proxied."));
        }
        let hidden = match self.content.parse() {
            Ok(IpAddr::V4(v4)) => v4.is_private() || v4.is_loopback() || crate::tailscale::is_mesh(v4.into()),
            Ok(IpAddr::V6(v6)) => v6.is_loopback() || v6.is_unique_local(),
            Err(_) => false,
        };
        if hidden {
            let message = format!("Target {} is not allowed for a proxied record.", self.content);
            return Err(Failure::invalid(9003, &message));
        }
        Ok(())
    }

    fn check_comment(&self, lies: &Lies) -> Result<(), Failure> {
        let Some(comment) = &self.comment else { return Ok(()) };
        if comment.chars().count() > COMMENT_MAX && !lies.contains("cloudflare-long-comment") {
            let message = format!("Comment exceeds the maximum length of {COMMENT_MAX} characters.");
            return Err(Failure::invalid(9313, &message));
        }
        if comment.contains(['\r', '\n']) {
            return Err(Failure::invalid(9313, "Comment must not contain line breaks."));
        }
        Ok(())
    }

    fn is_proxiable(&self) -> bool {
        matches!(self.kind.as_str(), "A" | "AAAA" | "CNAME")
    }

    /// As name servers send it; `None` for the types whose bytes nobody here writes (HTTPS, SVCB, TLSA, PTR).
    pub(super) fn data(&self) -> Option<Data> {
        let mut words = self.content.split_whitespace();
        let host = |text: &str| text.trim_end_matches('.').to_owned();
        let priority = self.priority.and_then(|priority| u16::try_from(priority).ok());
        Some(match self.kind.as_str() {
            "A" => Data::A(self.content.parse().ok()?),
            "AAAA" => Data::Aaaa(self.content.parse().ok()?),
            "CNAME" => Data::Alias(host(&self.content)),
            "NS" => Data::NameServer(host(&self.content)),
            "MX" => Data::Mail(priority?, host(&self.content)),
            "TXT" => Data::Text(strings(&self.content)),
            "SRV" => {
                let (weight, port) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                Data::Service(priority?, weight, port, host(words.next()?))
            }
            "CAA" => {
                let (flags, tag) = (words.next()?.parse().ok()?, words.next()?.to_owned());
                Data::Issuer(flags, tag, words.next()?.trim_matches('"').to_owned())
            }
            _ => return None,
        })
    }

    /// As the API shows it.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({
            "id": self.id, "name": self.name, "type": self.kind, "content": self.content,
            "proxiable": self.is_proxiable(), "proxied": self.proxied, "ttl": self.ttl, "settings": {}, "meta": {},
            "comment": self.comment, "tags": [],
            "created_on": self.created.to_string(), "modified_on": self.modified.to_string(),
        });
        let Some(members) = body.as_object_mut() else { return body };
        if let Some(priority) = self.priority {
            members.insert("priority".into(), json!(priority));
        }
        if let Some(data) = &self.data {
            members.insert("data".into(), data.clone());
        }
        if let Some(at) = self.comment_modified {
            members.insert("comment_modified_on".into(), json!(at.to_string()));
        }
        body
    }
}

/// The strings of a TXT record: each in quotes, or all of the text, cut where a string must end.
fn strings(content: &str) -> Vec<Vec<u8>> {
    let quoted: Vec<&str> = content.split('"').skip(1).step_by(2).collect();
    let parts = if content.starts_with('"') { quoted } else { vec![content] };
    let cut = |part: &str| part.as_bytes().chunks(255).map(<[u8]>::to_vec).collect::<Vec<_>>();
    parts.into_iter().flat_map(cut).collect()
}

/// A name as it is stored: lower case, full, without a dot at the end. `@` is the zone itself.
pub(super) fn full_name(name: &str, zone: &str) -> Result<String, Failure> {
    let lower = name.trim().trim_end_matches('.').to_ascii_lowercase();
    let full = if lower == "@" || lower == zone {
        zone.to_owned()
    } else if lower.ends_with(&format!(".{zone}")) {
        lower
    } else {
        format!("{lower}.{zone}")
    };
    let plain = full.strip_prefix("*.").unwrap_or(&full);
    is_host(plain).then_some(full.clone()).ok_or_else(|| Failure::invalid(9000, "DNS name is invalid."))
}

fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

fn canonical_content(kind: &str, content: &str) -> String {
    match kind {
        "CNAME" | "NS" | "MX" | "PTR" => content.trim().trim_end_matches('.').to_ascii_lowercase(),
        "AAAA" => content.parse::<Ipv6Addr>().map_or_else(|_| content.to_owned(), |address| address.to_string()),
        _ => content.trim().to_owned(),
    }
}

/// The content that Cloudflare writes for a record given as `data`.
fn content_of(kind: &str, data: Option<&Value>) -> Option<String> {
    let data = data?;
    let word = |name: &str| data.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    match kind {
        "CAA" => Some(format!("{} {} \"{}\"", word("flags")?, word("tag")?, word("value")?)),
        "SRV" => Some(format!("{} {} {}", word("weight")?, word("port")?, word("target")?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_full_and_lower_case() {
        let full = |name: &str| full_name(name, "example.com").ok();
        assert_eq!(full("@").as_deref(), Some("example.com"));
        assert_eq!(full("API.Bouquet").as_deref(), Some("api.bouquet.example.com"));
        assert_eq!(full("api.example.com.").as_deref(), Some("api.example.com"));
        assert_eq!(full("*.apps").as_deref(), Some("*.apps.example.com"));
        assert_eq!(full("notexample.com").as_deref(), Some("notexample.com.example.com"));
        for wrong in ["", "a..b", "-a", "a b", "a.*", &"x".repeat(64)] {
            assert_eq!(full(wrong), None, "{wrong}");
        }
    }
}
