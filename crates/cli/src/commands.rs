mod apply;
mod ask;
mod check;
mod completions;
mod demo;
mod destroy;
mod explain;
mod greenhouse;
mod init;
mod interrupt;
mod kubeconfig;
mod node;
mod plan;
mod schema;
mod status;
mod talosconfig;

use crate::args::{Args, NodeVerb, Verb};
use crate::failure::Failure;
use crate::render::Teller;
use wire::{Rng, Time};

/// Runs the verb, tells how it ended, and returns the exit code.
pub async fn run(args: &Args) -> u8 {
    let name = name(&args.verb);
    let (time, teller) = match clock(&args.verb) {
        Ok(time) => (time.clone(), Teller::new(args, name, &time)),
        Err(failure) => {
            // Good enough to tell the time by.
            Teller::new(args, name, &Time::system(Rng::seeded(0))).failed(&failure);
            return failure.exit;
        }
    };
    let ended = match &args.verb {
        // It has an end of its own, which is no interruption.
        Verb::Greenhouse { verb } => greenhouse::run(verb).await,
        verb => interrupt::until(Box::pin(one(verb, args, &teller, &time))).await,
    };
    ended.unwrap_or_else(|failure| {
        teller.failed(&failure);
        failure.exit
    })
}

/// Whether a verb lives in a world of its own, with a time of its own.
pub fn is_simulated(args: &Args) -> bool {
    matches!(args.verb, Verb::Demo { .. })
}

/// The demo's time is that of its world; all else happens in ours.
fn clock(verb: &Verb) -> Result<Time, Failure> {
    match verb {
        Verb::Demo { seed } => Ok(demo::clock(*seed)),
        _ => Rng::from_entropy()
            .map(Time::system)
            .map_err(|error| Failure::new("BQ0602", format!("the system's randomness: {error}"))),
    }
}

async fn one(verb: &Verb, args: &Args, teller: &Teller, time: &Time) -> Result<u8, Failure> {
    match verb {
        Verb::Init { name, domain } => init::run(args, name.as_deref(), domain.as_deref()).await,
        Verb::Check => check::run(args, teller, time).await,
        Verb::Plan { exit_code, destroy, out, .. } => {
            plan::run(
                args,
                teller,
                time,
                plan::Wanted { exit_code: *exit_code, destroy: *destroy, out: out.as_deref() },
            )
            .await
        }
        Verb::Apply { yes, plan, .. } => apply::run(args, teller, time, *yes, plan.as_deref()).await,
        Verb::Status => status::run(args, teller, time).await,
        Verb::Destroy { yes, keep_images } => destroy::run(args, teller, time, *yes, *keep_images).await,
        Verb::Demo { seed } => demo::run(args, teller, time, *seed).await,
        Verb::Greenhouse { verb } => greenhouse::run(verb).await,
        Verb::Kubeconfig => kubeconfig::run(args, time).await,
        Verb::Talosconfig => talosconfig::run(args, time).await,
        Verb::Node { verb: NodeVerb::List } => node::list(args, time).await,
        Verb::Graph { destroy } => plan::graph(args, time, *destroy).await,
        Verb::Explain { code } => explain::run(args, code.as_deref()),
        Verb::Schema { to } => schema::run(to),
        Verb::Completions { shell } => completions::run(*shell),
    }
}

/// As it is written on the command line.
fn name(verb: &Verb) -> &'static str {
    match verb {
        Verb::Init { .. } => "init",
        Verb::Check => "check",
        Verb::Plan { .. } => "plan",
        Verb::Apply { .. } => "apply",
        Verb::Status => "status",
        Verb::Destroy { .. } => "destroy",
        Verb::Demo { .. } => "demo",
        Verb::Greenhouse { .. } => "greenhouse serve",
        Verb::Kubeconfig => "kubeconfig",
        Verb::Talosconfig => "talosconfig",
        Verb::Node { .. } => "node list",
        Verb::Graph { .. } => "graph",
        Verb::Explain { .. } => "explain",
        Verb::Schema { .. } => "schema",
        Verb::Completions { .. } => "completions",
    }
}
