//! One run of the watcher, wherever that is: a pod, a machine beside a cluster, a pod of a simulated world.
//!
//! ```text
//! Surroundings: config, settings, access, wire, time, ports ──Watcher::new──▶ Watcher ──run(end)──▶ all loops, until the end
//! ```
//!
//! Whoever runs it brings what differs between those places, and nothing else: where variables and files come from, the way
//! out, the clock, how a port is listened to, and what asks it to end.

use crate::face::{self, Counters, Health, canary};
use crate::kubernetes::{Access, certificates};
use crate::lease::{LeaseApi, LeaseTimes};
use crate::mind::Me;
use crate::mouth::Speaker;
use crate::peer::{self, Papers, cluster_authority};
use crate::process::{Announcer, Process};
use crate::scene::Informers;
use crate::start::{self, Start, Unfit};
use crate::status::{Happening, Status};
use crate::tell::{Events, Hook};
use async_trait::async_trait;
use axum::Router;
use clouds::Settings;
use spec::{Profile, Trust, Watching};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use wire::{Line, Roots, SharedWire, Time};

/// Where the configuration is mounted.
pub const CONFIG: &str = "/etc/bouquet-watcher/config.yaml";
/// The namespace of a watcher that is not told its own.
pub const NAMESPACE: &str = "bouquet-system";
/// The status page and its like.
pub const STATUS_PORT: u16 = 9402;
/// What the canary's route leads to.
pub const CANARY_PORT: u16 = 9403;
/// All that are listened to.
pub const PORTS: [u16; 3] = [STATUS_PORT, CANARY_PORT, peer::PORT];
/// Between two tries to get the cluster's authority.
const AUTHORITY_AGAIN: Duration = Duration::from_secs(2);
/// Between two looks whether the own certificate is to be renewed.
const PAPERS_LOOK: Duration = Duration::from_hours(1);
/// [`Watcher::once`] gives every node this long to answer.
const ONCE: Duration = Duration::from_secs(12);
/// The Lease is given back within it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How ports are listened to.
#[async_trait]
pub trait Ports: Send + Sync {
    /// Answers on a port for as long as it is polled. With papers: over TLS, with the newest of them, to leaves of their
    /// authority alone.
    async fn serve(&self, port: u16, papers: Option<&Papers>, router: Router);
}

/// What a watcher finds where it runs.
pub struct Surroundings {
    /// What it is told: see [`configuration`].
    pub config: Watching,
    /// Its pod's name.
    pub pod: String,
    /// Its namespace.
    pub namespace: String,
    /// The node it runs on; empty beside a cluster.
    pub node: String,
    /// Variables and files.
    pub settings: Arc<dyn Settings>,
    /// The way to the Kubernetes API.
    pub access: Access,
    /// Its way outside.
    pub wire: SharedWire,
    /// Its clock.
    pub time: Time,
    /// How it listens.
    pub ports: Arc<dyn Ports>,
}

/// Reads `config.yaml`; its warnings go to the log.
pub fn configuration(settings: &dyn Settings, path: &str) -> Result<Watching, Unfit> {
    let file = settings.file(path).map_err(Unfit::File)?;
    let text = file.expose();
    let (config, faults) = Watching::read(text);
    let said: Vec<String> = faults
        .iter()
        .map(|fault| {
            let (line, column) = fault.span.as_ref().map_or((1, 1), |span| spec::line_and_column(text, span.start));
            let help = fault.help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
            format!("{path}:{line}:{column}: {}: {}{help}", fault.code, fault.message)
        })
        .collect();
    let config = config.ok_or_else(|| Unfit::Config(said.join("\n")))?;
    for warning in said {
        tracing::warn!("{warning}");
    }
    Ok(config)
}

fn roots(config: &Watching, settings: &dyn Settings) -> Result<Roots, Unfit> {
    match &config.canary.trust {
        Trust::Any => Ok(Roots::Unverified),
        Trust::System => Ok(Roots::System),
        Trust::File(path) => {
            let text = settings.file(path).map_err(Unfit::File)?;
            Ok(Roots::Only(certificates(text.expose().as_bytes())?))
        }
    }
}

/// A watcher that has not begun.
pub struct Watcher {
    config: Watching,
    pod: String,
    namespace: String,
    client: kube::Client,
    time: Time,
    ports: Arc<dyn Ports>,
    papers: Arc<OnceLock<Papers>>,
    informers: Informers,
    process: Arc<Process>,
    happenings: mpsc::Receiver<Happening>,
    hooks: Vec<Hook>,
    counters: Arc<Counters>,
    health: Health,
}

