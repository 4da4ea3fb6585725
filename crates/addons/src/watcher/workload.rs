use super::{
    APP, CANARY_PORT, CLOUDFLARE_TOKEN, CONFIG_FILE, DNS_SECRET, FOLDER, KEY_FILE, PEERS_PORT, STATUS_PORT, labels,
    short_digest,
};
use crate::SYSTEM;
use crate::part::{
    confined_pod, container, downward, meta, port, probe, resources, selector, tolerates_control_planes,
};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    Affinity, ConfigMapProjection, Container, EnvVar, EnvVarSource, KeyToPath, PodAffinityTerm, PodAntiAffinity,
    PodSpec, PodTemplateSpec, ProjectedVolumeSource, SecretKeySelector, SecretProjection, TopologySpreadConstraint,
    Volume, VolumeMount, VolumeProjection, WeightedPodAffinityTerm,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use spec::{Watching, ZoneKeeper};
use wire::Secret;

/// Three vantages are the fewest of which a majority can be without one.
const REPLICAS_MOST: i32 = 3;
/// Handing the pen over and draining fits well into it.
const TERMINATION_S: i64 = 30;
/// Nobody's in the image, which has no users.
const UID: i64 = 65532;
/// Of the mounted files: the pod's group may read them.
const MODE: i32 = 0o440;
const HOSTNAME: &str = "kubernetes.io/hostname";

/// How replicas share nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    /// On a cluster of this many nodes, each on its own: two on one node would see the same.
    Strict(usize),
    /// On clusters unknown some may share a node.
    Loose,
}

impl Spread {
    fn replicas(self) -> i32 {
        match self {
            Spread::Strict(nodes) => i32::try_from(nodes).unwrap_or(REPLICAS_MOST).clamp(1, REPLICAS_MOST),
            Spread::Loose => REPLICAS_MOST,
        }
    }
}

/// Drains may take one replica at a time. A single one gets no budget: with it, its node could never be drained.
pub(super) fn budget(spread: Spread) -> Option<PodDisruptionBudget> {
    let others = spread.replicas() - 1;
    let spec = PodDisruptionBudgetSpec {
        min_available: Some(IntOrString::Int(others)),
        selector: Some(selector(APP)),
        ..PodDisruptionBudgetSpec::default()
    };
    let metadata = meta(APP, Some(SYSTEM), APP);
    (others > 0).then(|| PodDisruptionBudget { metadata, spec: Some(spec), ..PodDisruptionBudget::default() })
}

/// `text`: the configuration as mounted; `credential`: changes when the credential does. New pods come with either.
pub(super) fn deployment(
    config: &Watching,
    text: &str,
    image: &str,
    spread: Spread,
    credential: Option<String>,
) -> Deployment {
    let digest = short_digest(&Secret::new(text));
    let mut annotations = vec![("bouquet.dev/config".to_owned(), digest)];
    annotations.extend(credential.map(|digest| ("bouquet.dev/credential".to_owned(), digest)));
    let spec = DeploymentSpec {
        replicas: Some(spread.replicas()),
        selector: selector(APP),
        strategy: Some(DeploymentStrategy {
            type_: Some("RollingUpdate".into()),
            // One at a time, the old one gone first: where every node has one, a fourth finds no place.
            rolling_update: Some(RollingUpdateDeployment {
                max_surge: Some(IntOrString::Int(0)),
                max_unavailable: Some(IntOrString::Int(1)),
            }),
        }),
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(labels()),
                annotations: Some(annotations.into_iter().collect()),
                ..ObjectMeta::default()
            }),
            spec: Some(pod(config, image, spread)),
        },
        ..DeploymentSpec::default()
    };
    Deployment { metadata: meta(APP, Some(SYSTEM), APP), spec: Some(spec), ..Deployment::default() }
}

