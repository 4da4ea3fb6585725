//! The watcher's own file, `config.yaml` of its ConfigMap: what it watches, probes and writes.

mod parts;

use crate::fault::{Fault, Faults, Severity, help};
use crate::fields::{At, Fields, text, word};
use crate::options::Profile;
use crate::{code, names, yaml};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// What the watcher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watching {
    /// The cluster's name: the mark in its records.
    pub cluster: String,
    /// The name that holds the serving nodes' addresses.
    pub pool: String,
    /// What stands at the hosts' own names.
    pub publish: Publish,
    /// How quickly it decides.
    pub profile: Profile,
    /// Of the records it makes; 60 to 86,400, or 1 for Cloudflare's "automatic".
    pub ttl_s: u32,
    /// Whether Cloudflare stands before the nodes.
    pub proxied: bool,
    /// A, AAAA, or both.
    pub families: Vec<IpFamily>,
    /// Look, decide and tell; change nothing.
    pub dry_run: bool,
    /// Who keeps the zone.
    pub provider: ZoneKeeper,
    /// Kinds that hosts are read from.
    pub sources: Vec<Source>,
    /// The class of Ingresses that count.
    pub ingress_class: String,
    /// Where the ingress controller's pods are looked for; empty: in every namespace.
    pub ingress_namespace: String,
    /// The ingress controller's pods, as a label selector.
    pub ingress_selector: String,
    /// The route by which a node shows that it serves.
    pub canary: Canary,
    /// Addresses on the internet, `host:port`, that have nothing to do with the cluster: who reaches none distrusts itself.
    pub control_probes: Vec<String>,
    /// Addresses that may be published though they are private, of a mesh, or documentation's.
    pub allow_addresses: Vec<Block>,
    /// Fewest records that a name keeps; `None`: 1, and 2 from four nodes on.
    pub min_records: Option<u32>,
    /// Who is told of what happens.
    pub webhooks: Vec<Webhook>,
}

/// What stands at the hosts' own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// An alias of the pool.
    Pool,
    /// The serving nodes' addresses.
    Hosts,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpFamily {
    /// A records.
    A,
    /// AAAA records.
    Aaaa,
}

/// Who keeps the zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneKeeper {
    /// Cloudflare; its token is in the environment.
    Cloudflare,
    /// A name server that takes dynamic updates.
    Rfc2136 {
        /// `host` or `host:port`.
        server: String,
        /// The zone, where the server is not to be asked for it.
        zone: Option<String>,
        /// Path of the TSIG key file: in BIND's form, or the secret alone where the key's name is given here.
        key_file: Option<String>,
        /// The key's name.
        key_name: Option<String>,
        /// `hmac-sha256`, …
        algorithm: Option<String>,
    },
}

/// A kind of object that names hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// `networking.k8s.io` Ingress.
    Ingress,
    /// Traefik's IngressRoute and IngressRouteTCP.
    IngressRoute,
    /// The Gateway API's HTTPRoute.
    HttpRoute,
}

/// The route by which a node shows that it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Its host: SNI and Host header.
    pub host: String,
    /// The nodes' public port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Whom to believe about certificates.
    pub trust: Trust,
}

/// Whom to believe about the canary's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Any certificate will do.
    Any,
    /// Who the machine's own trust store believes.
    System,
    /// The authorities in this PEM file.
    File(String),
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// An address in it.
    pub base: IpAddr,
    /// Leading bits that all in it share.
    pub prefix: u8,
}

/// Who is told of what happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// How it wants to be told.
    pub kind: WebhookKind,
    /// The variable of the environment that holds its URL: such URLs are credentials.
    pub url_from: String,
}

/// How a webhook wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookKind {
    /// Discord.
    Discord,
    /// Slack, and what takes its messages.
    Slack,
    /// ntfy.
    Ntfy,
    /// JSON for anybody.
    Generic,
}

const KEYS: &[&str] = &[
    "cluster",
    "pool",
    "publish",
    "profile",
    "ttlSeconds",
    "proxied",
    "families",
    "dryRun",
    "provider",
    "sources",
    "ingressClass",
    "ingressPods",
    "canary",
    "controlProbes",
    "allowAddresses",
    "minRecords",
    "webhooks",
];

