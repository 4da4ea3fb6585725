//! What is applied: Traefik with a certificate a node, and the watcher's own manifest with this bench's words.

use super::zone::{Cloud, Zone};
use rig::INTERNET_ADDRESS;

pub const ZONE: &str = "rig.test";
pub const POOL: &str = "lb.rig.test";
pub const CANARY: &str = "canary.rig.test";
/// Base64; what BIND and the watcher share.
pub const KEY: &str = "Ym91cXVldCBib3VxdWV0IGJvdXF1ZXQgYm91cXVldCE=";

/// On every machine, with the certificate that lies there.
pub fn traefik() -> String {
    include_str!("../../../rig/manifests/traefik.yaml")
        .replace("matchLabels: { app: traefik }", "matchLabels: { app.kubernetes.io/name: traefik }")
        .replace("labels: { app: traefik }", "labels: { app.kubernetes.io/name: traefik }")
        .replace(
            "            - --ping\n",
            "            - --ping\n            - --entrypoints.websecure.address=:8443\n            - --entrypoints.websecure.http.tls=true\n            \
             - --providers.file.directory=/tls\n            - --providers.file.watch=true\n",
        )
        .replace(
            "            - { name: web, containerPort: 8000, hostPort: 80 }\n",
            "            - { name: web, containerPort: 8000, hostPort: 80 }\n            - { name: websecure, containerPort: 8443, hostPort: 443 }\n",
        )
        .trim_end()
        .to_owned()
        + "\n          volumeMounts: [{ name: tls, mountPath: /tls, readOnly: true }]\n      \
           volumes: [{ name: tls, hostPath: { path: /var/mnt/tls, type: Directory } }]\n"
}

/// What Traefik reads beside the certificate.
pub const TLS: &str =
    "tls: { stores: { default: { defaultCertificate: { certFile: /tls/cert.pem, keyFile: /tls/key.pem } } } }\n";

/// The watcher's own manifest, with this bench's configuration and credentials.
pub fn watcher(profile: &str, zone: &Zone, authority: &str) -> String {
    let files = addons::deploy::files();
    let manifest = &files["watcher.yaml"];
    let (before, rest) = manifest.split_once("  config.yaml: |\n").unwrap();
    let (_, after) = rest.split_once("\nmetadata:\n").unwrap();
    let config = format!(
        "    cluster: rig\n    pool: {POOL}\n    profile: {profile}\n    provider: {{ {} }}\n    ingressClass: traefik\n    \
         ingressPods: {{ namespace: traefik, selector: app.kubernetes.io/name=traefik }}\n    canary: {{ host: {CANARY}, trust: \
         /etc/bouquet-watcher/ca.pem }}\n    controlProbes: ['{}']\n    allowAddresses: [198.51.100.0/24]",
        zone.provider, zone.anchor
    );
    let whole = format!("{before}  config.yaml: |\n{config}\nmetadata:\n{after}");
    let source = "              name: bouquet-watcher\n---";
    let credentials =
        "              name: bouquet-watcher\n          - secret:\n              name: bouquet-watcher-dns\n---";
    let whole = put(&whole, source, credentials).replace("canary.bouquet.example.com", CANARY);
    let whole = zone.cloud.iter().fold(whole, |whole, cloud| in_the_cloud(&whole, cloud));
    // The namespace comes first.
    let (namespace, rest) = whole.split_once("---\napiVersion: apiextensions").unwrap();
    format!("{namespace}{}---\napiVersion: apiextensions{rest}", secret(zone, authority))
}

/// What the watcher's pods need beside, where their provider is a cloud of this rig.
fn in_the_cloud(manifest: &str, cloud: &Cloud) -> String {
    let pod = format!(
        "      hostAliases: [{{ ip: {INTERNET_ADDRESS}, hostnames: [{}] }}]\n      containers:\n      - env:\n        \
         - {{ name: SSL_CERT_FILE, value: /etc/bouquet-watcher/cloud.pem }}\n",
        cloud.host
    );
    put(manifest, "      containers:\n      - env:\n", &pod)
}

fn secret(zone: &Zone, authority: &str) -> String {
    let indented = |pem: &str| pem.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let mut secret = format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{ name: bouquet-watcher-dns, namespace: bouquet-system }}\nstringData:\n  \
         tsig.key: |\n    key \"bouquet\" {{ algorithm hmac-sha256; secret \"{KEY}\"; }};\n  ca.pem: |\n{}",
        indented(authority)
    );
    if let Some(cloud) = &zone.cloud {
        secret.push_str(&format!("  CLOUDFLARE_API_TOKEN: {}\n", cloud.token));
        secret.push_str(&format!("  cloud.pem: |\n{}", indented(&cloud.authority)));
    }
    secret
}

fn put(manifest: &str, there: &str, instead: &str) -> String {
    assert!(manifest.contains(there), "the manifest no longer says {there}");
    manifest.replace(there, instead)
}

/// The canary's route, by itself.
pub fn canary() -> String {
    let files = addons::deploy::files();
    let (_, ingress) = files["watcher.yaml"].rsplit_once("---\n").unwrap();
    ingress.replace("canary.bouquet.example.com", CANARY)
}