fn pod(config: &Watching, image: &str, spread: Spread) -> PodSpec {
    PodSpec {
        service_account_name: Some(APP.into()),
        containers: vec![watcher(config, image)],
        volumes: Some(vec![volume(&config.provider)]),
        affinity: Some(apart()),
        topology_spread_constraints: Some(vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: HOSTNAME.into(),
            when_unsatisfiable: match spread {
                Spread::Strict(_) => "DoNotSchedule".into(),
                Spread::Loose => "ScheduleAnyway".into(),
            },
            label_selector: Some(selector(APP)),
            ..TopologySpreadConstraint::default()
        }]),
        tolerations: Some(vec![tolerates_control_planes()]),
        priority_class_name: Some("system-cluster-critical".into()),
        security_context: Some(confined_pod(UID)),
        termination_grace_period_seconds: Some(TERMINATION_S),
        ..PodSpec::default()
    }
}

fn watcher(config: &Watching, image: &str) -> Container {
    let mut environment = vec![
        downward("POD_NAME", "metadata.name"),
        downward("POD_NAMESPACE", "metadata.namespace"),
        downward("POD_IP", "status.podIP"),
        downward("NODE_NAME", "spec.nodeName"),
    ];
    if config.provider == ZoneKeeper::Cloudflare {
        environment.push(token());
    }
    let mount = VolumeMount {
        name: "config".into(),
        mount_path: FOLDER.into(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    Container {
        env: Some(environment),
        ports: Some(vec![
            port("status", STATUS_PORT, None),
            port("canary", CANARY_PORT, None),
            port("peers", PEERS_PORT, None),
        ]),
        liveness_probe: Some(probe("/livez", "status", 10)),
        readiness_probe: Some(probe("/readyz", "status", 5)),
        resources: Some(resources("20m", "32Mi", "128Mi")),
        volume_mounts: Some(vec![mount]),
        ..container("watcher", image)
    }
}

/// Without it the pod starts all the same, and the watcher itself says what it lacks.
fn token() -> EnvVar {
    let selector = SecretKeySelector { name: DNS_SECRET.into(), key: CLOUDFLARE_TOKEN.into(), optional: Some(true) };
    let value_from = EnvVarSource { secret_key_ref: Some(selector), ..EnvVarSource::default() };
    EnvVar { name: CLOUDFLARE_TOKEN.into(), value_from: Some(value_from), ..EnvVar::default() }
}

/// The configuration, and beside it the key file where there is one.
fn volume(provider: &ZoneKeeper) -> Volume {
    let item = |key: &str| KeyToPath { key: key.into(), path: key.into(), ..KeyToPath::default() };
    let config = ConfigMapProjection {
        name: APP.into(),
        items: Some(vec![item(CONFIG_FILE)]),
        ..ConfigMapProjection::default()
    };
    let mut sources = vec![VolumeProjection { config_map: Some(config), ..VolumeProjection::default() }];
    if let ZoneKeeper::Rfc2136 { key_file: Some(_), .. } = provider {
        let key = SecretProjection {
            name: DNS_SECRET.into(),
            items: Some(vec![item(KEY_FILE)]),
            ..SecretProjection::default()
        };
        sources.push(VolumeProjection { secret: Some(key), ..VolumeProjection::default() });
    }
    let projected = ProjectedVolumeSource { sources: Some(sources), default_mode: Some(MODE) };
    Volume { name: "config".into(), projected: Some(projected), ..Volume::default() }
}

/// Not on one node, as far as that can be.
fn apart() -> Affinity {
    let term = PodAffinityTerm {
        label_selector: Some(selector(APP)),
        topology_key: HOSTNAME.into(),
        ..PodAffinityTerm::default()
    };
    let preferred = vec![WeightedPodAffinityTerm { weight: 100, pod_affinity_term: term }];
    let anti = PodAntiAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(preferred),
        ..PodAntiAffinity::default()
    };
    Affinity { pod_anti_affinity: Some(anti), ..Affinity::default() }
}
