//! What should be in the zone.

use super::left::{Left, Reason};
use crate::scene::Host;
use spec::Publish;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What should be in the zone, and what the provider makes possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The cluster's name: records with another cluster's mark are foreign.
    pub cluster: String,
    /// The zone's own name.
    pub zone: String,
    /// The name that holds the serving nodes' addresses.
    pub pool: String,
    /// What stands at the hosts' own names. A host that names a pool is an alias either way.
    pub publish: Publish,
    /// Seconds, where a host says nothing else; 1 is "automatic" where there is such a thing.
    pub ttl_s: u32,
    /// Whether Cloudflare stands before it, where a host says nothing else.
    pub proxied: bool,
    /// Names that the cluster serves. Empty means that the list failed, never that there is none.
    pub hosts: BTreeMap<String, Host>,
    /// Whether every kind of route was listed whole: a host that is missing is gone, and not unknown.
    pub are_all: bool,
    /// Nodes' addresses that once were true and are no longer: the only records that go although no node has them.
    pub former: BTreeSet<(String, IpAddr)>,
    /// What the provider makes possible.
    pub keeper: Keeper,
}

/// What a provider makes possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeper {
    /// An alias may stand at the zone's own name, and is answered as what it leads to.
    pub alias_at_apex: bool,
    /// An alias may stand beside texts and mail exchangers.
    pub alias_beside: bool,
    /// It can stand before a name with addresses of its own, and knows an automatic TTL.
    pub proxies: bool,
    /// A change is refused unless the zone is as it was read. Elsewhere a change that is late may meet what it did not
    /// expect, and a list may be older than a change that was acknowledged; but ids are never given twice there.
    pub fenced: bool,
    /// Records that a zone may hold.
    pub records_most: Option<usize>,
}

/// The TTL where "automatic" is asked of a provider that has no such thing, in seconds: what Cloudflare's means.
const AUTO_TTL_S: u32 = 300;

/// What a record is beside what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub ttl_s: u32,
    pub proxied: bool,
}

/// What a name should hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Addresses(Style),
    Alias(String, Style),
}

impl Want {
    pub(super) fn style(&self) -> Style {
        match self {
            Want::Addresses(style) | Want::Alias(_, style) => *style,
        }
    }
}

/// What all names should hold.
#[derive(Default)]
pub(super) struct Wants {
    pub names: BTreeMap<String, Want>,
    /// Those of them that aliases lead to: they come first.
    pub pools: BTreeSet<String>,
    pub left: Vec<Left>,
}

impl Wish {
    /// Whether a name lies in the zone.
    pub fn holds(&self, name: &str) -> bool {
        name == self.zone || name.strip_suffix(&self.zone).is_some_and(|rest| rest.ends_with('.'))
    }

    fn style(&self, ttl_s: Option<u32>, proxied: Option<bool>) -> Style {
        let proxied = proxied.unwrap_or(self.proxied) && self.keeper.proxies;
        let ttl_s = match ttl_s.unwrap_or(self.ttl_s) {
            // What is proxied has the provider's own TTL, and is shown with this one.
            _ if proxied => 1,
            1 if !self.keeper.proxies => AUTO_TTL_S,
            ttl_s => ttl_s,
        };
        Style { ttl_s, proxied }
    }

    pub(super) fn wants(&self) -> Wants {
        let mut wants = Wants::default();
        let pool = (self.publish == Publish::Pool).then_some(&self.pool);
        for pool in pool.into_iter().chain(self.hosts.values().filter_map(|host| host.pool.as_ref())) {
            if self.holds(pool) {
                wants.names.insert(pool.clone(), Want::Addresses(self.style(None, None)));
                wants.pools.insert(pool.clone());
            } else if *pool == self.pool {
                wants.left.push(Left { name: pool.clone(), why: Reason::Outside(self.zone.clone()) });
            }
        }
        for (name, host) in &self.hosts {
            let style = self.style(host.ttl_s, host.proxied);
            if let Some(pool) = wants.names.get(name).filter(|_| wants.pools.contains(name)) {
                if pool.style() != style {
                    wants.left.push(Left { name: name.clone(), why: Reason::Pools });
                }
            } else if self.holds(name) {
                wants.names.insert(name.clone(), self.want(name, host, style));
            } else {
                wants.left.push(Left { name: name.clone(), why: Reason::Outside(self.zone.clone()) });
            }
        }
        wants
    }

    fn want(&self, name: &str, host: &Host, style: Style) -> Want {
        let pool = host.pool.as_ref().or((self.publish == Publish::Pool).then_some(&self.pool));
        let pool = pool.filter(|_| name != self.zone || self.keeper.alias_at_apex);
        pool.map_or(Want::Addresses(style), |pool| Want::Alias(pool.clone(), style))
    }
}
