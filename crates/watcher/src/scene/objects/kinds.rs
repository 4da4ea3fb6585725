//! Kinds, and which of their fields are kept.

use super::super::rule::{BadRule, Protocol, hosts_of_rule};
use super::{Kept, Kind, Meta};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::net::IpAddr;

/// A node of the cluster, whether it serves ingress or not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) meta: Meta,
    pub(crate) is_cordoned: bool,
    /// Whether a taint says that it is about to be removed.
    pub(crate) is_doomed: bool,
    /// Its addresses of type `ExternalIP`.
    pub(crate) external: Box<[Box<str>]>,
}

/// Taints of nodes that will not come back as they are. The first is set by people
/// (kubernetes.io: "non-graceful node shutdown"), the others by cluster-autoscaler and Karpenter before they delete a machine.
const DOOM: &[&str] =
    &["node.kubernetes.io/out-of-service", "ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted"];

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct NodeSpec {
    unschedulable: Option<bool>,
    taints: Option<Vec<Taint>>,
}

#[derive(Deserialize)]
struct Taint {
    key: Option<Box<str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct NodeStatus {
    addresses: Option<Vec<Address>>,
}

#[derive(Deserialize)]
struct Address {
    #[serde(rename = "type")]
    kind: Box<str>,
    address: Box<str>,
}

impl Kept for Node {
    const KIND: Kind = Kind { group: "", version: "v1", name: "Node", plural: "nodes" };
    type Spec = NodeSpec;
    type Status = NodeStatus;

    fn keep(meta: Meta, spec: NodeSpec, status: NodeStatus) -> Self {
        let taints = spec.taints.unwrap_or_default();
        let is_doom = |taint: &Taint| taint.key.as_deref().is_some_and(|key| DOOM.contains(&key));
        let addresses = status.addresses.unwrap_or_default().into_iter();
        Node {
            meta,
            is_cordoned: spec.unschedulable.unwrap_or_default(),
            is_doomed: taints.iter().any(is_doom),
            external: addresses.filter(|address| &*address.kind == "ExternalIP").map(|found| found.address).collect(),
        }
    }
}

/// A pod of the ingress controller or of the watcher.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pod {
    pub(crate) meta: Meta,
    /// `None` until it is scheduled.
    pub(crate) node: Option<Box<str>>,
    /// `None` until its network stands.
    pub(crate) address: Option<IpAddr>,
    /// Whether it has ended for good, well or not. Evicted pods stay listed like that.
    pub(crate) is_over: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodSpec {
    node_name: Option<Box<str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodStatus {
    phase: Option<Box<str>>,
    #[serde(rename = "podIP")]
    pod_ip: Option<Box<str>>,
}

impl Kept for Pod {
    const KIND: Kind = Kind { group: "", version: "v1", name: "Pod", plural: "pods" };
    type Spec = PodSpec;
    type Status = PodStatus;

    fn keep(meta: Meta, spec: PodSpec, status: PodStatus) -> Self {
        Pod {
            meta,
            node: spec.node_name.filter(|name| !name.is_empty()),
            address: status.pod_ip.and_then(|address| address.parse().ok()),
            is_over: matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
        }
    }
}

/// An Ingress.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ingress {
    pub(crate) meta: Meta,
    pub(crate) class: Option<Box<str>>,
    /// Hosts of its rules, as written. Those of `spec.tls` are names of certificates only.
    pub(crate) hosts: Box<[Box<str>]>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct IngressSpec {
    ingress_class_name: Option<Box<str>>,
    rules: Option<Vec<IngressRule>>,
}

#[derive(Deserialize)]
struct IngressRule {
    host: Option<Box<str>>,
}

impl Kept for Ingress {
    const KIND: Kind = Kind { group: "networking.k8s.io", version: "v1", name: "Ingress", plural: "ingresses" };
    type Spec = IngressSpec;
    type Status = IgnoredAny;

    fn keep(meta: Meta, spec: IngressSpec, _: IgnoredAny) -> Self {
        let rules = spec.rules.unwrap_or_default().into_iter();
        let hosts = rules.filter_map(|rule| rule.host.filter(|host| !host.is_empty())).collect();
        Ingress { meta, class: spec.ingress_class_name, hosts }
    }
}

/// What is kept of a kind of Traefik's own: its rules are read at once and only what they say is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Routes {
    pub(crate) meta: Meta,
    /// As written.
    pub(crate) hosts: Box<[Box<str>]>,
    pub(crate) unread: Box<[Unread]>,
}

/// A rule that could not be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unread {
    pub(crate) rule: Box<str>,
    pub(crate) why: BadRule,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RoutesSpec {
    routes: Option<Vec<RouteSpec>>,
}

#[derive(Deserialize)]
struct RouteSpec {
    #[serde(rename = "match")]
    rule: Option<Box<str>>,
}

impl Routes {
    fn keep(meta: Meta, spec: RoutesSpec, protocol: Protocol) -> Self {
        let (mut hosts, mut unread) = (Vec::new(), Vec::new());
        for rule in spec.routes.unwrap_or_default().into_iter().filter_map(|route| route.rule) {
            match hosts_of_rule(&rule, protocol) {
                Ok(found) => hosts.extend(found.into_iter().map(String::into_boxed_str)),
                Err(why) => unread.push(Unread { rule, why }),
            }
        }
        Routes { meta, hosts: hosts.into(), unread: unread.into() }
    }
}

/// Traefik's IngressRoute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IngressRoute(pub(crate) Routes);

/// Traefik's IngressRouteTCP.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IngressRouteTcp(pub(crate) Routes);

impl Kept for IngressRoute {
    const KIND: Kind = Kind { group: "traefik.io", version: "v1alpha1", name: "IngressRoute", plural: "ingressroutes" };
    type Spec = RoutesSpec;
    type Status = IgnoredAny;

