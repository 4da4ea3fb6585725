//! `bouquet`: one file a verb under `commands`, each two hops from the engine; everything a person sees is in `render`.
//!
//! This crate refuses to hold logic that another front end would need.

mod args;
mod commands;
mod conceal;
mod context;
mod credentials;
mod failure;
mod files;
mod render;
mod settings;

use args::Args;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    render::tracing(args.verbose);
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed already");
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    // Stopped from its first instant: one that is stopped later stands between two ticks, and each run between others.
    builder.enable_all().start_paused(commands::is_simulated(&args));
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => {
            render::talk(&format!("error[BQ0602]: the runtime: {}", failure::reason(&error)));
            return ExitCode::FAILURE;
        }
    };
    let exit = runtime.block_on(commands::run(&args));
    // A question that nobody answers any more must not hold the process.
    runtime.shutdown_background();
    ExitCode::from(exit)
}
