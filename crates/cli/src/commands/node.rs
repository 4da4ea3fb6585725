use crate::args::Args;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{self, Ink};

/// Lists the nodes.
pub async fn list(args: &Args) -> Result<u8, Failure> {
    let context = Context::open(args)?;
    let status = engine::status(&context.reach, &context.subject).await?;
    render::document(args, &status.nodes, || render::node_table(Ink::out(args), &status.nodes))?;
    Ok(0)
}
