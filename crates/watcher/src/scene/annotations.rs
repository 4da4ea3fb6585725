//! What annotations of routes ask for: external-dns' own words, older and newer, and ours.

use super::names::{host, shown};
use super::objects::{Note, Notes};

/// Seconds: what Cloudflare takes on any plan (API reference, DNS records, `ttl`).
const TTL_S: std::ops::RangeInclusive<u64> = 60..=86_400;
/// Cloudflare's "automatic".
const TTL_AUTOMATIC_S: u64 = 1;

/// What the annotations of one object ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asks {
    pub(super) is_excluded: bool,
    /// Names besides those of its rules.
    pub(super) hosts: Vec<String>,
    pub(super) ttl_s: Option<u32>,
    pub(super) proxied: Option<bool>,
    pub(super) pool: Option<String>,
}

/// Reads them, or says of each that cannot be read what is wrong. An object that is excluded has no faults.
pub(super) fn read(notes: &Notes) -> Result<Asks, Vec<String>> {
    let mut faults = Vec::new();
    let take = |note: Note, before: Option<Note>| {
        let newer = notes.get(note).map(|value| (note, value));
        newer.or_else(|| before.and_then(|note| notes.get(note).map(|value| (note, value))))
    };
    let (exclude, hostname) = (take(Note::Exclude, None), take(Note::Hostname, Some(Note::HostnameBefore)));
    let (ttl, pool) = (take(Note::Ttl, Some(Note::TtlBefore)), take(Note::Pool, None));
    let proxied = take(Note::Proxied, Some(Note::ProxiedBefore));

    let mut asks = Asks { is_excluded: read_one(exclude, switch, &mut faults).unwrap_or(false), ..Asks::default() };
    if asks.is_excluded {
        return Ok(asks);
    }
    asks.hosts = read_one(hostname, hosts, &mut faults).unwrap_or_default();
    asks.ttl_s = read_one(ttl, ttl_s, &mut faults);
    asks.proxied = read_one(proxied, switch, &mut faults);
    asks.pool = read_one(pool, pool_name, &mut faults);
    if faults.is_empty() { Ok(asks) } else { Err(faults) }
}

fn read_one<T>(
    written: Option<(Note, &str)>,
    read: impl Fn(&str) -> Result<T, String>,
    faults: &mut Vec<String>,
) -> Option<T> {
    let (note, value) = written?;
    let read = read(value.trim());
    read.map_err(|why| faults.push(format!("annotation {note}: `{}`: {why}", shown(value)))).ok()
}

/// Words for yes and no, as Go's `strconv.ParseBool` takes them, which external-dns reads with.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

fn hosts(list: &str) -> Result<Vec<String>, String> {
    let read = |written: &str| host(written).map_err(|why| format!("`{}` is no name: {why}", shown(written)));
    list.split(',').filter_map(|written| read(written).transpose()).collect()
}

fn pool_name(text: &str) -> Result<String, String> {
    let why = match host(text) {
        Ok(Some(name)) if !name.starts_with("*.") => return Ok(name),
        Ok(_) => "a pool is one name: write one such as lb.example.com".to_owned(),
        Err(why) => why.to_string(),
    };
    Err(why)
}

/// Seconds, or a duration as Go writes it, cut to whole seconds as external-dns does.
fn ttl_s(text: &str) -> Result<u32, String> {
    let seconds = if text.bytes().all(|c| c.is_ascii_digit()) { text.parse().ok() } else { duration_s(text) };
    let Some(seconds) = seconds else {
        return Err("write seconds or a duration, such as 300 or 5m".to_owned());
    };
    if seconds != TTL_AUTOMATIC_S && !TTL_S.contains(&seconds) {
        return Err("write 60 to 86400 seconds, or 1 for automatic".to_owned());
    }
    u32::try_from(seconds).map_err(|error| error.to_string())
}

