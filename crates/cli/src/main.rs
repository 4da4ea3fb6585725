//! `bouquet`: one file a verb under `commands`, each two hops from the engine; everything a person sees is in `render`.
//!
//! This crate refuses to hold logic that another front end would need.

mod args;
mod commands;
mod context;
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(commands::run(&args)),
        Err(error) => Err(failure::Failure::system("the runtime", &error)),
    };
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            render::failure(&args, &failure);
            ExitCode::from(failure.exit)
        }
    }
}
