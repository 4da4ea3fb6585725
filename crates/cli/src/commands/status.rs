use crate::args::Args;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{self, Ink, Teller};
use serde_json::json;
use wire::Time;

/// Shows how the cluster is. Exits 0 if it could look.
pub async fn run(args: &Args, teller: &Teller, time: &Time) -> Result<u8, Failure> {
    let context = Context::open(args, time)?;
    let status = engine::status(&context.reach, &context.subject).await?;
    teller.document(0, 0, json!(status), || render::status(Ink::out(args), &status))?;
    Ok(0)
}
