//! What the zones' name servers answer.

use super::NEGATIVE_TTL_S;
use super::record::Record;
use super::zone::Zone;
use crate::dns::message::{Data, Row, kind};
use std::net::{Ipv4Addr, Ipv6Addr};

/// TTL of automatic records and of everything that is proxied, in seconds.
const AUTO_TTL_S: u32 = 300;
/// TTL of the name servers' own records, in seconds.
const SERVERS_TTL_S: u32 = 86_400;
/// TTL of what is answered in place of everything (RFC 8482), in seconds.
const EVERYTHING_TTL_S: u32 = 3789;
/// The longest chain of CNAMEs that is followed.
const CHAIN_MAX: usize = 8;
/// Two of Cloudflare's own addresses of each family, which a proxied name answers instead of its content.
const ANYCAST: [Ipv4Addr; 2] = [Ipv4Addr::new(104, 21, 32, 1), Ipv4Addr::new(172, 67, 180, 1)];
const ANYCAST_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0x2606, 0x4700, 0x3030, 0, 0, 0, 0x6815, 0x2001),
    Ipv6Addr::new(0x2606, 0x4700, 0x3037, 0, 0, 0, 0xac43, 0xb401),
];
/// The name servers of every zone of the account.
pub(super) const SERVERS: [&str; 2] = ["dora.ns.cloudflare.com", "ivan.ns.cloudflare.com"];

/// What an authoritative server says of a name and a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Aliases first, in the order in which they lead on; then the records, if there are any.
    pub rows: Vec<Row>,
    pub end: End,
}

/// How what is said ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With the records that were asked for.
    Found,
    /// The last name exists, without such a record; the zone's start says how long that may be remembered.
    NoData(Row),
    /// The last name does not exist.
    NoSuchName(Row),
    /// An alias leads to this name, of which these servers know nothing, or round in a circle.
    Elsewhere(String),
}

/// `None` if no zone of the account holds the name.
pub(super) fn answer(zones: &[Zone], name: &str, asked: u16) -> Option<Said> {
    let (mut name, mut rows) = (name.trim_end_matches('.').to_ascii_lowercase(), Vec::new());
    let zone = zones.iter().find(|zone| holds(zone, &name))?;
    for _ in 0..CHAIN_MAX {
        if !holds(zone, &name) {
            break;
        }
        let Some(found) = records(zone, &name) else {
            return Some(Said { rows, end: End::NoSuchName(start(zone)) });
        };
        let alias = found.iter().find(|record| record.kind == "CNAME" && !record.proxied);
        // The zone itself cannot be an alias: Cloudflare answers what it would lead to.
        if let Some(alias) = alias.filter(|_| asked != kind::CNAME && asked != kind::ANY && name != zone.name) {
            let next = alias.content.clone();
            let owner = std::mem::replace(&mut name, next.clone());
            rows.push(Row { name: owner, ttl_s: seconds(alias), data: Data::Alias(next) });
            continue;
        }
        let mut own = of_kind(zone, &name, &found, asked);
        if let (Some(alias), true, true) = (alias, name == zone.name, own.is_empty()) {
            let flat = answer(zones, &alias.content, asked).map(|said| said.rows).unwrap_or_default();
            let flat = flat.into_iter().filter(|row| row.data.kind() == asked);
            own = flat.map(|row| Row { name: name.clone(), ..row }).collect();
        }
        let end = if own.is_empty() { End::NoData(start(zone)) } else { End::Found };
        rows.extend(own);
        return Some(Said { rows, end });
    }
    Some(Said { rows, end: End::Elsewhere(name) })
}

fn holds(zone: &Zone, name: &str) -> bool {
    name == zone.name || name.strip_suffix(&zone.name).is_some_and(|rest| rest.ends_with('.'))
}

fn seconds(record: &Record) -> u32 {
    if record.ttl == 1 { AUTO_TTL_S } else { record.ttl }
}

fn start(zone: &Zone) -> Row {
    let [server, _] = SERVERS;
    let data = Data::Start(server.into(), "dns.cloudflare.com".into(), zone.serial, NEGATIVE_TTL_S);
    Row { name: zone.name.clone(), ttl_s: NEGATIVE_TTL_S, data }
}

/// What a name itself has of a type.
fn of_kind(zone: &Zone, name: &str, found: &[&Record], asked: u16) -> Vec<Row> {
    let row = |ttl_s, data| Row { name: name.to_owned(), ttl_s, data };
    let (is_apex, is_proxied) = (name == zone.name, found.iter().any(|record| record.proxied));
    match asked {
        kind::ANY => vec![row(EVERYTHING_TTL_S, Data::Host("RFC8482".into(), String::new()))],
        kind::SOA if is_apex => vec![start(zone)],
        kind::NS if is_apex => SERVERS.map(|server| row(SERVERS_TTL_S, Data::NameServer(server.into()))).into(),
        kind::A if is_proxied => ANYCAST.map(|address| row(AUTO_TTL_S, Data::A(address))).into(),
        kind::AAAA if is_proxied => ANYCAST_V6.map(|address| row(AUTO_TTL_S, Data::Aaaa(address))).into(),
        kind::CNAME if is_apex || is_proxied => Vec::new(),
        _ => {
            let rows = found.iter().filter_map(|record| Some(row(seconds(record), record.data()?)));
            rows.filter(|row| row.data.kind() == asked).collect()
        }
    }
}

