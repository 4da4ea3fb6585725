//! Which records a list asks for, and in which order.

use super::Lies;
use super::record::Record;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Whether a record fits the query: every filter that is given, or with `match=any` one of them.
pub(super) fn fits(record: &Record, query: &BTreeMap<String, String>, lies: &Lies) -> bool {
    let mut given = query.iter().filter_map(|(key, wanted)| one(record, key, &wanted.to_lowercase(), lies));
    if query.get("match").is_some_and(|how| how == "any") {
        let mut given = given.peekable();
        given.peek().is_none() || given.any(|fits| fits)
    } else {
        given.all(|fits| fits)
    }
}

/// What one query parameter says of the record; `None` if it is no filter. Filters do not regard case.
fn one(record: &Record, key: &str, wanted: &str, lies: &Lies) -> Option<bool> {
    let (field, how) = key.split_once('.').unwrap_or((key, "exact"));
    let comment = record.comment.as_deref();
    let value = match field {
        "type" => record.kind.to_lowercase(),
        "proxied" => record.proxied.to_string(),
        "name" => record.name.clone(),
        "content" => record.content.to_lowercase(),
        "comment" if how == "present" => return Some(comment.is_some()),
        "comment" if how == "absent" => return Some(comment.is_none()),
        "comment" => comment.unwrap_or_default().to_lowercase(),
        "search" => format!("{} {} {}", record.name, record.content, comment.unwrap_or_default()).to_lowercase(),
        // No record of a Free zone has tags.
        "tag" => return Some(how == "absent"),
        _ => return None,
    };
    Some(match how {
        _ if field == "search" => value.contains(wanted),
        "exact" if field == "name" && lies.contains("cloudflare-names-by-prefix") => value.starts_with(wanted),
        "exact" => value == wanted,
        "contains" => value.contains(wanted),
        "startswith" => value.starts_with(wanted),
        "endswith" => value.ends_with(wanted),
        _ => return None,
    })
}

/// The order of two records; by type, and then by name, where nothing else is asked.
pub(super) fn compare(a: &Record, b: &Record, query: &BTreeMap<String, String>) -> Ordering {
    let order = match query.get("order").map(String::as_str) {
        Some("name") => a.name.cmp(&b.name),
        Some("content") => a.content.cmp(&b.content),
        Some("ttl") => a.ttl.cmp(&b.ttl),
        Some("proxied") => a.proxied.cmp(&b.proxied),
        _ => a.kind.cmp(&b.kind),
    };
    let order = order.then_with(|| a.name.cmp(&b.name)).then_with(|| a.id.cmp(&b.id));
    if query.get("direction").is_some_and(|direction| direction == "desc") { order.reverse() } else { order }
}
