use super::Issued;
use crate::{Bundle, yaml};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use wire::Secret;

/// The file that `talosctl` reads: one context named `cluster`. `endpoints` are where it dials, `nodes` whom it asks by
/// default.
pub fn talosconfig(cluster: &str, bundle: &Bundle, client: &Issued, endpoints: &[String], nodes: &[String]) -> Secret {
    let context = json!({
        "endpoints": endpoints,
        "nodes": nodes,
        "ca": STANDARD.encode(&bundle.os.crt),
        "crt": STANDARD.encode(&client.crt),
        "key": STANDARD.encode(client.key.expose()),
    });
    Secret::new(yaml::write(&json!({ "context": cluster, "contexts": { cluster: context } })))
}

/// The file that `kubectl` reads: cluster `cluster` at `server` (`https://api.example.com:6443`), user
/// `admin@<cluster>`. `proxy_url` is for machines that are not on the tailnet (`socks5://…` or `http://…`).
pub fn kubeconfig(cluster: &str, bundle: &Bundle, admin: &Issued, server: &str, proxy_url: Option<&str>) -> Secret {
    let user = format!("admin@{cluster}");
    let mut access = json!({
        "server": server,
        "certificate-authority-data": STANDARD.encode(&bundle.k8s.crt),
    });
    if let (Some(proxy_url), Some(fields)) = (proxy_url, access.as_object_mut()) {
        fields.insert("proxy-url".into(), proxy_url.into());
    }
    Secret::new(yaml::write(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": cluster, "cluster": access }],
        "users": [{ "name": user, "user": {
            "client-certificate-data": STANDARD.encode(&admin.crt),
            "client-key-data": STANDARD.encode(admin.key.expose()),
        } }],
        "contexts": [{ "name": user, "context": { "cluster": cluster, "namespace": "default", "user": user } }],
        "current-context": user,
    })))
}