/// The records of a name, or of the wildcard that speaks for it: the one below the longest name that exists. None if there
/// is no such name.
fn records<'a>(zone: &'a Zone, name: &str) -> Option<Vec<&'a Record>> {
    let of = |wanted: &str| zone.records.values().filter(|record| record.name == wanted).collect::<Vec<_>>();
    let exists = |wanted: &str| {
        let below = format!(".{wanted}");
        wanted == zone.name
            || zone.records.values().any(|record| record.name == wanted || record.name.ends_with(&below))
    };
    if exists(name) {
        return Some(of(name));
    }
    let mut encloser = name;
    while let Some((_, parent)) = encloser.split_once('.').filter(|_| encloser != zone.name) {
        encloser = parent;
        if exists(encloser) {
            return Some(of(&format!("*.{encloser}"))).filter(|found| !found.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::Lies;
    use super::*;
    use serde_json::{Value, json};

    fn zone(records: &[Value]) -> Vec<Zone> {
        let mut zone = Zone::new("z".into(), "example.com");
        for (at, draft) in records.iter().enumerate() {
            let record =
                Record::read(draft, None, "example.com", at.to_string(), jiff::Timestamp::UNIX_EPOCH, &Lies::new());
            zone.insert(record.unwrap(), &Lies::new()).unwrap();
        }
        vec![zone]
    }

    /// `name ttl content` of each row, and how it ended.
    fn ask(zones: &[Zone], name: &str, kind: u16) -> (Vec<String>, &'static str) {
        let Some(said) = answer(zones, name, kind) else { return (Vec::new(), "not here") };
        let rows = said.rows.iter().map(|row| {
            let content = match &row.data {
                Data::A(address) => address.to_string(),
                Data::Aaaa(address) => address.to_string(),
                Data::Alias(name) => name.clone(),
                other => format!("{other:?}"),
            };
            format!("{} {} {content}", row.name, row.ttl_s)
        });
        let end = match said.end {
            End::Found => "found",
            End::NoData(_) => "no data",
            End::NoSuchName(_) => "no such name",
            End::Elsewhere(_) => "elsewhere",
        };
        (rows.collect(), end)
    }

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn an_alias_inside_the_zone_is_followed() {
        let zones = zone(&[
            json!({"type": "CNAME", "name": "web", "content": "lb.example.com", "ttl": 60}),
            json!({"type": "A", "name": "lb", "content": "192.0.2.1", "ttl": 120}),
            json!({"type": "CNAME", "name": "out", "content": "elsewhere.example.org"}),
            json!({"type": "CNAME", "name": "ring", "content": "ring2.example.com"}),
            json!({"type": "CNAME", "name": "ring2", "content": "ring.example.com"}),
        ]);
        let chain = lines(&["web.example.com 60 lb.example.com", "lb.example.com 120 192.0.2.1"]);
        assert_eq!(ask(&zones, "WEB.example.com.", kind::A), (chain.clone(), "found"));
        assert_eq!(ask(&zones, "web.example.com", kind::AAAA), (chain[..1].to_vec(), "no data"));
        assert_eq!(ask(&zones, "web.example.com", kind::CNAME), (chain[..1].to_vec(), "found"));
        let out = lines(&["out.example.com 300 elsewhere.example.org"]);
        assert_eq!(ask(&zones, "out.example.com", kind::A), (out, "elsewhere"));
        assert_eq!(ask(&zones, "ring.example.com", kind::A).1, "elsewhere");
        assert_eq!(ask(&zones, "nothing.example.com", kind::A).1, "no such name");
        assert_eq!(ask(&zones, "example.com", kind::A).1, "no data");
        assert_eq!(ask(&zones, "notexample.com", kind::A).1, "not here");
    }

    #[test]
    fn a_wildcard_speaks_only_for_names_below_which_nothing_is() {
        let zones = zone(&[
            json!({"type": "A", "name": "*", "content": "192.0.2.9"}),
            json!({"type": "TXT", "name": "a.b", "content": "x"}),
        ]);
        assert_eq!(ask(&zones, "x.y.example.com", kind::A).0, ["x.y.example.com 300 192.0.2.9"]);
        assert_eq!(ask(&zones, "b.example.com", kind::A).1, "no data", "an empty name that exists");
        assert_eq!(ask(&zones, "c.b.example.com", kind::A).1, "no such name");
    }

    #[test]
    fn one_proxied_record_hides_the_whole_name() {
        let zones = zone(&[
            json!({"type": "A", "name": "web", "content": "192.0.2.1", "proxied": true, "ttl": 60}),
            json!({"type": "A", "name": "web", "content": "192.0.2.2", "ttl": 60}),
        ]);
        let anycast = ANYCAST.map(|address| format!("web.example.com 300 {address}"));
        assert_eq!(ask(&zones, "web.example.com", kind::A).0, anycast);
        assert_eq!(ask(&zones, "web.example.com", kind::AAAA).0.len(), 2);
    }

    #[test]
    fn a_zone_that_is_an_alias_answers_what_that_leads_to() {
        let zones = zone(&[
            json!({"type": "CNAME", "name": "@", "content": "lb.example.com"}),
            json!({"type": "A", "name": "lb", "content": "192.0.2.1", "ttl": 60}),
        ]);
        assert_eq!(ask(&zones, "example.com", kind::A).0, ["example.com 60 192.0.2.1"]);
        assert_eq!(ask(&zones, "example.com", kind::CNAME).1, "no data");
    }
}
