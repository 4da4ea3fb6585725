//! Hetzner Cloud's objects, as far as bouquet reads them. Unknown fields are passed over; `null` lists are empty.

use crate::rest::or_default;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(crate) type Labels = BTreeMap<String, String>;

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Server {
    pub id: u64,
    pub name: String,
    pub status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
    #[serde(rename = "server_type")]
    pub machine: Named,
    /// Older answers have it below `datacenter` only; that field went on 2026-07-01.
    pub location: Option<Named>,
    pub datacenter: Option<Datacenter>,
    #[serde(default, deserialize_with = "or_default")]
    pub public_net: PublicNet,
    #[serde(default)]
    pub rescue_enabled: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Named {
    pub name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Datacenter {
    pub location: Named,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct PublicNet {
    pub ipv4: Option<Ip>,
    pub ipv6: Option<Ip>,
    #[serde(default, deserialize_with = "or_default")]
    pub firewalls: Vec<Id>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Ip {
    /// An address, or for IPv6 a network (`2001:db8::/64`).
    pub ip: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Id {
    pub id: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Firewall {
    pub id: u64,
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
    #[serde(default, deserialize_with = "or_default")]
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Rule {
    pub direction: String,
    pub protocol: String,
    pub port: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub source_ips: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub destination_ips: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SshKey {
    pub id: u64,
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Snapshot {
    pub id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    pub status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Volume {
    pub id: u64,
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
    pub location: Option<Named>,
    /// The id of the server that it is attached to.
    pub server: Option<u64>,
    #[serde(default, deserialize_with = "or_default")]
    pub size: f64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct LoadBalancer {
    pub id: u64,
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
    pub location: Option<Named>,
    #[serde(default, deserialize_with = "or_default")]
    pub targets: Vec<LbTarget>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct LbTarget {
    pub server: Option<Id>,
    /// What a label selector resolved to.
    #[serde(default, deserialize_with = "or_default")]
    pub targets: Vec<LbTarget>,
}

impl LbTarget {
    /// Whether it leads to the server with this id.
    pub fn is_server(&self, id: u64) -> bool {
        self.server == Some(Id { id }) || self.targets.iter().any(|target| target.is_server(id))
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Action {
    pub command: String,
    /// `running`, `success` or `error`.
    pub status: String,
    pub error: Option<ActionError>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ActionError {
    pub code: String,
    pub message: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ServerType {
    pub name: String,
    /// `arm` or `x86`.
    pub architecture: String,
    pub cores: u32,
    /// GB, a float in the answers.
    pub memory: f64,
    /// GB.
    pub disk: f64,
    /// Since 2026-04-01 with stock; before that the list was without.
    #[serde(default, deserialize_with = "or_default")]
    pub locations: Vec<TypeLocation>,
    #[serde(default, deserialize_with = "or_default")]
    pub prices: Vec<Price>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TypeLocation {
    pub name: String,
    pub available: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Price {
    pub location: String,
    pub price_monthly: Amount,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Amount {
    /// A decimal string such as `5.9900000000`.
    pub net: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pricing {
    pub currency: String,
    #[serde(default, deserialize_with = "or_default")]
    pub primary_ips: Vec<IpPrices>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct IpPrices {
    /// `ipv4` or `ipv6`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub prices: Vec<Price>,
}
