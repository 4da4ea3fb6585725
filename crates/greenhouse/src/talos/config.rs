//! A machine configuration: bytes in, what the node does with them out, or the error Talos would give.
//!
//! Reading is strict as Talos's own loader is (`shape`), then the rules of its `Validate` apply (`validate`). What is
//! kept here is what the simulated node acts on; the bytes are kept too, since the API hands them back.

mod shape;
mod v1alpha1;
mod validate;

pub(super) use v1alpha1::Complete;

use super::subnet::Subnet;
use bytes::Bytes;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Why bytes are no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConfigError {
    /// Not YAML, or not a stream of mappings.
    #[error("decode error: {0}")]
    Syntax(String),
    /// No document at all.
    #[error("config not found")]
    Empty,
    /// A document that cannot be decoded.
    #[error("error decoding document v1alpha1/{kind}/{name}: {reason}")]
    Document { kind: String, name: String, reason: String },
    /// The same document twice.
    #[error("duplicate document {0} is not allowed")]
    Duplicate(String),
    /// Well-formed, and refused by a rule.
    #[error("{} error{} occurred:\n\t* {}", .0.len(), if .0.len() == 1 { "" } else { "s" }, .0.join("\n\t* "))]
    Invalid(Vec<String>),
}

/// A configuration that has been read and found valid.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub bytes: Bytes,
    /// The v1alpha1 document; without it a configuration is incomplete and the node stays in maintenance mode.
    pub complete: Option<Complete>,
    pub hostname: Option<String>,
    /// Extension service → its environment.
    pub extensions: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether what no rule names is dropped.
    pub ingress_blocked: bool,
    pub rules: Vec<IngressRule>,
    /// Names that resolve without asking anybody.
    pub static_hosts: Vec<(IpAddr, Vec<String>)>,
    pub warnings: Vec<String>,
}

/// One `NetworkRuleConfig`, TCP ones only: nothing in this world speaks UDP.
#[derive(Clone, Debug)]
pub(super) struct IngressRule {
    pub ports: Vec<(u16, u16)>,
    /// Subnet, and what is excepted from it.
    pub sources: Vec<(Subnet, Option<Subnet>)>,
}

/// A certificate and, where the node has it, its key: PEM.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct PemPair {
    pub crt: Option<Vec<u8>>,
    pub key: Option<Vec<u8>>,
}

impl Config {
    /// Reads and validates. `talos` is the version of the node that reads, without `v`.
    pub(super) fn read(bytes: &Bytes, talos: &str) -> Result<Config, ConfigError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ConfigError::Syntax("yaml: invalid UTF-8".into()))?;
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(text).map_err(|error| ConfigError::Syntax(format!("yaml: {error}")))?;
        let documents = sort(documents, minor(talos))?;
        let v1alpha1 = documents.iter().find(|(kind, _)| kind == "v1alpha1").map(|(_, document)| document);
        let warnings = validate::check(&documents, v1alpha1, talos).map_err(ConfigError::Invalid)?;
        let of_kind = |wanted: &'static str| {
            documents.iter().filter(move |(kind, _)| kind == wanted).map(|(_, document)| document)
        };
        let hostname = of_kind("HostnameConfig").find_map(|document| text_at(document, "/hostname"));
        let in_machine = || v1alpha1.and_then(|document| text_at(document, "/machine/network/hostname"));
        Ok(Config {
            bytes: bytes.clone(),
            complete: v1alpha1.map(v1alpha1::read),
            hostname: hostname.or_else(in_machine).filter(|name| !name.is_empty()),
            extensions: of_kind("ExtensionServiceConfig").map(extension).collect(),
            ingress_blocked: of_kind("NetworkDefaultActionConfig")
                .any(|document| text_at(document, "/ingress").as_deref() == Some("block")),
            rules: of_kind("NetworkRuleConfig").filter_map(rule).collect(),
            static_hosts: of_kind("StaticHostConfig").filter_map(static_host).collect(),
            warnings,
        })
    }
}

/// The minor release of a version: 14 of `1.14.6`.
pub(super) fn minor(version: &str) -> u32 {
    version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0)
}

