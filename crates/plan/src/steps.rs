use crate::observed::Observed;
use clouds::{Found, Image, Money, Wanted};
use serde::{Deserialize, Serialize};
use spec::{CloudPlace, FirstContact};
use std::net::IpAddr;

/// Everything that bouquet can do to the world. Reading this enum is reading all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Step {
    /// Builds a bootable image in a cloud from the Image Factory's.
    MakeImage {
        /// Cloud it is for.
        cloud: String,
        /// What it is an image of.
        image: Image,
        /// Machine type and region to build on.
        builder: CloudPlace,
    },
    /// Makes something that machines stand on: a firewall, a VCN, a subnet.
    CreateResource {
        /// What.
        wanted: Wanted,
    },
    /// Changes a resource in place.
    UpdateResource {
        /// As it is.
        found: Found,
        /// As it shall be.
        wanted: Wanted,
    },
    /// Removes a resource that is ours.
    DeleteResource {
        /// What.
        found: Found,
    },
    /// Mints a key for the mesh, renders the machine configuration, makes the machine.
    LaunchMachine {
        /// Node.
        node: String,
        /// The machine.
        wanted: Wanted,
        /// What it boots.
        image: Image,
        /// Where it is placed.
        place: CloudPlace,
        /// Whether its configuration is in its user data or pushed at first contact.
        contact: FirstContact,
    },
    /// Switches a machine of ours on.
    PowerOn {
        /// Node.
        node: String,
        /// The machine.
        found: Found,
    },
    /// Pushes the configuration to a machine in maintenance mode.
    Introduce {
        /// Node.
        node: String,
        /// Its address, if it is the owner's own machine; else the cloud says.
        address: Option<IpAddr>,
    },
    /// Waits until the node is on the tailnet under its own name, then takes its key back.
    JoinMesh {
        /// Node.
        node: String,
    },
    /// Makes the API name before anybody asks for it, so that nobody remembers that it was not there.
    ReserveName {
        /// Full name.
        name: String,
        /// The control plane that it will point to.
        node: String,
    },
    /// Points the API name at a control plane's mesh address.
    PointName {
        /// Full name.
        name: String,
        /// Control plane.
        node: String,
        /// The record to change; `None`: the one that was reserved in this plan, or a new one.
        record: Option<String>,
    },
    /// Removes a record of ours.
    DeleteRecord {
        /// The provider's id.
        id: String,
        /// Its name, for showing.
        name: String,
    },
    /// Removes a device of ours from the tailnet.
    DeleteDevice {
        /// The control server's id.
        id: String,
        /// Its name, for showing.
        name: String,
    },
    /// Takes back a key for the mesh.
    DeleteKey {
        /// The control server's id.
        id: String,
    },
    /// Brings a running node's configuration to what the file says.
    Configure {
        /// Node.
        node: String,
        /// Field paths that differ.
        differences: Vec<String>,
    },
    /// Starts etcd on one control plane, once in a cluster's life.
    Bootstrap {
        /// Control plane.
        node: String,
    },
    /// Waits until the Kubernetes API reports the node Ready.
    AwaitReady {
        /// Node.
        node: String,
    },
    /// Tells Kubernetes a node's public address, and whether it serves HTTP.
    AnnotateNode {
        /// Node.
        node: String,
        /// Its public address; `None`: the cloud says.
        address: Option<IpAddr>,
        /// Whether it serves HTTP.
        ingress: bool,
    },
    /// Applies an add-on's objects, and removes those that it no longer has.
    InstallAddon {
        /// The add-on.
        name: String,
        /// What differs, as object and field path; empty if it is new.
        changes: Vec<String>,
        /// Whether fields are taken that others manage.
        adopt: bool,
    },
    /// Waits until an add-on's workloads have rolled out.
    AwaitAddon {
        /// The add-on.
        name: String,
    },
    /// Removes an add-on that the file no longer names.
    RemoveAddon {
        /// The add-on.
        name: String,
    },
    /// Stops the watcher, so that nothing writes DNS any more.
    StopWatcher,
    /// Cordons a node and evicts what runs on it.
    Drain {
        /// Node.
        node: String,
    },
    /// Lets a node leave: etcd membership and data on its disk.
    Reset {
        /// Node.
        node: String,
    },
    /// Removes the node's object from Kubernetes.
    ForgetNode {
        /// Node.
        node: String,
    },
}

