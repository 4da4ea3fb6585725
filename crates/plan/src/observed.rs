use clouds::{Found, Image, Offer, State};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use spec::{CloudPlace, Cluster, FirstContact, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What one sweep over the world has seen. A value: planning from it twice gives the same plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// By cloud name.
    pub clouds: BTreeMap<String, CloudSeen>,
    /// Devices on the tailnet that bear the cluster's tag or a node's name.
    pub devices: Vec<Device>,
    /// Keys for the mesh that were minted for this cluster.
    pub keys: Vec<MeshKey>,
    /// The DNS zone, where the file has `dns`.
    pub zone: Option<ZoneSeen>,
    /// By node name: what the nodes themselves say. A node that could not be asked is not in it.
    pub nodes: BTreeMap<String, NodeSeen>,
    /// By node name: what the Kubernetes API says; `None` if it could not be asked.
    pub kubernetes: Option<BTreeMap<String, KubeNode>>,
    /// By name: add-ons that are in the cluster, wanted or not. Empty if the Kubernetes API could not be asked.
    pub addons: BTreeMap<String, AddonSeen>,
    /// Whether the secrets bundle was there to ask nodes with.
    pub has_bundle: bool,
    /// Addresses that our own calls come from; asked only while some node awaits its first contact.
    pub operators: Vec<IpAddr>,
    /// Nodes whose machines did not reach the tailnet in this run: no more of its time is spent on them.
    pub given_up: BTreeSet<String>,
    /// Places that have refused for lack of stock in this run.
    pub refused: BTreeSet<CloudPlace>,
}

/// What is in one cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CloudSeen {
    /// Everything that concerns the cluster.
    pub found: Vec<Found>,
    /// Images among it, by what they are images of.
    pub images: Vec<(Image, Found)>,
    /// Offers of the places that the file names.
    pub offers: Vec<Offer>,
}

/// A device on the tailnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The control server's id.
    pub id: String,
    /// Its name on the tailnet, first label.
    pub name: String,
    /// The host name that it gave itself.
    pub hostname: String,
    /// Mesh address, if it has one.
    pub address: Option<IpAddr>,
    /// Whether it bears the cluster's tag.
    pub ours: bool,
    /// Whether it is connected now, as far as the control server says.
    pub connected: bool,
}

/// A key for the mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshKey {
    /// The control server's id.
    pub id: String,
    /// The node it was minted for, from its description.
    pub node: Option<String>,
}

/// The DNS zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneSeen {
    /// The provider's id.
    pub id: String,
    /// The zone's name.
    pub name: String,
    /// Records of the API name, and all that bear the cluster's mark.
    pub records: Vec<ApiRecord>,
}

/// A record that concerns the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiRecord {
    /// The provider's id.
    pub id: String,
    /// Full name.
    pub name: String,
    /// `A`, `AAAA`, …
    pub kind: String,
    /// What it points to.
    pub content: String,
    /// The control plane that it is for, if it bears the mark of an API record of ours.
    pub api_node: Option<String>,
    /// Whether it bears any mark of this cluster.
    pub ours: bool,
}

/// What a node says of itself over the machine API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSeen {
    /// Talos version without `v`.
    pub talos: String,
    /// Field paths in which its configuration differs from what the file renders to.
    pub differences: Vec<String>,
    /// Whether etcd runs there; `None` on workers.
    pub etcd: Option<bool>,
    /// Services that are not as they should be, in words.
    pub trouble: Vec<String>,
}

/// What the Kubernetes API says of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubeNode {
    /// Whether it is Ready.
    pub ready: bool,
    /// Kubelet version without `v`.
    pub kubernetes: String,
    /// Whether it is cordoned.
    pub cordoned: bool,
    /// Why it is not Ready.
    pub reason: Option<String>,
    /// The public address that it is annotated with.
    #[serde(default)]
    pub public_address: Option<String>,
    /// Whether it is labelled as a node that serves HTTP.
    #[serde(default)]
    pub is_ingress: bool,
}

/// What is in the cluster of an add-on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonSeen {
    /// Whether it was installed to its end, in the form that is wanted now.
    pub is_whole: bool,
    /// What an apply would change: object and field path.
    pub differences: Vec<String>,
    /// Fields that somebody else manages: object, owner and field path.
    pub conflicts: Vec<String>,
    /// Why it is not ready, in words.
    pub trouble: Vec<String>,
}

