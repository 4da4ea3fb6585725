//! The parts of the watcher's file, one reader each; and how they are written.

use super::{Block, Canary, IpFamily, Publish, Source, Trust, Watching, Webhook, WebhookKind, ZoneKeeper};
use crate::code;
use crate::fault::{Faults, help};
use crate::fields::{Fields, list, shown, text, word, wrong_shape};
use crate::options::Profile;
use crate::tree::{Node, Value};
use crate::{names, units};
use serde_json::{Value as Json, json};
use std::net::IpAddr;

pub(super) const PUBLISH: &[(&str, Publish)] = &[("pool", Publish::Pool), ("hosts", Publish::Hosts)];
pub(super) const PROFILES: &[(&str, Profile)] = &[("default", Profile::Default), ("fast", Profile::Fast)];
pub(super) const FAMILIES: &[(&str, IpFamily)] = &[("A", IpFamily::A), ("AAAA", IpFamily::Aaaa)];
pub(super) const SOURCES: &[(&str, Source)] =
    &[("ingress", Source::Ingress), ("ingressroute", Source::IngressRoute), ("httproute", Source::HttpRoute)];
const SCHEMES: &[(&str, bool)] = &[("https", true), ("http", false)];
const WEBHOOKS: &[(&str, WebhookKind)] = &[
    ("discord", WebhookKind::Discord),
    ("slack", WebhookKind::Slack),
    ("ntfy", WebhookKind::Ntfy),
    ("generic", WebhookKind::Generic),
];
/// Cloudflare's shortest outside Enterprise plans, and its longest.
const TTL_S: std::ops::RangeInclusive<u32> = 60..=86_400;

