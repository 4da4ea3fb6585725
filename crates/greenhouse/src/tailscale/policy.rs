//! The tailnet policy: a HuJSON document, and the rules in it that say who reaches what.
//!
//! Read as <https://tailscale.com/kb/1337/policy-syntax> has it: groups, hosts, tag owners, access rules (`acls` and
//! `grants`) and tests. Sections that do not bear on TCP between devices (`ssh`, `nodeAttrs`, …) are kept and ignored.

mod selector;
mod tests_section;

pub(super) use selector::Party;

use super::api::Refusal;
use super::{OPERATOR_TAG, hujson};
use selector::{Ports, Selector};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The policy as it was written, and what it means.
pub(super) struct Document {
    pub text: String,
    pub json: Value,
    pub rules: Rules,
    /// The clusters it was made for, while nobody has written a policy: what `ts-default` matches.
    default_for: Option<Vec<String>>,
}

impl Document {
    /// The policy of a tailnet whose administrator has prepared for these clusters and written nothing else.
    pub(super) fn untouched(clusters: &[String]) -> Self {
        let text = default_text(clusters);
        let mut document = Document::read(&text).unwrap_or_else(|_| Document {
            text: String::new(),
            json: Value::Null,
            rules: Rules::default(),
            default_for: None,
        });
        document.default_for = Some(clusters.to_vec());
        document
    }

    /// Reads a policy; the error is what the API answers with.
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let json: Value = serde_json::from_str(&hujson::standardize(text))
            .map_err(|error| Refusal::bad(format!("{}:{}: invalid policy: {error}", error.line(), error.column())))?;
        if !json.is_object() {
            return Err(Refusal::bad("invalid policy: the policy file must be a JSON object"));
        }
        let rules = Rules::read(&json).map_err(Refusal::bad)?;
        let document = Document { text: text.to_owned(), json, rules, default_for: None };
        tests_section::run(&document.rules, field(&document.json, &["tests"]))?;
        Ok(document)
    }

    /// The hash that `ETag` carries, without quotes.
    pub(super) fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.text))
    }

    /// Whether an `If-Match` value is about this very document.
    pub(super) fn matches(&self, if_match: &str) -> bool {
        let wanted = if_match.trim().trim_matches('"');
        wanted == self.hash() || (wanted == "ts-default" && self.default_for.is_some())
    }

    /// Adds tag owners and grants for a cluster, keeping what an administrator has written.
    pub(super) fn allow_cluster(&mut self, cluster: &str) {
        if let Some(clusters) = &self.default_for {
            if !clusters.iter().any(|known| known == cluster) {
                *self = Document::untouched(&[clusters.as_slice(), &[cluster.to_owned()]].concat());
            }
            return;
        }
        let tag = format!("tag:bouquet-{cluster}");
        if self.rules.tag_owners.contains_key(&tag) {
            return;
        }
        let mut json = self.json.clone();
        if let Some(policy) = json.as_object_mut() {
            let owners = policy.entry("tagOwners").or_insert_with(|| json!({}));
            if let Some(owners) = owners.as_object_mut() {
                owners.insert(tag.clone(), json!(["autogroup:admin", OPERATOR_TAG]));
            }
            let grants = policy.entry("grants").or_insert_with(|| json!([]));
            if let Some(grants) = grants.as_array_mut() {
                grants.push(json!({"src": ["autogroup:admin", tag], "dst": [tag], "ip": ["*"]}));
            }
        }
        if let Ok(document) = Document::read(&format!("{json:#}")) {
            *self = document;
        }
    }
}

fn default_text(clusters: &[String]) -> String {
    let owners = clusters
        .iter()
        .map(|cluster| format!("    \"tag:bouquet-{cluster}\": [\"autogroup:admin\", \"{OPERATOR_TAG}\"],\n"));
    let grants = clusters.iter().map(|cluster| {
        let tag = format!("tag:bouquet-{cluster}");
        format!(
            "    {{ \"src\": [\"autogroup:admin\"], \"dst\": [\"{tag}\"], \"ip\": [\"*\"] }},\n    {{ \"src\": \
             [\"{tag}\"], \"dst\": [\"{tag}\"], \"ip\": [\"*\"] }},\n"
        )
    });
    format!(
        "// Who may do what on this tailnet.\n{{\n  \"tagOwners\": {{\n    \"{OPERATOR_TAG}\": \
         [\"autogroup:admin\"],\n    \"{other}\": [\"autogroup:admin\"],\n{}  }},\n  \"grants\": [\n    // People to \
         the clusters, and each cluster's nodes to each other.\n{}  ],\n}}\n",
        owners.collect::<String>(),
        grants.collect::<String>(),
        other = super::OTHER_TAG,
    )
}

/// What a policy means.
#[derive(Default)]
pub(super) struct Rules {
    pub tag_owners: BTreeMap<String, BTreeSet<String>>,
    access: Vec<Access>,
}

/// TCP from any of the sources to any of these destinations passes.
struct Access {
    sources: Vec<Selector>,
    destinations: Vec<(Selector, Ports)>,
}

impl Rules {
    /// Whether TCP from one party to a port of another passes.
    pub(super) fn admits(&self, from: &Party, to: &Party, port: u16) -> bool {
        self.access.iter().any(|access| {
            access.sources.iter().any(|source| source.matches(from, None))
                && access
                    .destinations
                    .iter()
                    .any(|(selector, ports)| ports.contain(port) && selector.matches(to, Some(from)))
        })
    }

