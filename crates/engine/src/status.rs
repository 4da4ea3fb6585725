//! How the cluster is: the same sweep that plans are made from, told node by node.

use crate::ingress::{self, IngressStatus};
use crate::reach::{Reach, Subject};
use crate::{Error, observe};
use plan::{AddonSeen, Observed};
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The whole cluster.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Its name.
    pub cluster: String,
    /// The API's name and whether it answered.
    pub api: ApiStatus,
    /// In order of names: nodes of the file, and machines of ours that the file does not name.
    pub nodes: Vec<NodeStatus>,
    /// Add-ons of the file, in the order of their installation; empty if the API does not answer.
    pub addons: Vec<AddonStatus>,
    /// What is wrong, in words.
    pub trouble: Vec<String>,
}

/// The Kubernetes API.
#[derive(Clone, Debug, Serialize)]
pub struct ApiStatus {
    /// `https://api.<domain>:6443`, where there is a name.
    pub endpoint: Option<String>,
    /// Whether it answered.
    pub answers: bool,
}

/// One add-on.
#[derive(Clone, Debug, Serialize)]
pub struct AddonStatus {
    /// Name.
    pub name: String,
    /// Whether all of it has been installed.
    pub installed: bool,
    /// Whether it is as the file has it, and its pods are ready.
    pub ready: bool,
    /// What is wrong with it, in words.
    pub trouble: Vec<String>,
}

/// One node.
#[derive(Clone, Debug, Serialize)]
pub struct NodeStatus {
    /// Name.
    pub name: String,
    /// `control-plane` or `worker`; empty if the file does not name it.
    pub role: String,
    /// Where its machine is.
    pub place: Option<String>,
    /// The machine's state in its cloud.
    pub machine: Option<String>,
    /// Whether Kubernetes says Ready.
    pub ready: bool,
    /// Talos version, if it could be asked.
    pub talos: Option<String>,
    /// Kubelet version, if the API could be asked.
    pub kubernetes: Option<String>,
    /// Where it can be reached.
    pub addresses: Addresses,
    /// Whether etcd runs there; absent on workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etcd: Option<bool>,
    /// What the watcher holds of it; absent where it does not serve, or no watcher has spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressStatus>,
    /// What is wrong with it, in words.
    pub trouble: Vec<String>,
}

/// A node's addresses.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Addresses {
    /// On the internet.
    pub public: Vec<IpAddr>,
    /// On the tailnet.
    pub mesh: Option<IpAddr>,
}

/// Looks, and tells.
pub async fn status(reach: &Reach, subject: &Subject) -> Result<Status, Error> {
    let observed = observe(reach, subject, &BTreeSet::new()).await?;
    let addons = reach.wish(subject).addons(&observed);
    let addons = addons.iter().filter(|_| observed.kubernetes.is_some());
    let addons = addons.map(|addon| addon_status(addon.name, observed.addons.get(addon.name))).collect();
    let mut status = told(subject, &observed, addons);
    if observed.kubernetes.is_some() {
        let mut ingress = ingress::look(reach, subject, &observed).await;
        for node in &mut status.nodes {
            node.ingress = ingress.remove(&node.name);
        }
    }
    Ok(status)
}

fn addon_status(name: &str, seen: Option<&AddonSeen>) -> AddonStatus {
    let mut trouble = Vec::new();
    match seen {
        None => trouble.push("it is not installed".to_owned()),
        Some(seen) => {
            if !seen.is_whole {
                trouble.push("it is not installed as the file has it".to_owned());
            }
            trouble.extend(seen.differences.iter().map(|what| format!("changed since: {what}")));
            trouble.extend(seen.conflicts.clone());
            trouble.extend(seen.trouble.clone());
        }
    }
    AddonStatus {
        name: name.to_owned(),
        installed: seen.is_some_and(|seen| seen.is_whole),
        ready: trouble.is_empty(),
        trouble,
    }
}

fn told(subject: &Subject, observed: &Observed, addons: Vec<AddonStatus>) -> Status {
    let cluster = &subject.cluster;
    let mut names: BTreeSet<&str> = cluster.nodes.keys().map(String::as_str).collect();
    let machines = observed.found().filter(|found| found.ours && found.place.is_some());
    names.extend(machines.filter_map(|found| found.node.as_deref()));
    let nodes: Vec<NodeStatus> = names.into_iter().map(|name| node(subject, observed, name)).collect();
    let mut trouble = Vec::new();
    if observed.kubernetes.is_none() && nodes.iter().any(|node| node.machine.is_some()) {
        trouble.push("the Kubernetes API does not answer".to_owned());
    }
    Status {
        cluster: cluster.name.clone(),
        api: ApiStatus {
            endpoint: cluster.api_name().map(|name| format!("https://{name}:6443")),
            answers: observed.kubernetes.is_some(),
        },
        nodes,
        addons,
        trouble,
    }
}

fn node(subject: &Subject, observed: &Observed, name: &str) -> NodeStatus {
    let spec = subject.cluster.nodes.get(name);
    let machine = observed.machine(name);
    let device = observed.device(name);
    let seen = observed.nodes.get(name);
    let kube = observed.kubernetes.as_ref().and_then(|nodes| nodes.get(name));
    let mut trouble = Vec::new();
    match machine.map(|machine| &machine.state) {
        None if spec.is_some() => trouble.push("it has no machine".to_owned()),
        Some(clouds::State::Off) => trouble.push("its machine is switched off".to_owned()),
        Some(clouds::State::Broken(why)) => trouble.push(format!("its machine is broken: {why}")),
        _ => {}
    }
    if machine.is_some() {
        match device {
            None => trouble.push("it is not on the tailnet".to_owned()),
            Some(device) if !device.connected => trouble.push("it has lost its connection to the tailnet".to_owned()),
            Some(_) if seen.is_none() => trouble.push("its Talos API does not answer".to_owned()),
            Some(_) => {}
        }
    }
    trouble.extend(seen.iter().flat_map(|seen| seen.trouble.clone()));
    trouble.extend(kube.and_then(|kube| kube.reason.clone()));
    if spec.is_none() {
        trouble.push("the file does not name it".to_owned());
    }
    NodeStatus {
        name: name.to_owned(),
        role: spec.map(|spec| spec.role.to_string()).unwrap_or_default(),
        place: machine.and_then(|machine| machine.place.as_ref()).map(ToString::to_string),
        machine: machine.map(|machine| state(&machine.state).to_owned()),
        ready: kube.is_some_and(|kube| kube.ready),
        talos: seen.map(|seen| seen.talos.clone()),
        kubernetes: kube.map(|kube| kube.kubernetes.clone()),
        addresses: Addresses {
            public: machine.map(|machine| machine.addresses.clone()).unwrap_or_default(),
            mesh: device.and_then(|device| device.address),
        },
        etcd: seen.and_then(|seen| seen.etcd),
        ingress: None,
        trouble,
    }
}

fn state(state: &clouds::State) -> &'static str {
    match state {
        clouds::State::Pending => "pending",
        clouds::State::Ready => "running",
        clouds::State::Off => "off",
        clouds::State::Leaving => "leaving",
        clouds::State::Broken(_) => "broken",
    }
}
