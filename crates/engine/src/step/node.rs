use super::resource::cloud;
use crate::site::Site;
use crate::{Error, deadline, kubernetes, nodes};
use plan::{BOOTSTRAP_LABEL, Device, FORMED_LABEL, Formation};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire::Pace;

/// Starts etcd on this control plane, once in the cluster's life.
///
/// Before the call, the machine's id is recorded on everything of ours; once etcd has run, that too. So a second machine
/// never gets the call, and a run that was cut off in between repeats it only for the same one.
pub(super) async fn bootstrap(site: &Arc<Site>, node: &str) -> Result<(), Error> {
    let machine = site.machine(node).map_or_else(|| node.to_owned(), |found| found.id);
    match site.observed.formation() {
        Formation::Begun(other) | Formation::Formed(other) if other != machine => {
            return Err(Error::BootstrappedElsewhere(other));
        }
        _ => {}
    }
    mark_all(site, BOOTSTRAP_LABEL, &machine).await?;
    let client = nodes::client(&site.reach, &site.subject, device(site, node).await?)?;
    let time = site.reach.line.time();
    let began = time.now();
    let mut called = false;
    loop {
        let waited = time.now().duration_since(began).unsigned_abs();
        if called {
            if client.services().await.is_ok_and(|services| nodes::is_healthy(&services, "etcd")) {
                break;
            }
        } else {
            match client.bootstrap().await {
                Ok(()) => called = true,
                // Somebody has done it before us, and only we may: a run of ours that was cut off.
                Err(error) if error.refusal() == Some(talos::Refusal::AlreadyExists) => called = true,
                Err(error) if !nodes::is_transient(&error) => return Err(error.into()),
                Err(_) => {}
            }
        }
        if waited > deadline::BOOTSTRAP {
            let diagnosis = examine(site, node).await;
            let what =
                if called { "was bootstrapped, but etcd did not start" } else { "did not take the bootstrap call" };
            return Err(Error::Late { subject: node.to_owned(), what, limit: deadline::BOOTSTRAP, diagnosis });
        }
        time.sleep(Pace::NODE.next(waited)).await;
    }
    mark_all(site, FORMED_LABEL, &machine).await
}

async fn mark_all(site: &Arc<Site>, label: &str, value: &str) -> Result<(), Error> {
    let marks = site.ours().into_iter().filter(|found| {
        let bears_marks = found.place.is_some() || found.key.kind == "firewall" || found.key.kind == "vcn";
        bears_marks && found.labels.get(label).is_none_or(|there| there != value)
    });
    let marked = futures::future::try_join_all(marks.map(|found| async move {
        cloud(site, &found.key.cloud)?.mark(&site.reach.line, &found, label, Some(value)).await?;
        let mut found = found;
        found.labels.insert(label.to_owned(), value.to_owned());
        Ok::<_, Error>(found)
    }));
    for found in marked.await? {
        site.remember(found);
    }
    Ok(())
}

async fn devices(site: &Arc<Site>, age: Duration) -> Result<Arc<Vec<Device>>, Error> {
    Ok(site.devices.fresh(age).await?)
}

async fn device(site: &Arc<Site>, node: &str) -> Result<std::net::IpAddr, Error> {
    let devices = devices(site, Duration::from_mins(1)).await?;
    nodes::address(&devices, node)
        .ok_or_else(|| Error::Machine { subject: node.to_owned(), reason: "it is not on the tailnet".into() })
}

/// Waits until the Kubernetes API says that the node is Ready, and its machine API answers: a worker that no control plane
/// has vouched for can be Ready without.
pub(super) async fn await_ready(site: &Arc<Site>, node: &str) -> Result<(), Error> {
    let time = site.reach.line.time();
    let began = time.now();
    loop {
        let waited = time.now().duration_since(began).unsigned_abs();
        let pause = Pace::NODE.next(waited);
        // An API that does not answer yet is what is waited for.
        let last = match site.nodes.fresh(pause / 2).await {
            Ok(all) => match all.get(node) {
                Some(seen) if seen.ready => match answers(site, node).await {
                    Ok(()) => return super::machine::bear_marks(site, node).await,
                    Err(_) => Some("Kubernetes says that it is Ready".into()),
                },
                Some(seen) => seen.reason.clone(),
                None => Some(unknown(&site.subject.cluster, &all)),
            },
            Err(error) => Some(error.to_string()),
        };
        if waited > deadline::READY {
            let words: Vec<String> = last.into_iter().chain(examine(site, node).await).collect();
            return Err(Error::Late {
                subject: node.to_owned(),
                what: "was not Ready",
                limit: deadline::READY,
                diagnosis: (!words.is_empty()).then(|| words.join("; ")),
            });
        }
        time.sleep(pause).await;
    }
}

