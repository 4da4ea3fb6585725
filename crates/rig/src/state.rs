//! What there is: the cluster's nodes as its API tells of them, and what a rig has on this machine.

use crate::failure::Failure;
use crate::host::{ROOT, processes};
use crate::{Rig, cgroup};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::PathBuf;

/// A node, as the API tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Whether its condition `Ready` is `True`.
    pub ready: bool,
    /// Its address of type `InternalIP`.
    pub internal_ip: String,
}

impl Rig {
    /// All nodes, by name.
    pub fn nodes(&self) -> Result<Vec<Node>, Failure> {
        let said = self.kubectl(&["get", "nodes", "--output=json"])?;
        let list: Value = serde_json::from_str(&said).map_err(|_| Failure::Unread { program: "kubectl", said })?;
        Ok(list["items"].as_array().into_iter().flatten().map(node).collect())
    }

    /// Resident memory of all of the rig's processes that is theirs alone, in MiB.
    pub fn memory_mib(&self) -> u64 {
        processes().iter().map(|process| process.memory_kib).sum::<u64>() / 1024
    }
}

fn node(object: &Value) -> Node {
    let with_type = |list: &Value, wanted: &str| -> Option<Value> {
        list.as_array()?.iter().find(|item| item["type"] == wanted).cloned()
    };
    let text = |value: Option<Value>, field: &str| {
        value.and_then(|value| value[field].as_str().map(str::to_owned)).unwrap_or_default()
    };
    let status = &object["status"];
    Node {
        name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        ready: text(with_type(&status["conditions"], "Ready"), "status") == "True",
        internal_ip: text(with_type(&status["addresses"], "InternalIP"), "address"),
    }
}

/// What a rig has on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Running processes.
    pub processes: usize,
    /// Namespaces of all kinds that they are in, but for those of this process.
    pub namespaces: usize,
    /// Control groups, in all hierarchies.
    pub cgroups: usize,
    /// Mounts that are seen from outside of its namespaces; there must never be one.
    pub mounts: usize,
    /// Whether there is a state folder.
    pub folder: bool,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processes, namespaces, cgroups, mounts, folder } = self;
        let folder = if *folder { ROOT } else { "no folder" };
        write!(f, "{processes} processes, {namespaces} namespaces, {cgroups} control groups, {mounts} mounts, {folder}")
    }
}

/// Counts what a rig has on this machine.
pub fn left() -> Left {
    let processes = processes();
    let own = namespaces("self");
    let theirs: BTreeSet<PathBuf> = processes.iter().flat_map(|process| namespaces(&process.pid.to_string())).collect();
    Left {
        processes: processes.len(),
        namespaces: theirs.difference(&own).count(),
        cgroups: cgroup::count(),
        mounts: mounts().len(),
        folder: PathBuf::from(ROOT).exists(),
    }
}

fn namespaces(process: &str) -> BTreeSet<PathBuf> {
    let links = fs::read_dir(format!("/proc/{process}/ns")).into_iter().flatten().flatten();
    links.filter_map(|link| fs::read_link(link.path()).ok()).collect()
}

/// Mount points below the state folder that are seen from outside of the rig.
pub(crate) fn mounts() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|point| point.starts_with(ROOT)).collect()
}