impl Watcher {
    /// Puts it together; calls nobody.
    pub fn new(surroundings: Surroundings) -> Result<Self, Unfit> {
        let Surroundings { config, pod, namespace, node, settings, access, wire, time, ports } = surroundings;
        let variable = |name: &str| settings.variable(name).map(|value| value.expose().to_owned());
        let hooks: Result<Vec<Hook>, _> = config.webhooks.iter().map(|webhook| Hook::read(webhook, variable)).collect();
        let client = access.client(wire.clone(), time.clone());
        let scene = start::scene_settings(&config, &namespace)?;
        let (informers, sight) = Informers::new(client.clone(), scene, time.clone());
        let (papers, line) = (Arc::new(OnceLock::new()), Line::new(wire.clone(), time.clone(), &[]));
        let (counters, health) = (Arc::new(Counters::default()), Health::new(time.clone()));
        let (process, happenings) = Start {
            me: Me { pod: pod.clone(), node, life: time.rng("life").next_u64() },
            roots: roots(&config, &*settings)?,
            provider: start::provider(&config, &*settings)?,
            mouth: Arc::new(Speaker::new(line, papers.clone())),
            config: config.clone(),
            wire,
            time: time.clone(),
            sight,
            counters: counters.clone(),
            health: health.clone(),
        }
        .process();
        let hooks = hooks?;
        Ok(Watcher {
            config,
            pod,
            namespace,
            client,
            time,
            ports,
            papers,
            informers,
            process,
            happenings,
            hooks,
            counters,
            health,
        })
    }

    /// Looks for a while, and tells what is known then. To be told `dry_run`.
    pub async fn once(self) -> Arc<Status> {
        let Watcher { informers, process, time, .. } = self;
        tokio::select! {
            biased;
            () = time.sleep(ONCE) => {}
            _ = async { tokio::join!(informers.run(), process.run()) } => {}
        }
        process.status().borrow().clone()
    }

    /// Runs until it is asked to end, and has given back what it held.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let Watcher { config, pod, namespace, client, time, ports, papers, informers, .. } = self;
        let process = self.process;
        let announcer = Announcer {
            events: Events::new(&pod, time.clone(), self.counters.clone()),
            client: client.clone(),
            hooks: self.hooks,
            happenings: self.happenings,
        };
        let times = match config.profile {
            Profile::Default => LeaseTimes::default(),
            Profile::Fast => LeaseTimes::fast(),
        };
        let renewed_within = Duration::from_millis(times.renew_deadline_ms / 2);
        let lease = LeaseApi::new(client.clone(), &namespace, time.clone(), renewed_within);
        let page = face::router(process.status(), self.health, self.counters);
        let answers = canary::router(&config.cluster, &pod);
        let others = async {
            become_known(&client, &namespace, &pod, &time, &papers).await;
            let Some(papers) = papers.get() else { return };
            let router = peer::router(process.clone());
            tokio::join!(ports.serve(peer::PORT, Some(papers), router), renew(papers, &time));
        };
        let life = async {
            tokio::join!(
                informers.run(),
                process.run(),
                process.announce(announcer),
                ports.serve(STATUS_PORT, None, page),
                ports.serve(CANARY_PORT, None, answers),
                others,
                process.stand(&lease, times),
            )
        };
        let end = async {
            end.await;
            tracing::info!("asked to end: the permit is given back");
            process.retire().await;
            // The Lease is given back by its own loop, which is still polled here.
            time.sleep(LAST_WORDS).await;
        };
        tokio::select! {
            biased;
            () = end => {}
            _ = life => {}
        }
    }
}

/// Gets a certificate of the cluster's own authority; without one no other vantage believes this one.
async fn become_known(client: &kube::Client, namespace: &str, pod: &str, time: &Time, papers: &OnceLock<Papers>) {
    let mut rng = time.rng("papers");
    loop {
        let authority = cluster_authority(client, namespace, time.now(), &mut rng).await;
        let issued = authority.map_err(|error| error.to_string()).and_then(|authority| {
            Papers::issue(Arc::new(authority), pod, time.now(), &mut rng).map_err(|error| error.to_string())
        });
        match issued {
            Ok(issued) => {
                papers.set(issued).ok();
                return;
            }
            Err(error) => tracing::warn!(error, "the other vantages do not know this one yet"),
        }
        time.sleep(AUTHORITY_AGAIN).await;
    }
}

async fn renew(papers: &Papers, time: &Time) {
    let mut rng = time.rng("renewed papers");
    loop {
        time.sleep(PAPERS_LOOK).await;
        if let Err(error) = papers.renew(time.now(), &mut rng) {
            tracing::warn!(%error, "the certificate is not renewed");
        }
    }
}
