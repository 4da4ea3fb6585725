//! The nodes themselves, over the Talos machine API.

use crate::reach::{Reach, Subject};
use crate::{Error, diagnosis};
use plan::{Device, NodeSeen};
use spec::{Place, Role};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use talos::{Client, ClientError, NodeInput, Peer, Platform, Refusal, Service};
use wire::{Route, Secret};

/// How long the certificate made for a run is good.
const CLIENT_TTL: Duration = Duration::from_hours(24);
/// How much of the kubelet's log is looked at for an error.
const KUBELET_LINES: i32 = 200;
const KUBELET_LOG_BYTES_MAX: usize = 256 << 10;

/// The mesh address of a node.
pub(crate) fn address(devices: &[Device], node: &str) -> Option<IpAddr> {
    devices.iter().find(|device| device.ours && device.name == node).and_then(|device| device.address)
}

/// Addresses of the endpoint's name, where no DNS serves it. Control planes do without: KubePrism leads them to the API
/// server beside them.
fn static_hosts(subject: &Subject, node: &str, devices: &[Device]) -> BTreeMap<IpAddr, Vec<String>> {
    let cluster = &subject.cluster;
    let is_worker = cluster.nodes.get(node).is_some_and(|node| node.role == Role::Worker);
    if cluster.api_name().is_some() || !is_worker {
        return BTreeMap::new();
    }
    let endpoint = talos::endpoint_host(cluster);
    let control_planes = cluster.with_role(Role::ControlPlane).filter_map(|name| address(devices, name));
    control_planes.map(|address| (address, vec![endpoint.clone()])).collect()
}

/// A node's configuration as the file has it. `cloud`: where it lives, if that is known; else its first place decides.
/// `devices`: the tailnet, for the endpoint's addresses.
pub(crate) fn config(
    reach: &Reach,
    subject: &Subject,
    node: &str,
    cloud: Option<&str>,
    devices: &[Device],
    auth_key: Option<&Secret>,
) -> Result<Secret, Error> {
    let cluster = &subject.cluster;
    let bundle = subject.bundle.as_ref().ok_or_else(|| Error::Unknown("there is no secrets bundle".into()))?;
    let places = cluster.nodes.get(node).map(|node| node.places.as_slice()).unwrap_or_default();
    let place = places.iter().find(|place| match (place, cloud) {
        (Place::Cloud(place), Some(cloud)) => place.cloud == cloud,
        (Place::Cloud(_), None) => true,
        (Place::Address(_), cloud) => cloud.is_none(),
    });
    let platform = place.and_then(Platform::of).unwrap_or(Platform::Metal);
    let endpoint = talos::endpoint_host(cluster);
    let input = NodeInput {
        cluster,
        node,
        platform,
        bundle,
        auth_key,
        mesh: &reach.mesh,
        endpoint: &endpoint,
        static_hosts: &static_hosts(subject, node, devices),
        cert_sans: &[],
        installer: None,
    };
    Ok(talos::render(&input)?)
}

/// The same as user data.
pub(crate) fn user_data(
    reach: &Reach,
    subject: &Subject,
    node: &str,
    cloud: &str,
    devices: &[Device],
    auth_key: &Secret,
) -> Result<Secret, Error> {
    let config = config(reach, subject, node, Some(cloud), devices, Some(auth_key))?;
    let platform = if cloud == "oci" { Platform::Oracle } else { Platform::Hcloud };
    Ok(talos::user_data(&config, platform)?)
}

/// A client for the node at this mesh address.
pub(crate) fn client(reach: &Reach, subject: &Subject, address: IpAddr) -> Result<Client, Error> {
    let bundle = subject.bundle.as_ref().ok_or_else(|| Error::Unknown("there is no secrets bundle".into()))?;
    let time = reach.line.time();
    let issued =
        talos::talos_client(bundle, talos::Role::Admin, time.now(), CLIENT_TTL, &mut time.rng("talos client"))?;
    let authority = bundle.os.der()?;
    open(reach, &Peer::configured(address.to_string(), authority, issued.identity))
}

/// A client for a machine in maintenance mode at its public address.
pub(crate) fn maintenance(reach: &Reach, address: IpAddr) -> Result<Client, Error> {
    open(reach, &Peer { route: Route::Mesh, ..Peer::in_maintenance(address.to_string()) })
}

fn open(reach: &Reach, peer: &Peer) -> Result<Client, Error> {
    Client::new(reach.line.wire().clone(), reach.line.time().clone(), peer)
        .ok_or_else(|| Error::Unknown(format!("{} cannot be dialled", peer.address)))
}

