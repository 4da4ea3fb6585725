//! Checks that need all nodes at once.

use crate::Span;
use crate::catalogue;
use crate::cluster::{Place, Role, Size};
use crate::code;
use crate::fault::{Faults, help};
use crate::names;
use crate::nodes::NodeDraft;

/// OCI's Always Free since June 2026: 1,500 OCPU hours and 9,000 GB hours a month, which is this much all the time, and
/// block storage.
const FREE: Size = Size { cpus: 2, memory_gib: 12, disk_gib: 200 };

pub(crate) fn check_fleet(nodes: &[NodeDraft], nodes_span: &Span, cluster: Option<&str>, faults: &mut Faults) {
    check_quorum(nodes, nodes_span, faults);
    check_addresses(nodes, faults);
    check_always_free(nodes, faults);
    names::check_mesh(&nodes.iter().map(|node| &node.name).collect::<Vec<_>>(), faults);
    if let Some(cluster) = cluster {
        names::check_marks(cluster, nodes.iter().map(|node| &node.name), faults);
    }
}

fn check_quorum(nodes: &[NodeDraft], nodes_span: &Span, faults: &mut Faults) {
    // A role that could not be read may have been any.
    let Some(roles) = nodes.iter().map(|node| node.role.as_ref()).collect::<Option<Vec<_>>>() else { return };
    let control_planes: Vec<_> = roles.into_iter().filter(|role| role.value == Role::ControlPlane).collect();
    let count = control_planes.len();
    match control_planes.last() {
        None => {
            let remedy = help("give one node `role: control-plane`");
            faults.error(code::QUORUM, nodes_span, "the cluster has no control plane", remedy);
        }
        Some(last) if count.is_multiple_of(2) => {
            let message = format!("{count} control planes survive no more losses than {} would", count - 1);
            let remedy = format!("make it {} or {}", count - 1, count + 1);
            faults.error(code::QUORUM, &last.span, message, help(remedy));
        }
        Some(_) => {}
    }
}

fn check_addresses(nodes: &[NodeDraft], faults: &mut Faults) {
    let mut seen = Vec::new();
    for node in nodes {
        for place in node.places.iter().flatten() {
            let Place::Address(address) = &place.value else { continue };
            match seen.iter().find(|(earlier, _)| *earlier == address) {
                Some((_, other)) if *other != &node.name.value => {
                    let message = format!("nodes `{other}` and `{}` are both at {address}", node.name.value);
                    faults.error(code::SAME_PLACE_TWICE, &place.span, message, help("one machine is one node"));
                }
                _ => seen.push((address, &node.name.value)),
            }
        }
    }
}

/// Counts each node where it would rather live. Shapes that are never free say that the owner pays anyway.
fn check_always_free(nodes: &[NodeDraft], faults: &mut Faults) {
    let arm: Vec<_> = nodes
        .iter()
        .filter_map(|node| node.places.as_ref()?.first())
        .filter_map(|at| match &at.value {
            Place::Cloud(place) if place.machine == catalogue::OCI_A1 => Some((&at.span, place.size?)),
            _ => None,
        })
        .collect();
    let Some((first, _)) = arm.first() else { return };
    let sum = |part: fn(&Size) -> u32| arm.iter().map(|(_, size)| u64::from(part(size))).sum::<u64>();
    let (cpus, memory, disk) = (sum(|size| size.cpus), sum(|size| size.memory_gib), sum(|size| size.disk_gib));
    let Size { cpus: cpus_free, memory_gib: memory_free, disk_gib: disk_free } = FREE;
    if cpus > cpus_free.into() || memory > memory_free.into() || disk > disk_free.into() {
        let message =
            format!("{cpus} OCPUs, {memory} GiB and {disk} GiB of disk are more than OCI's Always Free holds");
        let remedy = format!(
            "it holds {cpus_free} OCPUs, {memory_free} GiB and {disk_free} GiB; beyond, the account must pay as it goes"
        );
        faults.warning(code::ALWAYS_FREE, first, message, help(remedy));
    }
}
