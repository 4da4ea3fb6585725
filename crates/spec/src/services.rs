//! What runs in and around the cluster: DNS, mesh, storage, ingress, certificates, the watcher, extras. Each has a
//! short form, one word, and a longer one where a word is not enough.

use crate::cluster::{Certificates, Dns, DnsProvider, Storage};
use crate::code;
use crate::fault::{Faults, did_you_mean, help};
use crate::fields::{Fields, Part, Unreadable, list, shown, text, word, wrong_shape};
use crate::options::{Acme, Extra, Mesh, Profile, Rfc2136, Watcher};
use crate::tree::{Entry, Node, Value};

pub(crate) const DNS_KEYS: &[&str] = &["provider", "server", "key"];
pub(crate) const MESH_KEYS: &[&str] = &["provider", "tailnet"];
pub(crate) const INGRESS_KEYS: &[&str] = &["kind", "nodes"];
pub(crate) const CERTIFICATES_KEYS: &[&str] = &["issuer", "email", "directory"];
pub(crate) const WATCHER_KEYS: &[&str] = &["image", "profile"];
pub(crate) const EXTRA_KEYS: &[&str] = &["manifests", "charts"];

#[derive(Clone, Copy)]
enum DnsWord {
    Cloudflare,
    Rfc2136,
}

const DNS_WORDS: &[(&str, DnsWord)] = &[("cloudflare", DnsWord::Cloudflare), ("rfc2136", DnsWord::Rfc2136)];

pub(crate) fn read_dns(entry: &Entry, faults: &mut Faults) -> Option<Dns> {
    let Value::Map(_) = &entry.value.value else {
        let found = word(&entry.value, "DNS provider", DNS_WORDS, faults)?;
        if let DnsWord::Rfc2136 = found.value {
            let message = "`dns` names no server for dynamic updates";
            let form = "write `dns: { provider: rfc2136, server: ns1.example.com }`";
            faults.error(code::MISSING_KEY, &found.span, message, help(form));
            return None;
        }
        return Some(Dns { provider: DnsProvider::Cloudflare });
    };
    let fields = Fields::read(&entry.value, "`dns`", &entry.key_span, DNS_KEYS, faults)?;
    let provider = fields.require("provider", "cloudflare", faults)?;
    let server = fields.entry("server");
    let key = fields.entry("key");
    match word(provider, "DNS provider", DNS_WORDS, faults)?.value {
        DnsWord::Cloudflare => {
            for extra in [server, key].into_iter().flatten() {
                let message = format!("`{}` is for rfc2136 only", extra.key);
                let remedy = "Cloudflare's credential comes from CLOUDFLARE_API_TOKEN";
                faults.error(code::UNKNOWN_KEY, &extra.key_span, message, help(remedy));
            }
            Some(Dns { provider: DnsProvider::Cloudflare })
        }
        DnsWord::Rfc2136 => {
            let server = text(fields.require("server", "ns1.example.com", faults)?, "`server` of `dns`", faults)?;
            let key = optional_text(&fields, "key", "`dns`", faults);
            Some(Dns { provider: DnsProvider::Rfc2136(Rfc2136 { server: server.value.to_owned(), key }) })
        }
    }
}

pub(crate) fn read_mesh(entry: &Entry, faults: &mut Faults) -> Option<Mesh> {
    let meshes = &[("tailscale", ())];
    let Value::Map(_) = &entry.value.value else {
        return word(&entry.value, "mesh", meshes, faults).map(|_| Mesh::default());
    };
    let fields = Fields::read(&entry.value, "`mesh`", &entry.key_span, MESH_KEYS, faults)?;
    word(fields.require("provider", "tailscale", faults)?, "mesh", meshes, faults)?;
    Some(Mesh { tailnet: optional_text(&fields, "tailnet", "`mesh`", faults) })
}

pub(crate) fn read_storage(node: &Node, faults: &mut Faults) -> Part<Storage> {
    let found = word(node, "storage", &[("openebs", Some(Storage::OpenEbs)), ("none", None)], faults);
    found.map(|at| at.value).ok_or(Unreadable)
}

/// What the file says of ingress.
pub(crate) enum IngressWish {
    None,
    /// Wherever the default puts it.
    Anywhere,
    On(Vec<String>),
}

/// `names` are the nodes of the file.
pub(crate) fn read_ingress(entry: &Entry, names: &[&str], faults: &mut Faults) -> Option<IngressWish> {
    let kinds = &[("traefik", true), ("none", false)];
    let Value::Map(_) = &entry.value.value else {
        let serves = word(&entry.value, "ingress", kinds, faults)?.value;
        return Some(if serves { IngressWish::Anywhere } else { IngressWish::None });
    };
    let fields = Fields::read(&entry.value, "`ingress`", &entry.key_span, INGRESS_KEYS, faults)?;
    let kind = fields.require("kind", "traefik", faults).and_then(|node| word(node, "ingress", kinds, faults));
    let nodes = fields.get("nodes").map(|node| read_ingress_nodes(node, names, faults));
    match (kind?.value, nodes) {
        (false, _) => Some(IngressWish::None),
        (true, None) => Some(IngressWish::Anywhere),
        (true, Some(nodes)) => Some(IngressWish::On(nodes?)),
    }
}

