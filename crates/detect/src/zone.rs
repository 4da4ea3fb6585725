//! What is known of the cluster and of the zone when a decision is made.

use crate::{Family, Millis, Target};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// An ingress node, as Kubernetes and its annotations describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its public addresses. Refused ones (private, mesh, the provider's own) are not here.
    pub addresses: BTreeMap<Family, IpAddr>,
    /// What the cluster says of it.
    pub hint: Option<Hint>,
    /// What a person or another program says of it.
    pub pin: Option<Pin>,
}

/// What the cluster knows earlier than any probe. That a node is not ready is no hint: it may serve well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Cordoned, being drained or deleted.
    Leaving,
    /// Its ingress pod is terminating.
    Terminating,
}

/// An order, until its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// To be in DNS, or not.
    pub serving: bool,
    /// When it ends; `None`: it stays.
    pub until_ms: Option<Millis>,
}

/// A record that bears our mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The provider's id.
    pub id: String,
    /// The whole name.
    pub name: String,
    /// The address.
    pub content: IpAddr,
    /// The node in its mark.
    pub node: String,
}

impl Record {
    /// A or AAAA.
    pub fn family(&self) -> Family {
        if self.content.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// What it publishes.
    pub fn target(&self) -> Target {
        Target { node: self.node.clone(), family: self.family() }
    }
}

/// The zone as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// When the reading ended.
    pub read_ms: Millis,
    /// Names that should hold the serving nodes' addresses: the pool, or every host.
    pub names: Vec<String>,
    /// Our records at any name.
    pub records: Vec<Record>,
    /// Names that somebody else owns: a person, external-dns, another cluster.
    pub foreign: Vec<String>,
}
