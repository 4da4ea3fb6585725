//! Traefik on the nodes that serve: a DaemonSet whose pods hold the nodes' ports 80 and 443.
//!
//! hostPort rather than hostNetwork, which would need root: the image's binary has no file capabilities
//! (traefik-library-image#51). Routes come from Ingress objects alone, so no custom kinds are needed.

use crate::part::{
    account_subject, confined_pod, container, meta, namespace, port, probe, resources, role_ref, rule, selected_by,
    selector, service_account, tolerates_control_planes,
};
use crate::{Addon, INGRESS_LABEL, Object, TRAEFIK, pool_name};
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, RollingUpdateDaemonSet};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec, Toleration};
use k8s_openapi::api::networking::v1::{IngressClass, IngressClassSpec};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use spec::{Cluster, Ingress, Taint};
use std::collections::BTreeSet;

/// By tag until the lock resolves it to a digest.
const IMAGE: &str = "docker.io/library/traefik:v3.7.11";
/// The user that upstream's chart runs it as.
const UID: i64 = 65532;
/// After SIGTERM it goes on taking requests for as long, so that whoever watches it can send clients elsewhere.
const GRACE_S: i64 = 10;
/// Time for requests that it has begun to answer, [`GRACE_S`] included.
const TERMINATION_S: i64 = 60;

pub(crate) fn addon(cluster: &Cluster, ingress: &Ingress) -> Addon {
    let status = cluster.dns.as_ref().and(cluster.domain.as_deref()).map(pool_name);
    let objects = vec![
        Object::of(&namespace(TRAEFIK, "privileged")), // baseline forbids hostPort
        Object::of(&service_account(TRAEFIK, TRAEFIK, TRAEFIK)),
        Object::of(&role()),
        Object::of(&binding()),
        Object::of(&class()),
        Object::of(&daemon_set(status.as_deref(), &tolerations(cluster, ingress))),
    ];
    Addon { name: TRAEFIK, objects }
}

fn role() -> ClusterRole {
    let watch = ["get", "list", "watch"];
    let rules = vec![
        rule("", &["services", "secrets", "configmaps", "nodes"], &watch),
        rule("discovery.k8s.io", &["endpointslices"], &["list", "watch"]),
        rule("networking.k8s.io", &["ingresses", "ingressclasses"], &watch),
        rule("networking.k8s.io", &["ingresses/status"], &["update"]),
    ];
    ClusterRole { metadata: meta(TRAEFIK, None, TRAEFIK), rules: Some(rules), ..ClusterRole::default() }
}

fn binding() -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata: meta(TRAEFIK, None, TRAEFIK),
        role_ref: role_ref("ClusterRole", TRAEFIK),
        subjects: Some(vec![account_subject(TRAEFIK, TRAEFIK)]),
    }
}

fn class() -> IngressClass {
    let mut metadata = meta(TRAEFIK, None, TRAEFIK);
    let default = ("ingressclass.kubernetes.io/is-default-class".to_owned(), "true".to_owned());
    metadata.annotations = Some([default].into());
    let controller = Some("traefik.io/ingress-controller".to_owned());
    IngressClass { metadata, spec: Some(IngressClassSpec { controller, ..IngressClassSpec::default() }) }
}

/// The taints of the nodes that serve, besides a control plane's own.
fn tolerations(cluster: &Cluster, ingress: &Ingress) -> Vec<Toleration> {
    let nodes = ingress.nodes.iter().filter_map(|node| cluster.nodes.get(node));
    let taints: BTreeSet<&Taint> = nodes.flat_map(|node| &node.taints).collect();
    let tolerated = taints.into_iter().map(|taint| Toleration {
        key: Some(taint.key.clone()),
        operator: Some("Equal".into()),
        value: Some(taint.value.clone()),
        effect: Some(taint.effect.clone()),
        ..Toleration::default()
    });
    std::iter::once(tolerates_control_planes()).chain(tolerated).collect()
}

/// `status`: the name that every Ingress is reported to be served under.
fn arguments(status: Option<&str>) -> Vec<String> {
    let lines = [
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
        "--entryPoints.web.address=:8000",
        "--entryPoints.websecure.address=:8443",
        "--entryPoints.websecure.http.tls=true",
        "--entryPoints.traefik.address=:8080",
        "--entryPoints.metrics.address=:9100",
        "--ping=true",
        "--metrics.prometheus=true",
        "--metrics.prometheus.entryPoint=metrics",
        "--providers.kubernetesIngress=true",
        "--providers.kubernetesIngress.ingressClass=traefik",
        // A route whose pods are all gone answers 503, which is not a node's fault; without this it would be 404, which is.
        "--providers.kubernetesIngress.allowEmptyServices=true",
    ];
    let mut arguments: Vec<String> = lines.map(str::to_owned).into();
    for entry_point in ["web", "websecure"] {
        let grace = "transport.lifeCycle.requestAcceptGraceTimeout";
        arguments.push(format!("--entryPoints.{entry_point}.{grace}={GRACE_S}s"));
    }
    if let Some(name) = status {
        arguments.push(format!("--providers.kubernetesIngress.ingressEndpoint.hostname={name}"));
    }
    arguments
}

fn traefik(status: Option<&str>) -> Container {
    Container {
        args: Some(arguments(status)),
        // The entry point of ping and of the admin API stays inside; nothing of the API is switched on.
        ports: Some(vec![
            port("web", 8000, Some(80)),
            port("websecure", 8443, Some(443)),
            port("traefik", 8080, None),
            port("metrics", 9100, None),
        ]),
        liveness_probe: Some(probe("/ping", "traefik", 10)),
        readiness_probe: Some(probe("/ping", "traefik", 5)),
        resources: Some(resources("50m", "64Mi", "256Mi")),
        ..container(TRAEFIK, IMAGE)
    }
}

fn daemon_set(status: Option<&str>, tolerations: &[Toleration]) -> DaemonSet {
    let pod = PodSpec {
        service_account_name: Some(TRAEFIK.into()),
        containers: vec![traefik(status)],
        node_selector: Some([(INGRESS_LABEL.to_owned(), "true".to_owned())].into()),
        tolerations: Some(tolerations.to_vec()),
        priority_class_name: Some("system-cluster-critical".into()),
        security_context: Some(confined_pod(UID)),
        termination_grace_period_seconds: Some(TERMINATION_S),
        ..PodSpec::default()
    };
    // A new pod cannot start beside the old one: they want the same ports of the node.
    let rolling_update =
        RollingUpdateDaemonSet { max_surge: Some(IntOrString::Int(0)), max_unavailable: Some(IntOrString::Int(1)) };
    let spec = DaemonSetSpec {
        selector: selector(TRAEFIK),
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta { labels: Some(selected_by(TRAEFIK)), ..ObjectMeta::default() }),
            spec: Some(pod),
        },
        update_strategy: Some(DaemonSetUpdateStrategy {
            type_: Some("RollingUpdate".into()),
            rolling_update: Some(rolling_update),
        }),
        ..DaemonSetSpec::default()
    };
    DaemonSet { metadata: meta(TRAEFIK, Some(TRAEFIK), TRAEFIK), spec: Some(spec), ..DaemonSet::default() }
}