/// Whether the same call may well be taken in a moment: the node boots, restarts its API, or is not ready for it. A
/// handshake may fail too while apid changes its certificate.
pub(crate) fn is_transient(error: &ClientError) -> bool {
    match error {
        ClientError::Lost(_) | ClientError::TimedOut { .. } => true,
        _ => matches!(error.refusal(), Some(Refusal::Unavailable | Refusal::NotReady)),
    }
}

/// Whether the node asks who we are, which one in maintenance mode never does.
pub(crate) fn asks_for_a_certificate(error: &ClientError) -> bool {
    error.is_tls() && error.to_string().to_lowercase().contains("certificaterequired")
}

/// Whether a service runs and is well.
pub(crate) fn is_healthy(services: &[Service], id: &str) -> bool {
    services.iter().any(|service| service.id == id && service.state == "Running" && service.healthy == Some(true))
}

/// What a node says that is wrong with it, in words.
pub(crate) async fn trouble(client: &Client) -> Option<String> {
    let words = match client.services().await {
        Ok(services) => diagnosis::unwell(&services),
        Err(error) => vec![error.to_string()],
    };
    (!words.is_empty()).then(|| words.join("; "))
}

/// Looks closer at a node that is on the tailnet and yet late: its API, its services, its configuration, its kubelet's
/// log. `cloud`: where its machine is.
pub(crate) async fn examine(
    reach: &Reach,
    subject: &Subject,
    node: &str,
    cloud: Option<&str>,
    devices: &[Device],
) -> Option<String> {
    let client = match client(reach, subject, address(devices, node)?) {
        Ok(client) => client,
        Err(error) => return Some(error.to_string()),
    };
    let services = match client.services().await {
        Ok(services) => services,
        Err(error) => return Some(diagnosis::closed(&error, subject.cluster.nodes.get(node).map(|node| node.role))),
    };
    let mut words = Vec::new();
    // What cannot be had of this is left out: the rest is worth saying all the same.
    if let (Ok(desired), Ok(actual)) =
        (config(reach, subject, node, cloud, devices, None), client.machine_config().await)
        && let Ok(differences) = config_differences(&desired, &actual)
    {
        words.extend(diagnosis::misconfigured(&differences));
    }
    words.extend(diagnosis::unwell(&services));
    // A kubelet whose node is ready has got over what its log tells. Its own health does not say so: it is well also while no
    // API server lets it in.
    let status = client.resource("runtime", "MachineStatuses.runtime.talos.dev", "machine").await;
    if status.is_ok_and(|status| status.yaml.contains("nodeReady"))
        && let Ok(log) = client.logs("kubelet", KUBELET_LINES, false).await
        && let Ok(log) = log.collect(KUBELET_LOG_BYTES_MAX).await
        && let Some(line) = diagnosis::last_error(&String::from_utf8_lossy(&log))
    {
        words.push(format!("its kubelet says: {line}"));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

/// Where the node's configuration is not what the file says.
pub(crate) fn config_differences(desired: &Secret, actual: &Secret) -> Result<Vec<String>, Error> {
    let desired = talos::normalise(desired.expose()).map_err(|error| Error::Unknown(error.to_string()))?;
    let actual = talos::normalise(actual.expose()).map_err(|error| Error::Unknown(error.to_string()))?;
    Ok(talos::differences(&desired, &actual))
}

/// What a node has answered.
pub(crate) struct Answers {
    version: talos::Version,
    config: Secret,
    services: Vec<Service>,
}

/// Asks a node how it is: three calls.
pub(crate) async fn ask(reach: &Reach, subject: &Subject, address: IpAddr) -> Result<Answers, Error> {
    let client = client(reach, subject, address)?;
    let (version, config, services) = futures::try_join!(client.version(), client.machine_config(), client.services())?;
    Ok(Answers { version, config, services })
}

/// Holds a node's answers against the file. `cloud`: where its machine is.
pub(crate) fn seen(
    reach: &Reach,
    subject: &Subject,
    node: &str,
    cloud: Option<&str>,
    devices: &[Device],
    answers: &Answers,
) -> Result<NodeSeen, Error> {
    let role = subject.cluster.nodes.get(node).map(|node| node.role);
    let differences = match role {
        Some(_) => config_differences(&config(reach, subject, node, cloud, devices, None)?, &answers.config)?,
        None => Vec::new(),
    };
    let runs_etcd = answers.services.iter().any(|service| service.id == "etcd");
    let etcd = (role == Some(Role::ControlPlane) || runs_etcd).then(|| is_healthy(&answers.services, "etcd"));
    let talos = answers.version.tag.trim_start_matches('v').to_owned();
    Ok(NodeSeen { talos, differences, etcd, trouble: diagnosis::unwell(&answers.services) })
}
