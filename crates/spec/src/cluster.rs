use crate::options::{Acme, Extra, Mesh, Rfc2136, Watcher};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A whole cluster as the file describes it, with every default filled in. Only [`crate::read`] makes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// A DNS label; unique among the owner's clusters. Marks on every system carry it.
    pub name: String,
    /// The domain whose names the cluster serves. Always there when `dns` is.
    pub domain: Option<String>,
    /// Talos version, without the `v`.
    pub talos: Version,
    /// Kubernetes version, without the `v`.
    pub kubernetes: Version,
    /// By name; a name is the node's identity.
    pub nodes: BTreeMap<String, Node>,
    /// Pod and service ranges.
    pub network: Network,
    /// Who serves the domain's records.
    pub dns: Option<Dns>,
    /// What stores volumes; `None` if the file says `none`.
    pub storage: Option<Storage>,
    /// What serves HTTP; `None` if the file says `none`.
    pub ingress: Option<Ingress>,
    /// Who issues certificates.
    pub certificates: Certificates,
    /// Where backups go, if anywhere.
    pub backup: Option<Backup>,
    /// Talos patches (YAML text) for every node, merged before a node's own.
    pub patches: Vec<String>,
    /// What joins the nodes.
    pub mesh: Mesh,
    /// The account that certificates are asked for with; used only where [`Cluster::certificates`] issues any.
    pub acme: Acme,
    /// How the watcher runs.
    pub watcher: Watcher,
    /// What users add beside the add-ons.
    pub extra: Extra,
}

/// One machine of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What it does.
    pub role: Role,
    /// Where it may live, best first; never empty.
    pub places: Vec<Place>,
    /// How it gets its machine configuration.
    pub first_contact: FirstContact,
    /// Kubernetes labels.
    pub labels: BTreeMap<String, String>,
    /// Kubernetes taints.
    pub taints: Vec<Taint>,
    /// Talos patches, YAML text, merged in order.
    pub patches: Vec<String>,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs etcd and the Kubernetes API.
    ControlPlane,
    /// Runs what users bring.
    Worker,
}

/// One entry of `on`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// A machine that a cloud makes.
    Cloud(CloudPlace),
    /// The owner's own machine, waiting in Talos maintenance mode at this address.
    Address(IpAddr),
}

/// `cloud/region/machine`, with its size where the machine type leaves it open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CloudPlace {
    /// `hetzner`, `oci`, …: the name a cloud is registered under.
    pub cloud: String,
    /// `hel1`, `eu-frankfurt-1`, …
    pub region: String,
    /// `cax11`, `VM.Standard.A1.Flex`, …
    pub machine: String,
    /// For flexible shapes; `None` where the machine type says it all.
    pub size: Option<Size>,
}

/// The size of a flexible machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Size {
    /// Cores as the cloud counts them (OCI: OCPUs).
    pub cpus: u32,
    /// Memory in GiB.
    pub memory_gib: u32,
    /// System disk in GiB.
    pub disk_gib: u32,
}

/// How a node gets its machine configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstContact {
    /// In the cloud's user data, from birth.
    UserData,
    /// Pushed over the maintenance API to the machine's public address.
    Maintenance,
}

/// A Kubernetes taint: `key[=value]:effect`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Taint {
    /// Qualified name.
    pub key: String,
    /// May be empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// Address ranges inside the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Pods; default 10.244.0.0/16.
    pub pods: Cidr,
    /// Services; default 10.96.0.0/12.
    pub services: Cidr,
}

/// An IPv4 range whose host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    /// First address.
    pub base: std::net::Ipv4Addr,
    /// Prefix length, 0 to 32.
    pub prefix: u8,
}

impl Cidr {
    /// The range of this prefix length (at most 32) that the address lies in.
    pub fn around(address: std::net::Ipv4Addr, prefix: u8) -> Cidr {
        let prefix = prefix.min(32);
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Cidr { base: (u32::from(address) & mask).into(), prefix }
    }

    /// Whether the two ranges share an address.
    pub fn overlaps(&self, other: &Cidr) -> bool {
        let shorter = self.prefix.min(other.prefix);
        let mask = u32::MAX.checked_shl(32 - u32::from(shorter)).unwrap_or(0);
        u32::from(self.base) & mask == u32::from(other.base) & mask
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (base, prefix) = text.split_once('/').ok_or("it has no prefix length")?;
        let base: std::net::Ipv4Addr = base.parse().map_err(|_| "its address is not IPv4")?;
        let prefix = digits(prefix).and_then(|prefix| u8::try_from(prefix).ok()).filter(|prefix| *prefix <= 32);
        let range = Cidr::around(base, prefix.ok_or("its prefix length is not 0 to 32")?);
        if range.base == base { Ok(range) } else { Err("its host bits are not zero") }
    }
}

impl Serialize for Cidr {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Who serves the domain's records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dns {
    /// The provider.
    pub provider: DnsProvider,
}

/// The DNS providers that can be written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DnsProvider {
    /// Cloudflare's API.
    Cloudflare,
    /// Dynamic updates (RFC 2136), as BIND, Knot and PowerDNS take them.
    Rfc2136(Rfc2136),
}

/// What stores volumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// OpenEBS LocalPV on a user volume.
    OpenEbs,
}

/// What serves HTTP, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ingress {
    /// Names of the nodes that serve; by default every worker, or every node if there is no worker.
    pub nodes: Vec<String>,
}

/// Who issues certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Certificates {
    /// ACME by DNS-01. The default where there is `dns`.
    LetsEncrypt,
    /// Nobody.
    None,
}

/// Where backups go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// Bucket name.
    pub bucket: String,
    /// Cloud that keeps it, if named.
    pub cloud: Option<String>,
    /// Region that keeps it, if named.
    pub region: Option<String>,
    /// Interval in seconds.
    pub every_s: u64,
    /// How long a set is kept, in seconds.
    pub keep_s: u64,
}

/// `major.minor.patch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
    /// Patch.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.').map(digits);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) => Ok(Version { major, minor, patch }),
            _ => Err("a version is three numbers, such as 1.14.6"),
        }
    }
}

/// A number in digits only: the standard parser would take `+1` as well.
fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Cloud(place) => place.fmt(f),
            Place::Address(address) => write!(f, "address/{address}"),
        }
    }
}

impl fmt::Display for CloudPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.cloud, self.region, self.machine)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::ControlPlane => "control-plane",
            Role::Worker => "worker",
        })
    }
}

impl Cluster {
    /// The name that clients reach the Kubernetes API by: `api.<domain>`, or `None` without DNS.
    pub fn api_name(&self) -> Option<String> {
        self.dns.as_ref().and(self.domain.as_ref()).map(|domain| format!("api.{domain}"))
    }

    /// Names of the nodes with this role, in order.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(move |(_, node)| node.role == role).map(|(name, _)| name.as_str())
    }
}
