mod apply;
mod ask;
mod check;
mod completions;
mod demo;
mod destroy;
mod explain;
mod greenhouse;
mod init;
mod kubeconfig;
mod node;
mod plan;
mod schema;
mod status;
mod talosconfig;

use crate::args::{Args, GreenhouseVerb, NodeVerb, Verb};
use crate::failure::Failure;

/// Runs the verb; returns the exit code.
pub async fn run(args: &Args) -> Result<u8, Failure> {
    match &args.verb {
        Verb::Init { name, domain, force } => init::run(args, name, domain.as_deref(), *force),
        Verb::Check => check::run(args).await,
        Verb::Plan { exit_code, destroy, out } => plan::run(args, *exit_code, *destroy, out.as_deref()).await,
        Verb::Apply { yes, plan } => apply::run(args, *yes, plan.as_deref()).await,
        Verb::Status => status::run(args).await,
        Verb::Destroy { yes, keep_images } => destroy::run(args, *yes, *keep_images).await,
        Verb::Demo { seed } => demo::run(args, *seed).await,
        Verb::Greenhouse { verb: GreenhouseVerb::Serve { dir, seed, speed, fault, listen, zone, cluster } } => {
            let options = ::greenhouse::Options {
                seed: *seed,
                speed: *speed,
                faults: fault.clone(),
                zone: zone.clone(),
                ..::greenhouse::Options::default()
            };
            greenhouse::serve(dir, &options, cluster, *listen).await
        }
        Verb::Kubeconfig => kubeconfig::run(args).await,
        Verb::Talosconfig => talosconfig::run(args).await,
        Verb::Node { verb: NodeVerb::List } => node::list(args).await,
        Verb::Graph { destroy } => plan::graph(args, *destroy).await,
        Verb::Explain { code } => explain::run(args, code.as_deref()),
        Verb::Schema { to } => schema::run(to),
        Verb::Completions { shell } => completions::run(*shell),
    }
}
