use crate::draft::Draft;
use crate::make::{Wish, wanted_keys};
use crate::observed::Observed;
use crate::places::Placement;
use crate::steps::{Step, StepId};
use clouds::{Found, State};
use std::collections::{BTreeMap, BTreeSet};

/// Nodes that the file no longer names leave: work first, then data, then the machine and its traces.
pub(crate) fn of_nodes(wish: &Wish<'_>, observed: &Observed, draft: &mut Draft) {
    let machines = observed.found().filter(|found| found.ours && found.place.is_some());
    let leaving: Vec<&Found> = machines.filter(|found| is_leaving(wish, found)).collect();
    for found in leaving {
        let Some(node) = found.node.as_deref() else { continue };
        if !quorum_survives(node, observed) {
            draft.block(
                "BQ0413",
                node,
                format!("{node} holds a vote in etcd, and without it the others would not be a quorum"),
                "wait until every control plane is healthy, or put the node back into the file",
            );
            continue;
        }
        leave(node, found, observed, draft);
    }
}

fn is_leaving(wish: &Wish<'_>, found: &Found) -> bool {
    found.node.as_deref().is_some_and(|node| !wish.cluster.nodes.contains_key(node)) && found.state != State::Leaving
}

fn leave(node: &str, found: &Found, observed: &Observed, draft: &mut Draft) {
    let mut after: Vec<StepId> = Vec::new();
    let in_kubernetes = observed.kubernetes.as_ref().and_then(|nodes| nodes.get(node));
    if in_kubernetes.is_some_and(|seen| seen.ready) {
        after.push(draft.add(Step::Drain { node: node.into() }, []));
    }
    if observed.nodes.contains_key(node) {
        after.push(draft.add(Step::Reset { node: node.into() }, after.clone()));
    }
    let deleted = draft.add(Step::DeleteResource { found: found.clone() }, after.clone());
    if in_kubernetes.is_some() {
        draft.add(Step::ForgetNode { node: node.into() }, [deleted.clone()]);
    }
    for device in observed.devices.iter().filter(|device| device.ours && device.hostname == node) {
        let (id, name) = (device.id.clone(), device.name.clone());
        draft.add(Step::DeleteDevice { id, name }, [deleted.clone()]);
    }
    let records = observed.zone.iter().flat_map(|zone| &zone.records);
    for record in records.filter(|record| record.api_node.as_deref() == Some(node)) {
        draft.add(Step::DeleteRecord { id: record.id.clone(), name: record.name.clone() }, []);
    }
}

/// Whether etcd keeps a quorum without this node, counting only voters that were seen to run.
fn quorum_survives(node: &str, observed: &Observed) -> bool {
    let voters: Vec<(&String, bool)> =
        observed.nodes.iter().filter_map(|(name, seen)| Some((name, seen.etcd?))).collect();
    if !voters.iter().any(|(name, _)| *name == node) {
        return true;
    }
    let others = voters.len() - 1;
    let healthy = voters.iter().filter(|(name, runs)| *runs && *name != node).count();
    others > 0 && healthy == others
}

/// What bears our mark and nobody wants any more: from a run that was cut off, or from a node that has joined.
pub(crate) fn of_leftovers(
    wish: &Wish<'_>,
    observed: &Observed,
    placed: &BTreeMap<String, Placement>,
    draft: &mut Draft,
) {
    let keys = wanted_keys(wish, observed, placed);
    for cloud in wish.clouds {
        let Some(seen) = observed.clouds.get(cloud.name()) else { continue };
        let images: BTreeSet<&str> = seen.images.iter().map(|(_, found)| found.id.as_str()).collect();
        let left = seen.found.iter().filter(|found| {
            let stays = keys.contains(&found.key) || images.contains(found.id.as_str());
            found.ours && found.place.is_none() && !stays && found.state != State::Leaving
        });
        let left: Vec<&Found> = left.collect();
        // What an image is made with on the way is the image maker's, as long as there is one.
        if draft.has_image_for(cloud.name()) {
            continue;
        }
        delete_in_order(cloud.kinds(), &left, draft);
    }
    for key in &observed.keys {
        let awaited = key
            .node
            .as_deref()
            .is_some_and(|node| draft.has(&format!("join/{node}")) || draft.has(&format!("launch/{node}")));
        if !awaited {
            draft.add(Step::DeleteKey { id: key.id.clone() }, []);
        }
    }
    for device in &observed.devices {
        let named = wish.cluster.nodes.contains_key(&device.name);
        let has_machine = observed.machine(&device.hostname).is_some();
        let known = wish.cluster.nodes.contains_key(&device.hostname);
        if device.ours && !named && !(known && has_machine) {
            draft.add(Step::DeleteDevice { id: device.id.clone(), name: device.name.clone() }, []);
        } else if device.ours && !named {
            let text = format!(
                "its node {} is on the tailnet as {:?}: an older device holds the name",
                device.hostname, device.name
            );
            draft.note(device.name.clone(), text);
        }
    }
}

/// Adds deletions in the cloud's own order of kinds: each kind after all of the kinds before it.
pub(crate) fn delete_in_order(kinds: &[&str], found: &[&Found], draft: &mut Draft) {
    let mut before: Vec<StepId> = Vec::new();
    for kind in kinds {
        let of_kind = found.iter().filter(|found| found.key.kind == *kind);
        let now: Vec<StepId> =
            of_kind.map(|found| draft.add(Step::DeleteResource { found: (*found).clone() }, before.clone())).collect();
        before.extend(now);
    }
}
