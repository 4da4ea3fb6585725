use clap::{Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A multi-cloud Talos Kubernetes cluster from one file
#[derive(Debug, Parser)]
#[command(name = "bouquet", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Start with `bouquet demo`: the whole life of a cluster in a simulated world, no account needed."
)]
pub struct Args {
    /// Cluster file
    #[arg(short, long, global = true, default_value = "bouquet.yaml", value_name = "FILE")]
    pub file: PathBuf,
    /// How to print what was asked for
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Say more on stderr; twice for every call
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// How data is printed on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// One document, or one event a line
    Json,
    /// One document
    Yaml,
}

/// When colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Write a commented cluster file
    Init {
        /// Name of the cluster [default: bouquet]
        name: Option<String>,
        /// Domain whose names the cluster serves; without one there is no DNS
        #[arg(long)]
        domain: Option<String>,
    },
    /// Check file, credentials, scopes, quotas and stock before anything is spent
    Check,
    /// Show what would change, with its cost
    Plan {
        /// Exit 3 if there is something to do
        #[arg(long)]
        exit_code: bool,
        /// Plan the removal of everything
        #[arg(long)]
        destroy: bool,
        /// Save the plan for `apply --plan`
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Take fields of add-ons that somebody else manages
        #[arg(long)]
        adopt: bool,
    },
    /// Make it so; safe to stop and to run again
    Apply {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        /// Do exactly what a saved plan says, if the world has not moved since
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// Take fields of add-ons that somebody else manages
        #[arg(long)]
        adopt: bool,
    },
    /// Show how the cluster is
    Status,
    /// Remove everything that bears the cluster's mark, and prove it
    Destroy {
        /// Do not ask for the cluster's name
        #[arg(short, long)]
        yes: bool,
        /// Keep bootable images, so that the next cluster comes up sooner
        #[arg(long)]
        keep_images: bool,
    },
    /// Live through a cluster's whole life in a simulated world
    Demo {
        /// Seed of the world
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// The simulated world
    Greenhouse {
        /// What to do with it
        #[command(subcommand)]
        verb: GreenhouseVerb,
    },
    /// Print a kubeconfig for the administrator
    Kubeconfig,
    /// Print a talosconfig for the administrator
    Talosconfig,
    /// Nodes
    Node {
        /// What to do with them
        #[command(subcommand)]
        verb: NodeVerb,
    },
    /// Print the plan's steps as a graph in DOT
    Graph {
        /// The removal of everything instead
        #[arg(long)]
        destroy: bool,
    },
    /// Explain an error code
    Explain {
        /// For example BQ0101; none lists all
        code: Option<String>,
    },
    /// Write the JSON Schema of the cluster file
    Schema {
        /// Where to; `-` is stdout
        #[arg(default_value = "bouquet.schema.json")]
        to: PathBuf,
    },
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// What can be done with the simulated world.
#[derive(Debug, Subcommand)]
pub enum GreenhouseVerb {
    /// Serve it on loopback until SIGTERM
    Serve {
        /// Where to write env, CA and keys
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Seed of the world
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Divides emulated delays
        #[arg(long, default_value_t = 1.0)]
        speed: f64,
        /// Fault rule, in the words of docs/faults.md
        #[arg(long, value_name = "RULE")]
        fault: Vec<String>,
        /// Deliberate untruth, to see whether those who judge the emulators notice
        #[arg(long, value_name = "NAME", hide = true)]
        lie: Vec<String>,
        /// Control address
        #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
        listen: SocketAddr,
        /// Zone that the Cloudflare account holds
        #[arg(long, default_value = "example.com")]
        zone: String,
        /// Cluster whose tags the tailnet's policy knows; may be repeated
        #[arg(long, default_values = ["bouquet", "garden"], value_name = "NAME")]
        cluster: Vec<String>,
    },
}

/// What can be done with nodes.
#[derive(Debug, Subcommand)]
pub enum NodeVerb {
    /// List nodes with their places and addresses
    List,
}
