//! What of a cluster is looked at.

use super::addresses::Range;
use detect::Family;
use std::collections::BTreeSet;

/// Where names come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// `networking.k8s.io/v1` Ingress.
    Ingress,
    /// `traefik.io/v1alpha1` IngressRoute.
    IngressRoute,
    /// `traefik.io/v1alpha1` IngressRouteTCP.
    IngressRouteTcp,
    /// `gateway.networking.k8s.io/v1` HTTPRoute, with its Gateways.
    HttpRoute,
}

impl Source {
    /// All of them.
    pub const ALL: [Source; 4] = [Source::Ingress, Source::IngressRoute, Source::IngressRouteTcp, Source::HttpRoute];
}

/// Which pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSelector {
    /// In this namespace, or in any.
    pub namespace: Option<String>,
    /// With these labels, as `kubectl -l` takes them. Empty selects every pod.
    pub labels: String,
}

/// What of a cluster is looked at. The defaults fit a Traefik from its own chart beside a watcher from its own manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Kinds that names are taken from.
    pub sources: BTreeSet<Source>,
    /// Class of the ingress controller, in `spec.ingressClassName` or in the annotation `kubernetes.io/ingress.class`;
    /// `None` takes every class.
    pub ingress_class: Option<String>,
    /// Whether an Ingress without a class is served too. IngressRoutes without one always are, as Traefik has it.
    pub is_default_class: bool,
    /// Class of the Gateways whose routes count; `None` takes every class.
    pub gateway_class: Option<String>,
    /// Pods of the ingress controller: where one is, there is an ingress node.
    pub ingress_pods: PodSelector,
    /// The watcher's own pods.
    pub own_pods: PodSelector,
    /// Families that are published.
    pub families: BTreeSet<Family>,
    /// Ranges that may be published although they are private, special or a provider's own.
    pub allow_addresses: Vec<Range>,
}

impl Default for Settings {
    fn default() -> Self {
        let selector = |namespace: Option<&str>, name: &str| PodSelector {
            namespace: namespace.map(str::to_owned),
            labels: format!("app.kubernetes.io/name={name}"),
        };
        Settings {
            sources: Source::ALL.into(),
            ingress_class: Some("traefik".into()),
            is_default_class: true,
            gateway_class: None,
            ingress_pods: selector(None, "traefik"),
            own_pods: selector(Some("bouquet-watcher"), "bouquet-watcher"),
            families: [Family::V4, Family::V6].into(),
            allow_addresses: Vec::new(),
        }
    }
}
