//! Parts that several objects have.

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, Namespace, ObjectFieldSelector,
    PodSecurityContext, Probe, ResourceRequirements, SeccompProfile, SecurityContext, Service, ServiceAccount,
    ServicePort, ServiceSpec, Toleration,
};
use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;

pub(crate) type Labels = BTreeMap<String, String>;

/// The label that selects an application's pods.
pub(crate) const NAME: &str = "app.kubernetes.io/name";

pub(crate) fn selected_by(app: &str) -> Labels {
    [(NAME.to_owned(), app.to_owned())].into()
}

pub(crate) fn selector(app: &str) -> LabelSelector {
    LabelSelector { match_labels: Some(selected_by(app)), ..LabelSelector::default() }
}

/// Name and labels of something that belongs to `app`.
pub(crate) fn meta(app: &str, namespace: Option<&str>, name: &str) -> ObjectMeta {
    let mut labels = selected_by(app);
    labels.insert("app.kubernetes.io/part-of".into(), "bouquet".into());
    ObjectMeta {
        name: Some(name.into()),
        namespace: namespace.map(str::to_owned),
        labels: Some(labels),
        ..ObjectMeta::default()
    }
}

/// `level`: the Pod Security Standard that its pods are held to.
pub(crate) fn namespace(name: &str, level: &str) -> Namespace {
    let modes = ["audit", "enforce", "warn"];
    let labels = modes.map(|mode| (format!("pod-security.kubernetes.io/{mode}"), level.to_owned())).into();
    let metadata = ObjectMeta { name: Some(name.into()), labels: Some(labels), ..ObjectMeta::default() };
    Namespace { metadata, ..Namespace::default() }
}

pub(crate) fn service_account(app: &str, namespace: &str, name: &str) -> ServiceAccount {
    ServiceAccount { metadata: meta(app, Some(namespace), name), ..ServiceAccount::default() }
}

/// May do `verbs` with `resources` of one API group.
pub(crate) fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(vec![group.into()]),
        resources: Some(owned(resources)),
        verbs: owned(verbs),
        ..PolicyRule::default()
    }
}

pub(crate) fn role_ref(kind: &str, name: &str) -> RoleRef {
    RoleRef { api_group: Some("rbac.authorization.k8s.io".into()), kind: kind.into(), name: name.into() }
}

pub(crate) fn account_subject(namespace: &str, name: &str) -> Subject {
    Subject {
        kind: "ServiceAccount".into(),
        name: name.into(),
        namespace: Some(namespace.into()),
        ..Subject::default()
    }
}

/// No root, no capability, no write to the image, only harmless system calls: the Pod Security Standard `restricted`.
pub(crate) fn confined() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), ..Capabilities::default() }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}

pub(crate) fn confined_pod(uid: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(uid),
        run_as_group: Some(uid),
        fs_group: Some(uid),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), ..SeccompProfile::default() }),
        ..PodSecurityContext::default()
    }
}

pub(crate) fn port(name: &str, number: i32, host_port: Option<i32>) -> ContainerPort {
    ContainerPort {
        name: Some(name.into()),
        container_port: number,
        host_port,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

/// Asks every `period_s`; three failures in a row count.
pub(crate) fn probe(path: &str, port: &str, period_s: i32) -> Probe {
    let http_get =
        HTTPGetAction { path: Some(path.into()), port: IntOrString::String(port.into()), ..HTTPGetAction::default() };
    Probe {
        http_get: Some(http_get),
        period_seconds: Some(period_s),
        timeout_seconds: Some(2),
        failure_threshold: Some(3),
        ..Probe::default()
    }
}

/// What a container is promised, and how much memory it may have at most.
pub(crate) fn resources(cpu: &str, memory: &str, memory_max: &str) -> ResourceRequirements {
    let quantity = |name: &str, amount: &str| (name.to_owned(), Quantity(amount.to_owned()));
    ResourceRequirements {
        requests: Some([quantity("cpu", cpu), quantity("memory", memory)].into()),
        limits: Some([quantity("memory", memory_max)].into()),
        ..ResourceRequirements::default()
    }
}

/// A variable that the kubelet fills from the pod.
pub(crate) fn downward(name: &str, field: &str) -> EnvVar {
    let field_ref = ObjectFieldSelector { field_path: field.into(), ..ObjectFieldSelector::default() };
    let value_from = EnvVarSource { field_ref: Some(field_ref), ..EnvVarSource::default() };
    EnvVar { name: name.into(), value_from: Some(value_from), ..EnvVar::default() }
}

/// Control planes take what bouquet itself needs.
pub(crate) fn tolerates_control_planes() -> Toleration {
    Toleration {
        key: Some("node-role.kubernetes.io/control-plane".into()),
        operator: Some("Exists".into()),
        effect: Some("NoSchedule".into()),
        ..Toleration::default()
    }
}

/// A Service for the pods of `app`; the port is called `name` in their containers.
pub(crate) fn service(app: &str, namespace: &str, name: &str, (port_name, port): (&str, i32)) -> Service {
    let port = ServicePort {
        name: Some(port_name.into()),
        port,
        target_port: Some(IntOrString::String(port_name.into())),
        protocol: Some("TCP".into()),
        ..ServicePort::default()
    };
    let spec = ServiceSpec { selector: Some(selected_by(app)), ports: Some(vec![port]), ..ServiceSpec::default() };
    Service { metadata: meta(app, Some(namespace), name), spec: Some(spec), ..Service::default() }
}

/// A container that is confined and asked for its health.
pub(crate) fn container(name: &str, image: &str) -> Container {
    Container {
        name: name.into(),
        image: Some(image.into()),
        image_pull_policy: Some("IfNotPresent".into()),
        security_context: Some(confined()),
        ..Container::default()
    }
}
