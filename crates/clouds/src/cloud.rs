use crate::Error;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use spec::{CloudPlace, Role};
use std::collections::BTreeMap;
use std::net::IpAddr;
use wire::{Line, Secret};

/// A cloud, as the planner and the engine see every one of them.
///
/// To add a cloud: implement this in one module and name it in `clouds::registered`.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// The first word of `on`: `hetzner`, `oci`, …
    fn name(&self) -> &'static str;

    /// How Talos's Image Factory names this platform: `hcloud`, `oracle`.
    fn platform(&self) -> &'static str;

    /// Whether images live in a region, and must be made anew in each.
    fn images_have_regions(&self) -> bool;

    /// What kinds of resources there can be, in the order in which they are deleted.
    fn kinds(&self) -> &'static [&'static str];

    /// Pure: everything the cluster needs here, each naming what it needs first. One entry per machine and whatever
    /// machines stand on. Images are not among them. The same need gives the same answer, byte for byte.
    fn wanted(&self, need: &Need) -> Vec<Wanted>;

    /// Everything of these kinds that bears the cluster's mark, whatever has a name that [`Cloud::wanted`] would use
    /// without bearing it, and what others made on our machines (attached volumes, load balancers that target them).
    /// `kinds` empty: all. Calls grow with pages, not with resources.
    async fn find(&self, line: &Line, cluster: &str, kinds: &[&str]) -> Result<Vec<Found>, Error>;

    /// Stock, size and price of machine types in regions.
    async fn offers(&self, line: &Line, places: &[CloudPlace]) -> Result<Vec<Offer>, Error>;

    /// Whether credential, scopes, quotas and clock allow what is needed; nothing is changed. What is fine is a
    /// finding too.
    async fn check(&self, line: &Line, need: &Need) -> Vec<Finding>;

    /// Makes `wanted`, or finds that it is there already with our mark. Returns as soon as the cloud has accepted it;
    /// whether it has become ready is seen by [`Cloud::find`].
    async fn create(&self, line: &Line, wanted: &Wanted, given: &Given) -> Result<Found, Error>;

    /// What the cloud forgives of these offers' monthly prices, and what it calls that.
    fn allowance(&self, _offers: &[&Offer]) -> Option<(&'static str, Money)> {
        None
    }

    /// Changes in place what is there into what is wanted.
    async fn update(&self, line: &Line, found: &Found, wanted: &Wanted, given: &Given) -> Result<Found, Error>;

    /// Deletes; gone already is success. Returns as soon as the cloud has accepted it.
    async fn delete(&self, line: &Line, found: &Found) -> Result<(), Error>;

    /// Sets one label or tag on something of ours, or takes it off, and leaves its others alone.
    async fn mark(&self, line: &Line, found: &Found, label: &str, value: Option<&str>) -> Result<(), Error>;

    /// Switches a machine.
    async fn power(&self, line: &Line, found: &Found, power: Power) -> Result<(), Error>;

    /// What can be seen from outside of a machine that does not come up: status, console text, the last action's
    /// error. Plain words.
    async fn diagnose(&self, line: &Line, found: &Found) -> Result<String, Error>;

    /// Whether [`Cloud::diagnose`] tells what is on a machine's console.
    fn shows_console(&self) -> bool {
        false
    }

    /// Makes a bootable image of `order` (or finds it by mark) and returns it ready to boot from. Whatever it needed on
    /// the way bears the mark, and is gone at the end or is removed by the next run.
    async fn make_image(&self, line: &Line, order: &ImageOrder, progress: &dyn Progress) -> Result<Found, Error>;

    /// What a found image is an image of, by its marks; `None` if it is no image.
    fn image_of(&self, found: &Found) -> Option<Image>;
}

/// A resource's identity before it has an id. Deterministic, never derived from a position in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// [`Cloud::name`].
    pub cloud: String,
    /// One of [`Cloud::kinds`]: `server`, `firewall`, `vcn`, …
    pub kind: String,
    /// Empty where the kind has no region.
    pub region: String,
    /// The name in the cloud's own listing: `bouquet-rose`, …
    pub name: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.cloud, self.kind, self.name)
    }
}

/// What a cluster asks of one cloud.
#[derive(Clone, Debug)]
pub struct Need {
    /// The cluster's name: the mark's value.
    pub cluster: String,
    /// Its machines here.
    pub machines: Vec<NeedMachine>,
    /// What may come in from the internet, besides 80, 443 and UDP 41641.
    pub openness: Openness,
}

/// A machine that a cluster asks for.
#[derive(Clone, Debug)]
pub struct NeedMachine {
    /// Node name.
    pub node: String,
    /// Role, for the mark.
    pub role: Role,
    /// Where, and what.
    pub place: CloudPlace,
    /// The image to boot from, once there is one.
    pub image: Image,
}

/// Extra openness of the firewalls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Openness {
    /// Addresses that may reach TCP 50000 on machines in maintenance mode.
    pub talos_from: Vec<IpAddr>,
}

