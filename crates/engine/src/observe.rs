//! One sweep over the world: everything at once, every list in pages, every node three calls.

use crate::reach::{MeshTag, Reach, Subject};
use crate::step::{api_mark_node, key_node};
use crate::{Error, ingress, kubernetes, nodes, objects};
use addons::WATCHER;
use futures::future::{join_all, try_join_all};
use plan::{AddonSeen, ApiRecord, CloudSeen, Device, MeshKey, Observed, ZoneSeen};
use spec::{CloudPlace, Place};
use std::collections::{BTreeMap, BTreeSet};

/// Looks at everything that concerns the cluster. `refused`: places known to be out of stock.
pub async fn observe(reach: &Reach, subject: &Subject, refused: &BTreeSet<CloudPlace>) -> Result<Observed, Error> {
    let tag = MeshTag::of(&subject.cluster.name);
    let names: Vec<&str> = subject.cluster.nodes.keys().map(String::as_str).collect();
    let (clouds, (devices, inside), keys, zone) = futures::try_join!(
        clouds(reach, subject),
        async {
            let devices = devices(reach, &tag, &names).await?;
            let inside = inside(reach, subject, &devices).await;
            Ok((devices, inside))
        },
        keys(reach, subject),
        zone(reach, subject),
    )?;
    let (answers, kubernetes) = inside;
    let mut observed = Observed {
        clouds,
        devices,
        keys,
        zone,
        nodes: BTreeMap::new(),
        addons: BTreeMap::new(),
        kubernetes,
        has_bundle: subject.bundle.is_some(),
        operators: Vec::new(),
        given_up: BTreeSet::new(),
        refused: refused.clone(),
    };
    if names.iter().any(|node| observed.awaits_first_contact(&subject.cluster, node)) {
        observed.operators = reach.operator.addresses(&reach.line).await?;
    }
    for (node, answers) in answers {
        let cloud = observed.machine(&node).map(|found| found.key.cloud.clone());
        let seen = nodes::seen(reach, subject, &node, cloud.as_deref(), &observed.devices, &answers)?;
        observed.nodes.insert(node, seen);
    }
    if observed.kubernetes.is_some() {
        observed.addons = addons(reach, subject, &observed).await;
    }
    Ok(observed)
}

/// Add-ons in the cluster. An API that has stopped answering meanwhile is an observation too.
async fn addons(reach: &Reach, subject: &Subject, observed: &Observed) -> BTreeMap<String, AddonSeen> {
    let wanted = reach.wish(subject).addons(observed);
    let look = |client: kube::Client| {
        let wanted = &wanted;
        async move {
            let mut seen = objects::look(&client, wanted).await?;
            if let Some(watcher) = seen.get_mut(WATCHER).filter(|seen| seen.is_whole && seen.trouble.is_empty()) {
                // One that is ready and has not written yet is no more installed than pods that are not ready.
                let nodes = ingress::list(&client).await.unwrap_or_default();
                watcher.trouble.extend(ingress::unpublished(&nodes));
            }
            Ok(seen)
        }
    };
    kubernetes::ask(reach, subject, &observed.devices, look).await.unwrap_or_default()
}

async fn clouds(reach: &Reach, subject: &Subject) -> Result<BTreeMap<String, CloudSeen>, Error> {
    let places: BTreeSet<&CloudPlace> = subject
        .cluster
        .nodes
        .values()
        .flat_map(|node| &node.places)
        .filter_map(|place| match place {
            Place::Cloud(place) => Some(place),
            Place::Address(_) => None,
        })
        .collect();
    let seen = reach.clouds.iter().map(|cloud| async {
        let here: Vec<CloudPlace> =
            places.iter().filter(|place| place.cloud == cloud.name()).map(|place| (*place).clone()).collect();
        let (found, offers) =
            futures::try_join!(cloud.find(&reach.line, &subject.cluster.name, &[]), cloud.offers(&reach.line, &here))?;
        let images = found.iter().filter_map(|found| Some((cloud.image_of(found)?, found.clone()))).collect();
        Ok::<_, Error>((cloud.name().to_owned(), CloudSeen { found, images, offers }))
    });
    Ok(try_join_all(seen).await?.into_iter().collect())
}

/// Devices that bear the tag, or one of the names.
pub(crate) async fn devices(reach: &Reach, tag: &MeshTag, names: &[&str]) -> Result<Vec<Device>, clouds::Error> {
    let all = reach.tailnet.devices(&reach.line).await?;
    let seen = all.into_iter().map(|device| {
        let name = device.name.split('.').next().unwrap_or_default().to_owned();
        Device {
            address: device.addresses.iter().find(|address| address.is_ipv4()).copied(),
            ours: device.tags.contains(&tag.0),
            connected: device.connected.unwrap_or(true),
            hostname: device.hostname,
            id: device.id,
            name,
        }
    });
    let mut seen: Vec<Device> = seen.filter(|device| device.ours || names.contains(&device.name.as_str())).collect();
    seen.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    Ok(seen)
}

/// Keys that were minted for this cluster. The list tells of keys only that they are active, and their description.
async fn keys(reach: &Reach, subject: &Subject) -> Result<Vec<MeshKey>, Error> {
    let all = reach.tailnet.keys(&reach.line).await?;
    let ours = all.into_iter().filter(|key| !key.invalid).filter_map(|key| {
        let node = key_node(&subject.cluster.name, &key.description)?;
        Some(MeshKey { id: key.id, node: Some(node) })
    });
    let mut keys: Vec<MeshKey> = ours.collect();
    keys.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(keys)
}

async fn zone(reach: &Reach, subject: &Subject) -> Result<Option<ZoneSeen>, Error> {
    let (Some(zone), Some(domain)) = (&reach.zone, &subject.cluster.domain) else { return Ok(None) };
    let cluster = &subject.cluster.name;
    let found = zone.zone_of(&reach.line, domain).await?;
    let api_name = subject.cluster.api_name().unwrap_or_default();
    let mark = format!("bouquet/{cluster}/");
    let all = zone.records(&reach.line, &found.id, &api_name).await?;
    let concerning = all.into_iter().filter_map(|record| {
        let written = record.mark.unwrap_or_default();
        let ours = written.starts_with(&mark);
        (ours || record.name == api_name).then(|| ApiRecord {
            api_node: api_mark_node(cluster, &written),
            id: record.id,
            name: record.name,
            kind: record.kind,
            content: record.content,
            ours,
        })
    });
    let mut records: Vec<ApiRecord> = concerning.collect();
    records.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(Some(ZoneSeen { id: found.id, name: found.name, records }))
}

type Inside = (BTreeMap<String, nodes::Answers>, Option<BTreeMap<String, plan::KubeNode>>);

/// What nodes and Kubernetes say. Neither answering is an observation, not an error.
async fn inside(reach: &Reach, subject: &Subject, devices: &[Device]) -> Inside {
    if subject.bundle.is_none() {
        return (BTreeMap::new(), None);
    }
    let reachable = devices.iter().filter(|device| device.ours && device.connected);
    let asked = reachable.filter_map(|device| {
        let address = device.address?;
        Some(async move { Some((device.name.clone(), Box::pin(nodes::ask(reach, subject, address)).await.ok()?)) })
    });
    let asked = join_all(asked);
    let kubernetes = async {
        if kubernetes::endpoints(subject, devices).is_empty() {
            return None;
        }
        kubernetes::nodes(reach, subject, devices).await.ok()
    };
    let (answers, kubernetes) = futures::join!(asked, kubernetes);
    (answers.into_iter().flatten().collect(), kubernetes)
}
