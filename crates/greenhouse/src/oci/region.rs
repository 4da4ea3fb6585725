//! Regions, their availability domains and fault domains.

/// A region, as far as the tenancy knows it.
pub(super) struct Region {
    pub name: &'static str,
    /// Three letters, upper case.
    pub key: &'static str,
    /// Availability domains, numbered from 1.
    pub domains: u8,
    /// Whether the tenancy has subscribed to it; elsewhere nobody knows the tenancy's users.
    pub subscribed: bool,
}

/// All regions of this world; the first is the tenancy's home.
pub(super) const REGIONS: &[Region] = &[
    Region { name: "eu-frankfurt-1", key: "FRA", domains: 3, subscribed: true },
    Region { name: "eu-amsterdam-1", key: "AMS", domains: 1, subscribed: true },
    Region { name: "uk-london-1", key: "LHR", domains: 3, subscribed: false },
];

/// Fault domains of every availability domain.
pub(super) const FAULT_DOMAINS: &[&str] = &["FAULT-DOMAIN-1", "FAULT-DOMAIN-2", "FAULT-DOMAIN-3"];

impl Region {
    /// Names of the availability domains: `FeVO:EU-FRANKFURT-1-AD-1`. The prefix is the tenancy's own.
    pub(super) fn availability_domains(&self, prefix: &str) -> Vec<String> {
        (1..=self.domains).map(|number| format!("{prefix}:{}-AD-{number}", self.name.to_uppercase())).collect()
    }

    /// Whether this is where the tenancy lives.
    pub(super) fn is_home(&self) -> bool {
        REGIONS.first().is_some_and(|home| home.name == self.name)
    }
}
