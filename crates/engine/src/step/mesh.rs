use super::resource::cloud;
use crate::diagnosis::{Absent, KeySeen};
use crate::site::Site;
use crate::{Error, deadline, diagnosis};
use clouds::{AddressRecord, Power, State, Why};
use plan::LOST_LABEL;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use wire::{Pace, Secret};

/// The longest that a machine may take from the order to its first login.
const KEY_EXPIRY_S: u64 = 3600;
/// What the API name points to before any control plane has an address: TEST-NET-1, which nobody answers at.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Resolvers keep the API name's address no longer than this.
const API_TTL_S: u32 = 60;
/// How often a machine that has not joined is looked at from its cloud's side.
const LOOK_CLOSER: Duration = Duration::from_secs(20);

/// Mints a key for one launch, and takes back those of launches that were cut off.
pub(super) async fn mint_key(site: &Arc<Site>, node: &str) -> Result<Secret, Error> {
    drop_keys(site, node).await?;
    let reach = &site.reach;
    let cluster = &site.subject.cluster.name;
    let tags = [crate::MeshTag::of(cluster).0];
    let description = key_description(cluster, node);
    let minted = reach.tailnet.mint_key(&reach.line, &tags, &description, KEY_EXPIRY_S).await?;
    site.remember_key(node, minted.id);
    Ok(minted.secret)
}

/// What a key for the mesh says of itself: Tailscale allows letters, digits, spaces and hyphens, 50 characters at most.
pub(crate) fn key_description(cluster: &str, node: &str) -> String {
    format!("bouquet {cluster} {node}").chars().take(50).collect()
}

/// Takes back every key that is known to be minted for a node.
pub(super) async fn drop_keys(site: &Arc<Site>, node: &str) -> Result<(), Error> {
    for id in site.take_keys(node) {
        delete_key(site, &id).await?;
    }
    Ok(())
}

pub(super) async fn delete_key(site: &Arc<Site>, id: &str) -> Result<(), Error> {
    gone(site.reach.tailnet.delete_key(&site.reach.line, id).await)
}

pub(super) async fn delete_device(site: &Arc<Site>, id: &str) -> Result<(), Error> {
    gone(site.reach.tailnet.delete_device(&site.reach.line, id).await)
}

fn gone(result: Result<(), clouds::Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.why == Why::NotFound => Ok(()),
        other => Ok(other?),
    }
}

/// Waits until the node is on the tailnet under its own name; meanwhile sees to it that its machine runs.
pub(super) async fn join(site: &Arc<Site>, node: &str) -> Result<(), Error> {
    let seen = |devices: &Vec<plan::Device>| {
        let of_node = devices.iter().find(|device| device.ours && device.name == node && device.connected);
        of_node.and_then(|device| device.address)
    };
    let joined = async {
        let seen = site.devices.until(Pace::VENDOR, deadline::JOIN, seen).await?;
        Ok::<_, Error>(seen)
    };
    let watched = watch_machine(site, node);
    let joined = tokio::select! {
        biased;
        joined = joined => joined?,
        error = watched => return Err(error),
    };
    if joined.is_some() {
        if let Some(late) = site.machine(node).filter(|found| found.labels.contains_key(LOST_LABEL)) {
            cloud(site, &late.key.cloud)?.mark(&site.reach.line, &late, LOST_LABEL, None).await?;
        }
        return drop_keys(site, node).await;
    }
    give_up(site, node).await;
    Err(Error::Late {
        subject: node.to_owned(),
        what: "did not appear on the tailnet",
        limit: deadline::JOIN,
        diagnosis: diagnose(site, node).await,
    })
}

/// Marks a machine that was waited for in vain. Best effort: without the mark the next run waits once more.
pub(super) async fn give_up(site: &Arc<Site>, node: &str) {
    let Some(found) = site.machine(node) else { return };
    let Ok(cloud) = cloud(site, &found.key.cloud) else { return };
    let _unmarked = cloud.mark(&site.reach.line, &found, LOST_LABEL, Some("yes")).await;
}

/// Looks at a machine from its cloud's side now and then: one that is off is switched on, one that is broken or gone ends
/// the wait. Returns only then.
async fn watch_machine(site: &Arc<Site>, node: &str) -> Error {
    let Some(machine) = site.machine(node) else { return std::future::pending().await };
    loop {
        site.reach.line.time().sleep(LOOK_CLOSER).await;
        let Ok(all) = site.look(&machine.key.cloud, &machine.key.kind).fresh(LOOK_CLOSER / 2).await else { continue };
        let subject = node.to_owned();
        match all.iter().find(|now| now.id == machine.id).map(|now| (&now.state, now)) {
            None => return Error::Machine { subject, reason: "its machine is gone".into() },
            Some((State::Broken(reason), _)) => return Error::Machine { subject, reason: reason.clone() },
            Some((State::Off, now)) => {
                let Ok(cloud) = cloud(site, &machine.key.cloud) else { continue };
                if let Err(error) = cloud.power(&site.reach.line, now, Power::On).await
                    && error.why != Why::Busy
                {
                    return error.into();
                }
            }
            Some(_) => {}
        }
    }
}

