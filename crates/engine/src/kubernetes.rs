//! The Kubernetes API of the cluster, over the mesh, through whichever control plane answers.

use crate::reach::{Reach, Subject};
use crate::{Error, nodes};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, EvictParams, ListParams, Patch, PatchParams};
use plan::{Device, KubeNode};
use serde_json::json;
use spec::Role;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use wire::{Channel, Pace, Roots, Route, Target, Tls};

/// A list of nodes is one answer; longer than this and the server is not well.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the administrator's certificate made for a look is good.
const ADMIN_TTL: Duration = Duration::from_hours(1);

/// A client of the API server on the control plane at this mesh address.
pub(crate) fn client(reach: &Reach, subject: &Subject, address: IpAddr) -> Result<kube::Client, Error> {
    let bundle = subject.bundle.as_ref().ok_or_else(|| Error::Unknown("there is no secrets bundle".into()))?;
    let time = reach.line.time();
    let admin = talos::kubernetes_admin(bundle, time.now(), ADMIN_TTL, &mut time.rng("kubernetes admin"))?;
    let tls = Tls {
        server_name: subject.cluster.api_name().unwrap_or_else(|| address.to_string()),
        roots: Roots::Only(vec![bundle.k8s.der()?]),
        identity: Some(admin.identity),
    };
    let target = Target { route: Route::Mesh, host: address.to_string(), port: 6443, tls: Some(tls) };
    let channel = Channel::new(reach.line.wire().clone(), time.clone(), target, ANSWER_TIMEOUT);
    Ok(kube::Client::new(channel, "default"))
}

/// Mesh addresses of control planes, in order of names.
pub(crate) fn endpoints(subject: &Subject, devices: &[Device]) -> Vec<IpAddr> {
    let control_planes = subject.cluster.with_role(Role::ControlPlane);
    control_planes.filter_map(|node| nodes::address(devices, node)).collect()
}

/// Asks one control plane after the other until one answers.
pub(crate) async fn ask<T, F>(
    reach: &Reach,
    subject: &Subject,
    devices: &[Device],
    question: impl Fn(kube::Client) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    let mut last = Error::Kubernetes("no control plane is on the tailnet".into());
    for address in endpoints(subject, devices) {
        match question(client(reach, subject, address)?).await {
            Ok(answer) => return Ok(answer),
            Err(error) => last = sort(&error),
        }
    }
    Err(last)
}

/// An administrator's client of the first control plane that answers.
pub(crate) async fn answering(reach: &Reach, subject: &Subject, devices: &[Device]) -> Result<kube::Client, Error> {
    ask(reach, subject, devices, |client| async move { client.apiserver_version().await.map(|_| client) }).await
}

pub(crate) fn sort(error: &kube::Error) -> Error {
    match error {
        kube::Error::Api(status) => {
            Error::Kubernetes(format!("{} ({} {})", status.message, status.code, status.reason))
        }
        other => {
            let mut text = other.to_string();
            let mut cause = std::error::Error::source(other);
            while let Some(at) = cause {
                text = format!("{text}: {at}");
                cause = at.source();
            }
            Error::Kubernetes(text)
        }
    }
}

/// Every node, by name, in pages.
pub(crate) async fn nodes(
    reach: &Reach,
    subject: &Subject,
    devices: &[Device],
) -> Result<BTreeMap<String, KubeNode>, Error> {
    ask(reach, subject, devices, |client| async move {
        let api: Api<Node> = Api::all(client);
        let mut seen = BTreeMap::new();
        let mut params = ListParams::default().limit(250);
        loop {
            let page = api.list(&params).await?;
            for node in page.items {
                if let Some(name) = node.metadata.name.clone() {
                    seen.insert(name, kube_node(&node));
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(seen),
            }
        }
    })
    .await
}

fn kube_node(node: &Node) -> KubeNode {
    let status = node.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
    let is_ready = ready.is_some_and(|condition| condition.status == "True");
    let version = status.node_info.map(|info| info.kubelet_version).unwrap_or_default();
    let metadata = &node.metadata;
    let address = metadata.annotations.as_ref().and_then(|all| all.get(addons::ADDRESS_ANNOTATION)).cloned();
    let label = metadata.labels.as_ref().and_then(|all| all.get(addons::INGRESS_LABEL));
    KubeNode {
        public_address: address,
        is_ingress: label.is_some_and(|value| value == "true"),
        ready: is_ready,
        kubernetes: version.trim_start_matches('v').to_owned(),
        cordoned: node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false),
        reason: ready.filter(|_| !is_ready).and_then(|condition| condition.message.clone()),
    }
}

