//! From what the watcher is told to a watcher: the numbers, the cluster, the zone, and who it is.

use crate::face::{Counters, Health};
use crate::mind::{Aim, Me, Mind};
use crate::permit::Terms;
use crate::probe::Canary;
use crate::process::{Mouth, Parts, Process, ms};
use crate::provider;
use crate::scene::{PodSelector, Settings, Sight, Source};
use crate::status::Happening;
use crate::zone::Provider;
use detect::{Family, Policy};
use spec::{IpFamily, Profile, Watching, ZoneKeeper};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use wire::{Line, Roots, SharedWire, Target, Time};

/// What all watchers of a cluster bear as `app.kubernetes.io/name`.
const OWN_LABELS: &str = "app.kubernetes.io/name=bouquet-watcher";

/// Why a watcher cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The DNS provider's credential is missing or wrong.
    #[error("the DNS provider: {0}")]
    Provider(#[from] clouds::Error),
    /// The TSIG key cannot be read.
    #[error("the TSIG key: {0}")]
    Key(String),
    /// A range of addresses cannot be read.
    #[error("allowAddresses: {0}")]
    Range(#[from] crate::scene::BadRange),
    /// A file cannot be read; the words name it.
    #[error("{0}")]
    File(String),
    /// The configuration is wrong: every fault, with its place.
    #[error("the configuration has faults:\n{0}")]
    Config(String),
    /// A webhook cannot be used.
    #[error(transparent)]
    Hook(#[from] crate::tell::HookError),
    /// There is no way to the Kubernetes API.
    #[error(transparent)]
    Access(#[from] crate::kubernetes::NoAccess),
}

/// The numbers of a configuration.
pub fn policy(config: &Watching) -> Policy {
    let base = match config.profile {
        Profile::Default => Policy::default(),
        Profile::Fast => Policy::fast(),
    };
    let min_records = config.min_records.map(|least| least as usize).or(base.min_records);
    Policy { dry_run: config.dry_run, min_records, ..base }
}

/// How long permits last.
pub fn terms(config: &Watching) -> Terms {
    match config.profile {
        Profile::Default => Terms::default(),
        Profile::Fast => Terms::fast(),
    }
}

/// What of the cluster is looked at.
pub fn scene_settings(config: &Watching, own_namespace: &str) -> Result<Settings, Unfit> {
    let sources = config.sources.iter().flat_map(|source| match source {
        spec::Source::Ingress => vec![Source::Ingress],
        spec::Source::IngressRoute => vec![Source::IngressRoute, Source::IngressRouteTcp],
        spec::Source::HttpRoute => vec![Source::HttpRoute],
    });
    let families = config.families.iter().map(|family| match family {
        IpFamily::A => Family::V4,
        IpFamily::Aaaa => Family::V6,
    });
    let allowed: Result<Vec<_>, _> = config.allow_addresses.iter().map(|block| block.to_string().parse()).collect();
    let namespace = Some(config.ingress_namespace.clone()).filter(|namespace| !namespace.is_empty());
    Ok(Settings {
        sources: sources.collect(),
        ingress_class: Some(config.ingress_class.clone()),
        ingress_pods: PodSelector { namespace, labels: config.ingress_selector.clone() },
        own_pods: PodSelector { namespace: Some(own_namespace.to_owned()), labels: OWN_LABELS.to_owned() },
        families: families.collect::<BTreeSet<Family>>(),
        allow_addresses: allowed?,
        ..Settings::default()
    })
}

/// Who keeps the zone.
pub fn provider(config: &Watching, settings: &dyn clouds::Settings) -> Result<Arc<dyn Provider>, Unfit> {
    Ok(match &config.provider {
        ZoneKeeper::Cloudflare => {
            let client = clouds::cloudflare::Cloudflare::from_settings(settings)?;
            Arc::new(provider::cloudflare::Cloudflare::new(client, &config.pool))
        }
        ZoneKeeper::Rfc2136 { server, key_file, key_name, algorithm, .. } => {
            let client = match (key_file, key_name) {
                (Some(path), Some(name)) => {
                    let key = tsig_key(settings, path, name, algorithm.as_deref()).map_err(Unfit::Key)?;
                    clouds::rfc2136::Rfc2136::new(server, Some(key))?
                }
                _ => clouds::rfc2136::Rfc2136::from_settings(settings, server, key_file.as_deref())?,
            };
            Arc::new(provider::rfc2136::Rfc2136::new(client, &config.pool))
        }
    })
}

/// A file in BIND's form, or the secret alone.
fn tsig_key(
    settings: &dyn clouds::Settings,
    path: &str,
    name: &str,
    algorithm: Option<&str>,
) -> Result<clouds::rfc2136::Key, String> {
    let file = settings.file(path)?;
    if let Ok(key) = clouds::rfc2136::Key::read(&file) {
        return Ok(key);
    }
    let algorithm = algorithm.unwrap_or("hmac-sha256");
    let text = format!("key \"{name}\" {{ algorithm {algorithm}; secret \"{}\"; }};", file.expose().trim());
    clouds::rfc2136::Key::read(&wire::Secret::new(text))
}

/// Everything that a watcher is made of.
pub struct Start {
    /// What it was told.
    pub config: Watching,
    /// Who it is.
    pub me: Me,
    /// Whom to believe about the canary's certificate.
    pub roots: Roots,
    /// Its way outside.
    pub wire: SharedWire,
    /// Its clock.
    pub time: Time,
    /// Who keeps the zone.
    pub provider: Arc<dyn Provider>,
    /// How the others are reached.
    pub mouth: Arc<dyn Mouth>,
    /// The cluster.
    pub sight: watch::Receiver<Sight>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Whether it lives.
    pub health: Health,
}

impl Start {
    /// A watcher that has not begun, and what happens to it.
    pub fn process(self) -> (Arc<Process>, mpsc::Receiver<Happening>) {
        let Start { config, me, roots, wire, time, provider, mouth, sight, counters, health } = self;
        let (policy, terms) = (policy(&config), terms(&config));
        let aim = Aim {
            cluster: config.cluster.clone(),
            zone: provider.apex().unwrap_or_default(),
            pool: config.pool.clone(),
            publish: config.publish,
            ttl_s: config.ttl_s,
            proxied: config.proxied,
            keeper: provider.keeper(),
            batch_most: provider.batch_most(),
        };
        let anchors: Vec<Target> = config.control_probes.iter().filter_map(|text| anchor(text)).collect();
        let rng = time.rng("desk");
        let mind = Mind::new(ms(&time), me, policy.clone(), terms, aim, anchors.len(), rng);
        let shown = match (&config.provider, config.profile) {
            (ZoneKeeper::Cloudflare, Profile::Default) => ("default", "cloudflare"),
            (ZoneKeeper::Cloudflare, Profile::Fast) => ("fast", "cloudflare"),
            (ZoneKeeper::Rfc2136 { .. }, Profile::Default) => ("default", "rfc2136"),
            (ZoneKeeper::Rfc2136 { .. }, Profile::Fast) => ("fast", "rfc2136"),
        };
        let parts = Parts {
            line: Line::new(wire.clone(), time.clone(), &[]),
            wire,
            policy,
            call_ms: terms.call_ms,
            ask_every_ms: terms.ask_every_ms(),
            canary: Canary {
                host: config.canary.host,
                port: config.canary.port,
                tls: config.canary.tls.then_some(roots),
            },
            anchors,
            provider,
            mouth,
            sight,
            counters,
            health,
            shown,
        };
        Process::new(parts, time, mind)
    }
}

/// `host:port`, or `[address]:port`.
fn anchor(text: &str) -> Option<Target> {
    let (host, port) = text.rsplit_once(':')?;
    Some(Target::plain(host.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?))
}
