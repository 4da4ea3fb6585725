use super::ask;
use crate::args::Args;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{self, Ink, Teller};
use engine::Outcome;
use plan::Spare;
use std::collections::BTreeSet;
use wire::Time;

/// Removes everything of the cluster, and proves it by a fresh look.
pub async fn run(args: &Args, teller: &Teller, time: &Time, yes: bool, keep_images: bool) -> Result<u8, Failure> {
    let context = Context::open(args, time)?;
    let outcome = destroy(args, &context, teller, yes, Spare { images: keep_images }).await?;
    let exit = u8::from(!outcome.is_ok());
    teller.summary(exit, &outcome);
    Ok(exit)
}

async fn destroy(args: &Args, context: &Context, teller: &Teller, yes: bool, spare: Spare) -> Result<Outcome, Failure> {
    let (reach, subject) = (&context.reach, &context.subject);
    if !yes {
        let observed = engine::observe(reach, subject, &BTreeSet::new()).await?;
        let (plan, report) = plan::destroy(&reach.wish(subject), &observed, spare);
        let bill = plan::bill(&subject.cluster, &observed);
        render::talk(&render::plan(Ink::talk(args), &plan, &report, &bill));
        let name = &subject.cluster.name;
        ask::confirm(&format!("Type the cluster's name ({name}) to remove all of this: "), name).await?;
    }
    let outcome = engine::destroy(reach, subject, spare, &teller.listener()).await?;
    let left = engine::proof(reach, subject).await?;
    let kept: Vec<&String> = left.iter().filter(|what| !(spare.images && what.contains(" image "))).collect();
    if kept.is_empty() {
        teller.say("proof: looked everywhere, nothing of the cluster is left");
        return Ok(outcome);
    }
    for what in &kept {
        teller.say(&format!("still there: {what}"));
    }
    Err(Failure::new("BQ0606", format!("{} things of the cluster are still there", kept.len()))
        .help("run `bouquet destroy` again; `bouquet explain BQ0606` says more"))
}