impl Watching {
    /// For a cluster whose names live under `domain`; all else by default.
    pub fn of(cluster: &str, domain: &str) -> Self {
        Watching {
            cluster: cluster.to_owned(),
            pool: format!("lb.{domain}"),
            publish: Publish::Pool,
            profile: Profile::Default,
            ttl_s: 60,
            proxied: false,
            families: vec![IpFamily::A],
            dry_run: false,
            provider: ZoneKeeper::Cloudflare,
            sources: vec![Source::Ingress, Source::IngressRoute, Source::HttpRoute],
            ingress_class: "traefik".into(),
            ingress_namespace: String::new(),
            ingress_selector: "app.kubernetes.io/name=traefik".into(),
            canary: Canary { host: format!("canary.{domain}"), port: 443, tls: true, trust: Trust::Any },
            control_probes: vec!["1.1.1.1:443".into(), "9.9.9.9:443".into()],
            allow_addresses: Vec::new(),
            min_records: None,
            webhooks: Vec::new(),
        }
    }

    /// Reads the file: the configuration, or everything that is wrong with it. Warnings may stand beside a configuration.
    pub fn read(source: &str) -> (Option<Self>, Vec<Fault>) {
        let mut faults = Faults::default();
        let read = match yaml::parse(source) {
            Ok(root) => read_root(&root, &mut faults),
            Err(refusal) => {
                let message = format!("this is not YAML: {}", refusal.message);
                let remedy = help("indent with spaces, and quote text that holds `: ` or `#`");
                faults.error(code::NOT_YAML, &refusal.span.unwrap_or_default(), message, remedy);
                None
            }
        };
        let faults = faults.into_sorted();
        let sound = faults.iter().all(|fault| fault.severity != Severity::Error);
        (read.filter(|_| sound), faults)
    }

    /// The file that [`Watching::read`] reads back to the same.
    pub fn write(&self) -> Result<String, String> {
        yaml::write(&self.to_json())
    }

    /// The same as a value.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        let mut put = |key: &str, value: Value| {
            fields.insert(key.into(), value);
        };
        put("cluster", self.cluster.as_str().into());
        put("pool", self.pool.as_str().into());
        put("publish", parts::spelt(self.publish, parts::PUBLISH).into());
        put("profile", parts::spelt(self.profile, parts::PROFILES).into());
        put("ttlSeconds", self.ttl_s.into());
        put("proxied", self.proxied.into());
        put("families", self.families.iter().map(|family| parts::spelt(*family, parts::FAMILIES)).collect());
        put("dryRun", self.dry_run.into());
        put("provider", parts::write_provider(&self.provider));
        put("sources", self.sources.iter().map(|kind| parts::spelt(*kind, parts::SOURCES)).collect());
        put("ingressClass", self.ingress_class.as_str().into());
        put("ingressPods", json!({"namespace": self.ingress_namespace, "selector": self.ingress_selector}));
        put("canary", parts::write_canary(&self.canary));
        put("controlProbes", self.control_probes.clone().into());
        put("allowAddresses", self.allow_addresses.iter().map(Block::to_string).collect());
        if let Some(least) = self.min_records {
            put("minRecords", least.into());
        }
        put("webhooks", self.webhooks.iter().map(parts::write_webhook).collect());
        Value::Object(fields)
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

