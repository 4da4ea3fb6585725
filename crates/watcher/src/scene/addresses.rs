//! Addresses that may be published, and those that may not.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use thiserror::Error;

/// An address range. Its base has no bits beyond the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    base: IpAddr,
    prefix: u8,
}

/// Why a text is no address range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadRange {
    /// Not `address/prefix`, nor an address alone.
    #[error("write a range such as 203.0.113.0/24 or 2001:db8::/32")]
    Form,
    /// The prefix is longer than the address.
    #[error("a prefix has at most {0} bits")]
    Prefix(u8),
    /// The address has bits beyond the prefix.
    #[error("the address has bits beyond the prefix: write {0}")]
    HostBits(Range),
}

impl Range {
    const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Range { base: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Self {
        Range { base: IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)), prefix }
    }

    /// Whether it holds the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.base.is_ipv4() && masked(address, self.prefix) == self.base
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl FromStr for Range {
    type Err = BadRange;

    /// `address/prefix`, or an address alone.
    fn from_str(text: &str) -> Result<Self, BadRange> {
        let (address, prefix) = text.trim().split_once('/').map_or((text.trim(), None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| BadRange::Form)?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = prefix.map_or(Ok(whole), str::parse).map_err(|_| BadRange::Form)?;
        if prefix > whole {
            return Err(BadRange::Prefix(whole));
        }
        let base = masked(address, prefix);
        if base == address { Ok(Range { base, prefix }) } else { Err(BadRange::HostBits(Range { base, prefix })) }
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

/// Global unicast, the only IPv6 space that anybody routes (RFC 4291 §2.4; IANA ipv6-unicast-address-assignments).
const GLOBAL: Range = Range::v6(0x2000, 0, 0, 3);

/// What nobody outside can reach, or nobody should be sent to, and what it is.
/// IANA's special-purpose registries (iana-ipv4-special-registry, iana-ipv6-special-registry, as of 2026-10) and multicast.
const SPECIAL: &[(Range, &str)] = &[
    (Range::v4(0, 0, 0, 0, 8), "an address of no network"),
    (Range::v4(10, 0, 0, 0, 8), "private"),
    (Range::v4(100, 64, 0, 0, 10), "of the mesh or of a carrier's NAT"),
    (Range::v4(127, 0, 0, 0, 8), "loopback"),
    (Range::v4(169, 254, 0, 0, 16), "link-local"),
    (Range::v4(172, 16, 0, 0, 12), "private"),
    (Range::v4(192, 0, 0, 0, 24), "reserved for protocols"),
    (Range::v4(192, 0, 2, 0, 24), "for documentation"),
    (Range::v4(192, 31, 196, 0, 24), "reserved for protocols"),
    (Range::v4(192, 52, 193, 0, 24), "reserved for protocols"),
    (Range::v4(192, 88, 99, 0, 24), "a relay of 6to4"),
    (Range::v4(192, 168, 0, 0, 16), "private"),
    (Range::v4(192, 175, 48, 0, 24), "reserved for protocols"),
    (Range::v4(198, 18, 0, 0, 15), "for benchmarks"),
    (Range::v4(198, 51, 100, 0, 24), "for documentation"),
    (Range::v4(203, 0, 113, 0, 24), "for documentation"),
    (Range::v4(224, 0, 0, 0, 4), "multicast"),
    (Range::v4(240, 0, 0, 0, 4), "reserved"),
    (Range::v6(0x2001, 0, 0, 23), "reserved for protocols"),
    (Range::v6(0x2001, 0xdb8, 0, 32), "for documentation"),
    (Range::v6(0x2002, 0, 0, 16), "of 6to4"),
    (Range::v6(0x2620, 0x4f, 0x8000, 48), "reserved for protocols"),
    (Range::v6(0x3fff, 0, 0, 20), "for documentation"),
    (Range::v6(0xfc00, 0, 0, 7), "private or of the mesh"),
    (Range::v6(0xfe80, 0, 0, 10), "link-local"),
    (Range::v6(0xff00, 0, 0, 8), "multicast"),
];

/// Cloudflare's own, which a record of ours can only point to by mistake: a proxied name would send them round in circles.
/// <https://www.cloudflare.com/ips-v4> and `ips-v6`, as of 2026-10; the list last changed in 2023.
const CLOUDFLARE: &[Range] = &[
    Range::v4(103, 21, 244, 0, 22),
    Range::v4(103, 22, 200, 0, 22),
    Range::v4(103, 31, 4, 0, 22),
    Range::v4(104, 16, 0, 0, 13),
    Range::v4(104, 24, 0, 0, 14),
    Range::v4(108, 162, 192, 0, 18),
    Range::v4(131, 0, 72, 0, 22),
    Range::v4(141, 101, 64, 0, 18),
    Range::v4(162, 158, 0, 0, 15),
    Range::v4(172, 64, 0, 0, 13),
    Range::v4(173, 245, 48, 0, 20),
    Range::v4(188, 114, 96, 0, 20),
    Range::v4(190, 93, 240, 0, 20),
    Range::v4(197, 234, 240, 0, 22),
    Range::v4(198, 41, 128, 0, 17),
    Range::v6(0x2400, 0xcb00, 0, 32),
    Range::v6(0x2405, 0x8100, 0, 32),
    Range::v6(0x2405, 0xb500, 0, 32),
    Range::v6(0x2606, 0x4700, 0, 32),
    Range::v6(0x2803, 0xf800, 0, 32),
    Range::v6(0x2a06, 0x98c0, 0, 29),
    Range::v6(0x2c0f, 0xf248, 0, 32),
];

/// What is wrong with publishing an address, if anything: the end of a sentence that begins with "it is".
pub(super) fn objection(address: IpAddr, allowed: &[Range]) -> Option<&'static str> {
    if allowed.iter().any(|range| range.contains(address)) {
        return None;
    }
    if let Some((_, what)) = SPECIAL.iter().find(|(range, _)| range.contains(address)) {
        return Some(what);
    }
    if address.is_ipv6() && !GLOBAL.contains(address) {
        return Some("no global unicast address");
    }
    CLOUDFLARE.iter().any(|range| range.contains(address)).then_some("one of Cloudflare's own")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn objects(address: &str) -> Option<&'static str> {
        objection(address.parse().unwrap(), &[])
    }

    /// The first and the last of a range.
    fn edges(range: &Range) -> [IpAddr; 2] {
        let last = match range.base {
            IpAddr::V4(base) => {
                let rest = u32::MAX.checked_shr(range.prefix.into()).unwrap_or(0);
                Ipv4Addr::from_bits(base.to_bits() | rest).into()
            }
            IpAddr::V6(base) => {
                let rest = u128::MAX.checked_shr(range.prefix.into()).unwrap_or(0);
                Ipv6Addr::from_bits(base.to_bits() | rest).into()
            }
        };
        [range.base, last]
    }

    #[test]
    fn every_special_range_is_refused_at_both_edges() {
        for range in SPECIAL.iter().map(|(range, _)| range).chain(CLOUDFLARE) {
            for edge in edges(range) {
                assert!(objection(edge, &[]).is_some(), "{edge} of {range}");
                assert_eq!(objection(edge, &[*range]), None, "{edge} is allowed");
            }
            assert_eq!(masked(range.base, range.prefix), range.base, "{range} has bits beyond its prefix");
        }
    }

    #[test]
    fn what_lies_just_outside_is_published() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "172.63.255.255",
            "172.72.0.0",
            "104.15.255.255",
            "104.28.0.0",
            "2001:200::",
            "2001:db7:ffff::",
            "2001:db9::",
            "2003::",
            "2a01:4f8::1",
            "3ffe:ffff::1",
        ] {
            assert_eq!(objects(address), None, "{address}");
        }
    }

    #[test]
    fn addresses_of_no_global_scope_are_refused() {
        for address in [
            "::",
            "::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1",
            "100::1",
            "fd7a:115c:a1e0::1",
            "fe80::1",
            "fec0::1",
            "5f00::1",
            "4000::",
        ] {
            assert!(objects(address).is_some(), "{address}");
        }
        assert!(objects("100.100.100.100").is_some_and(|what| what.contains("mesh")));
        assert!(objects("255.255.255.255").is_some());
    }

    #[test]
    fn ranges_are_read_as_people_write_them() {
        for (text, read) in [
            ("10.0.0.0/8", Ok("10.0.0.0/8")),
            (" 192.0.2.7 ", Ok("192.0.2.7/32")),
            ("2001:db8::/32", Ok("2001:db8::/32")),
            ("::/0", Ok("::/0")),
            ("0.0.0.0/0", Ok("0.0.0.0/0")),
            ("10.0.0.0/33", Err(BadRange::Prefix(32))),
            ("10.0.0.0/", Err(BadRange::Form)),
            ("ten", Err(BadRange::Form)),
            ("10.1.0.0/8", Err(BadRange::HostBits(Range::v4(10, 0, 0, 0, 8)))),
        ] {
            assert_eq!(text.parse::<Range>().map(|range| range.to_string()), read.map(str::to_owned), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_in_every_range_made_of_it(bits in any::<u128>(), prefix in 0_u8..=128) {
            let address = IpAddr::from(Ipv6Addr::from_bits(bits));
            let range = Range { base: masked(address, prefix), prefix };
            prop_assert!(range.contains(address));
            prop_assert_eq!(range.to_string().parse::<Range>(), Ok(range));
        }
    }
}
