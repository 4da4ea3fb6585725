//! What the zones' name servers answer.

use super::record::Record;
use super::zone::Zone;
use super::{Authority, NEGATIVE_TTL_S};
use std::net::{IpAddr, Ipv4Addr};

/// TTL of automatic records and of everything that is proxied, in seconds.
const AUTO_TTL_S: u32 = 300;
/// The longest chain of CNAMEs that is followed.
const CHAIN_MAX: usize = 8;
/// Two of Cloudflare's own addresses, which a proxied name answers instead of its content.
const ANYCAST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(104, 21, 32, 1)), IpAddr::V4(Ipv4Addr::new(172, 67, 180, 1))];

pub(super) fn authority(zones: &[Zone], name: &str) -> Authority {
    let mut name = name.trim_end_matches('.').to_ascii_lowercase();
    let mut ttl = u32::MAX;
    for _ in 0..CHAIN_MAX {
        let Some(zone) = zones.iter().find(|zone| holds(zone, &name)) else { return Authority::NotHere };
        let found = records(zone, &name);
        if found.iter().any(|record| record.proxied) {
            return Authority::Addresses(ANYCAST.to_vec(), ttl.min(AUTO_TTL_S));
        }
        let addresses: Vec<IpAddr> = found
            .iter()
            .filter(|record| matches!(record.kind.as_str(), "A" | "AAAA"))
            .filter_map(|record| record.content.parse().ok())
            .collect();
        if let Some(least) = found.iter().map(|record| seconds(record)).min().filter(|_| !addresses.is_empty()) {
            return Authority::Addresses(addresses, ttl.min(least));
        }
        let Some(alias) = found.into_iter().find(|record| record.kind == "CNAME") else {
            return Authority::NoSuchName(ttl.min(NEGATIVE_TTL_S));
        };
        ttl = ttl.min(seconds(alias));
        name.clone_from(&alias.content);
    }
    Authority::NoSuchName(ttl.min(NEGATIVE_TTL_S))
}

fn holds(zone: &Zone, name: &str) -> bool {
    name == zone.name || name.strip_suffix(&zone.name).is_some_and(|rest| rest.ends_with('.'))
}

fn seconds(record: &Record) -> u32 {
    if record.ttl == 1 { AUTO_TTL_S } else { record.ttl }
}

/// The records of a name, or of the wildcard that speaks for it: the one below the longest name that exists.
fn records<'a>(zone: &'a Zone, name: &str) -> Vec<&'a Record> {
    let of = |wanted: &str| zone.records.values().filter(|record| record.name == wanted).collect::<Vec<_>>();
    let exists = |wanted: &str| {
        let below = format!(".{wanted}");
        zone.records.values().any(|record| record.name == wanted || record.name.ends_with(&below))
    };
    if exists(name) {
        return of(name);
    }
    let mut encloser = name;
    while let Some((_, parent)) = encloser.split_once('.').filter(|_| encloser != zone.name) {
        encloser = parent;
        if encloser == zone.name || exists(encloser) {
            return of(&format!("*.{encloser}"));
        }
    }
    Vec::new()
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

    #[test]
    fn an_alias_inside_the_zone_is_followed_and_the_least_ttl_counts() {
        let zones = zone(&[
            json!({"type": "CNAME", "name": "web", "content": "lb.example.com", "ttl": 60}),
            json!({"type": "A", "name": "lb", "content": "192.0.2.1", "ttl": 120}),
            json!({"type": "CNAME", "name": "out", "content": "elsewhere.example.org"}),
            json!({"type": "CNAME", "name": "ring", "content": "ring2.example.com"}),
            json!({"type": "CNAME", "name": "ring2", "content": "ring.example.com"}),
        ]);
        let address = "192.0.2.1".parse().unwrap();
        assert_eq!(authority(&zones, "WEB.example.com."), Authority::Addresses(vec![address], 60));
        assert_eq!(authority(&zones, "out.example.com"), Authority::NotHere);
        assert_eq!(authority(&zones, "ring.example.com"), Authority::NoSuchName(300));
        assert_eq!(authority(&zones, "nothing.example.com"), Authority::NoSuchName(1800));
        assert_eq!(authority(&zones, "notexample.com"), Authority::NotHere);
    }

    #[test]
    fn a_wildcard_speaks_only_for_names_below_which_nothing_is() {
        let zones = zone(&[
            json!({"type": "A", "name": "*", "content": "192.0.2.9"}),
            json!({"type": "TXT", "name": "a.b", "content": "x"}),
        ]);
        let address = "192.0.2.9".parse().unwrap();
        assert_eq!(authority(&zones, "x.y.example.com"), Authority::Addresses(vec![address], 300));
        assert_eq!(authority(&zones, "b.example.com"), Authority::NoSuchName(1800), "an empty name that exists");
        assert_eq!(authority(&zones, "c.b.example.com"), Authority::NoSuchName(1800));
    }

    #[test]
    fn one_proxied_record_hides_the_whole_name() {
        let zones = zone(&[
            json!({"type": "A", "name": "web", "content": "192.0.2.1", "proxied": true, "ttl": 60}),
            json!({"type": "A", "name": "web", "content": "192.0.2.2", "ttl": 60}),
        ]);
        assert_eq!(authority(&zones, "web.example.com"), Authority::Addresses(ANYCAST.to_vec(), 300));
    }
}