/// A resource that should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Identity.
    pub key: Key,
    /// The node it is or serves alone, for the mark; `None` for what is shared.
    pub node: Option<String>,
    /// What must be there before.
    pub needs: Vec<Key>,
    /// Its settings in the cloud's own words, canonical, comparable with [`Found::spec`]. Ids of other resources are
    /// written as their [`Key`]'s name. Holds no secret.
    pub spec: Value,
    /// Whether it is a machine that a node runs on.
    pub is_machine: bool,
}

/// A resource that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Identity, as [`Cloud::wanted`] would write it.
    pub key: Key,
    /// The cloud's id.
    pub id: String,
    /// Whether it bears this cluster's mark. What does not is never changed.
    pub ours: bool,
    /// Whether a controller inside the cluster made it for one of our machines (a volume, a load balancer): not
    /// marked, not wanted, and gone with the cluster.
    pub left_behind: bool,
    /// For machines: where and what it is.
    pub place: Option<CloudPlace>,
    /// From the mark.
    pub node: Option<String>,
    /// How far it is.
    pub state: State,
    /// Settings, comparable with [`Wanted::spec`] for those keys that are in it.
    pub spec: Value,
    /// Public addresses, of machines.
    pub addresses: Vec<IpAddr>,
    /// All labels or tags, as found.
    pub labels: BTreeMap<String, String>,
}

impl Found {
    /// Whether it is the machine of ours that this node runs on.
    pub fn is_machine_of(&self, node: &str) -> bool {
        self.ours && self.place.is_some() && self.node.as_deref() == Some(node)
    }
}

/// How far a resource is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// On the way up, or changing.
    Pending,
    /// In use, or usable.
    Ready,
    /// A machine that is switched off.
    Off,
    /// On the way out.
    Leaving,
    /// It will not come up by itself; why, in the vendor's words.
    Broken(String),
}

/// What [`Cloud::create`] and [`Cloud::update`] need that no plan may hold.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Ids of what [`Wanted::needs`] names (and, on update, of all that exists).
    pub ids: BTreeMap<Key, String>,
    /// For machines: the rendered machine configuration, base64 of gzip.
    pub user_data: Option<Secret>,
}

/// Switching a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Power {
    /// On.
    On,
    /// Off at once.
    Off,
    /// Off and on.
    Cycle,
}

/// A bootable image, as marks describe it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Image {
    /// Where it is; empty where images have no region.
    pub region: String,
    /// Architecture.
    pub arch: Arch,
    /// Image Factory schematic id, 64 hex digits.
    pub schematic: String,
    /// Talos version without `v`.
    pub talos: String,
}

/// An order for an image.
#[derive(Clone, Debug)]
pub struct ImageOrder {
    /// The cluster whose mark it will bear.
    pub cluster: String,
    /// What is wanted.
    pub image: Image,
    /// Where the disk image can be had: the Image Factory's URL of it, e.g. `…/hcloud-arm64.raw.xz`.
    pub source: String,
    /// A machine type and region to build on, where the cloud needs a temporary machine.
    pub builder: CloudPlace,
}

/// Processor architectures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit ARM.
    Arm64,
    /// 64-bit x86.
    Amd64,
}

impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Arch::Arm64 => "arm64",
            Arch::Amd64 => "amd64",
        })
    }
}

/// A machine type in a region, as it is offered now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// What was asked for.
    pub place: CloudPlace,
    /// Whether there is any.
    pub stock: Stock,
    /// Architecture.
    pub arch: Arch,
    /// Cores.
    pub cores: u32,
    /// Memory in GiB.
    pub memory_gib: u32,
    /// Disk in GiB.
    pub disk_gib: u32,
    /// A month of it with its public address; `None` if nobody knows.
    pub price: Option<Money>,
    /// Where the price comes from: `live`, or the date of the table.
    pub price_source: String,
}

/// Whether a machine type can be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stock {
    /// The cloud says yes. It may still refuse.
    Available,
    /// The cloud says not now.
    Out,
    /// There is no such machine type, or not in this region.
    Unknown(String),
}

/// An amount a month, in thousandths of the currency's unit; currencies are never added up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Money {
    /// ISO 4217.
    pub currency: String,
    /// Thousandths: 5990 is 5.99.
    pub milli: i64,
}

/// One line of `bouquet check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at: `HCLOUD_TOKEN`, `quota: servers`, …
    pub subject: String,
    /// `None` if it is fine; else a code that `bouquet explain` knows.
    pub code: Option<String>,
    /// Whether it stops an apply.
    pub fatal: bool,
    /// One sentence.
    pub message: String,
    /// What to do; links into `docs/accounts.md`.
    pub help: Option<String>,
}

impl Finding {
    /// Nothing to do.
    pub fn fine(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Finding { subject: subject.into(), code: None, fatal: false, message: message.into(), help: None }
    }

    /// A look that ended in an error, which stops an apply.
    pub fn of(subject: impl Into<String>, error: &Error) -> Self {
        let code = Some(error.why.code().to_owned());
        Finding { subject: subject.into(), code, fatal: true, message: error.to_string(), help: error.help() }
    }
}

/// Where a long effect says how far it is.
pub trait Progress: Send + Sync {
    /// `what` is a few words; bytes where there are any, else zero.
    fn at(&self, what: &str, done_bytes: u64, total_bytes: u64);
}
