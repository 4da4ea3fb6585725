//! What one round knows while it carries a plan out: what was there, plus what its steps have made.

use crate::poll::Poll;
use crate::reach::{MeshTag, Reach, Subject};
use clouds::{Found, Key};
use plan::{Device, Observed};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by all steps of a round.
pub(crate) struct Site {
    pub reach: Reach,
    pub subject: Subject,
    pub observed: Observed,
    /// The tailnet's devices, one request for all who wait.
    pub devices: Arc<Poll<Vec<Device>, clouds::Error>>,
    /// By cloud and kind: what is there, one request for all who wait.
    looks: Mutex<BTreeMap<(String, String), Arc<Poll<Vec<Found>, clouds::Error>>>>,
    pub nodes: Poll<BTreeMap<String, plan::KubeNode>, crate::Error>,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    found: BTreeMap<Key, Found>,
    records: BTreeMap<String, String>,
    keys: BTreeMap<String, Vec<String>>,
    images: BTreeMap<(String, clouds::Image), Found>,
}

impl Site {
    pub(crate) fn new(reach: &Reach, subject: &Subject, observed: &Observed) -> Arc<Self> {
        let mut made = Made::default();
        for found in observed.found() {
            made.found.insert(found.key.clone(), found.clone());
        }
        for (cloud, seen) in &observed.clouds {
            for (image, found) in &seen.images {
                made.images.entry((cloud.clone(), image.clone())).or_insert_with(|| found.clone());
            }
        }
        for key in &observed.keys {
            if let Some(node) = &key.node {
                made.keys.entry(node.clone()).or_default().push(key.id.clone());
            }
        }
        for record in observed.zone.iter().flat_map(|zone| &zone.records) {
            if let Some(node) = &record.api_node {
                made.records.insert(node.clone(), record.id.clone());
            }
        }
        let time = reach.line.time().clone();
        let devices = {
            let (reach, tag) = (reach.clone(), MeshTag::of(&subject.cluster.name));
            Arc::new(Poll::new(time.clone(), move || {
                let (reach, tag) = (reach.clone(), tag.clone());
                Box::pin(async move { crate::observe::devices(&reach, &tag, &[]).await })
            }))
        };
        let nodes = {
            let (reach, subject, devices) = (reach.clone(), subject.clone(), devices.clone());
            Poll::new(time, move || {
                let (reach, subject, devices) = (reach.clone(), subject.clone(), devices.clone());
                Box::pin(async move {
                    let devices = devices.fresh(std::time::Duration::from_mins(1)).await?;
                    crate::kubernetes::nodes(&reach, &subject, &devices).await
                })
            })
        };
        Arc::new(Site {
            reach: reach.clone(),
            subject: subject.clone(),
            observed: observed.clone(),
            devices,
            looks: Mutex::default(),
            nodes,
            made: Mutex::new(made),
        })
    }

    fn made<R>(&self, work: impl FnOnce(&mut Made) -> R) -> R {
        work(&mut self.made.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A shared look at one kind of resource.
    pub(crate) fn look(self: &Arc<Self>, cloud: &str, kind: &str) -> Arc<Poll<Vec<Found>, clouds::Error>> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let (reach, cluster) = (self.reach.clone(), self.subject.cluster.name.clone());
            let (cloud, kind) = (cloud.to_owned(), kind.to_owned());
            let poll = Poll::new(self.reach.line.time().clone(), move || {
                let (reach, cluster, cloud, kind) = (reach.clone(), cluster.clone(), cloud.clone(), kind.clone());
                Box::pin(async move {
                    let Some(cloud) = reach.cloud(&cloud) else { return Ok(Vec::new()) };
                    cloud.find(&reach.line, &cluster, &[kind.as_str()]).await
                })
            });
            Arc::new(poll)
        };
        looks.entry((cloud.to_owned(), kind.to_owned())).or_insert_with(make).clone()
    }

    pub(crate) fn remember(&self, found: Found) {
        self.made(|made| made.found.insert(found.key.clone(), found));
    }

    /// What is gone is nobody's machine any more.
    pub(crate) fn forget(&self, gone: &Found) {
        self.made(|made| made.found.retain(|_, found| found.id != gone.id));
    }

    pub(crate) fn ids(&self) -> BTreeMap<Key, String> {
        self.made(|made| made.found.iter().map(|(key, found)| (key.clone(), found.id.clone())).collect())
    }

    /// Everything of ours that is known to be there.
    pub(crate) fn ours(&self) -> Vec<Found> {
        self.made(|made| made.found.values().filter(|found| found.ours).cloned().collect())
    }

    /// The machine that a node runs on.
    pub(crate) fn machine(&self, node: &str) -> Option<Found> {
        self.made(|made| made.found.values().find(|found| found.is_machine_of(node)).cloned())
    }

    pub(crate) fn remember_image(&self, cloud: &str, image: &clouds::Image, found: Found) {
        self.remember(found.clone());
        self.made(|made| made.images.insert((cloud.to_owned(), image.clone()), found));
    }

    /// The image that a cloud boots such machines from, wherever in the cloud it is.
    pub(crate) fn image(&self, cloud: &str, image: &clouds::Image) -> Option<Found> {
        self.made(|made| {
            let fits = |(of, have): &&(String, clouds::Image)| {
                let here = have.region.is_empty() || have.region == image.region;
                let same = have.arch == image.arch && have.schematic == image.schematic && have.talos == image.talos;
                of == cloud && here && same
            };
            let key = made.images.keys().find(fits)?;
            made.images.get(key).cloned()
        })
    }

    pub(crate) fn remember_record(&self, node: &str, id: String) {
        self.made(|made| made.records.insert(node.to_owned(), id));
    }

    pub(crate) fn record(&self, node: &str) -> Option<String> {
        self.made(|made| made.records.get(node).cloned())
    }

    pub(crate) fn remember_key(&self, node: &str, id: String) {
        self.made(|made| made.keys.entry(node.to_owned()).or_default().push(id));
    }

    /// Ids of the keys that are known to be minted for a node, oldest first.
    pub(crate) fn keys(&self, node: &str) -> Vec<String> {
        self.made(|made| made.keys.get(node).cloned().unwrap_or_default())
    }

    /// Keys minted for a node, which from now on are somebody else's to delete.
    pub(crate) fn take_keys(&self, node: &str) -> Vec<String> {
        self.made(|made| made.keys.remove(node).unwrap_or_default())
    }

    /// The node's mesh address, if it is on the tailnet.
    pub(crate) async fn address(&self, node: &str) -> Result<Option<IpAddr>, clouds::Error> {
        let devices = self.devices.fresh(std::time::Duration::from_mins(1)).await?;
        Ok(devices.iter().find(|device| device.ours && device.name == node).and_then(|device| device.address))
    }
}