fn read_ingress_nodes(node: &Node, names: &[&str], faults: &mut Faults) -> Option<Vec<String>> {
    let items = list(node, "`nodes` of `ingress`", faults)?;
    if items.is_empty() {
        let remedy = help("leave `nodes` out for every worker, or write `ingress: none`");
        faults.error(code::WRONG_SHAPE, &node.span, "`nodes` of `ingress` is empty", remedy);
        return None;
    }
    let mut serving: Vec<String> = Vec::new();
    for item in items {
        let Some(name) = text(item, "a node's name", faults) else { continue };
        if !names.contains(&name.value) {
            let nodes = format!("the file's nodes are {}", names.join(", "));
            let remedy = did_you_mean(name.value, names.iter().copied(), nodes);
            let message = format!("there is no node `{}`", shown(name.value));
            faults.error(code::NO_SUCH_NODE, &name.span, message, remedy);
        }
        if serving.iter().all(|earlier| earlier != name.value) {
            serving.push(name.value.to_owned());
        }
    }
    Some(serving)
}

/// Certificates and the account for them; `dns` is whether the file names a DNS provider that could be read.
pub(crate) fn read_certificates(entry: &Entry, dns: bool, faults: &mut Faults) -> Option<(Certificates, Acme)> {
    let issuers = &[("letsencrypt", true), ("none", false)];
    let (issuer, acme) = if let Value::Map(_) = &entry.value.value {
        let fields = Fields::read(&entry.value, "`certificates`", &entry.key_span, CERTIFICATES_KEYS, faults)?;
        let issuer = fields.require("issuer", "letsencrypt", faults);
        let email = optional_text(&fields, "email", "`certificates`", faults);
        let directory = optional_text(&fields, "directory", "`certificates`", faults);
        (word(issuer?, "issuer of certificates", issuers, faults)?, Acme { email, directory })
    } else {
        (word(&entry.value, "issuer of certificates", issuers, faults)?, Acme::default())
    };
    if issuer.value && !dns {
        let message = "certificates are issued by way of DNS records, and the file has no `dns`";
        let remedy = help("add `dns: cloudflare`, or write `certificates: none`");
        faults.error(code::DOMAIN_AND_DNS, &issuer.span, message, remedy);
    }
    Some((if issuer.value { Certificates::LetsEncrypt } else { Certificates::None }, acme))
}

pub(crate) fn read_watcher(entry: &Entry, faults: &mut Faults) -> Option<Watcher> {
    let profiles = &[("default", Profile::Default), ("fast", Profile::Fast)];
    let fields = Fields::read(&entry.value, "`watcher`", &entry.key_span, WATCHER_KEYS, faults)?;
    let image = optional_text(&fields, "image", "`watcher`", faults);
    let profile = match fields.get("profile") {
        Some(node) => word(node, "profile of the watcher", profiles, faults)?.value,
        None => Profile::default(),
    };
    Some(Watcher { image, profile })
}

pub(crate) fn read_extra(entry: &Entry, faults: &mut Faults) -> Option<Extra> {
    let fields = Fields::read(&entry.value, "`extra`", &entry.key_span, EXTRA_KEYS, faults)?;
    let mut items = |key: &str, texts: bool| {
        let what = format!("`{key}` of `extra`");
        let items = fields.get(key).and_then(|node| list(node, &what, faults)).unwrap_or_default();
        for item in items {
            let fine = matches!(item.value, Value::Map(_)) || texts && matches!(item.value, Value::Text(_));
            if !fine {
                wrong_shape(item, &format!("an entry of {what}"), "a mapping", faults);
            }
        }
        items.iter().map(Node::to_json).collect()
    };
    Some(Extra { manifests: items("manifests", true), charts: items("charts", false) })
}

fn optional_text(fields: &Fields<'_>, key: &str, owner: &str, faults: &mut Faults) -> Option<String> {
    let found = text(fields.get(key)?, &format!("`{key}` of {owner}"), faults)?;
    Some(found.value.to_owned())
}

/// Domain and DNS need each other.
pub(crate) fn check_domain_and_dns(domain: Option<&Entry>, dns: Option<&Entry>, faults: &mut Faults) {
    match (domain, dns) {
        (None, Some(dns)) => {
            let message = "`dns` is set, but the file has no `domain` to serve";
            let remedy = help("add `domain: bouquet.example.com`, in a zone of the provider");
            faults.error(code::DOMAIN_AND_DNS, &dns.key_span, message, remedy);
        }
        (Some(domain), None) => {
            let message = "the domain has no `dns` provider, so nobody writes its records";
            let remedy = help("add `dns: cloudflare`, or keep the records yourself");
            faults.warning(code::DOMAIN_AND_DNS, &domain.key_span, message, remedy);
        }
        _ => {}
    }
}
