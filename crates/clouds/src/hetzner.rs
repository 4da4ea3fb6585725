//! Hetzner Cloud.
//!
//! A project holds a cluster's one firewall, a server a node, and snapshots to boot them from; all are known by the
//! label `bouquet.dev/cluster`. Names are unique within a project and kind, which is what makes a create whose answer
//! was lost safe to look up. Primary addresses are made and removed by Hetzner together with their server.
//!
//! This room refuses to change what does not bear the mark, with one exception that Kubernetes' own controllers sign
//! for: their volumes and load balancers on our machines (see `found`).

mod api;
mod check;
mod effects;
mod found;
mod image;
mod marks;
mod offers;
mod refusal;
#[cfg(test)]
mod tests;
mod types;
mod wanted;

use crate::rest::Rest;
use crate::{Cloud, Error, Finding, Found, Given, Image, ImageOrder, Need, Offer, Power, Progress, Settings, Wanted};
use async_trait::async_trait;
use spec::CloudPlace;
use std::sync::Arc;
use types::{Firewall, LoadBalancer, Server, Snapshot, SshKey, Volume};
use wire::{Line, Secret};

pub(crate) const NAME: &str = "hetzner";

/// Where Hetzner Cloud's API is.
pub const ENDPOINT: &str = "https://api.hetzner.cloud/v1";

/// In the order in which they are deleted. Volumes and load balancers go before the servers: once those are gone,
/// nothing tells any more whose they were.
const KINDS: &[&str] = &["load_balancer", "volume", "server", "firewall", "ssh_key", "image"];

/// A project of Hetzner Cloud.
#[derive(Clone)]
pub struct Hetzner {
    rest: Rest,
}

impl Hetzner {
    /// `token`: of a project, with read and write access. `endpoint`: [`ENDPOINT`], or where `HCLOUD_ENDPOINT` points.
    pub fn new(token: &Secret, endpoint: &http::Uri) -> Result<Self, Error> {
        let header = Secret::new(format!("Bearer {}", token.expose()));
        let rest = Rest::new(NAME, "HCLOUD_ENDPOINT", endpoint, refusal::sort)?;
        Ok(Hetzner { rest: rest.authorized("HCLOUD_TOKEN", &header)? })
    }

    /// From `HCLOUD_TOKEN` and `HCLOUD_ENDPOINT`.
    pub fn from_settings(settings: &dyn Settings) -> Result<Arc<dyn Cloud>, Error> {
        let token = settings.needed("HCLOUD_TOKEN")?;
        Ok(Arc::new(Hetzner::new(&token, &settings.endpoint("HCLOUD_ENDPOINT", ENDPOINT)?)?))
    }

    /// The pages of a list, or nothing where nobody asks for it.
    async fn listed<T>(&self, line: &Line, list: &api::List<'_>, asked: bool) -> Result<Vec<T>, Error>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
    {
        if asked { api::all(&self.rest, line, list).await } else { Ok(Vec::new()) }
    }
}

#[async_trait]
impl Cloud for Hetzner {
    fn name(&self) -> &'static str {
        NAME
    }

    fn platform(&self) -> &'static str {
        "hcloud"
    }

    fn images_have_regions(&self) -> bool {
        false
    }

    fn kinds(&self) -> &'static [&'static str] {
        KINDS
    }

    fn wanted(&self, need: &Need) -> Vec<Wanted> {
        wanted::wanted(need)
    }

    async fn find(&self, line: &Line, cluster: &str, kinds: &[&str]) -> Result<Vec<Found>, Error> {
        let asked = |kind: &str| kinds.is_empty() || kinds.contains(&kind);
        // What hangs on servers is known by them, and servers name their firewalls by id only.
        let on_servers = asked("volume") || asked("load_balancer");
        let servers_needed = asked("server") || on_servers;
        let (servers, firewalls, ssh_keys, snapshots, volumes, balancers) = tokio::try_join!(
            biased;
            self.listed::<Server>(line, &api::SERVERS, servers_needed),
            self.listed::<Firewall>(line, &api::FIREWALLS, servers_needed || asked("firewall")),
            self.listed::<SshKey>(line, &api::SSH_KEYS, asked("ssh_key")),
            self.listed::<Snapshot>(line, &api::SNAPSHOTS, asked("image")),
            self.listed::<Volume>(line, &api::VOLUMES, asked("volume")),
            self.listed::<LoadBalancer>(line, &api::LOAD_BALANCERS, asked("load_balancer")),
        )?;
        let mut all: Vec<Found> = servers
            .into_iter()
            .filter(|server| found::concerns(cluster, &server.name, &server.labels))
            .map(|server| found::server(cluster, server, &firewalls))
            .collect();
        let machines: Vec<Found> = all.iter().filter(|found| found.ours).cloned().collect();
        all.extend(volumes.into_iter().filter_map(|volume| found::volume(cluster, volume, &machines)));
        all.extend(balancers.into_iter().filter_map(|one| found::load_balancer(cluster, one, &machines)));
        let firewalls = firewalls.into_iter().filter(|one| found::concerns(cluster, &one.name, &one.labels));
        all.extend(firewalls.map(|one| found::firewall(cluster, one)));
        let ssh_keys = ssh_keys.into_iter().filter(|one| found::concerns(cluster, &one.name, &one.labels));
        all.extend(ssh_keys.map(|one| found::ssh_key(cluster, one)));
        let snapshots = snapshots.into_iter().filter(|one| found::concerns(cluster, &one.description, &one.labels));
        all.extend(snapshots.map(|one| found::snapshot(cluster, one)));
        all.retain(|found| asked(&found.key.kind));
        all.sort_by(|a, b| (&a.key, &a.id).cmp(&(&b.key, &b.id)));
        Ok(all)
    }

    async fn offers(&self, line: &Line, places: &[CloudPlace]) -> Result<Vec<Offer>, Error> {
        self.offers(line, places).await
    }

    async fn check(&self, line: &Line, _: &Need) -> Vec<Finding> {
        self.check(line).await
    }

    async fn create(&self, line: &Line, wanted: &Wanted, given: &Given) -> Result<Found, Error> {
        self.create(line, wanted, given).await
    }

    async fn update(&self, line: &Line, found: &Found, wanted: &Wanted, given: &Given) -> Result<Found, Error> {
        self.update(line, found, wanted, given).await
    }

    async fn delete(&self, line: &Line, found: &Found) -> Result<(), Error> {
        self.delete(line, found).await
    }

    async fn mark(&self, line: &Line, found: &Found, label: &str, value: Option<&str>) -> Result<(), Error> {
        self.mark(line, found, label, value).await
    }

    async fn power(&self, line: &Line, found: &Found, power: Power) -> Result<(), Error> {
        self.power(line, found, power).await
    }

    async fn diagnose(&self, line: &Line, found: &Found) -> Result<String, Error> {
        self.diagnose(line, found).await
    }

    async fn make_image(&self, line: &Line, order: &ImageOrder, progress: &dyn Progress) -> Result<Found, Error> {
        self.make_image(line, order, progress).await
    }

    fn image_of(&self, found: &Found) -> Option<Image> {
        (found.key.kind == "image").then(|| marks::image_of(&found.labels)).flatten()
    }
}
