//! The command line, and how it talks.

use clap::{Parser, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;

/// Withdraws a node's DNS records when it no longer serves, and restores them.
#[derive(Debug, Parser)]
#[command(name = "bouquet-watcher", version)]
pub struct Args {
    /// The configuration.
    #[arg(long, default_value = watcher::run::CONFIG)]
    pub config: PathBuf,
    /// Look, decide and tell; change nothing, whatever the configuration says.
    #[arg(long)]
    pub dry_run: bool,
    /// Look once, show what would be done as JSON, and end; changes nothing.
    #[arg(long)]
    pub once: bool,
    /// A kubeconfig, outside of a cluster; else the pod's own service account.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// Lines for people, or JSON.
    #[arg(long, value_enum, default_value_t = Log::Text)]
    pub log: Log,
    /// Where the three ports (9402 status, 9403 canary, 9404 peers) are opened.
    #[arg(long, default_value = "0.0.0.0")]
    pub listen: IpAddr,
    /// This pod's name.
    #[arg(long, env = "POD_NAME", default_value = "bouquet-watcher")]
    pub pod: String,
    /// Its namespace.
    #[arg(long, env = "POD_NAMESPACE", default_value = watcher::run::NAMESPACE)]
    pub namespace: String,
    /// The node it runs on.
    #[arg(long, env = "NODE_NAME", default_value = "")]
    pub node: String,
}

/// How it talks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Log {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Talks on stderr; `RUST_LOG` says how much.
pub fn log(log: Log) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,watcher=info,bouquet_watcher=info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log {
        Log::Text => lines.init(),
        Log::Json => lines.json().init(),
    }
}