/// Go's `time.ParseDuration`, without signs and without fractions of its units: `90s`, `1h30m`, `1500ms`.
fn duration_s(text: &str) -> Option<u64> {
    const UNITS: &[(&str, u64)] = &[("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000)];
    const PARTS: &[(&str, u64)] = &[("ms", 1_000_000), ("us", 1_000), ("µs", 1_000), ("ns", 1)];
    let mut rest = text;
    let mut total_ns = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(digits)?;
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, left) = after.split_at_checked(unit_end)?;
        let (_, ns) = UNITS.iter().chain(PARTS).find(|(name, _)| *name == unit)?;
        total_ns = total_ns.checked_add(number.parse::<u64>().ok()?.checked_mul(*ns)?)?;
        rest = left;
    }
    (!text.is_empty()).then_some(total_ns / 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn notes(annotations: &serde_json::Value) -> Notes {
        serde_json::from_value(annotations.clone()).unwrap()
    }

    #[test]
    fn both_prefixes_are_read_and_the_newer_wins() {
        let old = json!({
            "external-dns.alpha.kubernetes.io/hostname": "a.example, b.example.,",
            "external-dns.alpha.kubernetes.io/ttl": "2m",
            "external-dns.alpha.kubernetes.io/cloudflare-proxied": "true",
            "somebody.else/hostname": "c.example",
        });
        let asks = read(&notes(&old)).unwrap();
        assert_eq!(asks.hosts, ["a.example", "b.example"]);
        assert_eq!((asks.ttl_s, asks.proxied), (Some(120), Some(true)));
        let mut both = old;
        both["external-dns.kubernetes.io/ttl"] = "300".into();
        both["external-dns.kubernetes.io/cloudflare-proxied"] = "false".into();
        both["bouquet.dev/pool"] = "LB2.example".into();
        let asks = read(&notes(&both)).unwrap();
        assert_eq!((asks.ttl_s, asks.proxied, asks.pool.as_deref()), (Some(300), Some(false), Some("lb2.example")));
    }

    #[test]
    fn a_ttl_is_seconds_or_a_duration_within_what_dns_takes() {
        for (text, seconds) in [
            ("1", Some(1)),
            ("60", Some(60)),
            ("86400", Some(86_400)),
            ("90s", Some(90)),
            ("1h30m", Some(5400)),
            ("24h", Some(86_400)),
            ("61500ms", Some(61)),
            ("0", None),
            ("2", None),
            ("59", None),
            ("86401", None),
            ("-60", None),
            ("", None),
            ("1.5m", None),
            ("m", None),
            ("60 s", None),
            ("soon", None),
            ("99999999999999999999", None),
            ("99999999999999999h", None),
        ] {
            assert_eq!(ttl_s(text).ok(), seconds, "{text}");
        }
    }

    #[test]
    fn each_bad_annotation_is_told_with_its_key_and_a_remedy() {
        let bad = json!({
            "external-dns.kubernetes.io/hostname": "a.example,b_.example",
            "external-dns.alpha.kubernetes.io/ttl": "soon",
            "external-dns.kubernetes.io/cloudflare-proxied": "maybe",
            "bouquet.dev/pool": "*.example",
        });
        let faults = read(&notes(&bad)).unwrap_err();
        assert_eq!(faults.len(), 4);
        for (fault, (key, remedy)) in faults.iter().zip([
            ("external-dns.kubernetes.io/hostname", "write"),
            ("external-dns.alpha.kubernetes.io/ttl", "write"),
            ("external-dns.kubernetes.io/cloudflare-proxied", "write"),
            ("bouquet.dev/pool", "write"),
        ]) {
            assert!(fault.contains(key) && fault.contains(remedy), "{fault}");
        }
        assert!(read(&notes(&json!({"bouquet.dev/exclude": "perhaps"}))).is_err());
        let mut excluded = bad;
        excluded["bouquet.dev/exclude"] = "true".into();
        assert!(read(&notes(&excluded)).is_ok_and(|asks| asks.is_excluded), "who is left out may write anything");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,20}|[0-9hmsµn]{0,24}") {
            let annotations = json!({
                "external-dns.kubernetes.io/ttl": text, "external-dns.kubernetes.io/hostname": text,
                "bouquet.dev/pool": text,
            });
            let _ = read(&notes(&annotations));
        }
    }
}