/// Tells the documents' kinds, refuses what Talos 1.`minor` does not know and what stands there twice.
fn sort(documents: Vec<Value>, minor: u32) -> Result<Vec<(String, Value)>, ConfigError> {
    let mut seen = BTreeSet::new();
    let mut sorted = Vec::new();
    for document in documents.into_iter().filter(|document| !document.is_null()) {
        if !document.is_object() {
            return Err(ConfigError::Syntax("expected a YAML document".into()));
        }
        let name = text_at(&document, "/name").unwrap_or_default();
        let kind = text_at(&document, "/kind").unwrap_or_default();
        let refuse = |kind: &str, reason: String| {
            Err(ConfigError::Document { kind: kind.to_owned(), name: name.clone(), reason })
        };
        let api = text_at(&document, "/apiVersion");
        let own_key = ["machine", "cluster", "debug", "persist"].iter().any(|key| document.get(key).is_some());
        let is_v1alpha1 =
            kind.is_empty() && (own_key || api.as_deref() == Some("v1alpha1") || document.get("version").is_some());
        let kind = match (is_v1alpha1, kind.is_empty(), api.as_deref()) {
            (true, ..) => "v1alpha1".to_owned(),
            (_, true, _) => return refuse("v1alpha1", "missing kind".into()),
            (_, _, None) => return refuse(&kind, "missing apiVersion".into()),
            (_, _, Some("v1alpha1")) => kind,
            (_, _, Some(other)) => return refuse(&kind, format!("{kind:?} {other:?}: not registered")),
        };
        if !seen.insert((kind.clone(), name.clone())) {
            return Err(ConfigError::Duplicate(format!("v1alpha1/{kind}/{name}")));
        }
        if let Err(reason) = shape::check(&kind, &document, minor) {
            return refuse(&kind, reason);
        }
        sorted.push((kind, document));
    }
    if sorted.is_empty() { Err(ConfigError::Empty) } else { Ok(sorted) }
}

/// A scalar as text, as YAML decoders of Go take it.
pub(super) fn text_at(document: &Value, pointer: &str) -> Option<String> {
    match document.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

pub(super) fn texts_at(document: &Value, pointer: &str) -> Vec<String> {
    let items = document.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| text_at(item, "")).collect()
}

/// PEM out of the base64 that configurations wrap it in.
pub(super) fn pem_at(document: &Value, pointer: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let text = text_at(document, pointer).filter(|text| !text.is_empty())?;
    base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()
}

/// Host and port of `https://host:port`; the port is 443 where none stands there. The error is Talos's.
pub(super) fn endpoint(url: &str) -> Result<(String, u16), &'static str> {
    let (scheme, rest) = url.split_once("://").ok_or("hostname must not be blank")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None if authority.matches(':').count() > 2 => return Err("IPv6 addresses MUST be enclosed by square brackets"),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err("hostname must not be blank");
    }
    let port = match port.filter(|port| !port.is_empty()) {
        None => {
            if scheme == "http" {
                80
            } else {
                443
            }
        }
        Some(port) => {
            let number: u64 = port.parse().map_err(|_| "port number must be numeric")?;
            u16::try_from(number).ok().filter(|port| *port > 0).ok_or("port number must be between 1 and 65535")?
        }
    };
    Ok((host.to_owned(), port))
}

fn extension(document: &Value) -> (String, BTreeMap<String, String>) {
    let environment = texts_at(document, "/environment").into_iter().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    });
    (text_at(document, "/name").unwrap_or_default(), environment.collect())
}

fn rule(document: &Value) -> Option<IngressRule> {
    if text_at(document, "/portSelector/protocol").is_some_and(|protocol| protocol != "tcp") {
        return None;
    }
    let ports = texts_at(document, "/portSelector/ports");
    let sources = document.pointer("/ingress").and_then(Value::as_array).into_iter().flatten().filter_map(|source| {
        let except = text_at(source, "/except").and_then(|text| Subnet::read(&text));
        Some((Subnet::read(&text_at(source, "/subnet")?)?, except))
    });
    Some(IngressRule { ports: ports.iter().filter_map(|text| port_range(text)).collect(), sources: sources.collect() })
}

/// `50000` or `2379-2380`.
fn port_range(text: &str) -> Option<(u16, u16)> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let range: (u16, u16) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
    (range.0 <= range.1).then_some(range)
}

fn static_host(document: &Value) -> Option<(IpAddr, Vec<String>)> {
    Some((text_at(document, "/name")?.parse().ok()?, texts_at(document, "/hostnames")))
}
