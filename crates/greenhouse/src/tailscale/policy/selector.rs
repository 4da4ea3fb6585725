//! Who and what a rule names: selectors and ports.

use super::is_tag;
use crate::tailscale::OWNER;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One end of a connection, as rules see it.
#[derive(Clone, Debug, Default)]
pub(in crate::tailscale) struct Party {
    pub addresses: Vec<IpAddr>,
    /// Login name of its user; tagged devices have none.
    pub user: Option<String>,
    pub tags: Vec<String>,
}

/// Addresses from the first to the last.
pub(super) type Range = (IpAddr, IpAddr);

pub(super) enum Selector {
    Any,
    User(String),
    Users(BTreeSet<String>),
    Tag(String),
    Addresses(Range),
    Autogroup(Autogroup),
}

pub(super) enum Autogroup {
    Member,
    Admin,
    Tagged,
    /// The devices of the source's own user.
    Own,
    /// Roles that nobody here has, and destinations that are no device.
    Nobody,
}

/// What a policy's own names stand for.
pub(super) struct Names<'a> {
    pub tag_owners: &'a BTreeMap<String, BTreeSet<String>>,
    pub groups: &'a BTreeMap<String, BTreeSet<String>>,
    pub hosts: &'a BTreeMap<String, Range>,
}

impl Names<'_> {
    pub(super) fn read(&self, text: &str) -> Result<Selector, String> {
        if matches!(text, "*" | "autogroup:danger-all") {
            return Ok(Selector::Any);
        }
        if let Some(name) = text.strip_prefix("autogroup:") {
            return autogroup(name).map(Selector::Autogroup).ok_or_else(|| format!("unknown autogroup {text:?}"));
        }
        if text.starts_with("tag:") {
            let known = is_tag(text) && self.tag_owners.contains_key(text);
            return known.then(|| Selector::Tag(text.to_owned())).ok_or_else(|| format!("tag not found: {text:?}"));
        }
        if text.starts_with("group:") {
            let group = self.groups.get(text).ok_or_else(|| format!("group not found: {text:?}"))?;
            return Ok(Selector::Users(group.clone()));
        }
        if let Some(range) = self.hosts.get(text).copied().or_else(|| range(text)) {
            return Ok(Selector::Addresses(range));
        }
        if text.contains('@') {
            return Ok(Selector::User(text.to_owned()));
        }
        Err(format!("invalid name: {text:?}"))
    }
}

fn autogroup(name: &str) -> Option<Autogroup> {
    Some(match name {
        "member" | "members" => Autogroup::Member,
        "admin" | "owner" => Autogroup::Admin,
        "tagged" => Autogroup::Tagged,
        "self" => Autogroup::Own,
        "it-admin" | "network-admin" | "billing-admin" | "auditor" | "shared" | "internet" | "nonroot" => {
            Autogroup::Nobody
        }
        _ => return None,
    })
}

impl Selector {
    /// Whether the party is meant; `source` is given where the party is a destination.
    pub(super) fn matches(&self, party: &Party, source: Option<&Party>) -> bool {
        let user = party.user.as_deref();
        match self {
            Selector::Any => true,
            Selector::User(name) => user == Some(name),
            Selector::Users(names) => user.is_some_and(|user| names.contains(user)),
            Selector::Tag(tag) => party.tags.contains(tag),
            Selector::Addresses((low, high)) => party.addresses.iter().any(|at| low <= at && at <= high),
            Selector::Autogroup(Autogroup::Member) => user.is_some(),
            Selector::Autogroup(Autogroup::Admin) => user == Some(OWNER),
            Selector::Autogroup(Autogroup::Tagged) => !party.tags.is_empty(),
            Selector::Autogroup(Autogroup::Own) => user.is_some() && source.is_some_and(|from| from.user == party.user),
            Selector::Autogroup(Autogroup::Nobody) => false,
        }
    }
}

/// An address, a prefix or `first-last`.
pub(super) fn range(text: &str) -> Option<Range> {
    if let Some((first, last)) = text.split_once('-') {
        let range: Range = (first.parse().ok()?, last.parse().ok()?);
        return (range.0 <= range.1 && range.0.is_ipv4() == range.1.is_ipv4()).then_some(range);
    }
    let Some((address, bits)) = text.split_once('/') else {
        let address: IpAddr = text.parse().ok()?;
        return Some((address, address));
    };
    let bits: u32 = bits.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(v4) if bits <= 32 => {
            let host = u32::MAX.checked_shr(bits).unwrap_or(0);
            let low = u32::from(v4) & !host;
            Some((Ipv4Addr::from(low).into(), Ipv4Addr::from(low | host).into()))
        }
        IpAddr::V6(v6) if bits <= 128 => {
            let host = u128::MAX.checked_shr(bits).unwrap_or(0);
            let low = u128::from(v6) & !host;
            Some((Ipv6Addr::from(low).into(), Ipv6Addr::from(low | host).into()))
        }
        _ => None,
    }
}

/// A set of ports: `*`, or numbers and ranges with commas between them.
#[derive(Clone, Debug)]
pub(super) struct Ports(Vec<(u16, u16)>);

impl Ports {
    pub(super) fn all() -> Self {
        Ports(vec![(0, u16::MAX)])
    }

    pub(super) fn none() -> Self {
        Ports(Vec::new())
    }

    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Ports::all());
        }
        let wrong = || format!("invalid port {text:?}");
        let one = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range: (u16, u16) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
            if range.0 <= range.1 { Ok(range) } else { Err(wrong()) }
        };
        text.split(',').map(one).collect::<Result<_, _>>().map(Ports)
    }

    pub(super) fn add(&mut self, more: &Ports) {
        self.0.extend(&more.0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contain(&self, port: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_holds_its_first_and_last_address_and_no_other() {
        let holds = |range: Range, text: &str| {
            let address: IpAddr = text.parse().unwrap();
            range.0 <= address && address <= range.1
        };
        let mesh = range("100.64.0.0/10").unwrap();
        assert!(holds(mesh, "100.64.0.0") && holds(mesh, "100.127.255.255"));
        assert!(!holds(mesh, "100.63.255.255") && !holds(mesh, "100.128.0.0"));
        let everything = range("0.0.0.0/0").unwrap();
        assert!(holds(everything, "255.255.255.255") && !holds(everything, "::1"));
        assert!(holds(range("10.0.0.1-10.0.0.3").unwrap(), "10.0.0.2"));
        for wrong in ["10.0.0.0/33", "10.0.0.3-10.0.0.1", "10.0.0.1-::1", "rose", ""] {
            assert!(range(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn ports_are_lists_of_ranges() {
        let ports = Ports::read("22,80-443").unwrap();
        assert!(ports.contain(22) && ports.contain(80) && ports.contain(443));
        assert!(!ports.contain(23) && !ports.contain(444));
        for wrong in ["", "a", "443-80", "65536", "80-"] {
            assert!(Ports::read(wrong).is_err(), "{wrong}");
        }
    }
}
