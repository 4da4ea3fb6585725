//! One run of the program: in a pod, or beside a cluster with a kubeconfig.

use crate::args::Args;
use spec::{Trust, Watching};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use watcher::face::{self, Counters, Health, canary};
use watcher::kubernetes::{Access, SERVICE_ACCOUNT, certificates};
use watcher::lease::{LeaseApi, LeaseTimes};
use watcher::listen;
use watcher::mind::Me;
use watcher::mouth::Speaker;
use watcher::peer::{self, Papers, cluster_authority};
use watcher::process::{Announcer, Process};
use watcher::scene::Informers;
use watcher::start::{self, PodSettings, Start};
use watcher::tell::{Events, Hook};
use wire::{Line, Rng, Roots, Secret, Sockets, Time};

/// Ports: the status page and its like, the canary.
const STATUS_PORT: u16 = 9402;
const CANARY_PORT: u16 = 9403;
/// Between two tries to get the cluster's authority.
const AUTHORITY_AGAIN: Duration = Duration::from_secs(2);
/// Between two looks whether the own certificate is to be renewed.
const PAPERS_LOOK: Duration = Duration::from_hours(1);
/// `--once` gives every node this long to answer.
const ONCE: Duration = Duration::from_secs(12);

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The file cannot be read.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// The configuration is wrong: every fault, with its place.
    #[error("the configuration has faults:\n{0}")]
    Config(String),
    /// Something it needs is missing or wrong.
    #[error("{0}")]
    Unfit(String),
}

fn unfit(error: impl std::fmt::Display) -> Failure {
    Failure::Unfit(error.to_string())
}

/// Runs until it is told to end.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let config = configuration(args)?;
    let rng = Rng::from_entropy().map_err(unfit)?;
    let time = Time::system(rng);
    let wire: wire::SharedWire = Arc::new(Sockets::new(None).map_err(unfit)?);
    let client = access(args).await?.client(wire.clone(), time.clone());
    let settings = PodSettings {
        variable: Box::new(|name| std::env::var(name).ok().map(Secret::new)),
        file: Box::new(|path| {
            std::fs::read_to_string(path).map(Secret::new).map_err(|error| format!("{path}: {error}"))
        }),
    };
    let hooks: Result<Vec<Hook>, _> =
        config.webhooks.iter().map(|webhook| Hook::read(webhook, |name| std::env::var(name).ok())).collect();
    let scene = start::scene_settings(&config, &args.namespace).map_err(unfit)?;
    let (informers, sight) = Informers::new(client.clone(), scene, time.clone());
    let (papers, line) = (Arc::new(OnceLock::new()), Line::new(wire.clone(), time.clone(), &[]));
    let (counters, health) = (Arc::new(Counters::default()), Health::new(time.clone()));
    let (process, happenings) = Start {
        me: Me { pod: args.pod.clone(), node: args.node.clone(), life: time.rng("life").next_u64() },
        roots: roots(&config)?,
        provider: start::provider(&config, &settings).map_err(unfit)?,
        mouth: Arc::new(Speaker::new(line, papers.clone())),
        config: config.clone(),
        wire,
        time: time.clone(),
        sight,
        counters: counters.clone(),
        health: health.clone(),
    }
    .process();
    if args.once {
        return once(&process, informers, &time).await;
    }
    let announcer = Announcer {
        events: Events::new(&args.pod, time.clone(), counters.clone()),
        client: client.clone(),
        hooks: hooks.map_err(unfit)?,
        happenings,
    };
    let times = match config.profile {
        spec::Profile::Default => LeaseTimes::default(),
        spec::Profile::Fast => LeaseTimes::fast(),
    };
    let lease = LeaseApi::new(
        client.clone(),
        &args.namespace,
        time.clone(),
        Duration::from_millis(times.renew_deadline_ms / 2),
    );
    let mut listeners = Vec::new();
    for port in [STATUS_PORT, CANARY_PORT, peer::PORT] {
        let address = SocketAddr::new(args.listen, port);
        let listener = TcpListener::bind(address).await.map_err(|error| Failure::File(address.to_string(), error))?;
        listeners.push(listener);
    }
    let [status, canary_at, peers]: [TcpListener; 3] = listeners.try_into().map_err(|_| unfit("a port is missing"))?;
    let page = face::router(process.status(), health, counters);
    let answers = canary::router(&config.cluster, &args.pod);
    let others = async {
        become_known(args, &client, &time, &papers).await;
        let Some(papers) = papers.get() else { return };
        match papers.server_config(time.clone()) {
            Ok(tls) => {
                let router = peer::router(process.clone());
                let listening = listen::serve(peers, Some(tls), router, time.clone(), std::future::pending());
                tokio::join!(listening, renew(papers, &time));
            }
            Err(error) => tracing::error!(%error, "the other vantages cannot be listened to"),
        }
    };
    let life = async {
        tokio::join!(
            informers.run(),
            process.run(),
            process.announce(announcer),
            listen::serve(status, None, page, time.clone(), std::future::pending()),
            listen::serve(canary_at, None, answers, time.clone(), std::future::pending()),
            others,
            process.stand(&lease, times),
        )
    };
    let end = async {
        asked_to_end().await;
        tracing::info!("asked to end: the permit is given back");
        process.retire().await;
        // The Lease is given back by its own loop, which is still polled here.
        time.sleep(Duration::from_secs(1)).await;
    };
    tokio::select! {
        biased;
        () = end => {}
        _ = life => {}
    }
    Ok(())
}

