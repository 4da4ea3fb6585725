use super::ask;
use crate::args::Args;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{self, Ink, Teller};
use engine::Outcome;
use plan::Plan;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use wire::Time;

/// Makes it so.
pub async fn run(args: &Args, teller: &Teller, time: &Time, yes: bool, saved: Option<&Path>) -> Result<u8, Failure> {
    let mut context = Context::open(args, time)?;
    let outcome = apply(args, &mut context, teller, yes, saved).await?;
    let exit = u8::from(!outcome.is_ok());
    teller.summary(exit, &outcome);
    Ok(exit)
}

async fn apply(
    args: &Args,
    context: &mut Context,
    teller: &Teller,
    yes: bool,
    saved: Option<&Path>,
) -> Result<Outcome, Failure> {
    let observed = engine::observe(&context.reach, &context.subject, &BTreeSet::new()).await?;
    let saved = saved.map(read).transpose()?;
    let (plan, report) = match saved.clone() {
        Some(plan) => (plan, plan::Report::default()),
        None => plan::make(&context.reach.wish(&context.subject), &observed),
    };
    if let Some(plan) = &saved {
        plan.is_for(&observed).map_err(|error| {
            Failure::new("BQ0401", error.to_string()).help("look at the new one: `bouquet plan --out FILE`")
        })?;
        if let Some(broken) = plan::check(plan, &observed).first() {
            return Err(Failure::new("BQ0402", format!("the plan is not safe: {broken}")));
        }
    }
    if !plan.is_empty() && !yes {
        let bill = plan::bill(&context.subject.cluster, &observed);
        render::talk(&render::plan(Ink::talk(args), &plan, &report, &bill));
        ask::confirm("Do this? [y/N] ", "y").await?;
    }
    if !plan.is_empty() {
        prepare(context, teller)?;
    }
    let listener = teller.listener();
    let outcome = match &saved {
        Some(plan) => engine::carry_out(&context.reach, &context.subject, plan, &observed, &listener).await?,
        None => engine::apply(&context.reach, &context.subject, &listener).await?,
    };
    Ok(outcome)
}

fn read(path: &Path) -> Result<Plan, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::system(&path.display().to_string(), &error))?;
    Plan::load(&text).map_err(|error| Failure::new("BQ0402", format!("{}: {error}", path.display())))
}

/// Lock and bundle are on disk before the first thing is made that could not be made again without them.
fn prepare(context: &mut Context, teller: &Teller) -> Result<(), Failure> {
    context.tell_stale_lock(teller)?;
    context.beside.write_lock(&context.lock)?;
    if context.subject.bundle.is_none() {
        let time = context.reach.line.time();
        let mut talk = Vec::new();
        let bundle = context.beside.make_bundle(&context.environment, time, &mut talk)?;
        teller.say(String::from_utf8_lossy(&talk).trim_end());
        context.subject.bundle = Some(Arc::new(bundle));
    }
    Ok(())
}
