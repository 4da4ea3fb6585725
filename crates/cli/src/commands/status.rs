use crate::args::Args;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{self, Ink};

/// Shows how the cluster is. Exits 0 if it could look.
pub async fn run(args: &Args) -> Result<u8, Failure> {
    let context = Context::open(args)?;
    let status = engine::status(&context.reach, &context.subject).await?;
    render::document(args, &status, || render::status(Ink::out(args), &status))?;
    Ok(0)
}