/// The word for a value of one of the tables above.
pub(super) fn spelt<T: PartialEq>(value: T, words: &[(&'static str, T)]) -> &'static str {
    words.iter().find(|(_, of)| *of == value).map_or("", |(word, _)| word)
}

pub(super) fn plain(fields: &Fields<'_>, key: &str, into: &mut String, faults: &mut Faults) {
    if let Some(found) = fields.get(key).and_then(|node| text(node, &format!("`{key}`"), faults)) {
        found.value.clone_into(into);
    }
}

pub(super) fn truth(fields: &Fields<'_>, key: &str, into: &mut bool, faults: &mut Faults) {
    let Some(node) = fields.get(key) else { return };
    match node.value {
        Value::Bool(value) => *into = value,
        _ => wrong_shape(node, &format!("`{key}`"), "true or false", faults),
    }
}

pub(super) fn choices<T: Copy + PartialEq>(
    fields: &Fields<'_>,
    key: &str,
    what: &str,
    words: &[(&str, T)],
    into: &mut Vec<T>,
    faults: &mut Faults,
) {
    let Some(node) = fields.get(key) else { return };
    let Some(items) = list(node, &format!("`{key}`"), faults) else { return };
    let mut chosen = Vec::new();
    for item in items {
        let Some(found) = word(item, what, words, faults) else { continue };
        if !chosen.contains(&found.value) {
            chosen.push(found.value);
        }
    }
    if items.is_empty() {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let remedy = help(format!("name at least one of {}", all.join(", ")));
        faults.error(code::WRONG_SHAPE, &node.span, format!("`{key}` is empty"), remedy);
    }
    *into = chosen;
}

pub(super) fn ttl(fields: &Fields<'_>, into: &mut u32, faults: &mut Faults) {
    let Some(ttl) = fields.get("ttlSeconds").and_then(|node| units::count(node, "ttlSeconds", faults)) else { return };
    if ttl.value != 1 && !TTL_S.contains(&ttl.value) {
        let message = format!("a TTL of {} seconds is outside what providers take", ttl.value);
        let remedy = help("write 60 to 86400, or 1 for Cloudflare's \"automatic\"");
        faults.error(code::BAD_QUANTITY, &ttl.span, message, remedy);
    }
    *into = ttl.value;
}

pub(super) fn min_records(fields: &Fields<'_>, into: &mut Option<u32>, faults: &mut Faults) {
    let Some(least) = fields.get("minRecords").and_then(|node| units::count(node, "minRecords", faults)) else {
        return;
    };
    if least.value == 0 {
        let message = "`minRecords: 0` would let a name lose its last record";
        faults.error(code::BAD_QUANTITY, &least.span, message, help("write 1 or more"));
    }
    *into = Some(least.value);
}

pub(super) fn ingress_pods(fields: &Fields<'_>, into: &mut Watching, faults: &mut Faults) {
    let Some(entry) = fields.entry("ingressPods") else { return };
    let keys = &["namespace", "selector"];
    let Some(inner) = Fields::read(&entry.value, "`ingressPods`", &entry.key_span, keys, faults) else { return };
    plain(&inner, "namespace", &mut into.ingress_namespace, faults);
    plain(&inner, "selector", &mut into.ingress_selector, faults);
}

pub(super) fn canary(fields: &Fields<'_>, into: &mut Canary, faults: &mut Faults) {
    let Some(entry) = fields.entry("canary") else { return };
    let keys = &["host", "port", "scheme", "trust"];
    let Some(inner) = Fields::read(&entry.value, "`canary`", &entry.key_span, keys, faults) else { return };
    if let Some(host) = inner.get("host").and_then(|node| text(node, "`host` of `canary`", faults))
        && names::check_domain(&host, faults)
    {
        host.value.clone_into(&mut into.host);
    }
    if let Some(tls) = inner.get("scheme").and_then(|node| word(node, "scheme", SCHEMES, faults)) {
        into.tls = tls.value;
        into.port = if tls.value { 443 } else { 80 };
    }
    if let Some(port) = inner.get("port").and_then(|node| units::count(node, "port", faults)) {
        match u16::try_from(port.value) {
            Ok(number) if number > 0 => into.port = number,
            _ => {
                let message = format!("{} is no port", port.value);
                faults.error(code::BAD_QUANTITY, &port.span, message, help("write 1 to 65535"));
            }
        }
    }
    if let Some(trust) = inner.get("trust").and_then(|node| text(node, "`trust` of `canary`", faults)) {
        match trust.value {
            "any" => into.trust = Trust::Any,
            "system" => into.trust = Trust::System,
            path if path.starts_with('/') => into.trust = Trust::File(path.to_owned()),
            other => {
                let message = format!("`{}` is nobody to trust", shown(other));
                let remedy = help("write any, system, or the path of a PEM file");
                faults.error(code::UNKNOWN_WORD, &trust.span, message, remedy);
            }
        }
    }
}

pub(super) fn read_provider(node: &Node, faults: &mut Faults) -> Option<ZoneKeeper> {
    let remedy = "write `provider: { cloudflare: {} }` or `provider: { rfc2136: { server: ns1.example.com } }`";
    let fields = Fields::read(node, "`provider`", &node.span, &["cloudflare", "rfc2136"], faults)?;
    match (fields.entry("cloudflare"), fields.entry("rfc2136")) {
        (Some(entry), None) => {
            Fields::read(&entry.value, "`cloudflare`", &entry.key_span, &[], faults).map(|_| ZoneKeeper::Cloudflare)
        }
        (None, Some(entry)) => {
            let keys = &["server", "zone", "keyFile", "keyName", "algorithm"];
            let inner = Fields::read(&entry.value, "`rfc2136`", &entry.key_span, keys, faults)?;
            let server = text(inner.require("server", "ns1.example.com", faults)?, "`server`", faults)?;
            let server = server.value.to_owned();
            let mut said = |key: &str| {
                inner.get(key).and_then(|node| text(node, &format!("`{key}`"), faults)).map(|at| at.value.to_owned())
            };
            let (zone, key_file) = (said("zone"), said("keyFile"));
            let (key_name, algorithm) = (said("keyName"), said("algorithm"));
            Some(ZoneKeeper::Rfc2136 { server, zone, key_file, key_name, algorithm })
        }
        _ => {
            faults.error(code::MISSING_KEY, &node.span, "`provider` names one DNS provider", help(remedy));
            None
        }
    }
}

pub(super) fn write_provider(provider: &ZoneKeeper) -> Json {
    match provider {
        ZoneKeeper::Cloudflare => json!({"cloudflare": {}}),
        ZoneKeeper::Rfc2136 { server, zone, key_file, key_name, algorithm } => {
            let mut fields = serde_json::Map::new();
            fields.insert("server".into(), server.as_str().into());
            for (key, value) in [("zone", zone), ("keyName", key_name), ("keyFile", key_file), ("algorithm", algorithm)]
            {
                if let Some(value) = value {
                    fields.insert(key.into(), value.as_str().into());
                }
            }
            json!({"rfc2136": fields})
        }
    }
}

pub(super) fn write_canary(canary: &Canary) -> Json {
    let trust = match &canary.trust {
        Trust::Any => "any",
        Trust::System => "system",
        Trust::File(path) => path,
    };
    json!({"host": canary.host, "scheme": spelt(canary.tls, SCHEMES), "port": canary.port, "trust": trust})
}

pub(super) fn control_probes(fields: &Fields<'_>, into: &mut Vec<String>, faults: &mut Faults) {
    let Some(node) = fields.get("controlProbes") else { return };
    let Some(items) = list(node, "`controlProbes`", faults) else { return };
    into.clear();
    for item in items {
        let Some(found) = text(item, "a control probe", faults) else { continue };
        let port = found.value.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        if port.is_some_and(|(host, port)| !host.is_empty() && port > 0) {
            into.push(found.value.to_owned());
        } else {
            let message = format!("`{}` is no host and port", shown(found.value));
            faults.error(code::WRONG_SHAPE, &found.span, message, help("write `1.1.1.1:443`"));
        }
    }
}

pub(super) fn allow_addresses(fields: &Fields<'_>, into: &mut Vec<Block>, faults: &mut Faults) {
    let Some(node) = fields.get("allowAddresses") else { return };
    let Some(items) = list(node, "`allowAddresses`", faults) else { return };
    for item in items {
        let Some(found) = text(item, "a range of addresses", faults) else { continue };
        match block(found.value) {
            Some(block) => into.push(block),
            None => {
                let message = format!("`{}` is no address and no range of addresses", shown(found.value));
                faults.error(code::ADDRESS_RANGE, &found.span, message, help("write `198.51.100.0/24`"));
            }
        }
    }
}

fn block(text: &str) -> Option<Block> {
    let (base, prefix) = text.split_once('/').map_or((text, None), |(base, prefix)| (base, Some(prefix)));
    let base: IpAddr = base.parse().ok()?;
    let most = if base.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(most), |prefix| prefix.parse().ok())?;
    (prefix <= most).then_some(Block { base, prefix })
}

pub(super) fn webhooks(fields: &Fields<'_>, into: &mut Vec<Webhook>, faults: &mut Faults) {
    let Some(node) = fields.get("webhooks") else { return };
    let Some(items) = list(node, "`webhooks`", faults) else { return };
    for item in items {
        let Some(inner) = Fields::read(item, "a webhook", &item.span, &["kind", "urlFrom"], faults) else { continue };
        let kind =
            inner.require("kind", "ntfy", faults).and_then(|node| word(node, "kind of webhook", WEBHOOKS, faults));
        let url = inner.require("urlFrom", "NTFY_URL", faults).and_then(|node| text(node, "`urlFrom`", faults));
        if let (Some(kind), Some(url)) = (kind, url) {
            into.push(Webhook { kind: kind.value, url_from: url.value.to_owned() });
        }
    }
}

pub(super) fn write_webhook(webhook: &Webhook) -> Json {
    json!({"kind": spelt(webhook.kind, WEBHOOKS), "urlFrom": webhook.url_from})
}
