//! What the watcher knows and does, as one value: the status page, `/api/status`, the metrics and the `ingressnodes` are
//! all drawn from it.

use detect::{Cause, Family, Pin, Rule, Verdict, View};
use jiff::Timestamp;
use serde::Serialize;
use std::net::IpAddr;

/// All of it, as one vantage has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The cluster's name.
    pub cluster: String,
    /// This program's version.
    pub version: &'static str,
    /// When this was true.
    pub at: Timestamp,
    /// Whose status this is.
    pub vantage: VantageStatus,
    /// Every vantage that is known, this one among them.
    pub vantages: Vec<VantageStatus>,
    /// `default` or `fast`.
    pub profile: &'static str,
    /// Nothing is changed.
    pub dry_run: bool,
    /// The pod that may write, as far as this one knows.
    pub writer: Option<String>,
    /// Why nobody may, or why this vantage cannot tell.
    pub no_writer: Option<String>,
    /// Ingress nodes, by name.
    pub nodes: Vec<NodeStatus>,
    /// Names that are published, or would be.
    pub names: Vec<NameStatus>,
    /// What a person should look at, the worst first.
    pub alerts: Vec<String>,
    /// The last decisions, the newest first; at most fifty.
    pub decisions: Vec<Happening>,
    /// The DNS provider.
    pub provider: ProviderStatus,
    /// Since when the Kubernetes API has not answered.
    pub kubernetes_lost: Option<Timestamp>,
}

/// A replica.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VantageStatus {
    /// Its pod.
    pub pod: String,
    /// Node it runs on.
    pub node: String,
    /// What it shares its fate with.
    pub site: String,
    /// Whether it trusts itself.
    pub trusted: bool,
    /// Milliseconds since it was last heard; 0 for this one.
    pub heard_ms_ago: Option<u64>,
}

/// An ingress node, in one family.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Node.
    pub name: String,
    /// Site.
    pub site: String,
    /// A or AAAA.
    pub family: Family,
    /// Its public address.
    pub address: IpAddr,
    /// What is held to be true.
    pub verdict: Verdict,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Whether its address is in DNS, as last read; `None`: not read yet.
    pub published: Option<bool>,
    /// Why it stays as it is though it should change: a rule, in plain words.
    pub held: Option<String>,
    /// When a hold ends.
    pub held_until: Option<Timestamp>,
    /// Why it is as it is, in one sentence.
    pub reason: String,
    /// An order that somebody gave.
    #[serde(skip)]
    pub pin: Option<Pin>,
    /// What the cluster says: `leaving`, `terminating`.
    pub hint: Option<&'static str>,
    /// Who sees what.
    pub voices: Vec<VoiceStatus>,
}

/// One vantage's word on one node.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VoiceStatus {
    /// Node of the vantage.
    pub vantage: String,
    /// Its site.
    pub site: String,
    /// What it sees.
    pub view: View,
    /// Why it sees no good.
    pub cause: Option<Cause>,
    /// Why its word does not count, in plain words.
    pub mute: Option<&'static str>,
    /// Milliseconds since its last probe ended.
    pub probed_ms_ago: u64,
}

/// A name in DNS.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NameStatus {
    /// The whole name.
    pub name: String,
    /// `pool`, `alias`, `addresses`, or `left alone`.
    pub kind: &'static str,
    /// What stands there now.
    pub holds: Vec<String>,
    /// Why it is left alone or not as wished.
    pub reason: Option<String>,
}

/// The DNS provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStatus {
    /// `cloudflare` or `rfc2136`.
    pub kind: &'static str,
    /// When the zone was last read.
    pub read: Option<Timestamp>,
    /// What is wrong with it.
    pub trouble: Option<String>,
    /// Calls in the last five minutes.
    pub calls: u32,
    /// Records that the provider lists.
    pub records: usize,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
    /// Node or name it happened to.
    pub subject: String,
    /// One sentence.
    pub text: String,
    /// The rule that forbids it, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
}

/// Kinds of happenings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A node's records were deleted.
    Withdrawn,
    /// A node's records were made.
    Restored,
    /// A change was forbidden by a rule.
    Held,
    /// Names were made, changed or removed because routes did.
    Names,
    /// Something needs a person.
    Alert,
    /// It needs one no more.
    Relief,
}
