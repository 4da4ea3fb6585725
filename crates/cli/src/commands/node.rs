use crate::args::Args;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{self, Ink};
use wire::Time;

/// Lists the nodes.
pub async fn list(args: &Args, time: &Time) -> Result<u8, Failure> {
    let context = Context::open(args, time)?;
    let status = engine::status(&context.reach, &context.subject).await?;
    render::document(args, &status.nodes, || render::node_table(Ink::out(args), &status.nodes))?;
    Ok(0)
}