fn configuration(args: &Args) -> Result<Watching, Failure> {
    let name = args.config.display().to_string();
    let text = std::fs::read_to_string(&args.config).map_err(|error| Failure::File(name.clone(), error))?;
    let (config, faults) = Watching::read(&text);
    let said: Vec<String> = faults
        .iter()
        .map(|fault| {
            let (line, column) = fault.span.as_ref().map_or((1, 1), |span| spec::line_and_column(&text, span.start));
            let help = fault.help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
            format!("{name}:{line}:{column}: {}: {}{help}", fault.code, fault.message)
        })
        .collect();
    let mut config = config.ok_or_else(|| Failure::Config(said.join("\n")))?;
    for warning in said {
        tracing::warn!("{warning}");
    }
    config.dry_run |= args.dry_run || args.once;
    Ok(config)
}

async fn access(args: &Args) -> Result<Access, Failure> {
    if let Some(path) = &args.kubeconfig {
        let kubeconfig = kube::config::Kubeconfig::read_from(path).map_err(unfit)?;
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(unfit)?;
        return Access::of_config(&config).map_err(unfit);
    }
    let variable = |name: &str| {
        std::env::var(name).map_err(|_| unfit(format!("{name} is not set: run in a pod, or name a --kubeconfig")))
    };
    let host = variable("KUBERNETES_SERVICE_HOST")?;
    let port = variable("KUBERNETES_SERVICE_PORT")?.parse().map_err(unfit)?;
    let ca = format!("{SERVICE_ACCOUNT}/ca.crt");
    let ca = std::fs::read(&ca).map_err(|error| Failure::File(ca.clone(), error))?;
    let token = Arc::new(|| {
        let text = std::fs::read_to_string(format!("{SERVICE_ACCOUNT}/token")).ok()?;
        Some(Secret::new(text.trim()))
    });
    Access::in_cluster(&host, port, &ca, token, &args.namespace).map_err(unfit)
}

fn roots(config: &Watching) -> Result<Roots, Failure> {
    match &config.canary.trust {
        Trust::Any => Ok(Roots::Unverified),
        Trust::System => Ok(Roots::System),
        Trust::File(path) => {
            let text = std::fs::read(path).map_err(|error| Failure::File(path.clone(), error))?;
            Ok(Roots::Only(certificates(&text).map_err(unfit)?))
        }
    }
}

/// Gets a certificate of the cluster's own authority; without one no other vantage believes this one.
async fn become_known(args: &Args, client: &kube::Client, time: &Time, papers: &OnceLock<Papers>) {
    let mut rng = time.rng("papers");
    loop {
        let authority = cluster_authority(client, &args.namespace, time.now(), &mut rng).await;
        let issued = authority.map_err(|error| error.to_string()).and_then(|authority| {
            Papers::issue(Arc::new(authority), &args.pod, time.now(), &mut rng).map_err(|error| error.to_string())
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

/// Looks for a while, and prints what is known as JSON.
#[allow(clippy::print_stdout, reason = "what was asked for goes to stdout")]
async fn once(process: &Arc<Process>, informers: Informers, time: &Time) -> Result<(), Failure> {
    tokio::select! {
        biased;
        () = time.sleep(ONCE) => {}
        _ = async { tokio::join!(informers.run(), process.run()) } => {}
    }
    let status = process.status().borrow().clone();
    println!("{}", serde_json::to_string_pretty(&*status).map_err(unfit)?);
    Ok(())
}

async fn asked_to_end() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        biased;
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