fn read_root(root: &crate::tree::Node, faults: &mut Faults) -> Option<Watching> {
    let fields = Fields::read(root, "the configuration", &root.span, KEYS, faults)?;
    let cluster = fields.require("cluster", "bouquet", faults).and_then(|node| text(node, "`cluster`", faults));
    let cluster = cluster.filter(|name| names::check_label(name, "cluster", faults));
    let pool = fields.require("pool", "lb.example.com", faults).and_then(|node| text(node, "`pool`", faults));
    let pool = pool.filter(|name| names::check_domain(name, faults));
    let parent = pool.as_ref().and_then(|pool| pool.value.split_once('.')).map_or("example.com", |(_, rest)| rest);
    let mut read = Watching::of(cluster.as_ref().map_or("", |name| name.value), parent);
    read.pool = pool.as_ref().map_or("", |name| name.value).to_owned();
    choose(&fields, "publish", "way to publish", parts::PUBLISH, &mut read.publish, faults);
    choose(&fields, "profile", "profile", parts::PROFILES, &mut read.profile, faults);
    parts::ttl(&fields, &mut read.ttl_s, faults);
    parts::truth(&fields, "proxied", &mut read.proxied, faults);
    parts::truth(&fields, "dryRun", &mut read.dry_run, faults);
    parts::choices(&fields, "families", "address family", parts::FAMILIES, &mut read.families, faults);
    parts::choices(&fields, "sources", "kind of route", parts::SOURCES, &mut read.sources, faults);
    let provider = fields.require("provider", "{ cloudflare: {} }", faults);
    if let Some(provider) = provider.and_then(|node| parts::read_provider(node, faults)) {
        read.provider = provider;
    }
    parts::plain(&fields, "ingressClass", &mut read.ingress_class, faults);
    parts::ingress_pods(&fields, &mut read, faults);
    parts::canary(&fields, &mut read.canary, faults);
    parts::control_probes(&fields, &mut read.control_probes, faults);
    parts::allow_addresses(&fields, &mut read.allow_addresses, faults);
    parts::min_records(&fields, &mut read.min_records, faults);
    parts::webhooks(&fields, &mut read.webhooks, faults);
    if read.proxied && read.provider != ZoneKeeper::Cloudflare {
        let span = fields.entry("proxied").map(|entry| entry.key_span.clone()).unwrap_or_default();
        faults.error(
            code::DOMAIN_AND_DNS,
            &span,
            "only Cloudflare can stand before the nodes",
            help("leave `proxied` out"),
        );
    }
    Some(read)
}

fn choose<T: Copy>(
    fields: &Fields<'_>,
    key: &str,
    what: &str,
    choices: &[(&str, T)],
    into: &mut T,
    faults: &mut Faults,
) {
    if let Some(At { value, .. }) = fields.get(key).and_then(|node| word(node, what, choices, faults)) {
        *into = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "cluster: bouquet\npool: lb.bouquet.example.com\nprovider: { cloudflare: {} }\n";

    #[test]
    fn three_lines_are_enough() {
        let (read, faults) = Watching::read(LEAST);
        assert_eq!(faults, []);
        assert_eq!(read, Some(Watching::of("bouquet", "bouquet.example.com")));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut full = Watching::of("home", "example.org");
        full.publish = Publish::Hosts;
        full.profile = Profile::Fast;
        full.families = vec![IpFamily::A, IpFamily::Aaaa];
        full.provider = ZoneKeeper::Rfc2136 {
            server: "ns1.example.org:5353".into(),
            zone: Some("example.org".into()),
            key_file: Some("/etc/keys/tsig".into()),
            key_name: Some("bouquet".into()),
            algorithm: Some("hmac-sha512".into()),
        };
        full.canary.trust = Trust::File("/etc/ca.pem".into());
        full.canary.tls = false;
        full.allow_addresses = vec![Block { base: "198.51.100.0".parse().unwrap(), prefix: 24 }];
        full.min_records = Some(2);
        full.webhooks = vec![Webhook { kind: WebhookKind::Ntfy, url_from: "NTFY_URL".into() }];
        for config in [full, Watching::of("bouquet", "bouquet.example.com")] {
            let text = config.write().unwrap();
            assert_eq!(Watching::read(&text), (Some(config), vec![]), "{text}");
        }
    }

    #[test]
    fn all_faults_come_at_once_each_with_its_place() {
        let text = "cluster: Bouquet!\npool: nowhere\nttlSeconds: 5\nprofile: quick\nfamilies: [A, B]\n\
                    provider: { rfc2136: {} }\nallowAddresses: [10.0.0.0/33]\ncontrolProbes: [nine]\nwebhoks: []\n\
                    canary: { port: 0, trust: nobody }\n";
        let (read, faults) = Watching::read(text);
        assert_eq!(read, None);
        let lines: Vec<usize> =
            faults.iter().map(|fault| crate::line_and_column(text, fault.span.as_ref().unwrap().start).0).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10], "{faults:#?}");
        assert!(faults.iter().all(|fault| fault.help.is_some()), "{faults:#?}");
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in ["", "[]", "cluster:", "a: b: c", "cluster: &a [*a]", "\u{0}", "pool: 1\nprovider: cloudflare"] {
            assert_eq!(Watching::read(text).0, None, "{text:?}");
        }
    }
}