    /// Whether holders of `tags` may hand out `tag`.
    pub(super) fn tag_is_owned_by_tags(&self, tag: &str, tags: &[String]) -> bool {
        self.tag_owners.get(tag).is_some_and(|owners| tags.iter().any(|holder| owners.contains(holder)))
    }

    fn read(policy: &Value) -> Result<Self, String> {
        let tag_owners = string_lists(policy, "tagOwners")?;
        let groups = string_lists(policy, "groups")?;
        let mut hosts = BTreeMap::new();
        for (name, address) in field(policy, &["hosts"]).and_then(Value::as_object).into_iter().flatten() {
            let address = address.as_str().unwrap_or_default();
            let range =
                selector::range(address).ok_or_else(|| format!("hosts: {name:?}: invalid address {address:?}"))?;
            hosts.insert(name.clone(), range);
        }
        let names = selector::Names { tag_owners: &tag_owners, groups: &groups, hosts: &hosts };
        for (tag, owners) in &tag_owners {
            if !is_tag(tag) {
                return Err(format!("tagOwners: invalid tag name {tag:?}"));
            }
            for owner in owners {
                names.read(owner).map_err(|error| format!("tagOwners[{tag:?}]: {error}"))?;
            }
        }
        let mut access = Vec::new();
        let (acls, grants) = (field(policy, &["acls"]), field(policy, &["grants"]));
        for (at, acl) in acls.and_then(Value::as_array).into_iter().flatten().enumerate() {
            access.extend(read_acl(acl, &names).map_err(|error| format!("acls[{at}]: {error}"))?);
        }
        for (at, grant) in grants.and_then(Value::as_array).into_iter().flatten().enumerate() {
            access.extend(read_grant(grant, &names).map_err(|error| format!("grants[{at}]: {error}"))?);
        }
        if acls.is_none() && grants.is_none() {
            // A policy that says nothing about access allows everything; an empty list denies.
            access.push(Access { sources: vec![Selector::Any], destinations: vec![(Selector::Any, Ports::all())] });
        }
        Ok(Rules { tag_owners, access })
    }
}

/// `tag:` and a name that begins with a letter.
pub(super) fn is_tag(text: &str) -> bool {
    text.strip_prefix("tag:").is_some_and(|name| {
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

fn read_acl(acl: &Value, names: &selector::Names<'_>) -> Result<Option<Access>, String> {
    match field(acl, &["action"]).and_then(Value::as_str) {
        Some("accept") => {}
        other => return Err(format!("invalid action {:?}", other.unwrap_or_default())),
    }
    let sources = read_sources(acl, names)?;
    let mut destinations = Vec::new();
    for text in strings(acl, &["dst", "ports"])? {
        let (selector, ports) = text.rsplit_once(':').ok_or_else(|| format!("dst {text:?}: missing port"))?;
        destinations.push((names.read(selector)?, Ports::read(ports)?));
    }
    let proto = field(acl, &["proto"]).and_then(Value::as_str).unwrap_or("tcp");
    let is_tcp = matches!(proto, "" | "tcp" | "6" | "*");
    Ok(is_tcp.then_some(Access { sources, destinations }))
}

fn read_grant(grant: &Value, names: &selector::Names<'_>) -> Result<Option<Access>, String> {
    let sources = read_sources(grant, names)?;
    if field(grant, &["ip"]).is_none() && field(grant, &["app"]).is_none() {
        return Err("either ip or app must be specified".into());
    }
    let mut ports = Ports::none();
    for text in strings(grant, &["ip"])? {
        match text.rsplit_once(':') {
            Some(("tcp" | "6", of_tcp)) => ports.add(&Ports::read(of_tcp)?),
            // Another protocol, but its ports must be right all the same.
            Some(_) => drop(Ports::read(text.rsplit(':').next().unwrap_or_default())?),
            None => ports.add(&Ports::read(&text)?),
        }
    }
    let mut destinations = Vec::new();
    for text in strings(grant, &["dst"])? {
        destinations.push((names.read(&text)?, ports.clone()));
    }
    Ok((!ports.is_empty()).then_some(Access { sources, destinations }))
}

fn read_sources(entry: &Value, names: &selector::Names<'_>) -> Result<Vec<Selector>, String> {
    strings(entry, &["src", "users"])?.iter().map(|text| names.read(text)).collect()
}

/// A member by any of its names; Tailscale reads keys without regard to case.
fn field<'a>(value: &'a Value, names: &[&str]) -> Option<&'a Value> {
    let members = value.as_object()?;
    members.iter().find(|(key, _)| names.iter().any(|name| key.eq_ignore_ascii_case(name))).map(|(_, value)| value)
}

fn strings(value: &Value, names: &[&str]) -> Result<Vec<String>, String> {
    let Some(list) = field(value, names) else { return Ok(Vec::new()) };
    texts(list).ok_or_else(|| format!("{:?} must be a list of strings", names.join(" or ")))
}

fn texts(list: &Value) -> Option<Vec<String>> {
    list.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn string_lists(value: &Value, name: &str) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let Some(lists) = field(value, &[name]) else { return Ok(BTreeMap::new()) };
    let lists = lists.as_object().ok_or_else(|| format!("{name} must be an object"))?;
    let read = lists.iter().map(|(key, list)| {
        let list = texts(list).ok_or_else(|| format!("{name}[{key:?}] must be a list of strings"))?;
        Ok((key.clone(), list.into_iter().collect()))
    });
    read.collect()
}