    fn keep(meta: Meta, spec: RoutesSpec, _: IgnoredAny) -> Self {
        IngressRoute(Routes::keep(meta, spec, Protocol::Http))
    }
}

impl Kept for IngressRouteTcp {
    const KIND: Kind =
        Kind { group: "traefik.io", version: "v1alpha1", name: "IngressRouteTCP", plural: "ingressroutetcps" };
    type Spec = RoutesSpec;
    type Status = IgnoredAny;

    fn keep(meta: Meta, spec: RoutesSpec, _: IgnoredAny) -> Self {
        IngressRouteTcp(Routes::keep(meta, spec, Protocol::Tcp))
    }
}

/// An HTTPRoute of the Gateway API.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HttpRoute {
    pub(crate) meta: Meta,
    /// As written; empty takes those of its listeners.
    pub(crate) hosts: Box<[Box<str>]>,
    /// Gateways that it wants to be attached to.
    pub(crate) parents: Box<[Parent]>,
}

/// A reference to a Gateway, and maybe to one of its listeners.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parent {
    group: Option<Box<str>>,
    kind: Option<Box<str>>,
    pub(crate) namespace: Option<Box<str>>,
    pub(crate) name: Box<str>,
    pub(crate) section_name: Option<Box<str>>,
    pub(crate) port: Option<u16>,
}

impl Parent {
    /// Other parents exist (services of a mesh), which serve nobody outside.
    fn is_gateway(&self) -> bool {
        self.group.as_deref().is_none_or(|group| group == Gateway::KIND.group)
            && self.kind.as_deref().is_none_or(|kind| kind == Gateway::KIND.name)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct HttpRouteSpec {
    hostnames: Option<Box<[Box<str>]>>,
    parent_refs: Option<Vec<Parent>>,
}

impl Kept for HttpRoute {
    const KIND: Kind =
        Kind { group: "gateway.networking.k8s.io", version: "v1", name: "HTTPRoute", plural: "httproutes" };
    type Spec = HttpRouteSpec;
    type Status = IgnoredAny;

    fn keep(meta: Meta, spec: HttpRouteSpec, _: IgnoredAny) -> Self {
        let parents = spec.parent_refs.unwrap_or_default().into_iter().filter(Parent::is_gateway).collect();
        HttpRoute { meta, hosts: spec.hostnames.unwrap_or_default(), parents }
    }
}

/// A Gateway.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gateway {
    pub(crate) class: Box<str>,
    /// Those that carry HTTP.
    pub(crate) listeners: Box<[Listener]>,
}

/// A listener of a Gateway that carries HTTP.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listener {
    pub(crate) name: Box<str>,
    pub(crate) hostname: Option<Box<str>>,
    pub(crate) port: u16,
    /// Whether routes of other namespaces may be attached. Which ones a selector picks is not known here: they are believed.
    pub(crate) takes_strangers: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct GatewaySpec {
    gateway_class_name: Box<str>,
    listeners: Option<Vec<ListenerSpec>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListenerSpec {
    name: Box<str>,
    hostname: Option<Box<str>>,
    port: u16,
    protocol: Box<str>,
    allowed_routes: Option<AllowedRoutes>,
}

#[derive(Deserialize)]
struct AllowedRoutes {
    namespaces: Option<AllowedNamespaces>,
}

#[derive(Deserialize)]
struct AllowedNamespaces {
    from: Option<Box<str>>,
}

impl Kept for Gateway {
    const KIND: Kind = Kind { group: "gateway.networking.k8s.io", version: "v1", name: "Gateway", plural: "gateways" };
    type Spec = GatewaySpec;
    type Status = IgnoredAny;

    fn keep(_: Meta, spec: GatewaySpec, _: IgnoredAny) -> Self {
        let listeners = spec.listeners.unwrap_or_default().into_iter();
        let http = listeners.filter(|listener| matches!(&*listener.protocol, "HTTP" | "HTTPS"));
        let kept = http.map(|listener| {
            let namespaces = listener.allowed_routes.and_then(|routes| routes.namespaces);
            let from = namespaces.and_then(|namespaces| namespaces.from);
            Listener {
                name: listener.name,
                hostname: listener.hostname.filter(|name| !name.is_empty()),
                port: listener.port,
                takes_strangers: matches!(from.as_deref(), Some("All" | "Selector")),
            }
        });
        Gateway { class: spec.gateway_class_name, listeners: kept.collect() }
    }
}