/// Cordons a node and evicts what runs on it, honouring PodDisruptionBudgets, until nothing but DaemonSet and static pods
/// is left or `limit` is over; returns how many were still there then.
pub(crate) async fn drain(
    reach: &Reach,
    subject: &Subject,
    devices: &[Device],
    node: &str,
    limit: Duration,
) -> Result<usize, Error> {
    let cordon = json!({"spec": {"unschedulable": true}});
    ask(reach, subject, devices, |client| {
        let cordon = cordon.clone();
        async move {
            let api: Api<Node> = Api::all(client);
            api.patch(node, &PatchParams::default(), &Patch::Merge(&cordon)).await.map(drop)
        }
    })
    .await?;
    let time = reach.line.time();
    let began = time.now();
    loop {
        let left = ask(reach, subject, devices, |client| evict_all(client, node)).await?;
        let waited = time.now().duration_since(began).unsigned_abs();
        if left == 0 || waited >= limit {
            return Ok(left);
        }
        time.sleep(Pace::NODE.next(waited)).await;
    }
}

/// Asks for the eviction of every pod that can be; returns how many there are.
async fn evict_all(client: kube::Client, node: &str) -> Result<usize, kube::Error> {
    let all: Api<Pod> = Api::all(client.clone());
    let pods = all.list(&ListParams::default().fields(&format!("spec.nodeName={node}"))).await?;
    let mut left = 0;
    for pod in pods.items.iter().filter(|pod| is_evictable(pod)) {
        left += 1;
        let (Some(name), Some(namespace)) = (&pod.metadata.name, &pod.metadata.namespace) else { continue };
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        match api.evict(name, &EvictParams::default()).await {
            // 429: a PodDisruptionBudget says not yet. 404: gone already.
            Err(kube::Error::Api(status)) if status.code == 429 || status.code == 404 => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Ok(left)
}

fn is_evictable(pod: &Pod) -> bool {
    let of_daemon_set = pod.metadata.owner_references.iter().flatten().any(|owner| owner.kind == "DaemonSet");
    let is_mirror = pod
        .metadata
        .annotations
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key("kubernetes.io/config.mirror"));
    let over = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .is_some_and(|phase| phase == "Succeeded" || phase == "Failed");
    !of_daemon_set && !is_mirror && !over
}

/// Writes a node's public address, where it is known, and whether it serves HTTP. The node must be there.
pub(crate) async fn annotate(
    reach: &Reach,
    subject: &Subject,
    devices: &[Device],
    node: &str,
    address: Option<IpAddr>,
    ingress: bool,
) -> Result<(), Error> {
    let annotation = address.map(|address| (addons::ADDRESS_ANNOTATION.to_owned(), json!(address)));
    let annotations: serde_json::Map<String, serde_json::Value> = annotation.into_iter().collect();
    let label = if ingress { json!("true") } else { serde_json::Value::Null };
    let metadata = json!({"metadata": {"annotations": annotations, "labels": {addons::INGRESS_LABEL: label}}});
    ask(reach, subject, devices, |client| {
        let metadata = metadata.clone();
        async move {
            let api: Api<Node> = Api::all(client);
            let by = PatchParams { field_manager: Some(crate::objects::MANAGER.into()), ..PatchParams::default() };
            api.patch(node, &by, &Patch::Merge(&metadata)).await.map(drop)
        }
    })
    .await
}

/// Removes the node's object; gone already is success.
pub(crate) async fn forget(reach: &Reach, subject: &Subject, devices: &[Device], node: &str) -> Result<(), Error> {
    ask(reach, subject, devices, |client| async move {
        let api: Api<Node> = Api::all(client);
        match api.delete(node, &kube::api::DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop),
        }
    })
    .await
}
