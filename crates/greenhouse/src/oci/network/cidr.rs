//! Address ranges.

use super::super::reply::Refusal;
use std::net::{IpAddr, Ipv4Addr};

/// A range, its base address without host bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cidr {
    base: IpAddr,
    len: u8,
}

impl Cidr {
    /// Reads `10.0.0.0/16`; host bits must be zero.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let wrong = || Refusal::invalid(format!("The requested CIDR {text} is invalid"));
        let (base, len) = text.split_once('/').ok_or_else(wrong)?;
        let (base, len): (IpAddr, u8) = (base.parse().map_err(|_| wrong())?, len.parse().map_err(|_| wrong())?);
        let cidr = Cidr { base, len };
        if len > cidr.width() || bits(base) & !cidr.mask() != 0 { Err(wrong()) } else { Ok(cidr) }
    }

    /// Reads a range of a VCN or subnet: IPv4, /16 to /30.
    pub(super) fn parse_network(text: &str) -> Result<Self, Refusal> {
        let cidr = Cidr::parse(text)?;
        if cidr.base.is_ipv4() && (16..=30).contains(&cidr.len) {
            Ok(cidr)
        } else {
            Err(Refusal::invalid(format!("The requested CIDR {text} is invalid: the prefix must be /16 to /30")))
        }
    }

    fn width(self) -> u8 {
        if self.base.is_ipv4() { 32 } else { 128 }
    }

    fn mask(self) -> u128 {
        let host_bits = u32::from(self.width().saturating_sub(self.len));
        u128::MAX.checked_shl(host_bits).unwrap_or(0)
    }

    pub(super) fn contains(self, address: IpAddr) -> bool {
        self.base.is_ipv4() == address.is_ipv4() && bits(address) & self.mask() == bits(self.base)
    }

    pub(super) fn covers(self, other: Cidr) -> bool {
        self.len <= other.len && self.contains(other.base)
    }

    pub(super) fn overlaps(self, other: Cidr) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// IPv4 addresses that a host may have: the vendor keeps the first two and the last.
    pub(super) fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        let first = match self.base {
            IpAddr::V4(base) => u32::from(base),
            IpAddr::V6(_) => 0,
        };
        let size = 1u32.checked_shl(u32::from(32u8.saturating_sub(self.len))).unwrap_or(0);
        (2..size.saturating_sub(1)).map(move |offset| Ipv4Addr::from(first.wrapping_add(offset)))
    }

    /// The subnet's router.
    pub(super) fn router(self) -> Option<Ipv4Addr> {
        match self.base {
            IpAddr::V4(base) => Some(Ipv4Addr::from(u32::from(base).wrapping_add(1))),
            IpAddr::V6(_) => None,
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_compared_and_walked() {
        let outer = Cidr::parse_network("10.0.0.0/16").unwrap();
        let inner = Cidr::parse_network("10.0.4.0/30").unwrap();
        assert!(outer.covers(inner) && outer.overlaps(inner) && inner.overlaps(outer) && !inner.covers(outer));
        assert_eq!(inner.hosts().collect::<Vec<_>>(), [Ipv4Addr::new(10, 0, 4, 2)]);
        assert_eq!(inner.router(), Some(Ipv4Addr::new(10, 0, 4, 1)));
        assert!(Cidr::parse("0.0.0.0/0").unwrap().contains(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1))));
        assert!(!Cidr::parse("::/0").unwrap().contains(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1))));
        for wrong in ["10.0.0.1/16", "10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/8/8"] {
            assert!(Cidr::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Cidr::parse_network("10.0.0.0/8").is_err() && Cidr::parse_network("10.0.0.0/31").is_err());
    }
}
