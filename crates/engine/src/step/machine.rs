use super::mesh;
use super::resource::cloud;
use crate::site::Site;
use crate::{Error, deadline, nodes};
use clouds::{Found, Given, Image, Power, State, Wanted, Why};
use plan::{BOOTSTRAP_LABEL, FORMED_LABEL, Formation};
use spec::FirstContact;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::{Pace, Secret};

/// How often a machine that does not answer at first contact is looked for on the tailnet.
const LOOK_ELSEWHERE: Duration = Duration::from_secs(15);

/// Makes a node's machine. The key for the mesh is minted for this launch alone and lives an hour at most.
pub(super) async fn launch(
    site: &Arc<Site>,
    node: &str,
    wanted: &Wanted,
    image: &Image,
    contact: FirstContact,
) -> Result<(), Error> {
    let cloud = cloud(site, &wanted.key.cloud)?;
    let user_data = match contact {
        FirstContact::UserData => {
            let key = mesh::mint_key(site, node).await?;
            Some(nodes::user_data(&site.reach, &site.subject, node, &wanted.key.cloud, &site.observed.devices, &key)?)
        }
        FirstContact::Maintenance => None,
    };
    let mut given = Given { ids: site.ids(), user_data };
    if let Some(found) = site.image(&wanted.key.cloud, image) {
        given.ids.insert(found.key, found.id);
    }
    match cloud.create(&site.reach.line, wanted, &given).await {
        Ok(found) => {
            site.remember(found);
            bear_marks(site, node).await
        }
        Err(error) => {
            // Where it is unknown whether the machine is there, the key stays: it may be booting with it.
            if !matches!(error.why, Why::Trouble | Why::Garbled) {
                mesh::drop_keys(site, node).await?;
            }
            Err(error.into())
        }
    }
}

/// A machine that comes to a cluster after its bootstrap bears the cluster's marks too, so that they outlive the others;
/// also one that is launched while the bootstrap of another goes on.
pub(super) async fn bear_marks(site: &Arc<Site>, node: &str) -> Result<(), Error> {
    let Some(mut found) = site.machine(node) else { return Ok(()) };
    let (formed, machine) = match Formation::marked(site.ours().iter()) {
        Formation::Formed(machine) => (true, machine),
        Formation::Begun(machine) => (false, machine),
        Formation::Unborn => return Ok(()),
    };
    for (label, applies) in [(BOOTSTRAP_LABEL, true), (FORMED_LABEL, formed)] {
        if applies && !found.labels.contains_key(label) {
            cloud(site, &found.key.cloud)?.mark(&site.reach.line, &found, label, Some(&machine)).await?;
            found.labels.insert(label.to_owned(), machine.clone());
        }
    }
    site.remember(found);
    Ok(())
}

/// Switches a machine on and waits until the cloud says so.
pub(super) async fn power_on(site: &Arc<Site>, node: &str, found: &Found) -> Result<(), Error> {
    cloud(site, &found.key.cloud)?.power(&site.reach.line, found, Power::On).await?;
    let look = site.look(&found.key.cloud, &found.key.kind);
    let on = look.until(Pace::VENDOR, deadline::INTRODUCE, |all| {
        all.iter().find(|now| now.id == found.id && now.state == State::Ready).cloned()
    });
    match on.await? {
        Some(now) => {
            site.remember(now);
            Ok(())
        }
        None => Err(Error::Late {
            subject: node.to_owned(),
            what: "did not come up after it was switched on",
            limit: deadline::INTRODUCE,
            diagnosis: None,
        }),
    }
}

/// Pushes the configuration to a machine that waits in maintenance mode.
pub(super) async fn introduce(site: &Arc<Site>, node: &str, address: Option<IpAddr>) -> Result<(), Error> {
    let address = match address {
        Some(address) => address,
        None => public_address(site, node).await?,
    };
    let platform = site.machine(node).map(|found| found.key.cloud);
    let mut key: Option<Secret> = None;
    let time = site.reach.line.time();
    let began = time.now();
    loop {
        let client = nodes::maintenance(&site.reach, address)?;
        match client.version().await {
            Ok(_) => {
                let key = match &key {
                    Some(key) => key.clone(),
                    None => key.insert(mesh::mint_key(site, node).await?).clone(),
                };
                let devices = &site.observed.devices;
                let config = nodes::config(&site.reach, &site.subject, node, platform.as_deref(), devices, Some(&key))?;
                match client.apply_configuration(&config, talos::ApplyMode::Auto, false).await {
                    Ok(_) => return Ok(()),
                    Err(error) if !nodes::is_transient(&error) => return Err(error.into()),
                    Err(_) => {}
                }
            }
            // A machine that asks for a certificate has its configuration already.
            Err(error) if nodes::asks_for_a_certificate(&error) => return Ok(()),
            Err(error) if !nodes::is_transient(&error) => return Err(error.into()),
            // Configured by a run whose answer was lost, it is closed to all but the mesh, and on its way there.
            Err(_)
                if site
                    .devices
                    .fresh(LOOK_ELSEWHERE)
                    .await?
                    .iter()
                    .any(|device| device.ours && device.name == node) =>
            {
                return Ok(());
            }
            Err(_) => {}
        }
        let waited = time.now().duration_since(began).unsigned_abs();
        if waited > deadline::INTRODUCE {
            mesh::give_up(site, node).await;
            return Err(Error::Late {
                subject: node.to_owned(),
                what: "did not answer on port 50000 in maintenance mode",
                limit: deadline::INTRODUCE,
                diagnosis: mesh::diagnose(site, node).await,
            });
        }
        time.sleep(Pace::NODE.next(waited)).await;
    }
}

pub(super) async fn public_address(site: &Arc<Site>, node: &str) -> Result<IpAddr, Error> {
    let machine = site
        .machine(node)
        .ok_or_else(|| Error::Machine { subject: node.to_owned(), reason: "it has no machine".into() })?;
    let look = site.look(&machine.key.cloud, &machine.key.kind);
    let address = look.until(Pace::VENDOR, deadline::INTRODUCE, |all| {
        let now = all.iter().find(|now| now.id == machine.id)?;
        now.addresses.iter().find(|address| address.is_ipv4()).copied()
    });
    address.await?.ok_or_else(|| Error::Late {
        subject: node.to_owned(),
        what: "got no public address",
        limit: deadline::INTRODUCE,
        diagnosis: None,
    })
}