/// What looking closer shows of a machine that does not join.
pub(super) async fn diagnose(site: &Arc<Site>, node: &str) -> Option<String> {
    let cluster = &site.subject.cluster;
    let mut seen = Absent {
        key: key_seen(site, node).await,
        renamed: None,
        strangers: Vec::new(),
        cloud: None,
        shows_console: false,
    };
    if let Ok(devices) = site.devices.fresh(Duration::ZERO).await {
        let ours = || devices.iter().filter(|device| device.ours);
        let renamed = ours().find(|device| device.hostname == node && device.name != node);
        seen.renamed = renamed.map(|device| device.name.clone());
        // A node that is leaving has a machine and no place in the file.
        let is_known = |name: &str| cluster.nodes.contains_key(name) || site.machine(name).is_some();
        let strangers = ours().filter(|device| !is_known(&device.name) && !is_known(&device.hostname));
        seen.strangers = strangers.map(|device| device.name.clone()).collect();
    }
    if let Some(machine) = site.machine(node)
        && let Ok(cloud) = cloud(site, &machine.key.cloud)
    {
        let told = cloud.diagnose(&site.reach.line, &machine).await;
        seen.shows_console = told.is_ok() && cloud.shows_console();
        seen.cloud = Some(told.unwrap_or_else(|error| error.to_string()));
    }
    diagnosis::absent(&seen)
}

/// What became of the key that a node's machine was launched with.
async fn key_seen(site: &Arc<Site>, node: &str) -> KeySeen {
    let Some(id) = site.keys(node).pop() else { return KeySeen::Unknown };
    let now = site.reach.line.time().now();
    match site.reach.tailnet.key(&site.reach.line, &id).await {
        Ok(key) => match key.expires.filter(|expires| *expires <= now) {
            Some(expires) => KeySeen::Expired(expires),
            None if key.invalid => KeySeen::Spent,
            None => KeySeen::Unused,
        },
        Err(error) if error.why == Why::NotFound => KeySeen::Spent,
        Err(_) => KeySeen::Unknown,
    }
}

/// Makes the API name, pointing nowhere yet.
pub(super) async fn reserve_name(site: &Arc<Site>, name: &str, node: &str) -> Result<(), Error> {
    put(site, name, node, NOWHERE).await
}

/// Points the API name at the node's mesh address.
pub(super) async fn point_name(site: &Arc<Site>, name: &str, node: &str) -> Result<(), Error> {
    let address = site
        .address(node)
        .await?
        .ok_or_else(|| Error::Machine { subject: node.to_owned(), reason: "it is not on the tailnet".into() })?;
    put(site, name, node, address).await
}

async fn put(site: &Arc<Site>, name: &str, node: &str, address: IpAddr) -> Result<(), Error> {
    let (Some(zone), Some(seen)) = (&site.reach.zone, &site.observed.zone) else {
        return Err(Error::Unknown("the file names no DNS provider".into()));
    };
    let mark = api_mark(&site.subject.cluster.name, node);
    let wanted = AddressRecord { name: name.to_owned(), address, ttl_s: API_TTL_S, mark };
    let known = site.record(node);
    let id = zone.put_address(&site.reach.line, &seen.id, known.as_deref(), &wanted).await?;
    site.remember_record(node, id);
    Ok(())
}

/// The mark of an API record: the watcher never touches what bears it.
pub(crate) fn api_mark(cluster: &str, node: &str) -> String {
    format!("bouquet/{cluster}/api/{node}")
}

pub(super) async fn delete_record(site: &Arc<Site>, id: &str) -> Result<(), Error> {
    let (Some(zone), Some(seen)) = (&site.reach.zone, &site.observed.zone) else {
        return Err(Error::Unknown("the file names no DNS provider".into()));
    };
    gone(zone.delete_record(&site.reach.line, &seen.id, id).await)
}

/// The node that a key was minted for.
pub(crate) fn key_node(cluster: &str, description: &str) -> Option<String> {
    description.strip_prefix(&format!("bouquet {cluster} ")).map(str::to_owned)
}

/// The control plane that an API record is for.
pub(crate) fn api_mark_node(cluster: &str, mark: &str) -> Option<String> {
    mark.strip_prefix(&format!("bouquet/{cluster}/api/")).map(str::to_owned)
}
