use crate::args::Args;
use crate::failure::Failure;
use clap::CommandFactory;

/// Prints completions for a shell.
pub fn run(shell: clap_complete::Shell) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "bouquet", &mut text);
    crate::render::out(&String::from_utf8_lossy(&text))?;
    Ok(0)
}
