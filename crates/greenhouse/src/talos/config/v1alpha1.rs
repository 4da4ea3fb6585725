//! What the v1alpha1 document says, as far as the simulated node acts on it.

use super::{PemPair, endpoint, pem_at, text_at, texts_at, validate};
use crate::talos::subnet::Subnet;
use serde_json::Value;
use std::collections::BTreeMap;

/// What the v1alpha1 document says.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "switches of the document, independent of each other")]
pub(in crate::talos) struct Complete {
    pub control_plane: bool,
    /// trustd's token.
    pub token: String,
    pub ca: PemPair,
    pub accepted_cas: Vec<Vec<u8>>,
    pub cert_sans: Vec<String>,
    pub node_ip_subnets: Vec<Subnet>,
    /// Without `v`.
    pub kubelet: String,
    pub labels: BTreeMap<String, String>,
    pub kube_prism: bool,
    pub endpoint: (String, u16),
    pub cluster_id: String,
    pub cluster_secret: String,
    pub cluster_name: String,
    /// The kubelets' bootstrap token.
    pub bootstrap_token: String,
    pub kube_ca: PemPair,
    pub etcd_ca: PemPair,
    pub etcd_subnets: Vec<Subnet>,
    /// Without `v`.
    pub kubernetes: String,
    pub api_sans: Vec<String>,
    pub pod_and_service_subnets: Vec<Subnet>,
    /// `flannel`, `custom`, `none`.
    pub cni: String,
    pub flannel_args: Vec<String>,
    pub discovery: bool,
    pub schedulable: bool,
}

impl Complete {
    /// Whether the cluster secret can seal what discovery publishes.
    pub(in crate::talos) fn has_discovery_key(&self) -> bool {
        use base64::Engine as _;
        let key = base64::engine::general_purpose::STANDARD.decode(self.cluster_secret.trim());
        key.is_ok_and(|key| key.len() == 32)
    }
}

/// Reads what has been validated.
pub(super) fn read(document: &Value) -> Complete {
    let text = |pointer: &str| text_at(document, pointer).unwrap_or_default();
    let service_and_pods =
        ["podSubnets", "serviceSubnets"].map(|key| subnets(document, &format!("/cluster/network/{key}")));
    let labels = document.pointer("/machine/nodeLabels").and_then(Value::as_object).into_iter().flatten();
    let listen_or = |key: &str| subnets(document, &format!("/cluster/etcd/{key}"));
    let etcd_subnets = match listen_or("advertisedSubnets") {
        some if !some.is_empty() => some,
        _ => Subnet::read(&text("/cluster/etcd/subnet")).into_iter().collect(),
    };
    Complete {
        control_plane: matches!(text("/machine/type").as_str(), "controlplane" | "init"),
        token: text("/machine/token"),
        ca: pair(document, "/machine/ca"),
        accepted_cas: accepted(document, "/machine/acceptedCAs"),
        cert_sans: texts_at(document, "/machine/certSANs"),
        node_ip_subnets: subnets(document, "/machine/kubelet/nodeIP/validSubnets"),
        kubelet: tag(document, "/machine/kubelet/image").unwrap_or_else(|| validate::KUBERNETES_DEFAULT.to_owned()),
        labels: labels.map(|(key, value)| (key.clone(), text_at(value, "").unwrap_or_default())).collect(),
        kube_prism: flag(document, "/machine/features/kubePrism/enabled").unwrap_or(false),
        endpoint: endpoint(&text("/cluster/controlPlane/endpoint")).unwrap_or_default(),
        cluster_id: text("/cluster/id"),
        cluster_secret: text("/cluster/secret"),
        cluster_name: text("/cluster/clusterName"),
        bootstrap_token: text("/cluster/token"),
        kube_ca: pair(document, "/cluster/ca"),
        etcd_ca: pair(document, "/cluster/etcd/ca"),
        etcd_subnets,
        kubernetes: tag(document, "/cluster/apiServer/image")
            .unwrap_or_else(|| validate::KUBERNETES_DEFAULT.to_owned()),
        api_sans: texts_at(document, "/cluster/apiServer/certSANs"),
        pod_and_service_subnets: service_and_pods.concat(),
        cni: Some(text("/cluster/network/cni/name")).filter(|name| !name.is_empty()).unwrap_or("flannel".into()),
        flannel_args: texts_at(document, "/cluster/network/cni/flannel/extraArgs"),
        discovery: document.pointer("/cluster/discovery").is_some()
            && flag(document, "/cluster/discovery/enabled").unwrap_or(true)
            && !flag(document, "/cluster/discovery/registries/service/disabled").unwrap_or(false),
        schedulable: flag(document, "/cluster/allowSchedulingOnControlPlanes").unwrap_or(false),
    }
}

fn accepted(document: &Value, pointer: &str) -> Vec<Vec<u8>> {
    let items = document.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| pem_at(item, "/crt")).collect()
}

fn flag(document: &Value, pointer: &str) -> Option<bool> {
    document.pointer(pointer).and_then(Value::as_bool)
}

fn subnets(document: &Value, pointer: &str) -> Vec<Subnet> {
    texts_at(document, pointer).iter().filter_map(|text| Subnet::read(text)).collect()
}

fn pair(document: &Value, pointer: &str) -> PemPair {
    PemPair { crt: pem_at(document, &format!("{pointer}/crt")), key: pem_at(document, &format!("{pointer}/key")) }
}

/// The version in an image reference's tag, without `v`.
pub(super) fn tag(document: &Value, pointer: &str) -> Option<String> {
    let image = text_at(document, pointer)?;
    let image = image.split('@').next()?;
    let (_, tag) = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
    Some(tag.trim_start_matches('v').to_owned())
}
