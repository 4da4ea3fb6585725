//! The program's own surroundings: the process's variables, files, sockets and signals.

use crate::args::Args;
use async_trait::async_trait;
use axum::Router;
use clouds::Settings;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use watcher::kubernetes::Access;
use watcher::listen;
use watcher::peer::Papers;
use watcher::run::{self, PORTS, Ports, Surroundings, Watcher};
use watcher::start::Unfit;
use wire::{Rng, Secret, Sockets, Time};

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A port cannot be listened to.
    #[error("{0}: {1}")]
    Port(SocketAddr, std::io::Error),
    /// What it needs is missing or wrong.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The system lacks something.
    #[error("{0}")]
    System(String),
}

fn system(error: impl std::fmt::Display) -> Failure {
    Failure::System(error.to_string())
}

/// Runs until it is told to end.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let settings: Arc<dyn Settings> = Arc::new(Environment);
    let mut config = run::configuration(&*settings, &args.config.display().to_string())?;
    config.dry_run |= args.dry_run || args.once;
    let time = Time::system(Rng::from_entropy().map_err(system)?);
    let listeners = if args.once { BTreeMap::new() } else { listen_at(args).await? };
    let watcher = Watcher::new(Surroundings {
        config,
        pod: args.pod.clone(),
        namespace: args.namespace.clone(),
        node: args.node.clone(),
        access: access(args, &settings).await?,
        settings,
        wire: Arc::new(Sockets::new(None).map_err(system)?),
        time: time.clone(),
        ports: Arc::new(Listeners { listeners: Mutex::new(listeners), time }),
    })?;
    if args.once {
        return show(&*watcher.once().await);
    }
    watcher.run(asked_to_end()).await;
    Ok(())
}

/// The process's environment, and the file system.
struct Environment;

impl Settings for Environment {
    fn variable(&self, name: &str) -> Option<Secret> {
        std::env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::new)
    }

    fn file(&self, path: &str) -> Result<Secret, String> {
        std::fs::read_to_string(path).map(Secret::new).map_err(|error| format!("{path}: {error}"))
    }
}

async fn access(args: &Args, settings: &Arc<dyn Settings>) -> Result<Access, Failure> {
    let Some(path) = &args.kubeconfig else {
        return Ok(Access::of_pod(settings, &args.namespace).map_err(Unfit::from)?);
    };
    let kubeconfig = kube::config::Kubeconfig::read_from(path).map_err(system)?;
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(system)?;
    Ok(Access::of_config(&config).map_err(Unfit::from)?)
}

/// Sockets that are bound before anything begins: a port that is taken is an error of the start.
struct Listeners {
    listeners: Mutex<BTreeMap<u16, TcpListener>>,
    time: Time,
}

async fn listen_at(args: &Args) -> Result<BTreeMap<u16, TcpListener>, Failure> {
    let mut listeners = BTreeMap::new();
    for port in PORTS {
        let address = SocketAddr::new(args.listen, port);
        let listener = TcpListener::bind(address).await.map_err(|error| Failure::Port(address, error))?;
        listeners.insert(port, listener);
    }
    Ok(listeners)
}

#[async_trait]
impl Ports for Listeners {
    async fn serve(&self, port: u16, papers: Option<&Papers>, router: Router) {
        let listener = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).remove(&port);
        let Some(listener) = listener else { return };
        match papers.map(|papers| papers.server_config(self.time.clone())).transpose() {
            Ok(tls) => listen::serve(listener, tls, router, self.time.clone(), std::future::pending()).await,
            Err(error) => tracing::error!(%error, port, "the port cannot be listened to"),
        }
    }
}

#[allow(clippy::print_stdout, reason = "what was asked for goes to stdout")]
fn show(status: &watcher::status::Status) -> Result<(), Failure> {
    println!("{}", serde_json::to_string_pretty(status).map_err(system)?);
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