async fn answers(site: &Arc<Site>, node: &str) -> Result<(), Error> {
    let client = nodes::client(&site.reach, &site.subject, device(site, node).await?)?;
    client.version().await?;
    Ok(())
}

/// Kubernetes does not know a node; it may know its machine under another name.
fn unknown(cluster: &spec::Cluster, all: &BTreeMap<String, plan::KubeNode>) -> String {
    let strangers: Vec<String> =
        all.keys().filter(|name| !cluster.nodes.contains_key(*name)).map(|name| format!("{name:?}")).collect();
    if strangers.is_empty() {
        return "Kubernetes does not know it".into();
    }
    format!("Kubernetes does not know it, but knows {}, which the file does not name", strangers.join(", "))
}

/// What looking closer shows of a node that is on the tailnet.
async fn examine(site: &Arc<Site>, node: &str) -> Option<String> {
    let devices = match devices(site, Duration::from_mins(1)).await {
        Ok(devices) => devices,
        Err(error) => return Some(error.to_string()),
    };
    let cloud = site.machine(node).map(|found| found.key.cloud);
    nodes::examine(&site.reach, &site.subject, node, cloud.as_deref(), &devices).await
}

/// Brings a running node's configuration to what the file says; without a reboot where Talos can. A node that has only
/// just joined may not answer yet: a worker's API waits for a certificate from a control plane.
pub(super) async fn configure(site: &Arc<Site>, node: &str) -> Result<(), Error> {
    let client = nodes::client(&site.reach, &site.subject, device(site, node).await?)?;
    let time = site.reach.line.time();
    let began = time.now();
    loop {
        let waited = time.now().duration_since(began).unsigned_abs();
        match take_on(site, node, &client).await {
            Ok(true) => return Ok(()),
            Err(Error::Node(error)) if !nodes::is_transient(&error) => return Err(error.into()),
            Ok(false) | Err(Error::Node(_)) => {}
            Err(other) => return Err(other),
        }
        if waited > deadline::CONFIGURE {
            return Err(Error::Late {
                subject: node.to_owned(),
                what: "did not take on its new configuration",
                limit: deadline::CONFIGURE,
                diagnosis: examine(site, node).await,
            });
        }
        time.sleep(Pace::NODE.next(waited)).await;
    }
}

/// Whether the node's configuration is what it should be; if not, the node is told.
async fn take_on(site: &Arc<Site>, node: &str, client: &talos::Client) -> Result<bool, Error> {
    let platform = site.machine(node).map(|found| found.key.cloud);
    let actual = client.machine_config().await?;
    let key = talos::auth_key_of(&actual);
    let devices = devices(site, Duration::from_mins(1)).await?;
    let config = nodes::config(&site.reach, &site.subject, node, platform.as_deref(), &devices, key.as_ref())?;
    if nodes::config_differences(&config, &actual)?.is_empty() {
        return Ok(true);
    }
    client.apply_configuration(&config, talos::ApplyMode::Auto, false).await?;
    Ok(false)
}

/// Cordons a node and evicts what runs on it.
pub(super) async fn drain(site: &Arc<Site>, node: &str) -> Result<(), Error> {
    let devices = devices(site, Duration::from_mins(1)).await?;
    let left = kubernetes::drain(&site.reach, &site.subject, &devices, node, deadline::DRAIN).await?;
    if left == 0 {
        return Ok(());
    }
    let diagnosis = Some(format!("{left} pods are held by a PodDisruptionBudget or do not end"));
    Err(Error::Late { subject: node.to_owned(), what: "was not drained", limit: deadline::DRAIN, diagnosis })
}

/// Lets a node leave: out of etcd, its state and its data wiped, off.
pub(super) async fn reset(site: &Arc<Site>, node: &str) -> Result<(), Error> {
    let client = nodes::client(&site.reach, &site.subject, device(site, node).await?)?;
    client.reset(talos::ResetScope::StateAndData, true, false).await?;
    let time = site.reach.line.time();
    let began = time.now();
    loop {
        let waited = time.now().duration_since(began).unsigned_abs();
        // A node that has wiped itself no longer answers.
        if client.version().await.is_err() {
            return Ok(());
        }
        if waited > deadline::RESET {
            return Err(Error::Late {
                subject: node.to_owned(),
                what: "did not reset itself",
                limit: deadline::RESET,
                diagnosis: nodes::trouble(&client).await,
            });
        }
        time.sleep(Pace::NODE.next(waited)).await;
    }
}

/// Removes the node from Kubernetes.
pub(super) async fn forget(site: &Arc<Site>, node: &str) -> Result<(), Error> {
    let devices = devices(site, Duration::from_mins(1)).await?;
    kubernetes::forget(&site.reach, &site.subject, &devices, node).await
}