/// What a step means for what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Something new.
    Create,
    /// A change that nothing notices.
    InPlace,
    /// A node restarts.
    Reboot,
    /// A node's work moves elsewhere first.
    Drain,
    /// A machine is made anew.
    Replace,
    /// Something goes.
    Destroy,
    /// Nothing changes; the plan waits for what has begun.
    Wait,
}

/// A step's name within its plan: `launch-machine/rose`. Deterministic.
pub type StepId = String;

/// A step in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Name.
    pub id: StepId,
    /// What to do.
    pub step: Step,
    /// What it means.
    pub class: Class,
    /// The node it is about, if it is about one.
    pub node: Option<String>,
    /// What must be done before. Every id is in the plan.
    pub after: Vec<StepId>,
    /// What it adds to a month's bill; negative if it takes away.
    pub cost: Option<Money>,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Make it so.
    Apply,
    /// Remove all of it.
    Destroy,
}

/// What is to be done, in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What it is for.
    pub verb: Verb,
    /// The cluster.
    pub cluster: String,
    /// [`Observed::digest`] of the world it was made for; on any other it is refused.
    pub parent: String,
    /// In an order in which they could be done one by one.
    pub steps: Vec<Planned>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Refuses if the world has moved since.
    pub fn is_for(&self, observed: &Observed) -> Result<(), Error> {
        if self.parent == observed.digest() { Ok(()) } else { Err(Error::Stale) }
    }

    /// As kept in a file.
    pub fn save(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self).map_err(|error| Error::Unreadable(error.to_string()))
    }

    /// From a file.
    pub fn load(text: &str) -> Result<Self, Error> {
        let plan: Plan = serde_json::from_str(text).map_err(|error| Error::Unreadable(error.to_string()))?;
        let ids: std::collections::BTreeSet<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
        let known = plan.steps.iter().flat_map(|step| &step.after).all(|id| ids.contains(id.as_str()));
        if !known || ids.len() != plan.steps.len() {
            return Err(Error::Unreadable("its steps do not refer to each other properly".into()));
        }
        Ok(plan)
    }
}

/// What the planner has to say beside the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Report {
    /// What cannot be done, and why.
    pub blocked: Vec<Blocked>,
    /// What one should know.
    pub notes: Vec<Note>,
}

/// Something wanted that cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// `BQ04nn`.
    pub code: String,
    /// Node or resource.
    pub subject: String,
    /// By what, in one sentence.
    pub by: String,
    /// What would unblock it.
    pub help: String,
}

/// Something to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Node or resource.
    pub subject: String,
    /// One sentence.
    pub text: String,
}

/// Why a plan cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The world has moved since the plan was made.
    #[error("the world has changed since this plan was made")]
    Stale,
    /// The file is no plan, or not of this version.
    #[error("this is no plan that can be read: {0}")]
    Unreadable(String),
}

/// Codes of this crate, with their titles.
pub const CODES: &[(&str, &str)] = &[
    ("BQ0401", "the plan is stale"),
    ("BQ0402", "the plan file cannot be read"),
    ("BQ0410", "something of that name belongs to somebody else"),
    ("BQ0411", "no place has room for the node"),
    ("BQ0412", "the cluster was bootstrapped on a machine that is gone"),
    ("BQ0413", "removing this control plane would lose quorum"),
    ("BQ0414", "the machine type is not offered there"),
    ("BQ0415", "the API name belongs to somebody else"),
    ("BQ0416", "machines of the cluster exist but its secrets bundle is missing"),
    ("BQ0417", "more than one image bears the same marks"),
    ("BQ0418", "another device has the node's name"),
    ("BQ0419", "steps wait for each other"),
    ("BQ0420", "the node's machine did not reach the tailnet"),
    ("BQ0421", "the watcher has no DNS token of its own"),
    ("BQ0422", "somebody else manages fields of an add-on"),
];
