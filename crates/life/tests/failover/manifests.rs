//! What is applied: Traefik with a certificate a node, and the watcher's own manifest with this bench's words.

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
pub fn watcher(profile: &str, server: &str, authority: &str) -> String {
    let files = addons::deploy::files();
    let manifest = &files["watcher.yaml"];
    let (before, rest) = manifest.split_once("  config.yaml: |\n").unwrap();
    let (_, after) = rest.split_once("\nmetadata:\n").unwrap();
    let config = format!(
        "    cluster: rig\n    pool: {POOL}\n    profile: {profile}\n    provider: {{ rfc2136: {{ server: '{server}:53', keyFile: \
         /etc/bouquet-watcher/tsig.key }} }}\n    ingressClass: traefik\n    ingressPods: {{ namespace: traefik, selector: \
         app.kubernetes.io/name=traefik }}\n    canary: {{ host: {CANARY}, trust: /etc/bouquet-watcher/ca.pem }}\n    \
         controlProbes: ['{server}:53']\n    allowAddresses: [198.51.100.0/24]"
    );
    let whole = format!("{before}  config.yaml: |\n{config}\nmetadata:\n{after}");
    let source = "              name: bouquet-watcher\n---";
    assert!(whole.contains(source), "the manifest's volumes are not where they were");
    let credentials =
        "              name: bouquet-watcher\n          - secret:\n              name: bouquet-watcher-dns\n---";
    let whole = whole.replace(source, credentials).replace("canary.bouquet.example.com", CANARY);
    let indented: String = authority.lines().map(|line| format!("    {line}\n")).collect();
    let secret = format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{ name: bouquet-watcher-dns, namespace: bouquet-system }}\nstringData:\n  \
         tsig.key: |\n    key \"bouquet\" {{ algorithm hmac-sha256; secret \"{KEY}\"; }};\n  ca.pem: |\n{indented}"
    );
    // The namespace comes first.
    let (namespace, rest) = whole.split_once("---\napiVersion: apiextensions").unwrap();
    format!("{namespace}{secret}---\napiVersion: apiextensions{rest}")
}

/// The canary's route, by itself.
pub fn canary() -> String {
    let files = addons::deploy::files();
    let (_, ingress) = files["watcher.yaml"].rsplit_once("---\n").unwrap();
    ingress.replace("canary.bouquet.example.com", CANARY)
}
