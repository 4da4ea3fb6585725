//! Address ranges as machine configurations write them.

use std::net::IpAddr;

/// `100.64.0.0/10`, a bare address, or either with `!` before it, which takes addresses away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subnet {
    pub negated: bool,
    base: IpAddr,
    bits: u8,
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}/{}", if self.negated { "!" } else { "" }, self.base, self.bits)
    }
}

impl Subnet {
    pub(super) fn read(text: &str) -> Option<Self> {
        let (negated, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (bits <= most).then_some(Subnet { negated, base, bits })
    }

    /// Whether the address lies in the range, whatever the sign.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits);
                (u32::from(base) ^ u32::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.bits);
                (u128::from(base) ^ u128::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// Those of `addresses` that the ranges let through: in one of the positive ones (if there are any) and in none
    /// of the negated ones.
    pub(super) fn filter(ranges: &[Subnet], addresses: &[IpAddr]) -> Vec<IpAddr> {
        let positive = ranges.iter().any(|range| !range.negated);
        let passes = |address: &IpAddr| {
            let hit = |negated| ranges.iter().any(|range| range.negated == negated && range.contains(*address));
            (!positive || hit(false)) && !hit(true)
        };
        addresses.iter().copied().filter(passes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        let mesh = Subnet::read("100.64.0.0/10").unwrap();
        assert!(mesh.contains("100.127.255.255".parse().unwrap()));
        assert!(!mesh.contains("100.128.0.0".parse().unwrap()));
        assert!(Subnet::read("0.0.0.0/0").unwrap().contains("203.0.113.1".parse().unwrap()));
        assert!(Subnet::read("2001:db8::/64").unwrap().contains("2001:db8::7".parse().unwrap()));
        for wrong in ["", "100.64.0.0/33", "100.64/10", "mesh"] {
            assert_eq!(Subnet::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_exclusion_takes_away_from_what_is_included() {
        let all: Vec<IpAddr> = ["10.0.0.1", "100.64.0.1", "100.64.0.2"].map(|text| text.parse().unwrap()).into();
        let ranges = [Subnet::read("100.64.0.0/10").unwrap(), Subnet::read("!100.64.0.2").unwrap()];
        assert_eq!(Subnet::filter(&ranges, &all), [all[1]]);
        assert_eq!(Subnet::filter(&ranges[1..], &all), [all[0], all[1]]);
        assert_eq!(Subnet::filter(&[], &all), all);
    }
}
