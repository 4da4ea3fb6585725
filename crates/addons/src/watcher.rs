//! The watcher: a Deployment that asks every node whether it serves, and writes DNS accordingly.
//!
//! Its rights are exactly what it uses; a Secret of its own holds what it may write DNS with.

mod kind;
mod rights;
mod workload;

use crate::config::{Credential, watching};
use crate::part::{meta, selected_by, service, service_account};
use crate::{Addon, Given, Object, SYSTEM, WATCHER, WATCHER_DEPLOYMENT, has_watcher, system_namespace, yaml};
use k8s_openapi::api::core::v1::{ConfigMap, Secret as SecretObject, Service};
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec,
    ServiceBackendPort,
};
pub use kind::ingress_nodes;
use spec::{Cluster, DnsProvider, Watching, ZoneKeeper};
use std::collections::BTreeMap;
use wire::Secret;
pub(crate) use workload::Spread;

/// Name of nearly everything of it.
pub(crate) const APP: &str = WATCHER_DEPLOYMENT;
/// The variable that `bouquet apply` takes the watcher's Cloudflare token from.
pub const TOKEN_VARIABLE: &str = "BOUQUET_WATCHER_DNS_TOKEN";
/// What the watcher itself reads its token from.
const CLOUDFLARE_TOKEN: &str = "CLOUDFLARE_API_TOKEN";
/// Holds what it may write DNS with.
const DNS_SECRET: &str = "bouquet-watcher-dns";
const CANARY: &str = "bouquet-canary";
const PEERS: &str = "bouquet-peers";
/// Where configuration and key file are mounted.
const FOLDER: &str = "/etc/bouquet-watcher";
const CONFIG_FILE: &str = "config.yaml";
const KEY_FILE: &str = "tsig.key";
/// Status page and metrics.
const STATUS_PORT: i32 = 9402;
/// What the canary's route leads to.
const CANARY_PORT: i32 = 9403;
/// Reports and permits between replicas.
const PEERS_PORT: i32 = 9404;

/// The image of this release.
pub fn image() -> String {
    format!("ghcr.io/kreatoo/bouquet-watcher:{}", env!("CARGO_PKG_VERSION"))
}

pub(crate) fn addon(cluster: &Cluster, given: Given<'_>) -> Option<Addon> {
    let domain = cluster.domain.as_deref().filter(|_| has_watcher(cluster))?;
    let provider = provider(&cluster.dns.as_ref()?.provider, given);
    let config = Watching { profile: cluster.watcher.profile, ..watching(&cluster.name, domain, provider) };
    let image = cluster.watcher.image.clone().unwrap_or_else(image);
    let spread = Spread::Strict(cluster.nodes.len());
    let mut objects = objects(&config, &image, spread, given.credential.map(fingerprint));
    objects.extend(given.credential.map(credential_object));
    Some(Addon { name: WATCHER, objects })
}

fn provider(named: &DnsProvider, given: Given<'_>) -> ZoneKeeper {
    let DnsProvider::Rfc2136(at) = named else { return ZoneKeeper::Cloudflare };
    let server = if at.server.contains(':') { at.server.clone() } else { format!("{}:53", at.server) };
    let key = match given.credential {
        Some(Credential::Tsig { name, algorithm, .. }) => Some((name.clone(), algorithm.clone())),
        _ => None,
    };
    ZoneKeeper::Rfc2136 {
        server,
        zone: given.zone.map(str::to_owned),
        key_file: key.is_some().then(|| format!("{FOLDER}/{KEY_FILE}")),
        key_name: key.as_ref().map(|(name, _)| name.clone()),
        algorithm: key.map(|(_, algorithm)| algorithm),
    }
}

/// Everything but what it may write DNS with. `credential`: changes when that does.
pub(crate) fn objects(config: &Watching, image: &str, spread: Spread, credential: Option<String>) -> Vec<Object> {
    let text = yaml::write(&config.to_json());
    let mut objects = vec![system_namespace(), Object::of(&ingress_nodes())];
    objects.push(Object::of(&service_account(APP, SYSTEM, APP)));
    objects.extend(rights::all());
    objects.push(Object::of(&config_map(&text)));
    objects.extend(services().iter().map(Object::of));
    objects.extend(workload::budget(spread).iter().map(Object::of));
    objects.push(Object::of(&workload::deployment(config, &text, image, spread, credential)));
    objects.push(Object::of(&canary(config)));
    objects
}

fn config_map(text: &str) -> ConfigMap {
    let data = [(CONFIG_FILE.to_owned(), text.to_owned())].into();
    ConfigMap { metadata: meta(APP, Some(SYSTEM), APP), data: Some(data), ..ConfigMap::default() }
}

fn credential_object(credential: &Credential) -> Object {
    let (key, value) = match credential {
        Credential::Token(token) => (CLOUDFLARE_TOKEN, token),
        Credential::Tsig { file, .. } => (KEY_FILE, file),
    };
    let typed = SecretObject {
        metadata: meta(APP, Some(SYSTEM), DNS_SECRET),
        type_: Some("Opaque".into()),
        ..SecretObject::default()
    };
    Object::secret(&typed, BTreeMap::from([(key.to_owned(), value.clone())]))
}

/// Changes with the credential, and tells nothing of it: 64 bits of a digest of what is random to begin with.
fn fingerprint(credential: &Credential) -> String {
    let (Credential::Token(secret) | Credential::Tsig { file: secret, .. }) = credential;
    short_digest(secret)
}

fn short_digest(text: &Secret) -> String {
    use sha2::{Digest, Sha256};
    let mut digest = hex::encode(Sha256::digest(text.expose()));
    digest.truncate(16);
    digest
}

/// Peers must find each other before they are ready, for being ready takes a peer.
fn services() -> [Service; 3] {
    let status = service(APP, SYSTEM, APP, ("status", STATUS_PORT));
    let canary = service(APP, SYSTEM, CANARY, ("canary", CANARY_PORT));
    let mut peers = service(APP, SYSTEM, PEERS, ("peers", PEERS_PORT));
    if let Some(spec) = &mut peers.spec {
        spec.cluster_ip = Some("None".into());
        spec.publish_not_ready_addresses = Some(true);
    }
    [status, canary, peers]
}

/// A route that only an ingress controller with its routes loaded can answer.
fn canary(config: &Watching) -> Ingress {
    let service = IngressServiceBackend {
        name: CANARY.into(),
        port: Some(ServiceBackendPort { number: Some(CANARY_PORT), ..ServiceBackendPort::default() }),
    };
    let path = HTTPIngressPath {
        path: Some("/.well-known/bouquet".into()),
        path_type: "Prefix".into(),
        backend: IngressBackend { service: Some(service), ..IngressBackend::default() },
    };
    let rule =
        IngressRule { host: Some(config.canary.host.clone()), http: Some(HTTPIngressRuleValue { paths: vec![path] }) };
    let spec = IngressSpec {
        ingress_class_name: Some(config.ingress_class.clone()),
        rules: Some(vec![rule]),
        ..IngressSpec::default()
    };
    Ingress { metadata: meta(APP, Some(SYSTEM), CANARY), spec: Some(spec), ..Ingress::default() }
}

/// Labels of the watcher's pods.
fn labels() -> crate::part::Labels {
    selected_by(APP)
}