/// How far the cluster as such has come; recorded on every machine and firewall of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Formation {
    /// Nobody has ever been bootstrapped.
    Unborn,
    /// Bootstrap was meant for, or done on, the machine with this id; no node has joined yet.
    Begun(String),
    /// etcd has run.
    Formed(String),
}

/// Label on a machine that did not reach the tailnet within its time: the next run makes it anew.
pub const LOST_LABEL: &str = "bouquet.dev/lost";

impl Formation {
    /// From the marks on what is ours.
    pub fn marked<'a>(found: impl Iterator<Item = &'a Found>) -> Self {
        let ours: Vec<&Found> = found.filter(|found| found.ours).collect();
        let mark = |label: &str| ours.iter().find_map(|found| found.labels.get(label)).cloned();
        if let Some(machine) = mark(FORMED_LABEL) {
            return Formation::Formed(machine);
        }
        mark(BOOTSTRAP_LABEL).map_or(Formation::Unborn, Formation::Begun)
    }
}

/// Label that holds the id of the machine that bootstrap was meant for.
pub const BOOTSTRAP_LABEL: &str = "bouquet.dev/bootstrap";
/// Label that says that etcd has run.
pub const FORMED_LABEL: &str = "bouquet.dev/formed";

impl CloudSeen {
    /// The offer for a place, if it was asked for.
    pub fn offer(&self, place: &CloudPlace) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.place == *place)
    }
}

impl Observed {
    /// The machine of ours that a node runs on, if there is one that is not on its way out.
    pub fn machine(&self, node: &str) -> Option<&Found> {
        self.found().find(|found| found.is_machine_of(node) && found.state != State::Leaving)
    }

    /// The device of ours that a node has on the tailnet under its own name.
    pub fn device(&self, node: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.ours && device.name == node)
    }

    /// Whether a node's machine has been waited for in vain by an earlier run, and has never held anything: it was never
    /// on the tailnet under its name, and Kubernetes has not heard of it.
    pub fn is_lost(&self, node: &str) -> bool {
        let lost = self.machine(node).is_some_and(|found| found.labels.contains_key(LOST_LABEL));
        let unheard = match (&self.kubernetes, self.formation()) {
            (_, Formation::Unborn) => true,
            (Some(nodes), _) => !nodes.contains_key(node),
            (None, _) => false,
        };
        lost && unheard && !self.devices.iter().any(|device| device.ours && device.hostname == node)
    }

    /// Whether a node gets its configuration pushed over the internet and is not on the tailnet yet.
    pub fn awaits_first_contact(&self, cluster: &Cluster, node: &str) -> bool {
        let pushed = cluster.nodes.get(node).is_some_and(|node| {
            node.first_contact == FirstContact::Maintenance
                && node.places.iter().any(|place| matches!(place, Place::Cloud(_)))
        });
        pushed && self.device(node).is_none_or(|device| device.address.is_none())
    }

    /// The offer for a place.
    pub fn offer(&self, place: &CloudPlace) -> Option<&Offer> {
        self.clouds.get(&place.cloud)?.offer(place)
    }

    /// All that was found in all clouds.
    pub fn found(&self) -> impl Iterator<Item = &Found> {
        self.clouds.values().flat_map(|seen| &seen.found)
    }

    /// How far the cluster has come, from the marks on what is ours, wherever one of them is left.
    pub fn formation(&self) -> Formation {
        Formation::marked(self.found())
    }

    /// A digest of everything a plan was made from: equal worlds give equal digests.
    pub fn digest(&self) -> String {
        let mut still = self.clone();
        for found in still.clouds.values_mut().flat_map(|seen| &mut seen.found) {
            if matches!(found.state, State::Broken(_)) {
                found.state = State::Broken(String::new());
            }
        }
        // Names of pods, counts of restarts: what is wrong may be told in other words each time.
        for seen in still.addons.values_mut().filter(|seen| !seen.trouble.is_empty()) {
            seen.trouble = vec![String::new()];
        }
        let text = serde_json::to_vec(&still).unwrap_or_default();
        hex::encode(Sha256::digest(text))
    }
}
