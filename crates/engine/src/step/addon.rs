//! Add-ons, and what nodes are told for them.

use crate::objects;
use crate::site::Site;
use crate::{Error, deadline, ingress, kubernetes};
use addons::{Addon, Id, SYSTEM, WATCHER, WATCHER_DEPLOYMENT};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::Pace;

/// How old a look at the tailnet may be: control planes do not move.
const LOOK: Duration = Duration::from_mins(1);

fn wanted(site: &Site, name: &str) -> Result<Addon, Error> {
    let all = site.reach.wish(&site.subject).addons(&site.observed);
    let found = all.into_iter().find(|addon| addon.name == name);
    found.ok_or_else(|| Error::Unknown(format!("the file asks for no add-on called {name}")))
}

async fn client(site: &Site) -> Result<kube::Client, Error> {
    let devices = site.devices.fresh(LOOK).await?;
    kubernetes::answering(&site.reach, &site.subject, &devices).await
}

/// Tells Kubernetes a node's public address, and whether it serves.
pub(super) async fn annotate(
    site: &Arc<Site>,
    node: &str,
    address: Option<IpAddr>,
    ingress: bool,
) -> Result<(), Error> {
    let address = match (address, site.machine(node)) {
        (None, Some(_)) => Some(super::machine::public_address(site, node).await?),
        (address, _) => address,
    };
    let devices = site.devices.fresh(LOOK).await?;
    kubernetes::annotate(&site.reach, &site.subject, &devices, node, address, ingress).await
}

/// Applies an add-on's objects. An API server that has only just come up refuses a few things at first.
pub(super) async fn install(site: &Arc<Site>, name: &str, adopt: bool) -> Result<(), Error> {
    let addon = wanted(site, name)?;
    let time = site.reach.line.time();
    let began = time.now();
    loop {
        let done = match client(site).await {
            Ok(client) => objects::install(&client, time, &addon, adopt).await.map_err(Error::from),
            Err(error) => Err(error),
        };
        let waited = time.now().duration_since(began).unsigned_abs();
        match done {
            Err(Error::Objects(failure)) if !failure.is_transient() => return Err(Error::Objects(failure)),
            Err(_) if waited <= deadline::INSTALL => time.sleep(Pace::NODE.next(waited)).await,
            done => return done,
        }
    }
}

/// Waits until an add-on's pods are ready, and do what they are there for.
pub(super) async fn await_ready(site: &Arc<Site>, name: &str) -> Result<(), Error> {
    let addon = wanted(site, name)?;
    let time = site.reach.line.time();
    let began = time.now();
    loop {
        let last = match client(site).await {
            Ok(client) => unready(&client, &addon).await.map_err(|error| kubernetes::sort(&error)),
            Err(error) => Err(error),
        };
        let words = match last {
            Ok(words) if words.is_empty() => return Ok(()),
            Ok(words) => words.join("; "),
            Err(error) => error.to_string(),
        };
        let waited = time.now().duration_since(began).unsigned_abs();
        if waited > deadline::ROLLOUT {
            return Err(Error::Late {
                subject: name.to_owned(),
                what: "was not ready",
                limit: deadline::ROLLOUT,
                diagnosis: Some(words),
            });
        }
        time.sleep(Pace::NODE.next(waited)).await;
    }
}

async fn unready(client: &kube::Client, addon: &Addon) -> Result<Vec<String>, kube::Error> {
    let words = objects::unready(client, addon).await?;
    if addon.name != WATCHER || !words.is_empty() {
        return Ok(words);
    }
    // A watcher that nobody lets write would be ready all the same.
    let nodes = ingress::list(client).await?;
    Ok(ingress::unpublished(&nodes).into_iter().collect())
}

/// Removes an add-on that nobody wants any more.
pub(super) async fn remove(site: &Arc<Site>, name: &str) -> Result<(), Error> {
    let client = client(site).await?;
    Ok(objects::uninstall(&client, name).await?)
}

/// Stops the watcher, where there still is somebody to tell: its machines are about to go, and it with them.
pub(super) async fn stop_watcher(site: &Arc<Site>) {
    let id = Id {
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        plural: "deployments".into(),
        namespace: Some(SYSTEM.into()),
        name: WATCHER_DEPLOYMENT.into(),
    };
    if let Ok(client) = client(site).await {
        let stopped = objects::stop(&client, site.reach.line.time(), &id, deadline::STOP).await;
        drop(stopped);
    }
}
